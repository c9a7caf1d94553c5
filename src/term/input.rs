//! Terminal events as qtop's own, and noticing that the terminal is gone.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use crossterm::event::{Event, EventStream, KeyEventKind, MouseButton, MouseEventKind};
use futures_util::Stream;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::Notify;

use crate::app::message::Input;

/// The stream of events. Must be dropped while another program has the terminal: it would steal its keys.
pub(super) struct InputStream(EventStream);

impl InputStream {
    pub(super) fn open() -> Self {
        Self(EventStream::new())
    }
}

impl Stream for InputStream {
    type Item = io::Result<Input>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match Pin::new(&mut self.0).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(event))) => {
                    if let Some(input) = translate(event) {
                        return Poll::Ready(Some(Ok(input)));
                    }
                }
            }
        }
    }
}

fn translate(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Input::Key(key)),
        Event::Key(_) => None,
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(columns, rows) => Some(Input::Resize(columns, rows)),
        Event::FocusGained => Some(Input::Focus(true)),
        Event::FocusLost => Some(Input::Focus(false)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Input::Click(mouse.column, mouse.row)),
            MouseEventKind::ScrollDown => Some(Input::Scroll(1)),
            MouseEventKind::ScrollUp => Some(Input::Scroll(-1)),
            _ => None,
        },
    }
}

/// Notices that the terminal was closed, also when the signal that says so is ignored (U1). The event stream does not
/// tell: it reads on without end. A thread of its own waits for it, because it must work whatever else waits.
#[derive(Debug)]
pub(super) struct Hangup(Arc<Notify>);

impl Hangup {
    pub(super) fn watch() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let happened = Arc::new(Notify::new());
        let tell = Arc::clone(&happened);
        thread::Builder::new().name("terminal-hangup".to_owned()).spawn(move || {
            // No event is asked for: only the end, which is always told.
            let mut watched = [PollFd::new(&input, PollFlags::empty())];
            loop {
                match poll(&mut watched, None) {
                    Ok(0) | Err(Errno::INTR) => {}
                    Ok(_) => break tell.notify_one(),
                    Err(error) => {
                        tracing::warn!(%error, "a closed terminal will only be noticed by its signal");
                        break;
                    }
                }
            }
        })?;
        Ok(Self(happened))
    }

    /// Resolves when the terminal is gone.
    pub(super) async fn happened(&self) {
        self.0.notified().await;
    }
}
