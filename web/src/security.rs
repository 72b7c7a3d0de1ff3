//! What every answer carries and every request must: strict headers, a Host
//! that is ours, and no change for another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use url::Url;

use crate::AppState;
use crate::error::{is_of_api, refused_at};

/// Scripts only from our own files; inline styles because plotly.js sets them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     connect-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// A year by https only, once a browser has come by it.
const ALWAYS_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Nothing of the machine or the person that a browser could give is asked for.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), \
     geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), \
     publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not none at all: browsers would then hide the origin of our own forms from us.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers that every answer carries.
pub(crate) async fn add_headers(State(site): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if site.access.is_https() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ALWAYS_HTTPS);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses a request under a name that is not ours: a foreign name that
/// resolves to this machine is how a web site reads what only its owner may
/// (DNS rebinding).
pub(crate) async fn check_host(State(site): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    match host_of(&request) {
        Some(host) if site.hosts.holds(&host) => next.run(request).await,
        _ => {
            let text = format!("This page answers under {} only. Open it there.", site.hosts);
            refused_at(request.uri().path(), StatusCode::MISDIRECTED_REQUEST, &text)
        }
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Refuses to change anything for another web site, and to work for one: a browser
/// that is made to send such a request says so, by Fetch Metadata or at least by an
/// Origin or a Referer that is not the host asked. A program says none of these. What
/// stays is that a link leads to a page.
pub(crate) async fn check_origin(request: Request, next: Next) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let text = match request.method().is_safe() {
        true if may_be_read(path, headers) => return next.run(request).await,
        true => "This is read from its own page or by a program, not from another site.",
        false if is_ours(headers) => return next.run(request).await,
        false => "This is changed from its own page or by a command, not from another site.",
    };
    refused_at(path, StatusCode::FORBIDDEN, text)
}

/// Whether a request that changes nothing may be answered: from our own pages, from
/// programs, and where a link of another site leads to a page. The API, event streams
/// and files cost work, and no link leads to them.
fn may_be_read(path: &str, headers: &HeaderMap) -> bool {
    if !is_led_from_elsewhere(headers) {
        return true;
    }
    let says = |name: &HeaderName, wanted: &str| headers.get(name).is_none_or(|value| value == wanted);
    let is_page = !is_of_api(path) && path != "/events" && !path.starts_with("/assets/");
    is_page && says(&FETCH_MODE, "navigate") && says(&FETCH_DESTINATION, "document")
}

fn is_ours(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) => site == "same-origin" || site == "none",
        None => headers.get(header::ORIGIN).is_none_or(|origin| is_origin(origin, headers.get(header::HOST))),
    }
}

/// Whether another site led the browser here: then nothing is done that costs
/// more than a page, until somebody asks for it on the page itself.
pub(crate) fn is_led_from_elsewhere(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) => site != "same-origin" && site != "none",
        None => [header::ORIGIN, header::REFERER].iter().any(|name| {
            headers.get(name).is_some_and(|origin| !is_origin(origin, headers.get(header::HOST)))
        }),
    }
}

/// Whether `origin`, or a whole address, is of the host that was asked; the name itself
/// has been checked.
fn is_origin(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let origin = origin.map(|origin| origin.split(['/', '?', '#']).next().unwrap_or_default());
    let host = host.and_then(|host| host.to_str().ok());
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

/// Who changes something where nobody is asked for a name, for its history.
pub(crate) fn who(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("");
    match headers.contains_key(FETCH_SITE) {
        true => "page",
        false if agent.starts_with("tickwire/") => "command",
        false => "api",
    }
}

fn host_of(request: &Request) -> Option<String> {
    if let Some(host) = request.uri().host() {
        return Some(host.to_owned());
    }
    let mut given = request.headers().get_all(header::HOST).iter();
    let authority = given.next()?.to_str().ok()?;
    let alone = given.next().is_none();
    let uri: Uri = authority.parse().ok()?;
    // A bare authority, as a Host header must be, parses without scheme and path.
    let bare = uri.scheme().is_none() && uri.path().is_empty() && !authority.contains('@');
    uri.host().filter(|_| alone && bare).map(str::to_owned)
}

/// The names that the page answers to.
pub(crate) struct Hosts {
    listen: IpAddr,
    /// The name that browsers know, where a proxy stands in front.
    public: Option<String>,
}

impl Hosts {
    pub(crate) fn of(listen: IpAddr, public: Option<&Url>) -> Hosts {
        Hosts { listen, public: public.and_then(Url::host_str).map(str::to_owned) }
    }

    /// Loopback names, the public one and the listen address. Listening on every address, any
    /// address written as a number will do: it takes a name to be rebound.
    fn holds(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let public = self.public.as_deref().map(|name| name.trim_start_matches('[').trim_end_matches(']'));
        if host.eq_ignore_ascii_case("localhost")
            || public.is_some_and(|name| host.eq_ignore_ascii_case(name))
        {
            return true;
        }
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || address == self.listen || self.listen.is_unspecified(),
            Err(_) => false,
        }
    }
}

