//! `tickwire health`: asks a service whether it is well, for the health checks of containers.

use anyhow::{Context, bail};

use crate::cli::HealthArgs;
use crate::owner;

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
    let text = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        bail!("{} answers {}: {}", args.url, status.as_u16(), text.trim());
    }
    println!("{}", text.trim());
    Ok(())
}
