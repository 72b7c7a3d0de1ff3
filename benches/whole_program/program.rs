//! `tickwire` as a process of its own, with settings of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// The one that was built with this program.
pub fn beside_this() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.ancestors().skip(1).take(2).map(|folder| folder.join("tickwire")).find(|program| program.is_file())
}

/// Ends with this.
pub struct Program(pub Child);

impl Program {
    /// `tickwire up` over a data folder, with nothing of this user's settings.
    pub fn up(program: &Path, data: &Path, arguments: &[&OsStr]) -> anyhow::Result<Program> {
        let own = |name: &str| name.starts_with("TICKWIRE_") || name.ends_with("_API_KEY");
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
            command.env_remove(name);
        }
        command.current_dir(data).arg("up").arg("--data-dir").arg(data).args(arguments);
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("it does not start")?;
        Ok(Program(child))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
