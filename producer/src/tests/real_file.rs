//! A recorded file of bars.

use log::FailurePoint;
use model::time::MINUTE;
use testkit::real_bars;

use super::Place;
use crate::{PriceSource, Speed};

#[tokio::test]
async fn a_real_file_arrives_whole_and_in_order_also_when_killed_on_the_way() {
    let file = real_bars();
    let whole = Place::new(1);
    whole.replay(file.clone()).await.unwrap();
    let records = whole.prices().await.remove(0);
    let bars: Vec<_> = records.iter().filter(|bar| !bar.is_heartbeat()).collect();
    assert_eq!((bars.len() as u64, whole.count("bars").await), (15_732, 15_732));
    assert!(bars.iter().zip(1..).all(|(bar, position)| bar.position == Some(position)));
    assert!(bars.iter().all(|bar| bar.complete_until == bar.start_timestamp));
    assert!(records.windows(2).all(|pair| pair[0].complete_until <= pair[1].complete_until));
    let steps = records.windows(2).map(|pair| pair[1].complete_until - pair[0].complete_until);
    // Two weekends, and the months between the two stretches of the file.
    assert_eq!(steps.filter(|step| *step > MINUTE).count(), 3);

    let place = Place::new(1);
    let source = PriceSource::Replay { file, speed: Speed::Max };
    for appends in [1, 3, 5, 7, 9] {
        assert!(place.run_until_killed(&source, appends, FailurePoint::After).await.is_err());
    }
    place.run_until_killed(&source, usize::MAX, FailurePoint::Before).await.unwrap();
    assert!(place.prices().await[0] == records);
    assert_eq!(place.count("bars").await, 15_732);
}
