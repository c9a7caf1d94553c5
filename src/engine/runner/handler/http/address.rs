//! Which addresses a delivery may go to (S12). A name is resolved, checked, and the connection goes to exactly the
//! addresses that were checked: a second lookup with another answer never happens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Finds the addresses of a host.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// All of them, or why there are none.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// How far away an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// On the Internet.
    Public,
    /// In a private network.
    Private,
    /// This machine.
    Loopback,
    /// Nothing is ever sent there.
    Never(&'static str),
}

const METADATA: Reach = Reach::Never("it tells the secrets of this machine to whoever asks (metadata, link-local)");
const NO_HOST: Reach = Reach::Never("it is the address of no single host");

/// What kind of address it is. Addresses of version 4 inside those of version 6 count as what they lead to.
pub(super) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [169, 254, ..] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => METADATA,
        [0, ..] | [224..=255, ..] => NO_HOST,
        [127, ..] => Reach::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // Protocol assignments, examples and benchmarks: nobody reaches them from the Internet.
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => NO_HOST,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // Mapped, compatible, translated, and the two ways of tunnelling.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x64, 0xff9b, 1, ..] => Reach::Private,
        [0x2002, high, low, ..] => inner(high, low),
        [0x2001, 0, _, _, _, _, high, low] => inner(!high, !low),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => METADATA,
        [0xfe80..=0xfebf, ..] => METADATA,
        [0xff00..=0xffff, ..] => NO_HOST,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

/// A name that does not lead to where it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Never allowed.
    #[error("{host} leads to {ip}, and nothing is sent there: {why}")]
    Never {
        /// The name.
        host: String,
        /// What it leads to.
        ip: IpAddr,
        /// Why not.
        why: &'static str,
    },
    /// Allowed when asked for.
    #[error("{host} leads to {ip}, an address of a private network; if that is meant, set private = true")]
    Private {
        /// The name.
        host: String,
        /// What it leads to.
        ip: IpAddr,
    },
    /// A name of this machine that leads elsewhere.
    #[error("{host} leads to {ip}, which is not this machine")]
    NotHere {
        /// The name.
        host: String,
        /// What it leads to.
        ip: IpAddr,
    },
    /// A name that leads nowhere.
    #[error("the host name {host} cannot be resolved: {cause}")]
    Unknown {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: String,
    },
}

/// Checks where a name leads. One address that is not allowed spoils the name: which of them is used is chance.
pub(super) fn check(host: &str, found: &[IpAddr], private: bool) -> Result<(), Refused> {
    let plain = host.trim_end_matches('.').to_ascii_lowercase();
    let here = plain == "localhost" || plain.ends_with(".localhost");
    let host = || host.to_owned();
    if found.is_empty() {
        return Err(Refused::Unknown { host: host(), cause: "it has no address".to_owned() });
    }
    found.iter().copied().try_for_each(|ip| match reach(ip) {
        Reach::Never(why) => Err(Refused::Never { host: host(), ip, why }),
        Reach::Loopback if here => Ok(()),
        _ if here => Err(Refused::NotHere { host: host(), ip }),
        Reach::Loopback | Reach::Private if !private => Err(Refused::Private { host: host(), ip }),
        _ => Ok(()),
    })
}

/// The resolver of the client: asks, checks, and hands out what was checked.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let (answer, private) = (self.lookup.lookup(host.clone()), self.private);
        Box::pin(async move {
            let found =
                answer.await.map_err(|error| Refused::Unknown { host: host.clone(), cause: error.to_string() })?;
            check(&host, &found, private)?;
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text} is an address"))
    }

    #[test]
    fn s12_link_local_and_metadata_are_never_reached() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "2001:0:1:2:3:4:5601:5601",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "240.0.0.1",
        ] {
            assert!(matches!(reach(ip(text)), Reach::Never(_)), "{text}: {:?}", reach(ip(text)));
            assert!(check("h", &[ip("1.1.1.1"), ip(text)], true).is_err(), "{text}");
            assert!(check("localhost", &[ip(text)], true).is_err(), "{text}");
        }
    }

    #[test]
    fn s12_private_addresses_need_to_be_asked_for() {
        for text in
            ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1", "fd12::1", "::ffff:10.1.1.1"]
        {
            assert!(check("h", &[ip(text)], false).is_err(), "{text}");
            assert_eq!(check("h", &[ip(text)], true), Ok(()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert_eq!(check("h", &[ip(text)], false), Ok(()), "{text}");
        }
        assert_eq!(check("localhost", &[ip("127.0.0.1"), ip("::1")], false), Ok(()));
        assert!(check("api.localhost", &[ip("10.0.0.1")], true).is_err());
        assert!(check("h", &[], true).is_err());
    }
}
