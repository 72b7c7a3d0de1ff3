//! The simulated market, session after session.

use async_trait::async_trait;
use chrono::NaiveDate;
use feed::TopicWriter;
use model::calendar::SessionDay;
use model::service::RunState;
use model::time::{MINUTE, Millis};
use model::{Bar, heartbeat};
use simulation::World;

use crate::ProducerError;
use crate::pace::{End, Pace, PacedSource};

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
        let last = simulation::CALENDAR.previous_session(today);
        let history = [simulation::CALENDAR.previous_session(last.date), last];
        Simulation { seed, world: World::new(seed), history, quick_until: Millis::MIN, counted_until: None }
    }

    /// The session to begin with: the one that the log broke off in or after,
    /// on an empty log the last but one before today.
    fn first_session(&self, writer: &TopicWriter<Bar>) -> SessionDay {
        let Some(written) = writer.complete_until() else {
            return self.history[0];
        };
        let from = written.min(writer.before().watermark.unwrap_or(written));
        let date = simulation::CALENDAR.date_of(from);
        simulation::CALENDAR
            .session(date)
            .filter(|session| session.pre_open <= from)
            .unwrap_or_else(|| simulation::CALENDAR.previous_session(date))
    }

    async fn session(
        &mut self,
        session: &SessionDay,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        let bars = self.world.day(session.date).unwrap_or_default().bars;
        let mut minutes = bars.chunk_by(|a, b| a.start_timestamp == b.start_timestamp).peekable();
        for minute in (session.pre_open..session.post_close).step_by(MINUTE as usize) {
            let end = minute + MINUTE;
            if end > self.quick_until && writer.lacks_clock(end) {
                pace.minute();
                wait_if_early(writer, pace).await?;
            }
            if pace.is_stopped() {
                return Ok(());
            }
            let bars = minutes.next_if(|bars| bars[0].start_timestamp < end).unwrap_or(&[]);
            for bar in bars {
                writer.take(&Bar { complete_until: minute, ..bar.clone() });
            }
            self.end_minute(end, bars.len(), writer).await?;
        }
        Ok(())
    }

    /// Night, weekend and holidays pass in a second.
    async fn closed_hours(
        &mut self,
        from: Millis,
        until: Millis,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        if until > self.quick_until && writer.lacks_clock(until) {
            pace.gap();
            wait_if_early(writer, pace).await?;
        }
        for minute in heartbeat::minutes(from, until) {
            if pace.is_stopped() {
                return Ok(());
            }
            self.end_minute(minute, 0, writer).await?;
        }
        Ok(())
    }

    /// Appends are cut at the ends of minutes, so that the counts of each status
    /// are those of the bars before its watermark.
    async fn end_minute(
        &mut self,
        end: Millis,
        bars: usize,
        writer: &mut TopicWriter<Bar>,
    ) -> Result<(), ProducerError> {
        if self.counted_until.is_none_or(|counted| counted < end) {
            writer.taken += bars as u64;
        }
        writer.clock(end, None);
        if writer.is_full() {
            writer.flush().await?;
        }
        Ok(())
    }
}

async fn wait_if_early(writer: &mut TopicWriter<Bar>, pace: &Pace) -> Result<(), ProducerError> {
    if pace.is_early() {
        writer.flush().await?;
        pace.wait().await;
    }
    Ok(())
}

#[async_trait]
impl PacedSource for Simulation {
    fn name(&self) -> String {
        format!("simulation (seed {})", self.seed)
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn play(
        mut self: Box<Self>,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<End, ProducerError> {
        let asked = self.name();
        if let Some(found) = writer.before().source.clone().filter(|found| *found != asked) {
            return Err(ProducerError::OtherSource { asked, found });
        }
        writer.say(RunState::Running).await?;
        self.counted_until = writer.before().watermark;
        let mut session = self.first_session(writer);
        // A log that broke off before these sessions goes on where it was, at its speed.
        if session.date >= self.history[0].date {
            self.quick_until = simulation::CALENDAR.next_session(self.history[1].date).open;
        }
        writer.clock(session.pre_open, None);
        loop {
            self.session(&session, writer, pace).await?;
            if pace.is_stopped() {
                return Ok(End::Stopped);
            }
            let next = simulation::CALENDAR.next_session(session.date);
            self.closed_hours(session.post_close, next.pre_open, writer, pace).await?;
            if pace.is_stopped() {
                return Ok(End::Stopped);
            }
            session = next;
        }
    }
}
