//! Parses a JSON row directly into the values of its columns, without building a JSON tree.

use std::borrow::Cow;
use std::fmt;

use model::schema::{Column, ColumnType, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The row, if every value has the type of its column. As in [`Value::from_json`], the type of
/// the column decides, not that of the JSON value.
pub(crate) fn read(columns: &[Column], json: &[u8]) -> Option<Vec<Value>> {
    let mut text = serde_json::Deserializer::from_slice(json);
    let row = Row(columns).deserialize(&mut text).ok()?;
    text.end().ok().map(|()| row)
}

struct Row<'a>(&'a [Column]);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Value>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Vec<Value>, A::Error> {
        let mut row = vec![Value::Null; self.0.len()];
        let mut next = 0;
        while let Some(Name(name)) = object.next_key()? {
            // Most rows have their columns in order.
            let is_next = self.0.get(next).is_some_and(|column| column.name == name);
            let place =
                if is_next { Some(next) } else { self.0.iter().position(|column| column.name == name) };
            match place {
                Some(place) => {
                    row[place] = object.next_value_seed(Cell(self.0[place].kind))?;
                    next = place + 1;
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(row)
    }
}

/// A key, which is copied only if it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value of a column of this type.
struct Cell(ColumnType);

impl Cell {
    fn whole(self, value: i64) -> Option<Value> {
        match self.0 {
            ColumnType::Float => Some(Value::Float(value as f64)),
            ColumnType::Int | ColumnType::Time => Some(Value::Int(value)),
            ColumnType::Text | ColumnType::Bool => None,
        }
    }
}

fn or_misfit<E: Error>(value: Option<Value>) -> Result<Value, E> {
    value.ok_or_else(|| E::custom("a value of another type"))
}

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {:?}", self.0)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        or_misfit((self.0 == ColumnType::Bool).then_some(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        or_misfit(self.whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => or_misfit((self.0 == ColumnType::Float).then_some(Value::Float(value as f64))),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        or_misfit((self.0 == ColumnType::Float).then_some(Value::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        or_misfit((self.0 == ColumnType::Text).then(|| Value::Text(value.to_owned())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        or_misfit((self.0 == ColumnType::Text).then_some(Value::Text(value)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json, json};

    use super::*;

    fn columns() -> Vec<Column> {
        use ColumnType::{Bool, Float, Int, Text, Time};
        [("symbol", Text), ("at", Time), ("float", Float), ("int", Int), ("flag", Bool)]
            .map(|(name, kind)| Column::new(name, kind))
            .into()
    }

    /// The same through a JSON tree.
    fn by_tree(object: &Map<String, Json>) -> Option<Vec<Value>> {
        let value = |column: &Column| match object.get(&column.name) {
            None => Some(Value::Null),
            Some(json) => Value::from_json(json, column.kind),
        };
        columns().iter().map(value).collect()
    }

    #[test]
    fn types_come_from_the_columns_and_unknown_keys_are_passed_over() {
        let json = br#"{"more":{"a":[1]},"float":3,"symbol":"A","at":7,"flag":null,"int":-2}"#;
        assert_eq!(
            read(&columns(), json).unwrap(),
            [Value::Text("A".into()), Value::Int(7), Value::Float(3.0), Value::Int(-2), Value::Null]
        );
    }

    #[test]
    fn what_is_no_row_is_none() {
        for json in ["", "[]", "7", r#"{"int":1.5}"#, r#"{"symbol":1}"#, r#"{"flag":"x"}"#, r#"{} {}"#] {
            assert_eq!(read(&columns(), json.as_bytes()), None, "{json}");
        }
    }

    fn json() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(|value| json!(value)),
            any::<String>().prop_map(Json::from),
        ]
    }

    proptest! {
        #[test]
        fn a_row_is_what_it_is_by_way_of_a_tree(
            values in prop::collection::btree_map("symbol|at|float|int|flag|[a-z\"\\\\]{1,3}", json(), 0..7)
        ) {
            let object: Map<String, Json> = values.into_iter().collect();
            let text = serde_json::to_vec(&object).unwrap();
            prop_assert_eq!(read(&columns(), &text), by_tree(&object));
        }
    }
}
