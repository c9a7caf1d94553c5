//! Files that are held against other processes while they are at work on them.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{ChangeError, file_error};

/// Holds a file until it is dropped, or the process ends, however that happens.
#[derive(Debug)]
pub(super) struct Hold(File);

impl Hold {
    /// Holds an open file; refused if somebody else does. Some network folders know no locks; there it goes on without.
    pub(super) fn of(file: &File, path: &Path) -> Result<Self, ChangeError> {
        let file = file.try_clone().map_err(file_error("cannot open", path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(ChangeError::Held(path.to_owned())),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self(file)),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that is just being started has the file open too. A failure
        // leaves the lock to the end of the process.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let open = || File::open(&path).unwrap();
        let first = Hold::of(&open(), &path).unwrap();
        assert!(matches!(Hold::of(&open(), &path), Err(ChangeError::Held(_))));
        drop(first);
        assert!(Hold::of(&open(), &path).is_ok());
    }
}
