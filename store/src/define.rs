//! Definitions against what is stored: measurements grow, and never bend.

use model::schema::{Column, ColumnType};

use crate::{Measurement, StoreError};

impl Measurement {
    /// This stored measurement, with the columns and the order that are asked for.
    /// Columns that are not asked for any more stay, at the end.
    pub(crate) fn merged_with(&self, asked: &Measurement) -> Result<Measurement, StoreError> {
        self.check_identity(asked)?;
        for column in &asked.columns {
            self.columns
                .iter()
                .find(|known| known.name == column.name)
                .map_or(Ok(()), |known| check_type(asked, known, column))?;
        }
        let mut merged = asked.clone();
        let left = self.columns.iter().filter(|known| asked.index_of(&known.name).is_none());
        merged.columns.extend(left.cloned());
        Ok(merged)
    }

    /// That points of the shape `given` fit this stored measurement. They may come
    /// with fewer columns than are stored, as from an older definition.
    pub(crate) fn check_given(&self, given: &Measurement) -> Result<(), StoreError> {
        self.check_identity(given)?;
        for column in &given.columns {
            match self.columns.iter().find(|known| known.name == column.name) {
                Some(known) => check_type(given, known, column)?,
                None => {
                    let (measurement, column) = (given.name.clone(), column.name.clone());
                    return Err(StoreError::UnknownColumn { measurement, column });
                }
            }
        }
        Ok(())
    }

    /// That `asked` identifies its points as this stored measurement does.
    fn check_identity(&self, asked: &Measurement) -> Result<(), StoreError> {
        if (&self.tags, &self.time) == (&asked.tags, &asked.time) {
            return Ok(());
        }
        let words =
            |shape: &Measurement| format!("tags [{}] and time `{}`", shape.tags.join(", "), shape.time);
        let (stored, asked_for) = (words(self), words(asked));
        Err(StoreError::Identity { measurement: asked.name.clone(), stored, asked: asked_for })
    }
}

/// That a column is asked for as it is stored.
fn check_type(asked: &Measurement, stored: &Column, column: &Column) -> Result<(), StoreError> {
    if stored.kind == column.kind {
        return Ok(());
    }
    Err(StoreError::ColumnType {
        measurement: asked.name.clone(),
        column: column.name.clone(),
        stored: stored.kind,
        asked: column.kind,
    })
}

const KINDS: [(ColumnType, &str); 5] = [
    (ColumnType::Float, "float"),
    (ColumnType::Int, "int"),
    (ColumnType::Time, "time"),
    (ColumnType::Text, "text"),
    (ColumnType::Bool, "bool"),
];

/// A column's type as a word, as definitions are kept.
pub(crate) fn word_of(kind: ColumnType) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, word)| word)
}

/// The type that a word stands for.
pub(crate) fn kind_of(word: &str) -> Option<ColumnType> {
    KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
}
