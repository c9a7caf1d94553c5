//! Connections to Redis: URLs and TLS, the command gate, batches that go out as one pipeline, errors with remedies.
//!
//! Knows nothing of queues. Everything that leaves qtop for a Redis server passes [`Link::send`] and the gate in it:
//! only commands of the table [`COMMANDS`], within their limits, and no writes unless the link allows them.

mod acl;
mod address;
mod backoff;
mod batch;
mod commands;
mod connect;
mod cost;
mod cut;
mod error;
mod gate;
mod limit;
mod login;
mod meter;
mod news;
mod options;
mod remedy;
mod script;
mod send;
mod sentinel;
mod socket;
mod step;
mod tls;

pub use acl::acl_rule;
pub use address::{Address, AddressError, Endpoint, Node, has_password, safe_url};
pub use backoff::Backoff;
pub use batch::{Batch, Replies, Reply, Section};
pub use commands::{
    Access, COMMANDS, CommandSpec, Cost, MAX_LPOS_LENGTH, MAX_MEMBER_SCAN_COUNT, MAX_NAMED, MAX_SCAN_COUNT, MAX_SPAN,
    MAX_VALUE_BYTES, SCRIPTED,
};
pub use cost::{CostWindow, ServerCost};
pub use cut::KEPT_BYTES;
pub use error::{CommandError, ConnectFailure, ConnectStep, LinkError, RefusalKind, Remedy, TlsFailure};
pub use gate::{Breach, Mode, check};
pub use limit::{Keyword, Limit};
pub use login::client_name;
pub use meter::{Meter, Rate, RateWindow, Totals};
pub use news::News;
pub use options::{ConnectOptions, Purpose, TimeLimits, TlsOptions};
pub use redis::{Cmd, Value, cmd};
pub use script::Script;
pub use send::Link;
pub use tls::{causes, client_config, install_crypto, tls_failure};
