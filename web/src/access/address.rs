//! The address that a request comes from: the peer's, or what a proxy that is
//! trusted says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed, by their addresses or networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

/// Neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no address and no network: write 10.0.0.1 or 172.16.0.0/12, without a port")]
pub struct BadProxy(String);

impl Proxies {
    /// Proxies as they are typed, each an address or a network.
    ///
    /// # Errors
    /// Names the first that is neither.
    pub fn parse<'a>(typed: impl IntoIterator<Item = &'a str>) -> Result<Proxies, BadProxy> {
        let one = |typed: &str| {
            let typed = typed.trim();
            let address = IpAddr::from_str(typed).ok().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|| typed.parse().ok()).ok_or_else(|| BadProxy(typed.to_owned()))
        };
        typed.into_iter().map(one).collect::<Result<_, _>>().map(Proxies)
    }

    /// Whether an address is one of theirs.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there are any.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// The address at the other end of the connection.
pub(super) fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).to_canonical()
}

/// The client's address.
pub(crate) fn client(request: &Request, trusted: &Proxies) -> IpAddr {
    behind(peer(request), request.headers(), trusted)
}

/// From the right, the first address that no trusted proxy stands for: what
/// stands further left, the client may have made up.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &Proxies) -> IpAddr {
    if !trusted.contain(peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let said: Vec<_> = lines.flat_map(|line| line.split(',')).collect();
    let mut last = peer;
    for word in said.iter().rev() {
        let Ok(address) = word.trim().parse::<IpAddr>() else { return last };
        last = address.to_canonical();
        if !trusted.contain(last) {
            return last;
        }
    }
    last
}

/// What a client is limited by: of IPv6, the network that one customer has.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::from(u64::MAX))).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, said: &'static str) -> IpAddr {
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static(said))]);
        behind(ip(peer), &headers, &Proxies::parse(["10.0.0.1", "10.0.0.2", "172.16.0.0/12"]).unwrap())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_who_came_to_it() {
        assert_eq!(seen("192.0.2.9", "198.51.100.1"), ip("192.0.2.9"));
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", "127.0.0.1, 198.51.100.1, 10.0.0.2"), ip("198.51.100.1"));
        assert_eq!(seen("172.17.0.1", "198.51.100.1, 172.31.255.255"), ip("198.51.100.1"));
        assert_eq!(seen("172.32.0.1", "198.51.100.1"), ip("172.32.0.1"));
        assert_eq!(seen("10.0.0.1", "unknown"), ip("10.0.0.1"));
        assert_eq!(seen("10.0.0.1", ""), ip("10.0.0.1"));
    }

    #[test]
    fn what_is_neither_an_address_nor_a_network_is_named() {
        for typed in ["", "proxy", "10.0.0.1:80", "10.0.0.0/33", "10.0.0.0/", "*"] {
            let error = Proxies::parse(["127.0.0.1", typed]).unwrap_err().to_string();
            assert!(error.contains(&format!("`{typed}` is no address")), "{error}");
        }
        assert!(Proxies::parse(["::1", "fd00::/8"]).unwrap().contain(ip("fd12::1")));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(network(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}
