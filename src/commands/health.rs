//! `tickwire health`: asks a service whether it is well, for the health checks of containers.

use anyhow::{Context, bail};
use reqwest::header::CONTENT_TYPE;

use crate::cli::HealthArgs;
use crate::owner;

/// The longest answer: a page of metrics, some hundred lines for each job and source.
const LONGEST_ANSWER: usize = 4 << 20;

/// Prints what is answered; fails where that is no success.
pub async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let answer = owner::local_client()?
        .get(args.url.clone())
        .send()
        .await
        .map_err(|error| error.without_url())
        .with_context(|| {
            format!("{} does not answer: is metrics.listen set, and to this address?", args.url)
        })?;
    let status = answer.status();
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_page = kind.is_some_and(|kind| kind.starts_with("text/html"));
    let text = net::text(answer, LONGEST_ANSWER).await;
    let text = text.with_context(|| format!("{} answers {}, and not as a service does", args.url, status))?;
    if is_page || status.is_redirection() {
        bail!(
            "{} answers with a page for people, which does not say whether the service is well: ask /readyz or /livez at that address, or at metrics.listen",
            args.url
        );
    }
    if !status.is_success() {
        bail!("{} answers {}: {}", args.url, status.as_u16(), text.trim());
    }
    Ok(say!("{}", text.trim())?)
}
