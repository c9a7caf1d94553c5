//! What an undo has sent, on disk, so that one that was interrupted puts nothing back twice.
//!
//! A line `call N` is on disk before the call is sent, a line `back N` follows its answer. A call with the first and
//! without the second may have arrived.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::engine::change::{ChangeError, file_error, private_file};

/// What is known of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never sent.
    Fresh,
    /// It was sent; whether it arrived is not known, or not all of it was taken.
    Perhaps,
    /// All of it is back.
    Back,
}

/// The calls of one undo, by their number from the first.
#[derive(Debug)]
pub struct Sent {
    path: PathBuf,
    file: File,
    called: HashSet<usize>,
    back: HashSet<usize>,
}

impl Sent {
    /// Reads what an earlier undo sent. The trash file is held meanwhile, so nobody else writes here.
    pub(super) fn open(path: PathBuf) -> Result<Self, ChangeError> {
        let opened = private_file().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(file_error("cannot open", &path))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(file_error("cannot read", &path))?;
        let numbers = |word: &str| {
            text.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect::<HashSet<usize>>()
        };
        let (called, back) = (numbers("call "), numbers("back "));
        Ok(Self { path, file, called, back })
    }

    /// What is known of call `number`.
    pub fn standing(&self, number: usize) -> Standing {
        match (self.called.contains(&number), self.back.contains(&number)) {
            (_, true) => Standing::Back,
            (true, false) => Standing::Perhaps,
            (false, false) => Standing::Fresh,
        }
    }

    /// Call `number` is about to be sent. Waits until that is on disk.
    pub fn call(&mut self, number: usize) -> Result<(), ChangeError> {
        self.line("call", number)?;
        self.file.sync_data().map_err(file_error("cannot write", &self.path))?;
        self.called.insert(number);
        Ok(())
    }

    /// All of call `number` is back.
    pub fn back(&mut self, number: usize) -> Result<(), ChangeError> {
        self.back.insert(number);
        self.line("back", number)
    }

    fn line(&mut self, word: &str, number: usize) -> Result<(), ChangeError> {
        // The line end first: a line that a crash cut off spoils no other.
        self.file.write_all(format!("\n{word} {number}\n").as_bytes()).map_err(file_error("cannot write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_undo_knows_what_it_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.jsonl.sent");
        let mut sent = Sent::open(path.clone()).unwrap();
        sent.call(0).unwrap();
        sent.back(0).unwrap();
        sent.call(1).unwrap();
        drop(sent);
        std::fs::write(&path, [std::fs::read(&path).unwrap().as_slice(), b"\nca"].concat()).unwrap();
        let mut sent = Sent::open(path).unwrap();
        let standing = [sent.standing(0), sent.standing(1), sent.standing(2)];
        assert_eq!(standing, [Standing::Back, Standing::Perhaps, Standing::Fresh]);
        sent.call(2).unwrap();
        assert_eq!(sent.standing(2), Standing::Perhaps);
    }
}
