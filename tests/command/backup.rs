//! Backups: made beside a running pipeline, read in place, and put back.

use std::fs;

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

#[test]
fn a_backup_made_beside_a_running_up_is_put_back_and_goes_on_to_the_same_end() {
    let sandbox = Sandbox::new();
    let slowly = format!("up --listen 127.0.0.1:0 --prices replay:{} --speed 3600", sample_bars().display());
    let mut running = sandbox.start(&slowly);
    let stored = |flags: &str| sandbox.run(&format!("export stock_prices {flags}")).out.lines().count();
    wait_for("some bars", || (stored("") > 100).then_some(()));
    assert!(sandbox.out("backup copy").contains("replayed/"));
    running.kill();
    let held = stored("--data-dir copy");
    assert!(held > 100 && held <= stored(""), "a backup is read as any data folder");
    sandbox.out("restore copy --data-dir elsewhere");
    assert_eq!(stored("--data-dir elsewhere"), held);
    sandbox.out(&format!("{} --data-dir elsewhere", replay_line(&sample_bars())));
    let exported = sandbox.out("export volatility --data-dir elsewhere");
    assert_eq!(exported, sandbox.out(&format!("compute volatility --bars {}", sample_bars().display())));
}

#[test]
fn nothing_is_overwritten_by_a_backup_or_by_putting_one_back() {
    let sandbox = Sandbox::new();
    let before = sandbox.printed(&["backup copy"]);
    sandbox.replay(&sample_bars());
    sandbox.out("backup copy");
    fs::create_dir(sandbox.path("empty")).unwrap();
    fs::create_dir(sandbox.path("other.new")).unwrap();
    sandbox.file("other.new/precious", "text");
    let lines = [
        "backup copy",
        "restore copy",
        "restore nowhere",
        "restore empty",
        "backup data/copy",
        "backup other",
    ];
    assert_words!(before + &sandbox.printed(&lines));
    assert_eq!(fs::read_to_string(sandbox.path("other.new/precious")).unwrap(), "text");
    sandbox.out("backup slashed/");
    sandbox.out("restore slashed --data-dir third");
}

#[test]
fn a_backup_of_a_later_version_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    sandbox.out("backup copy");
    sandbox.file("copy/format", "99");
    let restored = sandbox.printed(&["restore copy --data-dir elsewhere"]);
    assert!(!sandbox.path("elsewhere").exists());
    sandbox.file("data/format", "99");
    assert_words!(restored + &sandbox.printed(&["backup later"]));
}

#[test]
fn what_lets_people_in_goes_with_a_backup_and_stays_its_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    sandbox.out_of("web set-password", "a long enough password");
    sandbox.out_of("web set-password --read-only", "a long enough password");
    sandbox.out("backup copy");
    sandbox.out("restore copy --data-dir elsewhere");
    for file in ["copy/password", "elsewhere/password", "copy/people", "elsewhere/people"] {
        let kept = fs::metadata(sandbox.path(file)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!sandbox.path("copy/owner-token").exists());
}

#[test]
fn a_file_that_is_damaged_is_named_by_the_doctor_and_by_a_backup() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let run = fs::read_to_string(sandbox.path("data/last-run")).unwrap();
    let store = sandbox.path("data").join(run.trim()).join("store.db");
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    // Some pages in the middle never reached the disk.
    bytes[middle..middle + 3 * 4_096].fill(0);
    fs::write(&store, bytes).unwrap();
    let ended = sandbox.run("doctor");
    assert_eq!(ended.code, Some(1));
    // SQLite's own words, which may be many lines, depend on which pages are gone.
    let (before, rest) = ended.printed.split_once("store.db").unwrap();
    let (words, rest) = rest.split_once(" (").unwrap();
    let (_, rest) = rest.split_once("): ").unwrap();
    let start = format!("{}store.db{words}", before.lines().last().unwrap());
    let remedy = rest.lines().next().unwrap();
    let refused = sandbox.without_folders(&sandbox.refused("backup copy"));
    let (refused, _) = refused.split_once("moved away: ").unwrap();
    assert_words!(format!("{start} (…): {remedy}\n\n{refused}moved away: …"));
    assert!(!sandbox.path("copy").exists() && !sandbox.path("copy.new").exists());
    // The log is whole: without the damaged file it makes everything again.
    fs::remove_file(&store).unwrap();
    sandbox.replay(&sample_bars());
    let computed = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    assert_eq!(sandbox.out("export volatility"), computed);
}
