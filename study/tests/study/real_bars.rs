//! Real minute bars, against the formulas computed here by plain loops.

use std::collections::BTreeMap;

use model::time::{DAY, MINUTE, Millis};
use model::{Article, Bar};
use study::LeftOut;

use crate::harness::{article, at, bar, fate, study};

/// The recorded minute bars, with the columns that a study needs.
fn real_bars() -> Vec<Bar> {
    let text = std::fs::read_to_string(testkit::real_bars()).unwrap();
    let read = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |cell: usize| cells[cell].parse::<f64>().unwrap();
        let close = bar(cells[0].parse().unwrap(), number(5), number(6));
        Bar { symbol: cells[1].into(), open: number(2), high: number(3), low: number(4), ..close }
    };
    text.lines().skip(1).map(read).collect()
}

fn of(symbol: &str, id: &str, published: Millis) -> Article {
    Article { symbol: Some(symbol.into()), ..article(id, published) }
}

/// The last close of a day's minutes from `from` on that had ended by `by`.
fn price(closes: &BTreeMap<Millis, f64>, from: Millis, by: Millis) -> Option<f64> {
    closes.range(from..).take_while(|(start, _)| **start + MINUTE <= by).last().map(|(_, close)| *close)
}

#[test]
fn a_reaction_is_as_the_formulas_say() {
    let bars = real_bars();
    let published = at("2013-10-11", "11:17:20");
    for symbol in ["IBM", "BAC", "AIG", "SPY"] {
        let study = study(&bars, &[of(symbol, "news", published)]);
        let symbol_study = study.symbol(symbol).unwrap();
        let reaction = &symbol_study.reactions[0];
        assert!(reaction.is_used(), "{symbol}: {:?}", reaction.left_out);
        let path = reaction.path.as_ref().unwrap();
        assert_eq!(path.sessions, 5);

        let closes: BTreeMap<Millis, f64> =
            bars.iter().filter(|b| b.symbol == symbol).map(|b| (b.start_timestamp, b.close)).collect();
        let volumes: BTreeMap<Millis, f64> =
            bars.iter().filter(|b| b.symbol == symbol).map(|b| (b.start_timestamp, b.volume)).collect();
        // The change since publication at the same clock time, so many days earlier.
        let change = |days: i64, minute: i64| {
            let (then, morning) = (published - days * DAY, at("2013-10-11", "04:00") - days * DAY);
            let reference = price(&closes, morning, then).unwrap();
            let ends = (then / MINUTE + minute + 1) * MINUTE;
            (price(&closes, morning, ends).unwrap() / reference).ln()
        };
        let volume = |days: i64, minute: i64| {
            let starts = ((published - days * DAY) / MINUTE + minute) * MINUTE;
            (1.0 + volumes.get(&starts).copied().unwrap_or(0.0)).ln()
        };
        for minute in -30..=60 {
            let found = path.minute(minute).unwrap();
            // Friday the 11th; the 5th and 6th were a weekend.
            let quiet = [1, 2, 3, 4, 7].map(|days| change(days, minute));
            let mean = quiet.iter().sum::<f64>() / 5.0;
            let variance = quiet.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / 4.0;
            let volumes = [1, 2, 3, 4, 7].map(|days| volume(days, minute));
            let expected = [
                change(0, minute),
                change(0, minute) - mean,
                (variance * 6.0 / 5.0).sqrt(),
                volume(0, minute) - volumes.iter().sum::<f64>() / 5.0,
            ];
            let got = [found.log_return, found.cumulative, found.standard_error, found.abnormal_volume];
            for (got, expected) in got.iter().zip(expected) {
                assert!((got.unwrap() - expected).abs() < 1e-12, "{symbol} {minute}: {got:?} {expected}");
            }
        }
        assert!(
            (symbol_study.mean.minute(60).unwrap().cumulative.unwrap().mean
                - path.minute(60).unwrap().cumulative.unwrap())
            .abs()
                < 1e-15
        );
    }
}

#[test]
fn the_split_of_2014_is_found_and_kept_out() {
    let bars = real_bars();
    let articles = [
        article("first-minute", at("2014-06-09", "04:00:30")),
        article("across", at("2014-06-09", "04:05")),
        article("later", at("2014-06-09", "11:00")),
    ];
    let study = study(&bars, &articles[1..2]);
    let symbol = study.symbol("AAPL").unwrap();
    assert_eq!(symbol.splits.iter().map(ToString::to_string).collect::<Vec<_>>(), ["7:1"]);
    assert_eq!(symbol.splits[0].at, at("2014-06-09", "04:01"));
    assert_eq!(fate(&study, "across"), (Some(LeftOut::Split), true));
    assert_eq!(symbol.mean.events, 0);
    for other in ["SPY", "IBM", "BAC", "AIG"] {
        assert_eq!(study.symbol(other).unwrap().splits, []);
    }
    for (article, left_out) in [(&articles[0], LeftOut::NoPriceBefore), (&articles[2], LeftOut::FewSessions)]
    {
        let alone = crate::harness::study(&bars, std::slice::from_ref(article));
        assert_eq!(fate(&alone, &article.id).0, Some(left_out), "{}", article.id);
    }
}

#[test]
fn order_and_repetition_of_the_input_change_nothing() {
    let bars = real_bars();
    let articles: Vec<Article> = ["10:05", "11:30", "13:15:40", "15:20"]
        .iter()
        .flat_map(|clock| {
            [of("IBM", clock, at("2013-10-11", clock)), of("BAC", clock, at("2013-10-10", clock))]
        })
        .collect();
    let expected = study(&bars, &articles);
    assert!(expected.pooled.events >= 4, "{}", expected.pooled.events);
    // Every row twice, and in another order: 7,919 is prime and goes round all of them.
    let twice: Vec<Bar> = (0..2 * bars.len()).map(|i| bars[i * 7_919 % bars.len()].clone()).collect();
    let backwards: Vec<Article> = articles.iter().rev().cloned().collect();
    let again = study(&twice, &backwards);
    assert_eq!(again.pooled, expected.pooled);
    for (again, expected) in again.symbols.iter().zip(&expected.symbols) {
        assert_eq!(again.reactions, expected.reactions);
    }
}
