//! The catalogue: which measurements there are, with what columns, kept in the
//! file so that every process knows them.

use std::collections::BTreeMap;

use model::schema::Column;
use rusqlite::{Connection, OptionalExtension, params};

use super::file::Fault;
use super::table;
use crate::define::{kind_of, word_of};
use crate::{Measurement, StoreError};

/// Every measurement, by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<Measurement>, Fault> {
    names(connection)?.iter().map(|name| find(connection, name)).collect()
}

/// One measurement.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Measurement, Fault> {
    match look_up(connection, name)? {
        Some(measurement) => Ok(measurement),
        None => {
            let known = names(connection)?;
            Err(Fault::Store(StoreError::Unknown { name: name.to_owned(), known }))
        }
    }
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM _measurements ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn look_up(connection: &Connection, name: &str) -> rusqlite::Result<Option<Measurement>> {
    let found = connection
        .prepare_cached("SELECT time, version FROM _measurements WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((time, version)) = found else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT name, kind, tag FROM _columns WHERE measurement = ?1 ORDER BY position")?;
    let mut rows = statement.query([name])?;
    let (mut columns, mut tags) = (Vec::new(), BTreeMap::new());
    while let Some(row) = rows.next()? {
        let (column, kind, tag): (String, String, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let Some(place) = tag {
            tags.insert(place, column.clone());
        }
        columns.push(Column::new(column, kind_of(&kind).ok_or_else(|| unknown_kind(&kind))?));
    }
    let tags = tags.into_values().collect();
    Ok(Some(Measurement { name: name.to_owned(), columns, tags, time, version }))
}

/// Makes a measurement with its table, or adds the columns that it lacks.
pub(super) fn define(connection: &Connection, asked: &Measurement) -> Result<(), Fault> {
    let Some(stored) = look_up(connection, &asked.name)? else {
        connection.execute_batch(&table::create(asked))?;
        return keep(connection, asked);
    };
    if stored == *asked {
        return Ok(());
    }
    let merged = stored.merged_with(asked)?;
    for column in asked.columns.iter().filter(|column| stored.index_of(&column.name).is_none()) {
        connection.execute_batch(&table::add_column(&asked.name, column))?;
    }
    keep(connection, &merged)
}

fn keep(connection: &Connection, measurement: &Measurement) -> Result<(), Fault> {
    let Measurement { name, columns, tags, time, version } = measurement;
    connection.execute(
        "INSERT INTO _measurements (name, time, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET time = excluded.time, version = excluded.version",
        params![name, time, version],
    )?;
    connection.execute("DELETE FROM _columns WHERE measurement = ?1", [name])?;
    let mut insert = connection.prepare_cached("INSERT INTO _columns VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, column) in columns.iter().enumerate() {
        let tag = tags.iter().position(|tag| *tag == column.name);
        insert.execute(params![
            name,
            position as i64,
            column.name,
            word_of(column.kind),
            tag.map(|tag| tag as i64)
        ])?;
    }
    Ok(())
}

fn unknown_kind(word: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(format!("column of unknown type {word}"))
}
