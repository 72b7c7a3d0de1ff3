//! Columns of tables and measurements: names, types and what each is for.

/// The type of a column; nothing else crosses the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// A double.
    Float,
    /// A 64-bit integer.
    Int,
    /// A time, in epoch milliseconds.
    Time,
    /// UTF-8 text.
    Text,
    /// True or false.
    Bool,
}

/// A named, typed column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name, in snake case.
    pub name: String,
    /// The type.
    pub kind: ColumnType,
}

impl Column {
    /// A column of `kind`.
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Column {
        Column { name: name.into(), kind }
    }
}

/// One value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not there.
    Null,
    /// Of a [`ColumnType::Float`].
    Float(f64),
    /// Of a [`ColumnType::Int`] or [`ColumnType::Time`].
    Int(i64),
    /// Of a [`ColumnType::Text`].
    Text(String),
    /// Of a [`ColumnType::Bool`].
    Bool(bool),
}

impl Value {
    /// The double, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            Value::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The integer or time, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The value as JSON; minus zero as zero, what is not finite as null.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Float(value) => (value + 0.0).into(),
            Value::Int(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::Bool(value) => (*value).into(),
        }
    }

    /// Reads a JSON value as a column of `kind`: the column's type decides, never
    /// the JSON's, so that a whole number in a column of doubles stays a double.
    pub fn from_json(json: &serde_json::Value, kind: ColumnType) -> Option<Value> {
        use serde_json::Value as Json;
        Some(match (kind, json) {
            (_, Json::Null) => Value::Null,
            (ColumnType::Float, Json::Number(number)) => Value::Float(number.as_f64()?),
            (ColumnType::Int | ColumnType::Time, Json::Number(number)) => Value::Int(number.as_i64()?),
            (ColumnType::Text, Json::String(text)) => Value::Text(text.clone()),
            (ColumnType::Bool, Json::Bool(value)) => Value::Bool(*value),
            _ => return None,
        })
    }
}

impl serde::Serialize for Value {
    /// As [`Value::to_json`] writes it.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Float(value) if !value.is_finite() => serializer.serialize_none(),
            Value::Float(value) => serializer.serialize_f64(value + 0.0),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Bool(value) => serializer.serialize_bool(*value),
        }
    }
}

/// The columns of a [`crate::Bar`], in the order in which they are shown.
pub fn bar_columns() -> Vec<Column> {
    use ColumnType::{Bool, Float, Text, Time};
    [
        ("symbol", Text),
        ("start_timestamp", Time),
        ("end_timestamp", Time),
        ("open", Float),
        ("high", Float),
        ("low", Float),
        ("close", Float),
        ("volume", Float),
        ("vwap", Float),
        ("accumulated_volume", Float),
        ("official_open_price", Float),
        ("aggregate_vwap", Float),
        ("average_size", Float),
        ("otc", Bool),
        ("source", Text),
        ("received_timestamp", Time),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .into()
}

/// The columns of an [`crate::Article`], in the order in which they are shown.
pub fn article_columns() -> Vec<Column> {
    use ColumnType::{Text, Time};
    [
        ("symbol", Text),
        ("search_term", Text),
        ("published_timestamp", Time),
        ("id", Text),
        ("headline", Text),
        ("url", Text),
        ("kind", Text),
        ("section_id", Text),
        ("section_name", Text),
        ("pillar", Text),
        ("updated_timestamp", Time),
        ("source", Text),
        ("received_timestamp", Time),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .into()
}
