//! Who may sign in: the owner, and others by their names, each with a password
//! and a role.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use super::Access;
use super::password::{BadPassword, Digest, Followed, PasswordHash, digest, identity};

/// The name of whoever signs in without one.
pub const OWNER: &str = "owner";
/// The name of the password that only reads, unless it is given another.
pub const VIEWER: &str = "viewer";

/// Names that histories give to what is no person.
const TAKEN: [&str; 5] = [OWNER, "command", "page", "api", "web"];
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;
/// The most names: each request with a name may look at all of them.
const MOST: usize = 100;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Owner,
    /// Read, and change nothing.
    Viewer,
}

/// A name with its password.
#[derive(Clone, Debug)]
pub struct Person {
    /// What is signed in with, and what histories say.
    pub name: String,
    /// What may be done.
    pub role: Role,
    pub(super) hash: PasswordHash,
}

/// What can go wrong with names and their passwords.
#[derive(Debug, thiserror::Error)]
pub enum BadPeople {
    /// Their file.
    #[error("the file of names {} cannot be used: {source}. Check its owner and its rights", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A name that cannot be one.
    #[error(
        "`{0}` cannot be a name here: take letters, digits and any of `- _ . @ +`, at most {LONGEST_NAME}, and not `owner`, `command`, `page`, `api` or `web`"
    )]
    Name(String),
    /// A name that there is not.
    #[error("there is no password of `{0}`: `tickwire web people` shows the names")]
    Unknown(String),
    /// Too many.
    #[error("there are {MOST} names already: remove some with `tickwire web remove-password --name NAME`")]
    Many,
    /// A password that cannot be one.
    #[error(transparent)]
    Password(#[from] BadPassword),
}

/// The names in a file, a line each: name, role and hash.
pub struct PeopleFile {
    path: PathBuf,
}

impl PeopleFile {
    /// The names of a file, which need not be there.
    pub fn of(path: &Path) -> PeopleFile {
        PeopleFile { path: path.to_owned() }
    }

    /// Everybody.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn list(&self) -> Result<Vec<Person>, BadPeople> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(parse(&self.path, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(BadPeople::File { path: self.path.clone(), source }),
        }
    }

    /// Whether somebody can have this name.
    ///
    /// # Errors
    /// When nobody can.
    pub fn check(&self, name: &str) -> Result<(), BadPeople> {
        if is_name(name) { Ok(()) } else { Err(BadPeople::Name(name.to_owned())) }
    }

    /// What the file holds with a name and its password, in place of an earlier one.
    ///
    /// # Errors
    /// When the name cannot be one, or there are too many.
    pub fn with(&self, name: &str, role: Role, hash: PasswordHash) -> Result<String, BadPeople> {
        self.check(name)?;
        let mut people = self.list()?;
        people.retain(|person| person.name != name);
        if people.len() >= MOST {
            return Err(BadPeople::Many);
        }
        people.push(Person { name: name.to_owned(), role, hash });
        Ok(text(&people))
    }

    /// What the file holds without a name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn without(&self, name: &str) -> Result<String, BadPeople> {
        let mut people = self.list()?;
        let before = people.len();
        people.retain(|person| person.name != name);
        match people.len() == before {
            true => Err(BadPeople::Unknown(name.to_owned())),
            false => Ok(text(&people)),
        }
    }
}

/// Whether a text can be the name of somebody.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.chars().all(fits)
        && !TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken))
}

impl Role {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Viewer => "viewer",
        }
    }
}

fn parse(path: &Path, text: &str) -> Vec<Person> {
    let person = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, role, hash) = (words.next()?, words.next()?, words.next()?);
        let role = [Role::Owner, Role::Viewer].into_iter().find(|known| known.as_str() == role)?;
        let hash = PasswordHash::parse(hash).ok()?;
        is_name(name).then(|| Person { name: name.to_owned(), role, hash })
    };
    let mut people = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match person(line) {
            Some(person) => people.push(person),
            None => {
                tracing::error!(file = %path.display(), number, "A line is no name with a role and a hash, and lets nobody in.");
            }
        }
    }
    people
}

fn text(people: &[Person]) -> String {
    let line =
        |person: &Person| format!("{} {} {}\n", person.name, person.role.as_str(), person.hash.expose());
    people.iter().map(line).collect()
}

fn parse_owner(path: &Path, text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::parse(text);
    if let Err(error) = &hash {
        tracing::error!(file = %path.display(), %error, "The owner cannot sign in.");
    }
    hash.ok()
}