impl std::fmt::Display for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(public) = &self.public {
            write!(f, "{public}, ")?;
        }
        f.write_str("localhost, 127.0.0.1, [::1]")?;
        match self.listen {
            listen if listen.is_loopback() => Ok(()),
            listen if listen.is_unspecified() => f.write_str(" or the number of this machine's address"),
            IpAddr::V6(listen) => write!(f, " or [{listen}]"),
            IpAddr::V4(listen) => write!(f, " or {listen}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn host(header: &str) -> Option<String> {
        host_of(&Request::builder().uri("/").header(header::HOST, header).body(Body::empty()).unwrap())
    }

    #[test]
    fn loopback_names_and_the_listen_address_are_ours_with_any_port() {
        let hosts = Hosts::of("192.0.2.7".parse().unwrap(), None);
        for ours in
            ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:8080", "192.0.2.7:8080", "localhost."]
        {
            assert!(hosts.holds(&host(ours).unwrap()), "{ours}");
        }
    }

    #[test]
    fn foreign_and_malformed_names_are_not() {
        let hosts = Hosts::of("127.0.0.1".parse().unwrap(), None);
        for foreign in [
            "rebind.example:8080",
            "localhost.example",
            "10.0.0.1",
            "127.0.0.1.example",
            "example@localhost",
            "",
        ] {
            assert!(!host(foreign).is_some_and(|host| hosts.holds(&host)), "{foreign}");
        }
    }

    #[test]
    fn listening_everywhere_any_number_is_ours_and_no_name() {
        let hosts = Hosts::of("0.0.0.0".parse().unwrap(), None);
        assert!(hosts.holds("10.1.2.3") && hosts.holds("fe80::1"));
        assert!(!hosts.holds("rebind.example"));
    }

    #[test]
    fn the_public_name_is_ours_and_no_part_of_it() {
        let public = Url::parse("https://ticks.example/").unwrap();
        let hosts = Hosts::of("0.0.0.0".parse().unwrap(), Some(&public));
        assert!(hosts.holds("ticks.example") && hosts.holds("Ticks.Example"));
        assert!(
            !hosts.holds("example") && !hosts.holds("a.ticks.example") && !hosts.holds("ticks.example.org")
        );
    }

    #[test]
    fn an_origin_stands_in_where_there_is_no_fetch_metadata() {
        let headers = |origin: &'static str| {
            HeaderMap::from_iter([
                (header::HOST, HeaderValue::from_static("localhost:8080")),
                (header::ORIGIN, HeaderValue::from_static(origin)),
            ])
        };
        assert!(is_ours(&headers("http://localhost:8080")) && is_ours(&HeaderMap::new()));
        for foreign in
            ["null", "http://localhost", "http://rebind.example", "http://localhost:8080.example", ""]
        {
            assert!(!is_ours(&headers(foreign)), "{foreign}");
        }
    }

    #[test]
    fn two_host_headers_are_none() {
        let request = Request::builder()
            .uri("/")
            .header(header::HOST, "localhost")
            .header(header::HOST, "rebind.example")
            .body(Body::empty())
            .unwrap();
        assert_eq!(host_of(&request), None);
    }
}
