//! Ctrl-C: the first drains and ends, what was done stays done.

use crate::harness::{Sandbox, sample_bars, wait_for};

#[test]
fn an_interrupted_pipeline_ends_in_order_and_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new();
    let line = format!("up --listen 127.0.0.1:0 --prices replay:{} --speed 600", sample_bars().display());
    let stored = || sandbox.run("export stock_prices").out.lines().count();
    let mut running = sandbox.start(&line);
    wait_for("the first bars", || (stored() > 10).then_some(()));
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    let before = stored();
    let mut running = sandbox.start(&line);
    wait_for("more bars", || (stored() > before).then_some(()));
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn a_second_ctrl_c_quits() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("up --listen 127.0.0.1:0");
    running.address();
    running.signal("INT");
    running.said("once more");
    running.signal("INT");
    assert!(matches!(running.ended(), Some(0 | 130)));
}
