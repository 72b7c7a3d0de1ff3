//! Until when the news is complete: as late as the slowest query, but no later
//! than is bearable.

use model::time::Millis;

/// How far one query has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Everything modified before this time has been asked for and answered.
    pub answered: Option<Millis>,
    /// When it joined this run.
    pub joined: Millis,
}

impl Progress {
    /// Where the query holds the others.
    fn holds_at(&self) -> Millis {
        self.answered.unwrap_or(self.joined)
    }

    /// Since when it has been waited for.
    fn waited_since(&self) -> Millis {
        self.answered.map_or(self.joined, |answered| answered.max(self.joined))
    }
}

/// Until when the news is complete, and who is not waited for any longer.
#[derive(Debug, PartialEq, Eq)]
pub struct Coverage<Q> {
    /// Everything published before this time is there, epoch milliseconds.
    pub complete_until: Millis,
    /// The queries that are not waited for any longer.
    pub left_behind: Vec<Q>,
}

/// Takes the slowest of `queries`, leaving behind those without an answer for
/// longer than `max_wait`; without queries there is nothing to wait for.
pub fn coverage<'a, Q: Clone + 'a>(
    queries: impl Iterator<Item = (&'a Q, Progress)>,
    max_wait: Millis,
    now: Millis,
) -> Coverage<Q> {
    let (mut slowest, mut left_behind, mut any) = (None, Vec::new(), false);
    for (query, progress) in queries {
        any = true;
        if now - progress.waited_since() > max_wait {
            left_behind.push(query.clone());
        } else {
            slowest = Some(progress.holds_at().min(slowest.unwrap_or(Millis::MAX)));
        }
    }
    // With everybody left behind, time goes on as late as it stood still.
    let alone = if any { now - max_wait } else { now };
    Coverage { complete_until: slowest.unwrap_or(alone).min(now), left_behind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(progress: &[(Option<Millis>, Millis)], now: Millis) -> (Millis, usize) {
        let queries = progress.iter().map(|&(answered, joined)| (&"a", Progress { answered, joined }));
        let found = coverage(queries, 60, now);
        (found.complete_until, found.left_behind.len())
    }

    #[test]
    fn news_is_as_late_as_the_slowest_query() {
        assert_eq!(until(&[], 100), (100, 0));
        assert_eq!(until(&[(Some(90), 0), (Some(70), 0)], 100), (70, 0));
        // One that has just joined is waited for.
        assert_eq!(until(&[(Some(98), 0), (None, 95)], 100), (95, 0));
    }

    #[test]
    fn after_the_longest_wait_it_goes_on_without_the_failing_one() {
        assert_eq!(until(&[(Some(90), 0), (Some(40), 0)], 100), (40, 0));
        assert_eq!(until(&[(Some(90), 0), (Some(39), 0)], 100), (90, 1));
        assert_eq!(until(&[(Some(39), 0), (None, 30)], 100), (40, 2));
    }

    #[test]
    fn after_a_restart_every_query_gets_its_chance_first() {
        assert_eq!(until(&[(Some(-500), 95), (Some(-400), 95)], 100), (-500, 0));
        assert_eq!(until(&[(Some(-500), 95), (Some(-400), 95)], 156), (96, 2));
    }
}
