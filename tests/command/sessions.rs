//! Sessions as a column, and days, weeks and months on demand.

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars};

#[test]
fn sessions_are_a_column_where_they_are_asked_for_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let bars = sample_bars();
    let compute = format!("compute volatility --bars {}", bars.display());
    let (plain, labelled) = (sandbox.out(&compute), sandbox.out(&format!("{compute} --sessions")));
    assert!(labelled.lines().next().unwrap().ends_with(",volume,received_until,session"));
    for (plain, labelled) in plain.lines().zip(labelled.lines()).skip(1) {
        let label = labelled.strip_prefix(&format!("{plain},")).unwrap();
        let end: i64 = plain.split(',').nth(2).unwrap().parse().unwrap();
        // The sample is of one regular session, whose last windows reach beyond its close at 21:00 UTC.
        assert_eq!(label, if end > 1_709_586_000_000 { "post" } else { "regular" }, "{plain}");
    }
    sandbox.replay(&bars);
    let exported = sandbox.out("export stock_prices --sessions");
    assert!(exported.lines().next().unwrap().ends_with(",received_timestamp,session"));
    assert!(exported.lines().skip(1).all(|line| line.ends_with(",regular")));
    assert!(!sandbox.out("export stock_prices").contains("regular"));
}

#[test]
fn a_replayed_day_is_summed_up_by_itself_and_again_on_demand() {
    let sandbox = Sandbox::new();
    sandbox.out(&replay_line(&sample_bars()));
    let days = sandbox.out("export bars_daily");
    assert_eq!(days.lines().count(), 1 + 4, "{days}");
    // Its week and month had not closed when the sample ended.
    assert_eq!(sandbox.out("export bars_weekly").lines().count(), 1);
    assert_words!(sandbox.printed(&[
        "aggregate --from 2024-03-04 --to 2024-03-05",
        "aggregate --from 2024-03-05 --to 2024-03-04",
    ]));
    assert_eq!(sandbox.out("export bars_daily"), days);
}
