//! Who is signed in: kept in memory by the digest of what the browser holds, so
//! that a restart signs everybody out and no dump of memory signs anybody in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::SignIn;
use super::password::{Digest, digest, identity};

/// The most sign-ins at once; the one longest unused makes room.
const MOST: usize = 1_000;

/// The open sign-ins.
pub(crate) struct Sessions {
    limits: SignIn,
    open: Mutex<HashMap<Digest, Session>>,
}

struct Session {
    name: String,
    /// What it stands on: the password and the role at its begin.
    stamp: Digest,
    begun: Instant,
    used: Instant,
    /// Dropped with the session: whatever streams under it ends.
    ended: watch::Sender<()>,
}

/// A valid sign-in of a request.
#[derive(Clone)]
pub(crate) struct SignedIn {
    /// Whose.
    pub(super) name: String,
    stamp: Digest,
    ended: watch::Receiver<()>,
    until: Instant,
}

impl SignedIn {
    /// Whether it stands on this.
    pub(super) fn stands_on(&self, stamp: &Digest) -> bool {
        self.stamp == *stamp
    }

    /// Waits until it is signed out or too old.
    pub(crate) async fn over(mut self) {
        let signed_out = async { while self.ended.changed().await.is_ok() {} };
        tokio::select! {
            () = signed_out => {}
            () = tokio::time::sleep_until(self.until.into()) => {}
        }
    }
}

impl Sessions {
    pub(crate) fn new(limits: SignIn) -> Sessions {
        Sessions { limits, open: Mutex::default() }
    }

    /// Begins a session of somebody; returns what the browser is to hold.
    pub(super) fn begin(&self, name: &str, stamp: Digest, now: Instant) -> std::io::Result<String> {
        let held = identity()?;
        let mut open = self.open();
        open.retain(|_, session| self.is_valid(session, now));
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
            oldest.and_then(|key| open.remove(&key));
        }
        let name = name.to_owned();
        let session = Session { name, stamp, begun: now, used: now, ended: watch::Sender::new(()) };
        open.insert(digest(&held), session);
        Ok(held)
    }

    /// The session that a browser shows, if it still holds.
    pub(super) fn find(&self, held: &str, now: Instant) -> Option<SignedIn> {
        let key = digest(held);
        let mut open = self.open();
        let session = open.get_mut(&key)?;
        if !self.is_valid(session, now) {
            open.remove(&key);
            return None;
        }
        session.used = now;
        Some(SignedIn {
            name: session.name.clone(),
            stamp: session.stamp,
            ended: session.ended.subscribe(),
            until: session.begun + self.limits.longest,
        })
    }

    /// Ends the sessions of all but those whose name and stamp still hold.
    pub(super) fn keep(&self, holds: impl Fn(&str, &Digest) -> bool) {
        self.open().retain(|_, session| holds(&session.name, &session.stamp));
    }

    /// Ends a session.
    pub(super) fn end(&self, held: &str) {
        self.open().remove(&digest(held));
    }

    fn is_valid(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.used) < self.limits.idle
            && now.duration_since(session.begun) < self.limits.longest
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn begin(sessions: &Sessions, now: Instant) -> std::io::Result<String> {
        sessions.begin("anna", [7; 32], now)
    }

    fn sessions() -> Sessions {
        Sessions::new(SignIn { idle: HOUR, longest: 3 * HOUR })
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_in_any_case_after_its_longest_time() {
        let (sessions, start) = (sessions(), Instant::now());
        let idle = begin(&sessions, start).unwrap();
        assert!(sessions.find(&idle, start + HOUR).is_none());
        let used = begin(&sessions, start).unwrap();
        for half_hours in 1..6 {
            assert!(sessions.find(&used, start + half_hours * HOUR / 2).is_some(), "{half_hours}");
        }
        assert!(sessions.find(&used, start + 3 * HOUR).is_none());
        assert!(sessions.find(&used, start).is_none(), "once over, it stays over");
    }

    #[test]
    fn nobody_else_s_identity_and_no_ended_one_is_a_session() {
        let (sessions, now) = (sessions(), Instant::now());
        let (one, other) = (begin(&sessions, now).unwrap(), begin(&sessions, now).unwrap());
        assert!(one != other && one.len() == 64);
        sessions.end(&one);
        assert!(sessions.find(&one, now).is_none() && sessions.find(&other, now).is_some());
        assert!(sessions.find("", now).is_none() && sessions.find(&"0".repeat(64), now).is_none());
    }

    #[tokio::test]
    async fn what_runs_under_a_session_learns_of_its_end() {
        let (sessions, now) = (sessions(), Instant::now());
        let held = begin(&sessions, now).unwrap();
        let signed_in = sessions.find(&held, now).unwrap();
        sessions.end(&held);
        signed_in.over().await;
        let held = begin(&sessions, now).unwrap();
        let signed_in = sessions.find(&held, now).unwrap();
        sessions.keep(|name, stamp| name == "anna" && *stamp == [7; 32]);
        assert!(sessions.find(&held, now).is_some_and(|again| again.stands_on(&[7; 32])));
        sessions.keep(|name, stamp| name == "anna" && *stamp == [8; 32]);
        signed_in.over().await;
        assert!(sessions.find(&held, now).is_none());
    }

    #[test]
    fn the_session_longest_unused_makes_room() {
        let (sessions, start) = (sessions(), Instant::now());
        let first = begin(&sessions, start).unwrap();
        for n in 1..=MOST {
            begin(&sessions, start + Duration::from_millis(n as u64)).unwrap();
        }
        assert_eq!(sessions.open().len(), MOST);
        assert!(sessions.find(&first, start + HOUR / 2).is_none());
    }
}
