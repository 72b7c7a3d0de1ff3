//! The files of `udfs/`, compiled into the program as they stand.
//!
//! Each `udfs/<name>.rs` is one function in the form that Arroyo compiles into a
//! plugin. The build script reads all of them and makes every one callable here,
//! so a measure is added by adding its file; see [`all`].

mod column;
#[cfg(test)]
mod form;

pub use column::{Column, Value};

/// What a value is, in the types that Arroyo hands to a UDF and takes from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// True or false; no UDF has one as long as Arroyo's macro does not compile with it.
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
    /// What each value is.
    pub kind: Kind,
    /// Whether the function sees NULLs. Where it does not, an aggregate is called
    /// without the rows that are NULL, and a scalar is not called: its result is NULL.
    pub nullable: bool,
}

/// One function of `udfs/`.
#[derive(Clone, Copy, Debug)]
pub struct Udf {
    /// The name that SQL calls it by, which is also the file's.
    pub name: &'static str,
    /// Whether it takes all rows of a group at once (in arrival order) or one row.
    pub aggregate: bool,
    /// What it takes, in order.
    pub arguments: &'static [Argument],
    /// What it returns. Every function may return NULL.
    pub returns: Kind,
    /// The file's text, as Arroyo compiles it.
    pub source: &'static str,
    /// Calls the function with one column an argument: for an aggregate, the rows of
    /// the group; for a scalar, exactly one row.
    ///
    /// # Panics
    /// When the columns are not those that `arguments` asks for, which is a mistake of
    /// the caller. The functions themselves do not panic, whatever the values are.
    pub call: fn(&[Column<'_>]) -> Value,
}

include!(concat!(env!("OUT_DIR"), "/all.rs"));
