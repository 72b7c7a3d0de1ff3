//! What `--help` of every command prints.

use crate::harness::{Sandbox, assert_words};

/// Compares the help of a command, and of each that it lists, with its snapshot.
fn helps(sandbox: &Sandbox, command: &str) {
    let help = sandbox.out(format!("{command} --help").trim());
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        helps(sandbox, format!("{command} {name}").trim());
    }
    let name = if command.is_empty() { "tickwire".to_owned() } else { command.replace(' ', "_") };
    assert_words!(name, help);
}

#[test]
fn every_command_explains_itself() {
    helps(&Sandbox::new(), "");
}
