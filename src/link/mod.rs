//! Connections to Redis: URLs and TLS, the command gate, batches that go out as one pipeline, errors with remedies.
//!
//! Knows nothing of queues. Everything that leaves qtop for a Redis server passes [`Link::send`] and the gate in it.

mod batch;
mod error;
mod send;

pub use batch::{Batch, Replies, Reply, Section};
pub use error::{CommandError, LinkError, Remedy};
pub use redis::{Cmd, Value, cmd};
pub use send::Link;
