//! A log file a day, readable by its owner only, the oldest deleted.
//!
//! Own code, because the rolling file of tracing-appender takes its permissions from the umask, deletes today's file
//! at the start where one day is kept, and prints its troubles over the screen.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

const PREFIX: &str = "qtop.";
const SUFFIX: &str = ".log";

/// Appends to `qtop.YYYY-MM-DD.log`; days are those of UTC, as the times in the lines.
pub(super) struct DailyFile {
    directory: PathBuf,
    keep_days: u16,
    today: fn() -> Date,
    day: Date,
    file: File,
}

impl DailyFile {
    /// Makes the directory (for its owner only) if there is none, opens the file of today, deletes what is too old.
    pub(super) fn open(directory: &Path, keep_days: u16, today: fn() -> Date) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        let day = today();
        let file = open(directory, day)?;
        let daily = Self { directory: directory.to_owned(), keep_days, today, day, file };
        daily.prune();
        Ok(daily)
    }

    /// Deletes files of days before the kept ones. By the date in the name: copying a file changes its other dates.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let Ok(oldest) = self.day.checked_sub(jiff::Span::new().days(i64::from(self.keep_days.max(1)) - 1)) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let day =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<Date>().ok());
            if day.is_some_and(|day| day < oldest) {
                // A file that cannot be deleted is tried again tomorrow; the log itself must go on.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let today = (self.today)();
        if today != self.day
            && let Ok(file) = open(&self.directory, today)
        {
            self.day = today;
            self.file = file;
            self.prune();
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(directory: &Path, day: Date) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(directory.join(format!("{PREFIX}{day}{SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI8, Ordering};

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("the folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("text");
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_day_begins_a_new_file_and_ends_the_oldest() {
        static DAY: AtomicI8 = AtomicI8::new(1);
        fn today() -> Date {
            Date::constant(2026, 11, DAY.load(Ordering::SeqCst))
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let directory = folder.path().join("logs");
        let mut log = DailyFile::open(&directory, 2, today).expect("opens");
        fs::write(directory.join("other.txt"), "not ours").expect("written");
        for day in 1..=3 {
            DAY.store(day, Ordering::SeqCst);
            writeln!(log, "day {day}").expect("written");
        }
        assert_eq!(names(&directory), ["other.txt", "qtop.2026-11-02.log", "qtop.2026-11-03.log"]);
        assert_eq!(fs::read_to_string(directory.join("qtop.2026-11-03.log")).expect("text"), "day 3\n");
    }

    #[test]
    fn the_file_of_today_survives_a_second_start() {
        let today = || Date::constant(2026, 11, 21);
        let folder = tempfile::tempdir().expect("a temporary folder");
        for line in ["one", "two"] {
            writeln!(DailyFile::open(folder.path(), 1, today).expect("opens"), "{line}").expect("written");
        }
        assert_eq!(fs::read_to_string(folder.path().join("qtop.2026-11-21.log")).expect("text"), "one\ntwo\n");
    }

    #[cfg(unix)]
    #[test]
    fn s17_logs_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("a temporary folder");
        let directory = folder.path().join("state/qtop");
        DailyFile::open(&directory, 1, || Date::constant(2026, 11, 21)).expect("opens");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("qtop.2026-11-21.log")), 0o600);
    }
}
