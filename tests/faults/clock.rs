//! A wall clock that can be put on and back, for whole processes: a small library
//! in C that is loaded before the system's, on Linux with a C compiler.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::Sandbox;

/// Adds the seconds in the file named by `CLOCK_STEPS` to what the clock says.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *seconds;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_STEPS");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) seconds = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && seconds) now->tv_sec += *seconds;
    return outcome;
}
"#;

/// The clock of one desk's processes.
pub struct Clock(PathBuf);

impl Clock {
    /// Puts every command of `sandbox` under a clock that can be stepped; none where
    /// that cannot be done.
    pub fn over(sandbox: Sandbox) -> (Sandbox, Option<Clock>) {
        let (source, library, steps) =
            (sandbox.path("clock.c"), sandbox.path("clock.so"), sandbox.path("clock"));
        std::fs::write(&source, SOURCE).unwrap();
        std::fs::write(&steps, 0_i64.to_ne_bytes()).unwrap();
        let made = cfg!(target_os = "linux")
            && Command::new("cc")
                .args(["-shared", "-fPIC", "-o"])
                .args([&library, &source])
                .status()
                .is_ok_and(|status| status.success());
        if !made {
            return (sandbox, None);
        }
        let sandbox = sandbox
            .with("LD_PRELOAD", library.to_string_lossy())
            .with("CLOCK_STEPS", steps.to_string_lossy());
        (sandbox, Some(Clock(steps)))
    }

    /// From now on the clock is off by `seconds`.
    pub fn step(&self, seconds: i64) {
        // In place: the file is mapped.
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.0).unwrap();
        file.write_all(&seconds.to_ne_bytes()).unwrap();
    }
}
