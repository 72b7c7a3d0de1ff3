//! The way out: one TLS configuration, one HTTP client, one retry policy, and secrets
//! that do not print.

mod http;
pub mod retry;
mod secret;
mod tls;

pub use http::{
    HttpFailure, body, http, http_without_redirects, json, patient_builder, patient_http, retry_after, text,
};
pub use retry::{RetryPolicy, Waits};
pub use secret::{Secret, redact};
pub use tls::tls;
