//! Files that nobody may read but their user, or the services that run beside us.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;

/// The group of our services in their containers; others that need a secret join it.
#[cfg(unix)]
const SERVICES: u32 = 10_001;

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever wrote it.
    Owner,
    /// Also the group of our services, where this user may give it to them.
    Services,
}

/// Writes a small file so that a reader sees the old or the new one, never half
/// of it, and other users of the machine neither.
///
/// # Errors
/// When its folder cannot be written.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_for(path, text, Readers::Owner)
}

/// [`write`], for others too.
///
/// # Errors
/// When its folder cannot be written.
pub fn write_for(path: &Path, text: &str, readers: Readers) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let put = || {
        // One left behind may be readable by others.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        if readers == Readers::Services {
            open_to_services(&beside, 0o640)?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    put().with_context(|| {
        format!("{} cannot be written: check its owner, its rights and the room on its disk", path.display())
    })
}

/// Makes a folder, and those above it that are missing, for this user alone or for
/// the services too. One that is there keeps its rights.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path, readers: Readers) -> anyhow::Result<()> {
    let make = || {
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true);
        match readers {
            Readers::Owner => {
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
                folders.create(path)
            }
            // Services pass through the folders above, which hold no secrets themselves.
            Readers::Services => folders.create(path).and_then(|()| open_to_services(path, 0o750)),
        }
    };
    make().with_context(|| format!("{} cannot be made: check the rights above it", path.display()))
}

#[cfg(unix)]
fn open_to_services(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // Only its members and root may give a file to a group; for others it keeps theirs.
    let _ = std::os::unix::fs::chown(path, None, Some(SERVICES));
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn open_to_services(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn services_may_read_what_is_for_them_and_others_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (below, path) = (folder.path().join("sink"), folder.path().join("sink/token"));
        make_folder(&below, Readers::Services).unwrap();
        write_for(&path, "secret", Readers::Services).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&below), mode(&path)), (0o750, 0o640));
    }

    #[test]
    fn a_new_folder_is_its_user_s_alone_and_an_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (above, below) = (folder.path().join("data"), folder.path().join("data/live"));
        make_folder(&below, Readers::Owner).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&above), mode(&below)), (0o700, 0o700));
        fs::set_permissions(&above, fs::Permissions::from_mode(0o750)).unwrap();
        make_folder(&above, Readers::Owner).unwrap();
        assert_eq!(mode(&above), 0o750);
    }

    #[test]
    fn the_file_is_its_user_s_alone_even_where_another_lay_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "old").unwrap();
        fs::write(folder.path().join("password.new"), "left").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
