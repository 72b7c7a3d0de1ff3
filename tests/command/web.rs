//! Who may reach the page: set by commands, kept in the data folder.

use crate::harness::{Desk, assert_words};

const PASSWORD: &str = "correct horse battery\n";

#[test]
fn other_machines_are_listened_to_with_a_password_only() {
    let desk = Desk::new();
    let open = desk.printed(&["up --listen 0.0.0.0:0 --prices simulate"]);
    assert!(!desk.path("data").exists(), "refused before anything was made");
    assert_words!(open + &desk.run_with("web set-password", "short\n").printed);
    desk.out_of("web set-password", PASSWORD);
    let up = desk.start("up --listen 0.0.0.0:0 --prices simulate");
    up.said("at http://0.0.0.0");
}

#[test]
fn commands_go_through_an_owner_that_asks_for_a_password() {
    let desk = Desk::new();
    desk.out_of("web set-password", PASSWORD);
    let up = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = up.address();
    desk.out("watch add AAPL");
    assert!(desk.out("watch list").contains("AAPL"));
    let answer = get(&address, "/api/v1/watchlist", "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    let token = desk.out("web token add notebook");
    let header = format!("authorization: Bearer {}\r\n", token.trim());
    assert!(get(&address, "/api/v1/watchlist", &header).contains("AAPL"));
    assert!(desk.out("web token list").starts_with("notebook "));
    desk.out("web token remove notebook");
    assert!(get(&address, "/api/v1/watchlist", &header).starts_with("HTTP/1.1 401 "));
    assert_words!(desk.printed(&["web token remove notebook"]));
}

#[test]
fn names_sign_in_by_their_passwords_and_no_longer_once_they_are_removed() {
    let desk = Desk::new();
    desk.out_of("web set-password", PASSWORD);
    let lines = [
        "web set-password --read-only",
        "web set-password --name anna",
        "web set-password --name command",
        "web set-password --name owner --read-only",
        "web set-password --name",
        "web remove-password --name bob",
        "web --listen nowhere",
    ];
    assert_words!(lines.map(|line| desk.run_with(line, PASSWORD).printed).concat());
    assert_eq!(desk.out("web people"), "owner  owner\nviewer  viewer\nanna  owner\n");
    desk.out("web remove-password --name anna");
    assert_eq!(desk.out("web people"), "owner  owner\nviewer  viewer\n");
    let kept = std::fs::read_to_string(desk.path("data/people")).unwrap();
    assert!(kept.starts_with("viewer viewer $argon2id$") && !kept.contains("horse"), "{kept}");
}

#[cfg(unix)]
#[test]
fn what_is_secret_is_readable_by_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.out_of("web set-password", PASSWORD);
    desk.out("web token add notebook");
    let up = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    up.address();
    for file in ["password", "api-tokens", "simulated/owner-token"] {
        let mode = std::fs::metadata(desk.path("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let kept = std::fs::read_to_string(desk.path("data/password")).unwrap();
    assert!(kept.starts_with("$argon2id$") && !kept.contains("horse"), "{kept}");
}

/// One request, and the whole answer.
fn get(address: &str, path: &str, header: &str) -> String {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
