//! The way out: one TLS configuration, one HTTP client, backoff with full
//! jitter, and secrets that do not print.

mod backoff;
mod http;
mod secret;
mod tls;

pub use backoff::Backoff;
pub use http::{
    HttpFailure, body, http, http_without_redirects, json, patient_builder, patient_http, retry_after, text,
};
pub use secret::{Secret, redact};
pub use tls::tls;
