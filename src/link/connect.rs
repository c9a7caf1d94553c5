//! From a URL to a connection that is logged in and named: lookup, socket, TLS, login, each with its own error.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::{Address, Endpoint, Node};
use super::error::{ConnectFailure, ConnectStep, LinkError, TlsFailure};
use super::login::{Credentials, log_in};
use super::meter::Meter;
use super::news::{Ear, News};
use super::options::{ConnectOptions, Purpose};
use super::send::Link;
use super::sentinel;
use super::socket::{Counted, EndNote, Sieve, Socket};
use super::step::StepNote;
use super::tls;

/// Idle time after which the system asks whether the other side is still there. Keeps NAT entries alive, too.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Link {
    /// Connects for one purpose, logs in and names the connection.
    ///
    /// # Errors
    ///
    /// [`LinkError::Address`] if the URL is none, else [`LinkError::Connect`].
    pub async fn connect(options: &ConnectOptions, purpose: Purpose) -> Result<Self, LinkError> {
        Self::connect_metered(options, purpose, Arc::default()).await
    }

    /// Like [`Link::connect`], counting into a meter that outlives the connection or is shared with others.
    pub async fn connect_metered(
        options: &ConnectOptions,
        purpose: Purpose,
        meter: Arc<Meter>,
    ) -> Result<Self, LinkError> {
        let address = Address::parse(&options.url)?;
        let target = address.target();
        let step = StepNote::default();
        let limit = options.limits.connect;
        let connecting = reach(&address, options, purpose, meter, &step);
        match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(failure)) => Err(LinkError::Connect { target, failure }),
            Err(_) => {
                let failure = ConnectFailure::Timeout { step: step.get(), limit };
                Err(LinkError::Connect { target, failure })
            }
        }
    }

    /// A read-only connection to a URL with everything else as by default.
    pub async fn open(url: &str) -> Result<Self, LinkError> {
        Self::connect(&ConnectOptions::new(url), Purpose::Fetch).await
    }
}

async fn reach(
    address: &Address,
    options: &ConnectOptions,
    purpose: Purpose,
    meter: Arc<Meter>,
    step: &StepNote,
) -> Result<Link, ConnectFailure> {
    let credentials = Credentials {
        username: address.username.clone().or_else(|| options.username.clone()),
        password: options.password.clone().or_else(|| address.password.clone()),
        db: address.db.or(options.db).unwrap_or(0),
        limit: options.limits.connect,
    };
    let make = |raw: Raw, target: String| Link::new(raw, target, address.safe_url(), options, purpose);
    match &address.endpoint {
        Endpoint::Tcp(node) => {
            let raw = open_tcp(node, address.tls, options, purpose, meter, step).await?;
            log_in(make(raw, address.target()), &credentials, step).await
        }
        Endpoint::Unix(path) => {
            step.set(ConnectStep::Open);
            let raw = attach(open_unix(path).await?, purpose, meter).await?;
            log_in(make(raw, address.target()), &credentials, step).await
        }
        Endpoint::Sentinel { sentinels, group, username, password } => {
            let limit = options.limits.connect;
            let login = Credentials { username: username.clone(), password: password.clone(), db: 0, limit };
            let primary = sentinel::find_primary(sentinels, group, &login, address.tls, options, step).await?;
            let raw = open_tcp(&primary, address.tls, options, purpose, meter, step).await?;
            let link = log_in(make(raw, primary.to_string()), &credentials, step).await?;
            sentinel::confirm_primary(link, group).await
        }
    }
}

/// A multiplexed connection with the things the multiplexer hides.
pub(super) struct Raw {
    pub(super) connection: MultiplexedConnection,
    pub(super) driver: tokio::task::AbortHandle,
    pub(super) end: EndNote,
    pub(super) news: News,
    pub(super) meter: Arc<Meter>,
}

/// Opens TCP, and TLS over it if asked.
pub(super) async fn open_tcp(
    node: &Node,
    tls: bool,
    options: &ConnectOptions,
    purpose: Purpose,
    meter: Arc<Meter>,
    step: &StepNote,
) -> Result<Raw, ConnectFailure> {
    // Files are read before the network is bothered: their errors are the person's own and come at once.
    let tls = match tls {
        true => Some((tls::client_config(&options.tls)?, tls::server_name(&options.tls, &node.host)?)),
        false => None,
    };
    step.set(ConnectStep::Lookup);
    let addresses: Vec<_> = tokio::net::lookup_host((node.host.as_str(), node.port))
        .await
        .map_err(|error| ConnectFailure::Lookup(error.to_string()))?
        .collect();
    step.set(ConnectStep::Open);
    // A host may have an address that leads nowhere, often its IPv6 one: it must not use up all the time.
    let share = options.limits.connect / (addresses.len() as u32 + 1);
    let mut failure = ConnectFailure::Lookup("no address".to_owned());
    let mut opened = None;
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                opened = Some(stream);
                break;
            }
            Ok(Err(error)) => failure = open_failure(&error),
            Err(_) => failure = ConnectFailure::Timeout { step: ConnectStep::Open, limit: share },
        }
    }
    let stream = opened.ok_or(failure)?;
    // Without these the connection works too, only slower or longer in vain.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    let socket = match tls {
        None => Socket::Tcp(stream),
        Some((config, name)) => {
            step.set(ConnectStep::Tls);
            let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| handshake(&error))?;
            Socket::Tls(Box::new(stream))
        }
    };
    attach(socket, purpose, meter).await
}

async fn open_unix(path: &Path) -> Result<Socket, ConnectFailure> {
    UnixStream::connect(path).await.map(Socket::Unix).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ConnectFailure::NoSocket,
        io::ErrorKind::PermissionDenied => ConnectFailure::SocketPermission,
        _ => open_failure(&error),
    })
}

fn open_failure(error: &io::Error) -> ConnectFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::TimedOut => ConnectFailure::Unreachable(error.to_string()),
        _ => ConnectFailure::Other(error.to_string()),
    }
}

fn handshake(error: &io::Error) -> ConnectFailure {
    match tls::inside(error) {
        Some(failure) => ConnectFailure::Tls(failure),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            ConnectFailure::Tls(TlsFailure::Other("the server hung up".to_owned()))
        }
        None => ConnectFailure::Other(error.to_string()),
    }
}

/// Puts the multiplexer over a socket. Nothing is sent: the default settings ask for no login and no library name.
async fn attach(socket: Socket, purpose: Purpose, meter: Arc<Meter>) -> Result<Raw, ConnectFailure> {
    let end = EndNote::default();
    let sieve = purpose.is_for_looking().then(Sieve::new);
    let ear = Ear::default();
    let news = ear.news.clone();
    let counted = Counted { socket, meter: meter.clone(), end: end.clone(), ear, sieve };
    let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
    // Time limits are kept by the link; the library's own default of 500 ms is far too short for a busy server.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&silent, counted, config)
        .await
        .map_err(|error| ConnectFailure::Other(error.to_string()))?;
    let driver = tokio::spawn(driver).abort_handle();
    Ok(Raw { connection, driver, end, news, meter })
}
