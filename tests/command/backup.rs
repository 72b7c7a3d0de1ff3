//! Backups: made beside a running pipeline, read in place, and put back.

use std::fs;

use crate::harness::{Desk, assert_words, replay_line, sample_bars, wait_for};

#[test]
fn a_backup_made_beside_a_running_up_is_put_back_and_goes_on_to_the_same_end() {
    let desk = Desk::new();
    let slowly = format!("up --listen 127.0.0.1:0 --prices replay:{} --speed 3600", sample_bars().display());
    let mut running = desk.start(&slowly);
    let stored = |flags: &str| desk.run(&format!("export stock_prices {flags}")).out.lines().count();
    wait_for("some bars", || (stored("") > 100).then_some(()));
    assert!(desk.out("backup copy").contains("replayed/"));
    running.kill();
    let held = stored("--data-dir copy");
    assert!(held > 100 && held <= stored(""), "a backup is read as any data folder");
    desk.out("restore copy --data-dir elsewhere");
    assert_eq!(stored("--data-dir elsewhere"), held);
    desk.out(&format!("{} --data-dir elsewhere", replay_line(&sample_bars())));
    let exported = desk.out("export volatility --data-dir elsewhere");
    assert_eq!(exported, desk.out(&format!("compute volatility --bars {}", sample_bars().display())));
}

#[test]
fn nothing_is_overwritten_by_a_backup_or_by_putting_one_back() {
    let desk = Desk::new();
    let before = desk.printed(&["backup copy"]);
    desk.replay(&sample_bars());
    desk.out("backup copy");
    fs::create_dir(desk.path("empty")).unwrap();
    fs::create_dir(desk.path("other.new")).unwrap();
    desk.file("other.new/precious", "text");
    let lines = [
        "backup copy",
        "restore copy",
        "restore nowhere",
        "restore empty",
        "backup data/copy",
        "backup other",
    ];
    assert_words!(before + &desk.printed(&lines));
    assert_eq!(fs::read_to_string(desk.path("other.new/precious")).unwrap(), "text");
    desk.out("backup slashed/");
    desk.out("restore slashed --data-dir third");
}

#[test]
fn a_backup_of_a_later_version_is_left_alone() {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    desk.out("backup copy");
    desk.file("copy/format", "99");
    let restored = desk.printed(&["restore copy --data-dir elsewhere"]);
    assert!(!desk.path("elsewhere").exists());
    desk.file("data/format", "99");
    assert_words!(restored + &desk.printed(&["backup later"]));
}

#[test]
fn what_lets_people_in_goes_with_a_backup_and_stays_its_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.replay(&sample_bars());
    desk.out_of("web set-password", "a long enough password");
    desk.out_of("web set-password --read-only", "a long enough password");
    desk.out("backup copy");
    desk.out("restore copy --data-dir elsewhere");
    for file in ["copy/password", "elsewhere/password", "copy/people", "elsewhere/people"] {
        let kept = fs::metadata(desk.path(file)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!desk.path("copy/owner-token").exists());
}

#[test]
fn a_file_that_is_damaged_is_named_by_the_doctor_and_by_a_backup() {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    let run = fs::read_to_string(desk.path("data/last-run")).unwrap();
    let store = desk.path("data").join(run.trim()).join("store.db");
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    // Some pages in the middle never reached the disk.
    bytes[middle..middle + 3 * 4_096].fill(0);
    fs::write(&store, bytes).unwrap();
    let ended = desk.run("doctor");
    assert_eq!(ended.code, Some(1));
    // SQLite's own words, which may be many lines, depend on which pages are gone.
    let (before, rest) = ended.printed.split_once("store.db").unwrap();
    let (words, rest) = rest.split_once(" (").unwrap();
    let (_, rest) = rest.split_once("): ").unwrap();
    let start = format!("{}store.db{words}", before.lines().last().unwrap());
    let remedy = rest.lines().next().unwrap();
    let refused = desk.without_folders(&desk.refused("backup copy"));
    let (refused, _) = refused.split_once("moved away: ").unwrap();
    assert_words!(format!("{start} (…): {remedy}\n\n{refused}moved away: …"));
    assert!(!desk.path("copy").exists() && !desk.path("copy.new").exists());
    // The log is whole: without the damaged file it makes everything again.
    fs::remove_file(&store).unwrap();
    desk.replay(&sample_bars());
    let computed = desk.out(&format!("compute volatility --bars {}", sample_bars().display()));
    assert_eq!(desk.out("export volatility"), computed);
}
