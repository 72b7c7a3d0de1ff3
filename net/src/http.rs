//! The HTTP client, and errors that name no URL.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent within an answer.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a whole exchange may take.
const WHOLE: Duration = Duration::from_secs(60);
/// Redirects followed within one host.
const REDIRECTS: usize = 5;
/// A longer wait than this is not believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The client for every request to the outside. It follows redirects only
/// within one origin, since a key would go along.
///
/// # Errors
/// When the machine does not let a client be made.
pub fn http() -> Result<reqwest::Client, HttpFailure> {
    client(SILENCE, WHOLE, within_one_origin())
}

/// The same client for a server that may work for `silence` before it answers.
///
/// # Errors
/// When the machine does not let a client be made.
pub fn patient_http(silence: Duration) -> Result<reqwest::Client, HttpFailure> {
    client(silence, silence + WHOLE, within_one_origin())
}

/// How such a client is made, for a library that takes a builder of one.
pub fn patient_builder(silence: Duration) -> reqwest::ClientBuilder {
    builder(silence, silence + WHOLE, within_one_origin())
}

/// The same client for a server that is told something: a redirect is its answer.
///
/// # Errors
/// When the machine does not let a client be made.
pub fn http_without_redirects() -> Result<reqwest::Client, HttpFailure> {
    client(SILENCE, WHOLE, Policy::none())
}

fn client(silence: Duration, whole: Duration, redirects: Policy) -> Result<reqwest::Client, HttpFailure> {
    Ok(builder(silence, whole, redirects).build()?)
}

fn builder(silence: Duration, whole: Duration, redirects: Policy) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("tickwire/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured((*crate::tls()).clone())
        .connect_timeout(CONNECT)
        .read_timeout(silence)
        .timeout(whole)
        .redirect(redirects)
}

fn within_one_origin() -> Policy {
    Policy::custom(|attempt| {
        let from = attempt.previous().last().map(url::Url::origin);
        if from != Some(attempt.url().origin()) {
            attempt.error("the server redirects to another host, which is not followed")
        } else if attempt.previous().len() > REDIRECTS {
            attempt.error("the server redirects in circles")
        } else {
            attempt.follow()
        }
    })
}

/// Why a request came to nothing. Its text never holds the URL, whose query may hold a key.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct HttpFailure {
    words: String,
    timeout: bool,
    too_long: bool,
}

impl HttpFailure {
    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        self.timeout
    }

    /// Whether the answer was longer than is read: asking again brings the same.
    pub fn is_too_long(&self) -> bool {
        self.too_long
    }
}

impl From<reqwest::Error> for HttpFailure {
    fn from(error: reqwest::Error) -> HttpFailure {
        let timeout = error.is_timeout();
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_words = inner.to_string();
            if !words.contains(&inner_words) {
                words = format!("{words}: {inner_words}");
            }
            cause = inner.source();
        }
        HttpFailure { words, timeout, too_long: false }
    }
}

/// The body of an answer, of at most `limit` bytes after decompression. Of a longer one
/// no more than that is held, and the connection is closed.
///
/// # Errors
/// When the answer is longer, breaks off, or its time is over.
pub async fn body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, HttpFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            let words = format!("the answer is longer than {limit} bytes, which no answer is");
            return Err(HttpFailure { words, timeout: false, too_long: true });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// [`body`] as text; what is no UTF-8 in it is replaced.
///
/// # Errors
/// As [`body`].
pub async fn text(response: reqwest::Response, limit: usize) -> Result<String, HttpFailure> {
    let body = body(response, limit).await?;
    Ok(String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// [`body`] as JSON.
///
/// # Errors
/// As [`body`], and when it is no JSON of this form.
pub async fn json<T: DeserializeOwned>(response: reqwest::Response, limit: usize) -> Result<T, HttpFailure> {
    let body = body(response, limit).await?;
    serde_json::from_slice(&body).map_err(|error| HttpFailure {
        words: format!("the answer cannot be read: {error}"),
        timeout: false,
        too_long: false,
    })
}

/// How long the server asks to be left alone, in seconds or until a date; at most a day.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, Utc::now())
}

fn retry_after_at(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text).ok()?;
            (until.to_utc() - now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;

    /// Serves `router` and says where.
    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T14:30:00Z").unwrap().to_utc();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Fri, 20 Nov 2026 14:31:30 GMT", Some(90)),
            ("Fri, 20 Nov 2026 14:00:00 GMT", Some(0)),
            ("99999999999", Some(24 * 60 * 60)),
            ("soon", None),
            ("-3", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after_at(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn an_error_says_what_happened_and_never_the_url() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = format!("http://{}/search?api-key=hidden-key-4711", listener.local_addr().unwrap());
        drop(listener);
        let error = HttpFailure::from(http().unwrap().get(closed).send().await.unwrap_err());
        let said = format!("{error} {error:?}");
        assert!(said.contains("refused"), "{said}");
        assert!(!said.contains("hidden-key-4711") && !said.contains("127.0.0.1"), "{said}");
        assert!(!error.is_timeout());
    }

    #[tokio::test]
    async fn redirects_are_followed_within_a_host_and_refused_to_another() {
        let other = serve(Router::new().route("/", get(async || "stolen"))).await;
        let target = other.clone();
        let home = serve(
            Router::new()
                .route("/moved", get(async || Redirect::temporary("/here")))
                .route("/here", get(async || "home"))
                .route("/away", get(async move || Redirect::temporary(&target)))
                .route("/circle", get(async || Redirect::temporary("/circle"))),
        )
        .await;
        let client = http().unwrap();
        let text = client.get(format!("{home}/moved")).send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "home");
        for (path, said) in [("away", "another host"), ("circle", "in circles")] {
            let error = HttpFailure::from(client.get(format!("{home}/{path}")).send().await.unwrap_err());
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.to_string().contains(&other), "{error}");
        }
    }

    #[tokio::test]
    async fn of_an_answer_without_end_no_more_than_the_limit_is_read() {
        let chunk = || Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b' '; 1_000]));
        let endless = async move || axum::body::Body::from_stream(futures::stream::repeat_with(chunk));
        let at =
            serve(Router::new().route("/endless", get(endless)).route("/short", get(async || "ten bytes!")))
                .await;
        let client = http().unwrap();
        let answer = async |path: &str, limit| {
            body(client.get(format!("{at}/{path}")).send().await.unwrap(), limit).await
        };
        assert_eq!(answer("short", 10).await.unwrap(), b"ten bytes!");
        for (path, limit) in [("endless", 5_000), ("short", 9)] {
            let error = answer(path, limit).await.unwrap_err();
            assert!(error.is_too_long() && error.to_string().contains(&format!("{limit} bytes")), "{error}");
        }
    }
}
