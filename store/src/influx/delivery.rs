//! Lines to the server: too many at once are split, bad ones are found and
//! named, and everything else is stored.

use super::lines::Lines;
use super::server::{Refusal, Server};
use crate::StoreError;

/// A request holds no more lines …
const LINES: usize = 10_000;
/// … and no more bytes.
const BYTES: usize = 4 << 20;

/// A line that the server will never take.
#[derive(Debug)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) reason: String,
    pub(super) past_retention: bool,
}

/// Sends all lines; returns those that were refused. Sending them again does no harm.
pub(super) async fn send(server: &Server, lines: &Lines) -> Result<Vec<BadLine>, StoreError> {
    let mut bad = Vec::new();
    // What is still to be sent; the last goes first.
    let mut requests = in_requests(lines);
    requests.reverse();
    while let Some(some) = requests.pop() {
        match server.write(lines.body(&some)).await {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::BadLines { reason, past_retention: true }) => {
                let (old, kept) = by_age(server, lines, some).await?;
                let old = old.into_iter();
                bad.extend(old.map(|line| BadLine { line, reason: reason.clone(), past_retention: true }));
                requests.extend(Some(kept).filter(|kept| !kept.is_empty()));
            }
            Err(Refusal::TooLarge(reason) | Refusal::BadLines { reason, .. }) => match some.as_slice() {
                [line] => bad.push(BadLine { line: *line, reason, past_retention: false }),
                several => {
                    let (first, second) = several.split_at(several.len() / 2);
                    requests.push(second.to_vec());
                    requests.push(first.to_vec());
                }
            },
        }
    }
    Ok(bad)
}

/// All lines in their order, cut into requests.
fn in_requests(lines: &Lines) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for line in 0..lines.len() {
        bytes += lines.size(line);
        match requests.last_mut() {
            Some(request) if request.len() < LINES && bytes <= BYTES => request.push(line),
            _ => {
                requests.push(vec![line]);
                bytes = lines.size(line);
            }
        }
    }
    requests
}

/// Tells lines that are older than the bucket keeps from the others. Age decides
/// alone, so few requests find the border, however many lines are too old.
async fn by_age(
    server: &Server,
    lines: &Lines,
    mut some: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), StoreError> {
    some.sort_by_key(|line| lines.time(*line));
    // The oldest is too old; nothing at all would be taken.
    let (mut too_old, mut kept) = (0, some.len());
    while kept - too_old > 1 {
        let middle = too_old + (kept - too_old) / 2;
        match server.write(lines.body(&some[middle..])).await {
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::BadLines { past_retention: true, .. }) => too_old = middle,
            // Refused for another reason: that is looked into later.
            Ok(()) | Err(_) => kept = middle,
        }
    }
    let rest = some.split_off(kept);
    Ok((some, rest))
}
