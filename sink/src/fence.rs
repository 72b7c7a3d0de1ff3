//! Who may write to the store: whoever holds the sink's lease now.
//!
//! The log refuses a holder that was shut out, a store does not. So each holder notes
//! its number in the store when it begins, and looks before each write whether the note
//! is still its own and whether its lease is certain. A store without compare-and-set
//! leaves the time of one write between the look and its end: what a holder wrote then
//! are points of the same log, which its successor writes again, and notes, which the
//! successor replaces with its next batch.

use std::sync::Arc;

use log::Fence;
use store::{Batch, SharedStore, StoreError};

/// The note with the number of the holder.
const KEY: &str = "sink/holder";

/// Takes the store over for the holder of `fence`: holders before it write no more.
///
/// # Errors
/// When a later one has taken it over, or the store fails.
pub async fn take_over(store: &SharedStore, fence: &Fence) -> Result<(), StoreError> {
    let (holder, ours) = (noted(store).await?, fence.number());
    if holder.is_some_and(|holder| holder > ours) || !fence.is_certain() {
        return Err(StoreError::Fenced);
    }
    let notes = vec![(KEY.to_owned(), Some(ours.to_string()))];
    store.write(Arc::new(Batch { points: Vec::new(), notes })).await
}

/// Makes sure that the holder of `fence` may write now.
pub(crate) async fn check(store: &SharedStore, fence: &Fence) -> Result<(), StoreError> {
    match noted(store).await? {
        Some(holder) if holder == fence.number() && fence.is_certain() => Ok(()),
        _ => Err(StoreError::Fenced),
    }
}

async fn noted(store: &SharedStore) -> Result<Option<u64>, StoreError> {
    let notes = store.notes(KEY).await?;
    Ok(notes.into_iter().find(|(key, _)| key == KEY).and_then(|(_, value)| value.parse().ok()))
}