/// Everybody who may sign in, as the settings and the files say now.
pub(crate) struct People {
    /// The owner's password of the settings goes before that of the file.
    settings: Option<PasswordHash>,
    owner: Option<Followed<Option<PasswordHash>>>,
    others: Option<Followed<Vec<Person>>>,
    /// Whoever has asked for a sign-in once asks for it until the program ends: a
    /// file that is removed by mistake opens nothing.
    guarded: AtomicBool,
}

impl People {
    pub(crate) fn of(access: &Access) -> People {
        People {
            settings: access.password.clone(),
            owner: access.password_file.as_deref().map(|path| Followed::new(path, parse_owner)),
            others: access.people.as_deref().map(|path| Followed::new(path, parse)),
            guarded: AtomicBool::new(access.proxy_names.is_some()),
        }
    }

    /// Whether one has to be known to see anything.
    pub(crate) fn are_asked(&self) -> bool {
        if self.guarded.load(Ordering::Relaxed) {
            return true;
        }
        let any = self.find(OWNER).is_some() || self.have_names();
        self.guarded.fetch_or(any, Ordering::Relaxed) || any
    }

    /// Whether somebody signs in with a name.
    pub(crate) fn have_names(&self) -> bool {
        self.others.as_ref().is_some_and(|others| others.look(|people| !people.is_empty()))
    }

    /// Who signs in with a name; the owner without one.
    pub(super) fn find(&self, name: &str) -> Option<Person> {
        if name.is_empty() || name == OWNER {
            let of_file = || self.owner.as_ref().and_then(|owner| owner.look(Clone::clone));
            let hash = self.settings.clone().or_else(of_file)?;
            return Some(Person { name: OWNER.into(), role: Role::Owner, hash });
        }
        let known = |people: &Vec<Person>| people.iter().find(|person| person.name == name).cloned();
        self.others.as_ref().and_then(|others| others.look(known))
    }

    /// How often what the files hold has changed.
    pub(super) fn changes(&self) -> u64 {
        let owner = self.owner.as_ref().map_or(0, Followed::changes);
        self.others.as_ref().map_or(0, Followed::changes) + owner
    }
}

impl Person {
    /// What a session stands on: with another password or role it is over.
    pub(super) fn stamp(&self) -> Digest {
        digest(&format!("{} {}", self.role.as_str(), self.hash.expose()))
    }

    /// Somebody whose password nobody knows, so that a name that there is not
    /// takes as long to refuse as one that there is.
    pub(super) fn nobody() -> Option<&'static PasswordHash> {
        static NOBODY: LazyLock<Option<PasswordHash>> =
            LazyLock::new(|| PasswordHash::of(&identity().ok()?).ok());
        NOBODY.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> PasswordHash {
        PasswordHash::of(password).unwrap()
    }

    #[test]
    fn names_are_kept_with_role_and_hash_and_the_last_password_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people");
        let file = PeopleFile::of(&path);
        let served = People::of(&Access { people: Some(path.clone()), ..Access::default() });
        assert!(!served.are_asked() && served.find("anna").is_none());
        fs::write(&path, file.with("anna", Role::Owner, hash("correct horse battery")).unwrap()).unwrap();
        fs::write(&path, file.with("bob@x.example", Role::Viewer, hash("another horse")).unwrap()).unwrap();
        let anna = served.find("anna").unwrap();
        assert!(served.are_asked() && anna.role == Role::Owner && anna.hash.is_of("correct horse battery"));
        assert_eq!(served.find("bob@x.example").unwrap().role, Role::Viewer);
        fs::write(&path, file.with("anna", Role::Viewer, hash("a third horse!")).unwrap()).unwrap();
        let again = served.find("anna").unwrap();
        assert!(again.role == Role::Viewer && again.stamp() != anna.stamp());
        fs::write(&path, file.without("anna").unwrap()).unwrap();
        assert!(served.find("anna").is_none());
        fs::remove_file(&path).unwrap();
        assert!(served.find("bob@x.example").is_none() && served.are_asked(), "it stays guarded");
        assert!(matches!(file.without("anna"), Err(BadPeople::Unknown(_))));
    }

    #[test]
    fn names_of_histories_and_odd_ones_are_refused_and_odd_lines_let_nobody_in() {
        let file = PeopleFile::of(Path::new("/nonexistent/people"));
        for name in ["", "owner", "Command", "api", "a b", "a:b", "ä", "a\u{202e}b", &"x".repeat(65)] {
            let refused = file.with(name, Role::Owner, hash("correct horse battery"));
            assert!(matches!(refused, Err(BadPeople::Name(_))), "{name}");
        }
        let text =
            format!("\nanna\nbob viewer x\neve king {0}\nowner owner {0}\n", hash("correct horse").expose());
        assert!(parse(Path::new("people"), &text).is_empty());
    }
}
