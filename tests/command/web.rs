//! Who may reach the page: set by commands, kept in the data folder.

use crate::harness::{Sandbox, assert_words};

const PASSWORD: &str = "correct horse battery\n";

#[test]
fn other_machines_are_listened_to_with_a_password_only() {
    let sandbox = Sandbox::new();
    let open = sandbox.printed(&["up --listen 0.0.0.0:0 --prices simulate"]);
    assert!(!sandbox.path("data").exists(), "refused before anything was made");
    assert_words!(open + &sandbox.run_with("web set-password", "short\n").printed);
    sandbox.out_of("web set-password", PASSWORD);
    let up = sandbox.start("up --listen 0.0.0.0:0 --prices simulate");
    up.said("at http://0.0.0.0");
}

#[test]
fn commands_go_through_an_owner_that_asks_for_a_password() {
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = up.address();
    sandbox.out("watch add AAPL");
    assert!(sandbox.out("watch list").contains("AAPL"));
    let answer = get(&address, "/api/v1/watchlist", "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    let token = sandbox.out("web token add notebook");
    let header = format!("authorization: Bearer {}\r\n", token.trim());
    assert!(get(&address, "/api/v1/watchlist", &header).contains("AAPL"));
    assert!(sandbox.out("web token list").starts_with("notebook "));
    sandbox.out("web token remove notebook");
    assert!(get(&address, "/api/v1/watchlist", &header).starts_with("HTTP/1.1 401 "));
    assert_words!(sandbox.printed(&["web token remove notebook"]));
}

#[test]
fn names_sign_in_by_their_passwords_and_no_longer_once_they_are_removed() {
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    let lines = [
        "web set-password --read-only",
        "web set-password --name anna",
        "web set-password --name command",
        "web set-password --name owner --read-only",
        "web set-password --name",
        "web remove-password --name bob",
        "web --listen nowhere",
    ];
    assert_words!(lines.map(|line| sandbox.run_with(line, PASSWORD).printed).concat());
    assert_eq!(sandbox.out("web people"), "owner  owner\nviewer  viewer\nanna  owner\n");
    sandbox.out("web remove-password --name anna");
    assert_eq!(sandbox.out("web people"), "owner  owner\nviewer  viewer\n");
    let kept = std::fs::read_to_string(sandbox.path("data/people")).unwrap();
    assert!(kept.starts_with("viewer viewer $argon2id$") && !kept.contains("horse"), "{kept}");
}

#[cfg(unix)]
#[test]
fn what_is_secret_is_readable_by_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    sandbox.out("web token add notebook");
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    up.address();
    for file in ["password", "api-tokens", "simulated/owner-token"] {
        let mode = std::fs::metadata(sandbox.path("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let kept = std::fs::read_to_string(sandbox.path("data/password")).unwrap();
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
