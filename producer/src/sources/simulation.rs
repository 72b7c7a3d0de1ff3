//! The simulated market, session after session.

use async_trait::async_trait;
use chrono::NaiveDate;
use control::outlet::Outlet;
use model::calendar::{self, SessionDay};
use model::service::RunState;
use model::time::{MINUTE, Millis};
use model::{Bar, clock};
use simulation::World;

use super::{End, Source};
use crate::ProducerError;
use crate::pace::Pace;

pub(crate) struct Simulation {
    seed: u64,
    world: World,
    /// The sessions that an empty log begins with.
    history: [SessionDay; 2],
    /// What lies before this is written without waiting: the history, and the
    /// thin hours after it up to the opening bell.
    quick_until: Millis,
    /// The end of the last minute whose bars are among the counts.
    counted_until: Option<Millis>,
}

impl Simulation {
    pub(crate) fn new(seed: u64, today: NaiveDate) -> Simulation {
        let last = calendar::previous_session(today);
        let history = [calendar::previous_session(last.date), last];
        Simulation { seed, world: World::new(seed), history, quick_until: Millis::MIN, counted_until: None }
    }

    /// The session to begin with: the one that the log broke off in or after,
    /// on an empty log the last but one before today.
    fn first_session(&self, outlet: &Outlet<Bar>) -> SessionDay {
        let Some(written) = outlet.complete_until() else {
            return self.history[0];
        };
        let from = written.min(outlet.before().watermark.unwrap_or(written));
        let date = calendar::date_of(from);
        calendar::session(date)
            .filter(|session| session.pre_open <= from)
            .unwrap_or_else(|| calendar::previous_session(date))
    }

    async fn session(
        &mut self,
        session: &SessionDay,
        outlet: &mut Outlet<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        let bars = self.world.day(session.date).unwrap_or_default().bars;
        let mut minutes = bars.chunk_by(|a, b| a.start_timestamp == b.start_timestamp).peekable();
        for minute in (session.pre_open..session.post_close).step_by(MINUTE as usize) {
            let end = minute + MINUTE;
            if end > self.quick_until && outlet.lacks_clock(end) {
                pace.minute();
                wait_if_early(outlet, pace).await?;
            }
            if pace.is_stopped() {
                return Ok(());
            }
            let bars = minutes.next_if(|bars| bars[0].start_timestamp < end).unwrap_or(&[]);
            for bar in bars {
                outlet.take(&Bar { complete_until: minute, ..bar.clone() });
            }
            self.end_minute(end, bars.len(), outlet).await?;
        }
        Ok(())
    }

    /// Night, weekend and holidays pass in a second.
    async fn closed_hours(
        &mut self,
        from: Millis,
        until: Millis,
        outlet: &mut Outlet<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        if until > self.quick_until && outlet.lacks_clock(until) {
            pace.gap();
            wait_if_early(outlet, pace).await?;
        }
        for minute in clock::minutes(from, until) {
            if pace.is_stopped() {
                return Ok(());
            }
            self.end_minute(minute, 0, outlet).await?;
        }
        Ok(())
    }

    /// Appends are cut at the ends of minutes, so that the counts of each status
    /// are those of the bars before its watermark.
    async fn end_minute(
        &mut self,
        end: Millis,
        bars: usize,
        outlet: &mut Outlet<Bar>,
    ) -> Result<(), ProducerError> {
        if self.counted_until.is_none_or(|counted| counted < end) {
            outlet.taken += bars as u64;
        }
        outlet.clock(end, None);
        if outlet.is_full() {
            outlet.flush().await?;
        }
        Ok(())
    }
}

async fn wait_if_early(outlet: &mut Outlet<Bar>, pace: &Pace) -> Result<(), ProducerError> {
    if pace.is_early() {
        outlet.flush().await?;
        pace.wait().await;
    }
    Ok(())
}

#[async_trait]
impl Source for Simulation {
    fn name(&self) -> String {
        format!("simulation (seed {})", self.seed)
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn play(
        mut self: Box<Self>,
        outlet: &mut Outlet<Bar>,
        pace: &mut Pace,
    ) -> Result<End, ProducerError> {
        let asked = self.name();
        if let Some(found) = outlet.before().source.clone().filter(|found| *found != asked) {
            return Err(ProducerError::OtherSource { asked, found });
        }
        outlet.say(RunState::Running).await?;
        self.counted_until = outlet.before().watermark;
        let mut session = self.first_session(outlet);
        // A log that broke off before these sessions goes on where it was, at its speed.
        if session.date >= self.history[0].date {
            self.quick_until = calendar::next_session(self.history[1].date).open;
        }
        outlet.clock(session.pre_open, None);
        loop {
            self.session(&session, outlet, pace).await?;
            if pace.is_stopped() {
                return Ok(End::Stopped);
            }
            let next = calendar::next_session(session.date);
            self.closed_hours(session.post_close, next.pre_open, outlet, pace).await?;
            if pace.is_stopped() {
                return Ok(End::Stopped);
            }
            session = next;
        }
    }
}
