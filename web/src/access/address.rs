//! The address that a request comes from: the peer's, or what a proxy that is
//! trusted says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address.
pub(crate) fn client(request: &Request, trusted: &[IpAddr]) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    behind(peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).to_canonical(), request.headers(), trusted)
}

/// From the right, the first address that no trusted proxy stands for: what
/// stands further left, the client may have made up.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let said: Vec<_> = lines.flat_map(|line| line.split(',')).collect();
    let mut last = peer;
    for word in said.iter().rev() {
        let Ok(address) = word.trim().parse::<IpAddr>() else { return last };
        last = address.to_canonical();
        if !trusted.contains(&last) {
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
        behind(ip(peer), &headers, &[ip("10.0.0.1"), ip("10.0.0.2")])
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_who_came_to_it() {
        assert_eq!(seen("192.0.2.9", "198.51.100.1"), ip("192.0.2.9"));
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", "127.0.0.1, 198.51.100.1, 10.0.0.2"), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", "unknown"), ip("10.0.0.1"));
        assert_eq!(seen("10.0.0.1", ""), ip("10.0.0.1"));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(network(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}
