//! Converts between the engine's columns and the arguments and results of a UDF.

use crate::Udf;

/// The rows of one argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column<'a> {
    /// Booleans.
    Bool(&'a [bool]),
    /// Booleans or NULL.
    BoolOption(&'a [Option<bool>]),
    /// Signed integers of 32 bits.
    I32(&'a [i32]),
    /// Signed integers of 32 bits or NULL.
    I32Option(&'a [Option<i32>]),
    /// Signed integers of 64 bits.
    I64(&'a [i64]),
    /// Signed integers of 64 bits or NULL.
    I64Option(&'a [Option<i64>]),
    /// Unsigned integers of 32 bits.
    U32(&'a [u32]),
    /// Unsigned integers of 32 bits or NULL.
    U32Option(&'a [Option<u32>]),
    /// Unsigned integers of 64 bits.
    U64(&'a [u64]),
    /// Unsigned integers of 64 bits or NULL.
    U64Option(&'a [Option<u64>]),
    /// Floats of 32 bits.
    F32(&'a [f32]),
    /// Floats of 32 bits or NULL.
    F32Option(&'a [Option<f32>]),
    /// Doubles.
    F64(&'a [f64]),
    /// Doubles or NULL.
    F64Option(&'a [Option<f64>]),
    /// Text.
    Text(&'a [&'a str]),
    /// Text or NULL.
    TextOption(&'a [Option<&'a str>]),
    /// Bytes.
    Bytes(&'a [&'a [u8]]),
    /// Bytes or NULL.
    BytesOption(&'a [Option<&'a [u8]>]),
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL, for example for a window with too few bars.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer of 32 bits.
    I32(i32),
    /// A signed integer of 64 bits.
    I64(i64),
    /// An unsigned integer of 32 bits.
    U32(u32),
    /// An unsigned integer of 64 bits.
    U64(u64),
    /// A float of 32 bits.
    F32(f32),
    /// A double.
    F64(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The argument for the column `index`; `None` if the function does not accept NULL and the
/// value of this scalar is NULL.
pub(crate) fn argument<'a, T: FromColumn<'a>>(udf: &Udf, index: usize, columns: &[Column<'a>]) -> Option<T> {
    let (name, wanted) = (udf.name, udf.arguments);
    assert!(
        columns.len() == wanted.len(),
        "{name} takes {} columns and was given {}",
        wanted.len(),
        columns.len()
    );
    match T::from_column(&columns[index]) {
        Ok(argument) => Some(argument),
        Err(Unfit::Null) => None,
        Err(Unfit::Mistaken) => panic!("{name} takes {:?} and was given {:?}", wanted[index], columns[index]),
    }
}

/// Why a column cannot be converted to an argument.
pub(crate) enum Unfit {
    /// The argument does not accept NULL and the scalar's value is NULL: the result is NULL.
    Null,
    /// The column has another type, or not exactly one row for a scalar.
    Mistaken,
}

/// Converts a column to an argument: all rows for `Vec<…>`, otherwise the single one.
pub(crate) trait FromColumn<'a>: Sized {
    fn from_column(column: &Column<'a>) -> Result<Self, Unfit>;
}

macro_rules! arguments {
    ($($plain:ident, $option:ident, $value:ty;)*) => { $(
        impl<'a> FromColumn<'a> for Vec<$value> {
            fn from_column(column: &Column<'a>) -> Result<Self, Unfit> {
                match column {
                    Column::$plain(rows) => Ok(rows.to_vec()),
                    Column::$option(rows) => Ok(rows.iter().flatten().copied().collect()),
                    _ => Err(Unfit::Mistaken),
                }
            }
        }

        impl<'a> FromColumn<'a> for Vec<Option<$value>> {
            fn from_column(column: &Column<'a>) -> Result<Self, Unfit> {
                match column {
                    Column::$plain(rows) => Ok(rows.iter().copied().map(Some).collect()),
                    Column::$option(rows) => Ok(rows.to_vec()),
                    _ => Err(Unfit::Mistaken),
                }
            }
        }

        impl<'a> FromColumn<'a> for Option<$value> {
            fn from_column(column: &Column<'a>) -> Result<Self, Unfit> {
                match column {
                    Column::$plain([value]) => Ok(Some(*value)),
                    Column::$option([value]) => Ok(*value),
                    _ => Err(Unfit::Mistaken),
                }
            }
        }

        impl<'a> FromColumn<'a> for $value {
            fn from_column(column: &Column<'a>) -> Result<Self, Unfit> {
                Option::from_column(column)?.ok_or(Unfit::Null)
            }
        }
    )* };
}

arguments! {
    Bool, BoolOption, bool;
    I32, I32Option, i32;
    I64, I64Option, i64;
    U32, U32Option, u32;
    U64, U64Option, u64;
    F32, F32Option, f32;
    F64, F64Option, f64;
    Text, TextOption, &'a str;
    Bytes, BytesOption, &'a [u8];
}

macro_rules! results {
    ($($kind:ident, $value:ty;)*) => { $(
        impl From<$value> for Value {
            fn from(value: $value) -> Self {
                Self::$kind(value)
            }
        }
    )* };
}

results! {
    Bool, bool;
    I32, i32;
    I64, i64;
    U32, u32;
    U64, u64;
    F32, f32;
    F64, f64;
    Text, String;
    Bytes, Vec<u8>;
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, FromColumn, Unfit, Value};

    #[test]
    fn an_aggregate_without_option_does_not_see_nulls() {
        let rows = [Some(1.0), None, Some(3.0)];
        assert!(matches!(Vec::<f64>::from_column(&Column::F64Option(&rows)), Ok(seen) if seen == [1.0, 3.0]));
        assert!(
            matches!(Vec::<Option<f64>>::from_column(&Column::F64Option(&rows)), Ok(seen) if seen == rows)
        );
    }

    #[test]
    fn a_scalar_takes_its_only_row() {
        assert!(matches!(i64::from_column(&Column::I64(&[7])), Ok(7)));
        assert!(matches!(<&str>::from_column(&Column::TextOption(&[Some("SPY")])), Ok("SPY")));
        assert!(matches!(i64::from_column(&Column::I64Option(&[None])), Err(Unfit::Null)));
        assert!(matches!(Option::<i64>::from_column(&Column::I64Option(&[None])), Ok(None)));
    }

    #[test]
    fn another_kind_or_number_of_rows_is_a_mistake_of_the_caller() {
        assert!(matches!(Vec::<f64>::from_column(&Column::I64(&[7])), Err(Unfit::Mistaken)));
        assert!(matches!(i64::from_column(&Column::I64(&[7, 8])), Err(Unfit::Mistaken)));
    }

    #[test]
    fn a_result_may_be_absent() {
        assert_eq!(Value::from(Some(0.5)), Value::F64(0.5));
        assert_eq!(Value::from(None::<f64>), Value::Null);
    }
}
