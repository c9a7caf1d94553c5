//! The bytes of one connection: TCP, TLS or a unix socket, counted, huge values cut, with the cause of its end kept.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::cut::Cutter;
use super::error::TlsFailure;
use super::meter::Meter;
use super::news::Ear;
use super::tls;

/// Any of the three.
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Why the bytes stopped. The multiplexer above loses this: to those who wait it only says "closed".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The other side closed in an orderly way.
    Closed,
    /// The other side, or something between, cut it.
    Reset,
    /// TLS failed after the handshake; a refused client certificate shows here.
    Tls(TlsFailure),
    /// Anything else, in the system's words.
    Broken(String),
}

/// Where the end is noted. Only the first one counts.
#[derive(Clone, Default)]
pub(super) struct EndNote(Arc<Mutex<Option<End>>>);

impl EndNote {
    pub(super) fn read(&self) -> Option<End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, end: End) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }

    fn write_error(&self, error: &io::Error) {
        self.write(match tls::inside(error) {
            Some(failure) => End::Tls(failure),
            None if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            None if error.kind() == io::ErrorKind::UnexpectedEof => End::Closed,
            None => End::Broken(error.to_string()),
        });
    }
}

/// A socket that counts what passes, before encryption, and notes why it ended.
pub(super) struct Counted {
    pub(super) socket: Socket,
    pub(super) meter: Arc<Meter>,
    pub(super) end: EndNote,
    pub(super) ear: Ear,
    /// Present where huge values are cut.
    pub(super) sieve: Option<Box<Sieve>>,
}

/// Bytes taken from the socket at once where huge values are cut.
const READ_BYTES: usize = 64 * 1024;

/// What came in and is not read yet.
pub(super) struct Sieve {
    cutter: Cutter,
    taken: Vec<u8>,
    passed: Vec<u8>,
    read: usize,
}

impl Sieve {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { cutter: Cutter::default(), taken: vec![0; READ_BYTES], passed: Vec::new(), read: 0 })
    }
}

impl Counted {
    fn poll_socket(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        let had_room = buffer.remaining() > 0;
        let polled = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let count = buffer.filled().len() - before;
        match &polled {
            Poll::Ready(Ok(())) if count == 0 && had_room => self.end.write(End::Closed),
            Poll::Ready(Ok(())) => self.meter.count_bytes_in(count as u64),
            Poll::Ready(Err(error)) => self.end.write_error(error),
            Poll::Pending => {}
        }
        if polled.is_ready() {
            self.ear.came(&buffer.filled()[before..]);
        }
        polled.map_ok(|()| count)
    }

    fn poll_sieve(
        &mut self,
        sieve: &mut Sieve,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while sieve.read == sieve.passed.len() {
            sieve.passed.clear();
            sieve.read = 0;
            let mut taken = ReadBuf::new(&mut sieve.taken);
            if ready!(self.poll_socket(context, &mut taken))? == 0 {
                return Poll::Ready(Ok(()));
            }
            sieve.cutter.feed(taken.filled(), &mut sieve.passed);
        }
        let waiting = &sieve.passed[sieve.read..];
        let part = &waiting[..waiting.len().min(buffer.remaining())];
        buffer.put_slice(part);
        sieve.read += part.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.sieve.take() {
            None => this.poll_socket(context, buffer).map_ok(|_| ()),
            Some(mut sieve) => {
                let polled = this.poll_sieve(&mut sieve, context, buffer);
                this.sieve = Some(sieve);
                polled
            }
        }
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        match &polled {
            Poll::Ready(Ok(count)) => this.meter.count_bytes_out(*count as u64),
            Poll::Ready(Err(error)) => this.end.write_error(error),
            Poll::Pending => {}
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(context),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
