//! Programs whose file is still being written when they are to be started.
//!
//! A deployment that copies over a program keeps it open for a moment; so does any other thread of this process that
//! starts something at the wrong time, because its child has all open files until it has become its program.

use std::fmt::Display;
use std::io;
use std::time::Duration;

/// How often a start is tried again.
const AGAIN: u32 = 5;
/// Before the second try; twice as long before each further one.
const FIRST: Duration = Duration::from_millis(20);

/// What to wait before each further try.
pub(in super::super) fn pauses() -> impl Iterator<Item = Duration> {
    (0..AGAIN).map(|time| FIRST * 2_u32.pow(time))
}

/// True if somebody has the file open for writing.
pub(in super::super) fn is(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

/// Said after the last try.
pub(in super::super) fn message(path: impl Display) -> String {
    let waited: Duration = pauses().sum();
    format!(
        "{path} cannot be started: somebody still had its file open for writing after {waited:?}; \
         replace programs by renaming a finished file to their name"
    )
}
