//! Pages that shift while they are read, end early, or lie too deep.

use super::*;

/// The identities of all stories of the server.
fn all(place: &Place) -> Vec<String> {
    let mut ids: Vec<_> = place.server.stories().into_iter().map(|story| story.id).collect();
    ids.sort();
    ids
}

async fn with_stories(count: usize) -> Place {
    let place = Place::with_term("apple").await;
    for story in stories("apple", count, START - MINUTE) {
        place.server.publish(story);
    }
    place
}

#[tokio::test]
async fn all_pages_are_read_each_once() {
    let place = with_stories(120).await;
    place.watch_until(START + 2 * MINUTE).await.unwrap();
    assert_eq!(place.asked(), ["apple#1", "apple#2", "apple#3"]);
    assert_eq!(place.ids().await, all(&place));
}

#[tokio::test]
async fn a_new_item_that_shifts_the_pages_costs_nothing_and_repeats_nothing() {
    let place = with_stories(120).await;
    place.server.change_before(1, |stories| stories.push(Story::new("apple/new", "apple new", START)));
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    assert_eq!(place.ids().await, all(&place));
    assert_eq!(place.versions().await.len(), 121);
}

#[tokio::test]
async fn an_item_that_slips_to_a_page_already_read_is_found_by_reading_again() {
    let place = with_stories(120).await;
    // One story of the first page goes: the first of the second page takes the last place there.
    place.server.change_before(1, |stories| stories.retain(|story| story.id != "apple/0007"));
    place.watch_until(START + 2 * MINUTE).await.unwrap();
    assert_eq!(place.asked(), ["apple#1", "apple#2", "apple#3", "apple#1", "apple#2", "apple#3"]);
    let ids = place.ids().await;
    assert!(all(&place).iter().all(|id| ids.contains(id)));
}

#[tokio::test]
async fn a_page_beyond_the_range_ends_the_walk() {
    let place = with_stories(101).await;
    place.server.change_before(2, |stories| stories.retain(|story| story.id != "apple/0007"));
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    assert!(place.asked().starts_with(&["apple#1".into(), "apple#2".into(), "apple#3".into()]));
    let ids = place.ids().await;
    assert!(all(&place).iter().all(|id| ids.contains(id)));
    assert_eq!(place.state_of("apple").await.state, "answered");
}

#[tokio::test]
async fn what_lies_too_deep_is_reached_by_a_narrower_range() {
    let place = with_stories(320).await;
    place.server.refuse_paging_beyond(100);
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    assert_eq!(place.ids().await, all(&place));
    assert!(place.server.calls().iter().any(|call| !call.parameter("to-date").is_empty()));
    assert_eq!(place.state_of("apple").await.state, "answered");
}

#[tokio::test]
async fn more_of_one_second_than_can_be_paged_through_is_told() {
    let place = Place::with_term("apple").await;
    for i in 0..200 {
        place.server.publish(Story::new(&format!("apple/{i:03}"), "apple", START));
    }
    place.server.refuse_paging_beyond(100);
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    let state = place.state_of("apple").await;
    assert!(state.state.contains("modified in one second"), "{}", state.state);
    assert_eq!(state.last_success, None);
}

#[tokio::test]
async fn pages_that_never_come_to_rest_are_left_to_a_later_poll() {
    let place = with_stories(120).await;
    for call in 0..40 {
        place
            .server
            .change_before(call, move |stories| stories.retain(|s| s.id != format!("apple/{call:04}")));
    }
    place.watch_until(START + 3 * HOUR).await.unwrap();
    assert_eq!(place.state_of("apple").await.state, "answered");
    let ids = place.ids().await;
    assert!(all(&place).iter().all(|id| ids.contains(id)));
}
