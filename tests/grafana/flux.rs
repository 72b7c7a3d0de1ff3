//! Just enough reading of Flux to see what a query names.

use std::collections::BTreeSet;

/// The names in a query.
#[derive(Debug, Default)]
pub struct Named {
    /// Compared with `r._measurement`.
    pub measurements: BTreeSet<String>,
    /// Compared with `r._field`.
    pub fields: BTreeSet<String>,
    /// Columns of rows that are read, sorted by or kept, but for those of Flux itself.
    pub columns: BTreeSet<String>,
    /// Columns that the query makes itself, and fields that a pivot makes columns.
    pub bound: BTreeSet<String>,
}

/// What `query` names.
pub fn names(query: &str) -> Named {
    let after =
        |mark: &str| query.match_indices(mark).map(|(at, _)| &query[at + mark.len()..]).collect::<Vec<_>>();
    let mut named = Named {
        measurements: after("r._measurement == ").into_iter().filter_map(quoted).collect(),
        fields: after("r._field == ").into_iter().filter_map(quoted).collect(),
        bound: words_before_colons(query),
        ..Named::default()
    };
    named.bound.extend(named.fields.iter().cloned());
    let rows = ["r.", "l."].into_iter().flat_map(|row| members(query, row));
    named.columns.extend(rows);
    for list in ["columns: [", "rowKey: [", "columnKey: ["] {
        for rest in after(list) {
            let inside = rest.split(']').next().unwrap_or_default();
            named.columns.extend(inside.split(',').filter_map(|name| quoted(name.trim())));
        }
    }
    named.columns.extend(after("column: ").into_iter().filter_map(quoted));
    named.columns.retain(|name| !name.starts_with('_'));
    named
}

fn quoted(text: &str) -> Option<String> {
    Some(text.strip_prefix('"')?.split('"').next()?.to_owned())
}

/// `symbol` for each `r.symbol`.
fn members(query: &str, row: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let own = |at: usize| !query[..at].ends_with(|c: char| is_word(c) || c == '.');
    let found = query.match_indices(row).filter(|(at, _)| own(*at));
    found.map(|(at, _)| query[at + row.len()..].chars().take_while(|c| is_word(*c)).collect()).collect()
}

/// `move` for each `move: …`: keys of records, which become columns.
fn words_before_colons(query: &str) -> BTreeSet<String> {
    let word = |before: &str| -> String {
        let reversed: String =
            before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        reversed.chars().rev().collect()
    };
    query.match_indices(':').map(|(at, _)| word(&query[..at])).filter(|word| !word.is_empty()).collect()
}
