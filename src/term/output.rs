//! Bytes to the terminal, written by a thread of their own: a terminal that does not read (Ctrl-S, a slow line) must not
//! keep qtop from hearing keys and signals. At most one frame waits; the next is drawn when it is gone (U11).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Frames that may wait: the one being written and small changes of the terminal's modes behind it.
const WAITING: usize = 8;

/// The writing end. Bytes are collected until [`Write::flush`] hands them over as one piece (U9).
#[derive(Debug)]
pub(super) struct Output {
    buffer: Vec<u8>,
    frames: SyncSender<Vec<u8>>,
    state: Arc<Progress>,
}

/// How the writing goes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    busy: AtomicBool,
    done: Notify,
    failure: OnceLock<io::ErrorKind>,
}

impl Output {
    /// To the standard output.
    pub(super) fn to_stdout() -> io::Result<Self> {
        Self::to(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// To anything that can be written.
    pub(super) fn to(target: impl Write + Send + 'static) -> io::Result<Self> {
        let (frames, waiting) = sync_channel(WAITING);
        let state = Arc::new(Progress::default());
        let shared = Arc::clone(&state);
        thread::Builder::new().name("terminal-output".to_owned()).spawn(move || run(target, &waiting, &shared))?;
        Ok(Self { buffer: Vec::with_capacity(16 * 1024), frames, state })
    }

    /// How the writing goes, for those who wait for it.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.state)
    }
}

impl Progress {
    /// True if nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Resolves when a piece has been written.
    pub(super) async fn written(&self) {
        self.done.notified().await;
    }

    /// Why the terminal can no longer be written to, once that is so.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.get().map(|kind| io::Error::from(*kind))
    }

    /// Waits until everything is written, at most so long; false if it was not.
    pub(super) fn drain(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while !self.is_idle() && start.elapsed() < limit {
            thread::sleep(Duration::from_millis(1));
        }
        self.is_idle()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(failure) = self.state.failure() {
            return Err(failure);
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.state.busy.store(true, Ordering::Release);
        match self.frames.try_send(std::mem::take(&mut self.buffer)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(bytes)) => {
                // Kept for the next time: a piece that is lost would leave the screen wrong for good.
                self.buffer = bytes;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn run(mut target: impl Write, waiting: &Receiver<Vec<u8>>, progress: &Progress) {
    let mut next = waiting.recv().ok();
    while let Some(bytes) = next {
        let written = target.write_all(&bytes).and_then(|()| target.flush());
        if let Err(error) = written {
            // Set once; later failures are consequences of the first.
            let _ = progress.failure.set(error.kind());
            progress.busy.store(false, Ordering::Release);
            progress.done.notify_one();
            return;
        }
        next = match waiting.try_recv() {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                progress.busy.store(false, Ordering::Release);
                progress.done.notify_one();
                let next = waiting.recv().ok();
                progress.busy.store(next.is_some(), Ordering::Release);
                next
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Passes on what is written, one write at a time, when allowed to.
    struct Slow {
        allowed: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.written.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn u9_a_frame_is_written_in_one_piece_and_a_stuck_terminal_holds_nobody_up() {
        let (allow, allowed) = mpsc::channel();
        let (written, pieces) = mpsc::channel();
        let mut output = Output::to(Slow { allowed, written }).unwrap();
        let progress = output.progress();
        output.write_all(&[b'a'; 30_000]).unwrap();
        output.write_all(&[b'b'; 20_000]).unwrap();
        output.flush().unwrap();
        assert!(!progress.is_idle());
        assert!(!progress.drain(Duration::from_millis(20)));
        allow.send(()).unwrap();
        let piece = pieces.recv_timeout(Duration::from_secs(5)).expect("the frame within 5 s");
        assert_eq!(piece.len(), 50_000);
        assert!(progress.drain(Duration::from_secs(5)), "idle within 5 s of the write");
    }

    #[test]
    fn u1_a_terminal_that_is_gone_is_noticed() {
        let (allow, allowed) = mpsc::channel();
        let (written, _) = mpsc::channel();
        drop(allow);
        let mut output = Output::to(Slow { allowed, written }).unwrap();
        let progress = output.progress();
        output.write_all(b"x").unwrap();
        output.flush().unwrap();
        assert!(progress.drain(Duration::from_secs(5)));
        assert!(progress.failure().is_some());
        assert!(output.flush().is_err());
    }
}
