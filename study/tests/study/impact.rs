//! Windows with news beside windows without.

use model::AssetClass;
use model::time::{MINUTE, Millis};
use study::{Share, Window, compare};

use crate::harness::at;

fn window(end: Millis, articles: u64, jump_share: f64) -> Window {
    Window { start: end - 30 * MINUTE, end, articles, jump_share: Some(jump_share), realized: Some(0.01) }
}

#[test]
fn shares_are_counted_over_windows_wholly_within_the_session() {
    let ten = at("2024-03-05", "10:00");
    let windows = [
        window(ten, 1, 0.9),
        window(ten + MINUTE, 1, 0.1),
        window(ten + 2 * MINUTE, 0, 0.35),
        window(ten + 3 * MINUTE, 0, 0.0),
        window(ten + 4 * MINUTE, 0, 0.34),
        Window { jump_share: None, ..window(ten, 1, 0.9) },
        window(ten - MINUTE, 1, 0.9),
        window(at("2024-03-05", "16:01"), 1, 0.9),
        window(at("2024-03-08", "12:00") + 24 * 60 * MINUTE, 1, 0.9),
    ];
    let comparison = compare(AssetClass::Stocks, &windows, &[], 0.95);
    assert_eq!(
        comparison.with_news,
        Share { windows: 2, jumps: 1, sessions: 1, realized: Some(0.01), band: None }
    );
    assert_eq!(
        comparison.without_news,
        Share { windows: 3, jumps: 1, sessions: 1, realized: Some(0.01), band: None }
    );
    assert_eq!(comparison.with_news.share(), Some(0.5));
    assert_eq!(Share::default().share(), None);
}

#[test]
fn the_band_takes_sessions_as_what_is_independent() {
    let windows: Vec<Window> = ["2024-03-05", "2024-03-06", "2024-03-07"]
        .iter()
        .zip([0.9, 0.0, 0.0])
        .flat_map(|(date, share)| {
            (0..100).map(move |minute| window(at(date, "11:00") + minute * MINUTE, 0, share))
        })
        .collect();
    let share = compare(AssetClass::Stocks, &windows, &[], 0.95).without_news;
    assert_eq!((share.windows, share.jumps, share.sessions), (300, 100, 3));
    // Three sessions of 1, 0 and 0: mean 1/3, standard error 1/3, t(2) = 4.3027.
    let (low, high) = share.band.unwrap();
    assert!(low == 0.0 && high == 1.0, "{low} {high}");
    let alike: Vec<Window> =
        windows.iter().map(|window| Window { jump_share: Some(0.9), ..*window }).collect();
    assert_eq!(compare(AssetClass::Stocks, &alike, &[], 0.95).without_news.band, Some((1.0, 1.0)));
}

#[test]
fn windows_of_crypto_count_at_any_time_and_those_of_currencies_within_the_week() {
    let end = |text: &str| model::time::parse(text).unwrap();
    let windows = [
        window(end("2024-03-09T00:10:00Z"), 1, 0.9),
        window(end("2024-03-08T22:00:00Z"), 0, 0.9),
        window(end("2024-03-08T22:01:00Z"), 0, 0.9),
        window(end("2024-03-10T21:30:00Z"), 0, 0.9),
    ];
    let counted = |class| {
        let compared = compare(class, &windows, &[], 0.95);
        (compared.with_news.windows, compared.without_news.windows)
    };
    assert_eq!(counted(AssetClass::Crypto), (1, 3));
    assert_eq!(counted(AssetClass::Currencies), (0, 2));
    assert_eq!(counted(AssetClass::Stocks), (0, 0));
}
