//! Asking for a new password: unseen and twice on a terminal, else one line of
//! standard input.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};

/// The password as typed, without the end of its line.
pub fn new_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let typed = asked("New password: ")?;
    if asked("Once more: ")? != typed {
        bail!("these were two passwords: nothing has changed, try again");
    }
    Ok(typed)
}

fn asked(question: &str) -> anyhow::Result<String> {
    let mut terminal = std::io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let _unseen = Unseen::begin();
    let typed = line();
    writeln!(terminal)?;
    typed
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password cannot be read")?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// As long as it is kept, what is typed does not show.
struct Unseen {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Unseen {
    #[cfg(unix)]
    fn begin() -> Unseen {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut modes) = before.clone() {
            modes.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
        }
        Unseen { before }
    }

    #[cfg(not(unix))]
    fn begin() -> Unseen {
        Unseen {}
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
