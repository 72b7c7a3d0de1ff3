//! The Alerts page: rules are changed, switched and added without scripts.

use crate::harness::Sandbox;
use crate::webdriver::{Browser, LIGHT};

#[test]
fn rules_are_changed_switched_added_and_removed_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let page = format!("http://{}/alerts", running.address());
    sandbox.out("rules add steep --signal percent_move --above 3 --hysteresis 1");
    browser.go(&page);

    browser.write("#threshold-steep", "a lot");
    browser.click("#rule-steep button[value=adjust]");
    browser.says("#problem-steep", "a lot");
    assert!(sandbox.out("rules list").contains("steep"));
    browser.write("#threshold-steep", "4.5");
    browser.click("#rule-steep button[value=adjust]");
    browser.says("#rules", "steep");
    let steep = || {
        let rules = sandbox.out("rules list");
        rules.lines().find(|line| line.contains("steep")).map(str::to_owned)
    };
    assert!(steep().unwrap().contains("4.5"), "{:?}", steep());

    browser.click("#rule-steep button[value=disable]");
    browser.says("#rule-steep", "Switch on");
    assert!(steep().unwrap().contains("off"), "{:?}", steep());
    browser.click("#rule-steep button[value=enable]");
    browser.says("#rule-steep", "Switch off");
    browser.click("#rule-steep button[value=remove]");
    browser.write("input[name=name][required]", "calm");
    assert_eq!(steep(), None);

    browser.write("form[aria-labelledby=add-title] input[name=threshold]", "0.5");
    browser.click("form[aria-labelledby=add-title] button");
    browser.says("#rules", "calm");
    assert!(sandbox.out("rules list").contains("calm"));
}
