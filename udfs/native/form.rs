//! Parses a UDF file and checks that Arroyo will accept it.

use syn::{FnArg, GenericArgument, Item, ItemFn, Pat, PathArguments, ReturnType, Signature, Type};

/// What a file of `udfs/` defines.
#[derive(Debug)]
pub struct Definition {
    /// Whether the function receives all rows of a group.
    pub aggregate: bool,
    /// The arguments, in order.
    pub arguments: Vec<ParsedArgument>,
    /// The type of the result.
    pub returns: KindName,
    /// The text without the attribute and its import, with the same line numbers.
    pub native: String,
}

/// One argument.
#[derive(Debug)]
pub struct ParsedArgument {
    /// Its name.
    pub name: String,
    /// The type of the values.
    pub kind: KindName,
    /// Whether the function receives NULLs.
    pub nullable: bool,
}

/// The name of a variant of the crate's `Kind`.
pub type KindName = &'static str;

/// Why a file is not an acceptable UDF.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    #[error("it is not valid Rust: {0}")]
    NotRust(#[from] syn::Error),
    #[error("it has {count} lines `{line}`, and needs exactly one")]
    Lines { line: &'static str, count: usize },
    #[error("it has {0} functions with the attribute #[udf], and needs exactly one")]
    Functions(usize),
    #[error("its function is named `{function}`; SQL calls it by the file's name, so name it `{file}`")]
    Name { function: String, file: String },
    #[error("its function is {0}; it must be a plain function")]
    NotPlain(&'static str),
    #[error("its function takes no argument, so Arroyo cannot tell how many rows there are")]
    NoArguments,
    #[error("argument {0} has a pattern; give it a name")]
    Unnamed(usize),
    #[error("argument `{0}` has a type that Arroyo does not support")]
    Argument(String),
    #[error("it takes `Vec<…>` and single values; take the rows of a group in all arguments or in none")]
    Mixed,
    #[error("its function returns a type that Arroyo does not support")]
    Returns,
}

const ATTRIBUTE: &str = "#[udf]";
const IMPORT: &str = "use arroyo_udf_plugin::udf;";

/// Reads the text of `udfs/<file>.rs`.
pub fn read(file: &str, text: &str) -> Result<Definition, FormError> {
    let syntax = syn::parse_file(text)?;
    let native = without_line(&without_line(text, IMPORT)?, ATTRIBUTE)?;
    let signature = &only_udf(&syntax.items)?.sig;
    plain(signature)?;
    if signature.ident != file {
        return Err(FormError::Name { function: signature.ident.to_string(), file: file.to_owned() });
    }
    let (aggregate, arguments) = arguments(signature)?;
    Ok(Definition { aggregate, arguments, returns: returns(signature)?, native })
}

/// The text with one line emptied, so that the line numbers stay the same.
fn without_line(text: &str, line: &'static str) -> Result<String, FormError> {
    let count = text.lines().filter(|l| l.trim() == line).count();
    if count != 1 {
        return Err(FormError::Lines { line, count });
    }
    Ok(text.lines().map(|l| if l.trim() == line { "\n".to_owned() } else { format!("{l}\n") }).collect())
}

fn only_udf(items: &[Item]) -> Result<&ItemFn, FormError> {
    let carries = |function: &ItemFn| function.attrs.iter().any(|attribute| attribute.path().is_ident("udf"));
    let functions: Vec<&ItemFn> = items
        .iter()
        .filter_map(|item| match item {
            Item::Fn(function) if carries(function) => Some(function),
            _ => None,
        })
        .collect();
    match functions[..] {
        [function] => Ok(function),
        _ => Err(FormError::Functions(functions.len())),
    }
}

fn plain(signature: &Signature) -> Result<(), FormError> {
    let oddities = [
        (signature.asyncness.is_some(), "async"),
        (signature.constness.is_some(), "const"),
        (!matches!(signature.safety, syn::Safety::Default), "marked safe or unsafe"),
        (signature.abi.is_some(), "extern"),
        (!signature.generics.params.is_empty(), "generic"),
        (signature.variadic.is_some(), "variadic"),
    ];
    match oddities.iter().find(|(odd, _)| *odd) {
        Some((_, what)) => Err(FormError::NotPlain(what)),
        None => Ok(()),
    }
}

fn arguments(signature: &Signature) -> Result<(bool, Vec<ParsedArgument>), FormError> {
    let mut aggregate = None;
    let mut parsed = Vec::new();
    for (index, argument) in signature.inputs.iter().enumerate() {
        let FnArg::Typed(argument) = argument else {
            return Err(FormError::NotPlain("a method"));
        };
        let Pat::Ident(pattern) = &*argument.pat else {
            return Err(FormError::Unnamed(index + 1));
        };
        let name = pattern.ident.to_string();
        let rows = type_argument("Vec", &argument.ty);
        let value = rows.unwrap_or(&argument.ty);
        let option = type_argument("Option", value);
        let value = option.unwrap_or(value);
        let kind = number(value).or_else(|| if rows.is_none() { borrowed(value) } else { None });
        let Some(kind) = kind else {
            return Err(FormError::Argument(name));
        };
        if *aggregate.get_or_insert(rows.is_some()) != rows.is_some() {
            return Err(FormError::Mixed);
        }
        parsed.push(ParsedArgument { name, kind, nullable: option.is_some() });
    }
    Ok((aggregate.ok_or(FormError::NoArguments)?, parsed))
}

fn returns(signature: &Signature) -> Result<KindName, FormError> {
    let ReturnType::Type(_, whole) = &signature.output else {
        return Err(FormError::Returns);
    };
    let value = type_argument("Option", whole).unwrap_or(whole);
    let owned = match type_argument("Vec", value).and_then(ident).as_deref() {
        Some("u8") => Some("Bytes"),
        _ => ident(value).filter(|name| name == "String").map(|_| "Text"),
    };
    number(value).or(owned).ok_or(FormError::Returns)
}

/// The type argument of `outer<…>`.
fn type_argument<'t>(outer: &str, whole: &'t Type) -> Option<&'t Type> {
    let Type::Path(path) = whole else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == outer)?;
    match &segment.arguments {
        PathArguments::AngleBracketed(brackets) if brackets.args.len() == 1 => match brackets.args.first()? {
            GenericArgument::Type(inner) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Without `bool`: Arroyo lists it, but its macro generates code that does not compile.
fn number(value: &Type) -> Option<KindName> {
    Some(match ident(value)?.as_str() {
        "i32" => "I32",
        "i64" => "I64",
        "u32" => "U32",
        "u64" => "U64",
        "f32" => "F32",
        "f64" => "F64",
        _ => return None,
    })
}

fn borrowed(value: &Type) -> Option<KindName> {
    let Type::Reference(reference) = value else { return None };
    match &*reference.elem {
        _ if reference.mutability.is_some() => None,
        Type::Slice(slice) => ident(&slice.elem).filter(|name| name == "u8").map(|_| "Bytes"),
        other => ident(other).filter(|name| name == "str").map(|_| "Text"),
    }
}

fn ident(value: &Type) -> Option<String> {
    let Type::Path(path) = value else { return None };
    path.path.get_ident().map(ToString::to_string)
}

#[cfg(test)]
mod tests;
