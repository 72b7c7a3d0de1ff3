//! Few heaps. The C library of Linux gives threads heaps of their own, up to eight
//! for each processor, and what one of them has freed no other uses: a pipeline
//! whose data wanders from thread to thread then holds on to half as much again.
//! How many there are is read from the environment, and only at a program's start.

/// What the C library calls the number of heaps.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Starts this program again in the same process, with two heaps, unless the
/// environment says already how many there shall be. Where that fails, all goes on
/// as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn limit() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut typed = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = typed.next() {
        again.arg0(name);
    }
    // It comes back only with the reason why it could not.
    let _ = again.args(typed).env(ARENAS, "2").exec();
}

/// Other systems share their heaps as it is.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn limit() {}
