//! The answer to a query, read part by part.

use std::time::Duration;

use model::schema::{Column, Value};
use tokio::time::Instant;

use crate::explore::Limits;
use crate::explore::apart::Killer;
use crate::explore::error::ExploreError;
use crate::explore::run::{Part, Parts};

/// The rows of a query as they come. Dropped, it ends the query.
pub struct Answer {
    columns: Vec<Column>,
    parts: Parts,
    limit: Duration,
    /// How long was waited for parts.
    waited: Duration,
    cut: bool,
    /// The process that answers, where there is one.
    _process: Option<Killer>,
}

impl Answer {
    /// Waits until the query is planned.
    pub(crate) async fn begin(
        parts: Parts,
        process: Option<Killer>,
        limits: Limits,
    ) -> Result<Answer, ExploreError> {
        let mut answer = Answer {
            columns: Vec::new(),
            parts,
            limit: limits.time,
            waited: Duration::ZERO,
            cut: false,
            _process: process,
        };
        match answer.part().await? {
            Part::Columns(columns) => Ok(Answer { columns, ..answer }),
            Part::Rows(_) | Part::End { .. } => Err(ExploreError::Crashed),
        }
    }

    /// The columns as the first part of an answer, to be handed on.
    pub(crate) fn columns_part(&self) -> Part {
        Part::Columns(self.columns.clone())
    }

    /// The columns of the rows, with a name each that no other has.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next rows; none when all have been given.
    ///
    /// # Errors
    /// When the query fails or reaches a limit; nothing follows then.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, ExploreError> {
        match self.part().await? {
            Part::Rows(rows) => Ok(Some(rows)),
            Part::End { cut } => {
                self.cut = cut;
                Ok(None)
            }
            Part::Columns(_) => Err(ExploreError::Crashed),
        }
    }

    /// Every row that is left.
    ///
    /// # Errors
    /// As for [`Answer::next`].
    pub async fn all(&mut self) -> Result<Vec<Vec<Value>>, ExploreError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }

    /// Whether there would have been more rows than the limit; known at the end.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    pub(crate) async fn part(&mut self) -> Result<Part, ExploreError> {
        let began = Instant::now();
        let part = tokio::time::timeout(self.limit.saturating_sub(self.waited), self.parts.recv()).await;
        self.waited += began.elapsed();
        match part {
            Ok(Some(part)) => part,
            Ok(None) => Err(ExploreError::Crashed),
            Err(_) => Err(ExploreError::TooSlow { limit: self.limit }),
        }
    }
}
