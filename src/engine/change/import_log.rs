//! What an import has done, on disk, so that the same import goes on where qtop was killed and adds nothing twice.
//!
//! A system gives a new job a new id, so nothing in Redis tells whether a job of the file was added: this file does. It
//! is named after the import (server, queue and file), holds a line before a piece is sent and one for each job that was
//! answered, and goes away when the import ends. A job that was sent without an answer is not sent again by itself.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::hold::Hold;
use super::{ChangeError, Places, file_error, private_directory, private_file};

/// What names the present start of the machine, on Linux.
const START: &str = "/proc/sys/kernel/random/boot_id";

/// What is known of jobs of the file, by their places in it, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Known {
    /// These were added.
    pub added: HashSet<usize>,
    /// These may have been added: qtop was ended before the answer came.
    pub doubtful: HashSet<usize>,
}

/// The file of one import, held as long as this process carries it out.
#[derive(Debug)]
pub struct ImportLog {
    path: PathBuf,
    file: File,
    _hold: Hold,
    /// What an earlier, interrupted run of the same import has left.
    pub known: Known,
}

/// What an interrupted run of an import has left, without holding it.
pub fn look(places: &Places, import: &str) -> Result<Known, ChangeError> {
    let path = places.state.join("imports").join(format!("{import}.log"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(read(&text, &start())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Known::default()),
        Err(cause) => Err(file_error("cannot read", &path)(cause)),
    }
}

impl ImportLog {
    /// Opens the file of an import, or makes it. `anew` forgets what an interrupted run has done.
    pub fn open(places: &Places, import: &str, anew: bool) -> Result<Self, ChangeError> {
        let directory = places.state.join("imports");
        private_directory(&directory)?;
        let path = directory.join(format!("{import}.log"));
        let options = || private_file().append(true).create(true).open(&path);
        let mut file = options().map_err(file_error("cannot open", &path))?;
        let hold = Hold::of(&file, &path)?;
        let text = std::fs::read_to_string(&path).map_err(file_error("cannot read", &path))?;
        if anew {
            file.set_len(0).map_err(file_error("cannot write", &path))?;
        }
        let known = if anew { Known::default() } else { read(&text, &start()) };
        // A line that a crash cut off must not spoil the next one.
        if !anew && !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(file_error("cannot write", &path))?;
        }
        Ok(Self { path, file, _hold: hold, known })
    }

    /// These are sent next, one after the other. On disk when this returns.
    pub fn sending(&mut self, places: &[usize]) -> Result<(), ChangeError> {
        let places: Vec<String> = places.iter().map(usize::to_string).collect();
        self.line(&format!("sending {} {}\n", start(), places.join(" ")))?;
        self.file.sync_data().map_err(file_error("cannot write", &self.path))
    }

    /// The next of them was added.
    pub fn added(&mut self, place: usize) -> Result<(), ChangeError> {
        self.line(&format!("added {place}\n"))
    }

    /// The next of them was not added; the same import tries it again.
    pub fn refused(&mut self, place: usize) -> Result<(), ChangeError> {
        self.line(&format!("refused {place}\n"))
    }

    /// Nobody can tell whether the next of them was added.
    pub fn unknown(&mut self, place: usize) -> Result<(), ChangeError> {
        self.line(&format!("unknown {place}\n"))
    }

    /// What was announced and not answered was not sent either.
    pub fn stopped(&mut self) -> Result<(), ChangeError> {
        self.line("stopped\n")
    }

    /// The import is over.
    pub fn end(self) -> Result<(), ChangeError> {
        std::fs::remove_file(&self.path).map_err(file_error("cannot delete", &self.path))
    }

    fn line(&mut self, line: &str) -> Result<(), ChangeError> {
        self.file.write_all(line.as_bytes()).map_err(file_error("cannot write", &self.path))
    }
}

/// Changes with each start of the machine; empty where nothing tells.
fn start() -> String {
    std::fs::read_to_string(START).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn read(text: &str, start: &str) -> Known {
    let mut known = Known::default();
    let mut open: Vec<usize> = Vec::new();
    let mut same = true;
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next().map(|word| (word, word.parse::<usize>()))) {
            (Some("sending"), Some((at, _))) => {
                close(&mut known, &mut open, same);
                same = !start.is_empty() && at == start;
                open = words.filter_map(|word| word.parse().ok()).collect();
            }
            (Some("stopped"), None) => open.clear(),
            (Some(answer), Some((_, Ok(place)))) => {
                open.retain(|other| *other != place);
                known.doubtful.remove(&place);
                match answer {
                    "added" => _ = known.added.insert(place),
                    "unknown" => _ = known.doubtful.insert(place),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    close(&mut known, &mut open, same);
    known
}

/// Of what was announced and not answered only the first can have been sent, because they go one by one; after a crash
/// of the machine itself, lines may be lost, and then it may have been any of them.
fn close(known: &mut Known, open: &mut Vec<usize>, same: bool) {
    let sent = if same { 1 } else { open.len() };
    known.doubtful.extend(open.drain(..).take(sent));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(places: &[usize]) -> HashSet<usize> {
        places.iter().copied().collect()
    }

    #[test]
    fn only_the_job_that_was_under_way_is_in_doubt() {
        let text = "sending b 0 1 2\nadded 0\nrefused 1\nadded 2\nsending b 3 4 5\nadded 3\n";
        assert_eq!(read(text, "b"), Known { added: set(&[0, 2, 3]), doubtful: set(&[4]) });
        assert_eq!(read(&format!("{text}refused 4\nstopped\n"), "b").doubtful, set(&[]));
        assert_eq!(read("", "b"), Known::default());
    }

    #[test]
    fn after_a_crash_of_the_machine_all_that_was_announced_is_in_doubt() {
        let text = "sending b 0 1 2\nadded 0\nadd";
        assert_eq!(read(text, "c").doubtful, set(&[1, 2]));
        assert_eq!(read(&text.replace(" b", " "), "").doubtful, set(&[1, 2]));
    }

    #[test]
    fn a_later_run_settles_what_was_in_doubt() {
        let text = "sending b 0 1\nunknown 0\nadded 1\nsending b 0\nadded 0\n";
        assert_eq!(read(text, "b"), Known { added: set(&[0, 1]), doubtful: set(&[]) });
    }

    #[test]
    fn two_do_not_carry_out_the_same_import_and_its_end_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { state: folder.path().to_owned(), trash_cap: 0 };
        let mut log = ImportLog::open(&places, "i", false).unwrap();
        log.sending(&[0, 1]).unwrap();
        log.added(0).unwrap();
        assert!(matches!(ImportLog::open(&places, "i", false), Err(ChangeError::Held(_))));
        drop(log);
        let log = ImportLog::open(&places, "i", false).unwrap();
        assert_eq!((&log.known.added, log.known.doubtful.len()), (&set(&[0]), 1));
        drop(log);
        let log = ImportLog::open(&places, "i", true).unwrap();
        assert_eq!(log.known, Known::default());
        log.end().unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("imports")).unwrap().count(), 0);
    }
}
