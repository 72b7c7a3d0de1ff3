//! The functions of `udfs/`, compiled into the program.
//!
//! Each `udfs/<name>.rs` is one function in the form that Arroyo compiles into a plugin. The
//! build script reads all files and makes every function callable here, so a measure is added
//! by adding its file; see [`all`].

mod column;
#[cfg(test)]
mod form;

pub use column::{Column, Value};

/// The type of a value, among those that Arroyo passes to a UDF and accepts from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A boolean; no UDF can have one as long as Arroyo's macro does not compile with it.
    Bool,
    /// A signed integer of 32 bits.
    I32,
    /// A signed integer of 64 bits.
    I64,
    /// An unsigned integer of 32 bits.
    U32,
    /// An unsigned integer of 64 bits.
    U64,
    /// A float of 32 bits.
    F32,
    /// A double.
    F64,
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Bytes,
}

/// One argument of a UDF.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Argument {
    /// The argument's name in the file.
    pub name: &'static str,
    /// The type of the values.
    pub kind: Kind,
    /// Whether the function receives NULLs. If not, an aggregate is called without the rows
    /// that are NULL, and a scalar is not called: its result is NULL.
    pub nullable: bool,
}

/// One function of `udfs/`.
#[derive(Clone, Copy, Debug)]
pub struct Udf {
    /// The name in SQL, which is also the file's.
    pub name: &'static str,
    /// Whether it receives all rows of a group at once (in order of arrival) or one row.
    pub aggregate: bool,
    /// The arguments, in order.
    pub arguments: &'static [Argument],
    /// The type of the result. Every function may return NULL.
    pub returns: Kind,
    /// The text of the file, which Arroyo compiles.
    pub source: &'static str,
    /// Calls the function with one column for each argument: for an aggregate, the rows of the
    /// group; for a scalar, exactly one row.
    ///
    /// # Panics
    /// When the columns do not match `arguments`, which is an error of the caller. The
    /// functions themselves do not panic for any values.
    pub call: fn(&[Column<'_>]) -> Value,
}

include!(concat!(env!("OUT_DIR"), "/all.rs"));
