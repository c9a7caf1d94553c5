//! The built binary on a screen: a pseudo-terminal with a terminal emulator behind it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use filedescriptor::{FileDescriptor, POLLIN, poll, pollfd};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use crate::{signal, wait_until};

/// Variables of the caller that would change what the program shows.
const FORGOTTEN: [&str; 14] = [
    "NO_COLOR",
    "COLORTERM",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TERM_PROGRAM",
    "TMUX",
    "STY",
    "SSH_CONNECTION",
    "SSH_TTY",
    "REDIS_URL",
    "LC_ALL",
    "LC_CTYPE",
    "XDG_RUNTIME_DIR",
];

/// What to start; made by [`Terminal::builder`].
pub struct TerminalBuilder {
    command: CommandBuilder,
    columns: u16,
    rows: u16,
    home: TempDir,
}

impl TerminalBuilder {
    /// More arguments.
    pub fn args<I: IntoIterator<Item = impl Into<OsString>>>(mut self, arguments: I) -> Self {
        for argument in arguments {
            self.command.arg(argument.into());
        }
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable of the environment.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Another size than 80 columns by 24 rows.
    pub fn size(mut self, columns: u16, rows: u16) -> Self {
        (self.columns, self.rows) = (columns, rows);
        self
    }

    /// Home of the program: its configuration, data and log directories are below it. Removed with the terminal.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts the program.
    pub fn spawn(self) -> Terminal {
        let size = PtySize { rows: self.rows, cols: self.columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal can be opened");
        let settings_before = format!("{:?}", pair.master.get_termios());
        let started = Instant::now();
        let child = pair.slave.spawn_command(self.command).expect("the program can be started");
        drop(pair.slave);
        // Own copies: the library's writer types a line end and an end-of-file when it is dropped.
        let descriptor = pair.master.as_raw_fd().expect("a terminal on Unix has a descriptor");
        let mut reader = FileDescriptor::dup(&descriptor).expect("the terminal can be read");
        let writer = FileDescriptor::dup(&descriptor).expect("the terminal can be written to");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parser: vt100::Parser::new(cells(self.rows), cells(self.columns), 0),
                raw: Vec::new(),
                ended: false,
                paused: false,
                hung_up: false,
                last_output: started,
                first_output: None,
            }),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let reading = thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                let mut watched = [pollfd { fd: reader.as_raw_fd(), events: POLLIN, revents: 0 }];
                let readable = poll(&mut watched, Some(Duration::from_millis(20))).unwrap_or(0) > 0;
                if of_thread.state().hung_up {
                    return;
                }
                if !readable {
                    continue;
                }
                // An error here is how Linux tells that the program has closed its side.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut state = of_thread.state();
                if count == 0 {
                    state.ended = true;
                } else {
                    state.raw.extend_from_slice(&buffer[..count]);
                    state.parser.process(&buffer[..count]);
                    state.last_output = Instant::now();
                    state.first_output = state.first_output.or(Some(Instant::now()));
                }
                of_thread.changed.notify_all();
                while state.paused {
                    state = of_thread.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if count == 0 {
                    return;
                }
            }
        });
        Terminal {
            master: Some(pair.master),
            writer: Some(writer),
            reading: Some(reading),
            child,
            shared,
            started,
            settings_before,
            home: self.home,
        }
    }
}

