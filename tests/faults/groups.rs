//! Memory cgroups: what is started in one has no more memory than a container with
//! the same `mem_limit`, and is killed by the kernel beyond it, as there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a group, which have other names in the two versions of cgroups.
struct Names {
    limit: &'static str,
    most: &'static str,
    hits: &'static str,
    ends: &'static str,
    anonymous: &'static str,
}

const FIRST: Names = Names {
    limit: "memory.limit_in_bytes",
    most: "memory.max_usage_in_bytes",
    hits: "memory.failcnt",
    ends: "memory.oom_control",
    anonymous: "total_rss",
};

const SECOND: Names = Names {
    limit: "memory.max",
    most: "memory.peak",
    hits: "memory.events",
    ends: "memory.events",
    anonymous: "anon",
};

/// Where groups can be made.
pub struct Root {
    names: &'static Names,
    folder: PathBuf,
    /// Where this process belongs.
    home: PathBuf,
}

impl Root {
    /// Nothing, and why, where this process may make no groups.
    pub fn find() -> Result<Root, String> {
        let mine = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let [first, second] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(Path::new);
        let of_line = |mark: &str| {
            mine.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(mark)).map(|path| &path[1..])
        };
        let (names, top, path) = if first.join(FIRST.limit).exists() {
            (&FIRST, first, of_line("memory:"))
        } else {
            (&SECOND, second, of_line(":"))
        };
        let home = top.join(path.unwrap_or_default());
        let home = if home.exists() { home } else { top.to_owned() };
        let folder = top.join(format!("tickwire-tests-{}", std::process::id()));
        let made = fs::create_dir(&folder).and_then(|()| {
            if std::ptr::eq(names, &SECOND) {
                fs::write(top.join("cgroup.subtree_control"), "+memory")?;
                fs::write(folder.join("cgroup.subtree_control"), "+memory")?;
            }
            Ok(())
        });
        made.map_err(|error| format!("no memory cgroup at {}: {error} (root is needed)", folder.display()))?;
        Ok(Root { names, folder, home })
    }

    /// A group with a limit in bytes, and without swap.
    pub fn group(&self, name: &str, limit: u64) -> io::Result<Group> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder)?;
        fs::write(folder.join(self.names.limit), limit.to_string())?;
        // Where the machine has no swap, there may be no such file.
        let _ = fs::write(folder.join("memory.swappiness"), "0");
        let _ = fs::write(folder.join("memory.swap.max"), "0");
        Ok(Group { names: self.names, folder, home: self.home.clone() })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A group of processes.
pub struct Group {
    names: &'static Names,
    folder: PathBuf,
    home: PathBuf,
}

impl Group {
    /// What `start` starts belongs to the group from its first byte on.
    pub fn around<T>(&self, start: impl FnOnce() -> T) -> T {
        let me = std::process::id().to_string();
        fs::write(self.folder.join("cgroup.procs"), &me).unwrap();
        let started = start();
        fs::write(self.home.join("cgroup.procs"), &me).unwrap();
        started
    }

    /// Its processes.
    pub fn processes(&self) -> BTreeSet<u32> {
        let text = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Bytes that its processes hold and that are no copy of a file.
    pub fn anonymous(&self) -> u64 {
        self.figure("memory.stat", self.names.anonymous)
    }

    /// The most bytes there ever were, with the files that the kernel keeps for it. It
    /// takes these back where the limit is reached.
    pub fn most(&self) -> u64 {
        self.text(self.names.most).trim().parse().unwrap()
    }

    /// How often the limit was reached.
    pub fn hits(&self) -> u64 {
        self.text(self.names.hits).trim().parse().unwrap_or_else(|_| self.figure(self.names.hits, "max"))
    }

    /// Processes that the kernel killed for want of memory.
    pub fn killed(&self) -> u64 {
        self.figure(self.names.ends, "oom_kill")
    }

    fn figure(&self, file: &str, name: &str) -> u64 {
        let text = self.text(file);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{name} in {file}:\n{text}")).trim().parse().unwrap()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