/// Time for what an ended program wrote last to be read, on a busy machine.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program running on a pseudo-terminal; killed when dropped.
pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<FileDescriptor>,
    reading: Option<thread::JoinHandle<()>>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<Shared>,
    started: Instant,
    settings_before: String,
    home: TempDir,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; 1 when a signal ended it.
    pub code: u32,
    /// Name of the signal that ended it, as the C library describes it (`Terminated`, `Hangup`, …).
    pub signal: Option<String>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
    paused: bool,
    hung_up: bool,
    last_output: Instant,
    first_output: Option<Instant>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal {
    /// A program to be started on an 80×24 `xterm-256color` in UTF-8, with a home of its own and without the caller's
    /// settings. Use `env!("CARGO_BIN_EXE_qtop")` for the built binary.
    pub fn builder(program: impl Into<PathBuf>) -> TerminalBuilder {
        let home = tempfile::Builder::new().prefix("qtop-home-").tempdir().expect("a temporary directory");
        let mut command = CommandBuilder::new(program.into());
        FORGOTTEN.iter().for_each(|name| command.env_remove(name));
        let own = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("QTOP_"));
        own.for_each(|name| command.env_remove(name));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("HOME", home.path());
        for (name, below) in [
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            command.env(name, home.path().join(below));
        }
        command.cwd(home.path());
        TerminalBuilder { command, columns: 80, rows: 24, home }
    }

    /// Home of the program.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Types keys as a terminal would send them, for example `"q"`, `"\x1b"` (escape), `"\r"` (enter), `"\x1b[B"` (down).
    pub fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("the terminal is open");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("the terminal takes keys");
    }

    /// Changes the size; the program gets SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.shared.state().parser.set_size(cells(rows), cells(columns));
        self.master.as_ref().expect("the terminal is open").resize(size).expect("the terminal can be resized");
    }

    /// The visible text, lines joined by newlines.
    pub fn text(&self) -> String {
        self.shared.state().parser.screen().contents()
    }

    /// One visible line, from 0, without blanks at its end.
    pub fn line(&self, row: usize) -> String {
        self.text().lines().nth(row).unwrap_or_default().trim_end().to_owned()
    }

    /// Looks at the emulator's screen: cells with colours, cursor, modes.
    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shared.state().parser.screen())
    }

    /// All bytes the program has written.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.state().raw.clone()
    }

    /// How many bytes the program has written.
    pub fn bytes_written(&self) -> usize {
        self.shared.state().raw.len()
    }

    /// Time from starting the program to its first byte.
    pub fn time_to_first_output(&self) -> Option<Duration> {
        self.shared.state().first_output.map(|at| at - self.started)
    }

    /// When the program was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the program last wrote something.
    pub fn last_output(&self) -> Instant {
        self.shared.state().last_output
    }

    /// Stops reading from the program, as a terminal does that hangs; `false` goes on.
    pub fn pause_reading(&self, on: bool) {
        self.shared.state().paused = on;
        self.shared.changed.notify_all();
    }

    /// Waits until the screen is as `ready` wants it and returns how long that took; panics with the screen after
    /// `limit`, naming `what`.
    pub fn wait_for(&self, what: &str, limit: Duration, ready: impl Fn(&vt100::Screen) -> bool) -> Duration {
        let start = Instant::now();
        let mut state = self.shared.state();
        loop {
            if ready(state.parser.screen()) {
                return start.elapsed();
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() || state.ended {
                let shown = state.parser.screen().contents();
                let how = if state.ended { "the program ended" } else { "nothing came" };
                drop(state);
                panic!("waited {:?} (limit {limit:?}) for {what}: {how}; the screen is\n{shown}", start.elapsed());
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left.min(Duration::from_millis(100)))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until this text is on the screen.
    pub fn wait_for_text(&self, text: &str, limit: Duration) -> Duration {
        self.wait_for(&format!("{text:?} on the screen"), limit, |screen| screen.contents().contains(text))
    }

    /// Sends keys and returns how long it took until the program wrote something.
    pub fn time_of_answer(&mut self, keys: &str, limit: Duration) -> Duration {
        let before = self.bytes_written();
        let start = Instant::now();
        self.send(keys);
        self.wait_for_more_than(before, &format!("an answer to {keys:?}"), limit);
        self.last_output().saturating_duration_since(start)
    }

    fn wait_for_more_than(&self, bytes: usize, what: &str, limit: Duration) {
        let start = Instant::now();
        let mut state = self.shared.state();
        while state.raw.len() <= bytes {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() || state.ended {
                let shown = state.parser.screen().contents();
                drop(state);
                panic!("waited {limit:?} for {what}; the screen is\n{shown}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the program has written nothing for `quiet`.
    pub fn wait_for_quiet(&self, quiet: Duration, limit: Duration) {
        wait_until("the program to write nothing", limit, || self.last_output().elapsed() >= quiet);
    }

    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("a started program has an id")
    }

    /// Sends it a signal by name: `TERM`, `HUP`, `INT`, `STOP`, …
    pub fn signal(&self, name: &str) {
        assert!(signal(self.pid(), name), "SIG{name} could be sent");
    }

    /// Waits for the end of the program, and for what it wrote last.
    pub fn wait_exit(&mut self, limit: Duration) -> Exit {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                self.read_out();
                return Exit { code: status.exit_code(), signal: status.signal().map(str::to_owned) };
            }
            assert!(start.elapsed() < limit, "waited {limit:?} for the program to end; the screen is\n{}", self.text());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until all is read that was written; a program that lives on in the terminal is not waited for long.
    fn read_out(&self) {
        let until = Instant::now() + LAST_WORDS;
        let mut state = self.shared.state();
        while !(state.ended || state.hung_up || state.paused) && Instant::now() < until {
            let wait = until.saturating_duration_since(Instant::now());
            state = self.shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// True if the program has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The terminal's settings (echo, line mode, special keys) as they are now, printable and comparable.
    pub fn settings(&self) -> String {
        format!("{:?}", self.master.as_ref().expect("the terminal is open").get_termios())
    }

    /// The settings from before the program was started.
    pub fn settings_before(&self) -> &str {
        &self.settings_before
    }

    /// Takes the terminal away, as a closed window or a lost connection does: every copy of it is closed, and the
    /// kernel sends SIGHUP.
    pub fn hang_up(&mut self) {
        {
            let mut state = self.shared.state();
            (state.hung_up, state.paused) = (true, false);
        }
        self.shared.changed.notify_all();
        self.reading.take().map(|reading| reading.join().expect("the reading thread ends without a panic"));
        self.writer = None;
        self.master = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.shared.state().paused = false;
        self.shared.changed.notify_all();
        // Both fail only if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count.max(1)).expect("at least one")
}
