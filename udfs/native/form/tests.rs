//! Tests of which files are accepted as UDFs, and of the messages for others.

use super::{Definition, FormError, read};

fn file(function: &str) -> String {
    format!("//! A measure.\n\nuse arroyo_udf_plugin::udf;\n\n#[udf]\n{function}\n")
}

fn accepted(function: &str) -> Definition {
    read("f", &file(function)).unwrap()
}

fn refused(function: &str) -> String {
    read("f", &file(function)).unwrap_err().to_string()
}

fn kinds(definition: &Definition) -> Vec<(&str, &str, bool)> {
    definition.arguments.iter().map(|a| (a.name.as_str(), a.kind, a.nullable)).collect()
}

#[test]
fn an_aggregate_takes_vectors() {
    let definition = accepted("pub fn f(at: Vec<i64>, price: Vec<Option<f64>>) -> Option<f64> { None }");
    assert!(definition.aggregate);
    assert_eq!(kinds(&definition), [("at", "I64", false), ("price", "F64", true)]);
    assert_eq!(definition.returns, "F64");
}

#[test]
fn a_scalar_takes_values_text_and_bytes() {
    let definition =
        accepted("fn f(a: u32, b: Option<f32>, c: &str, d: Option<&[u8]>) -> String { c.into() }");
    assert!(!definition.aggregate);
    assert_eq!(
        kinds(&definition),
        [("a", "U32", false), ("b", "F32", true), ("c", "Text", false), ("d", "Bytes", true)]
    );
    assert_eq!(definition.returns, "Text");
    assert_eq!(accepted("fn f(a: i32) -> Option<Vec<u8>> { None }").returns, "Bytes");
}

#[test]
fn the_native_text_keeps_its_line_numbers() {
    let text = file("pub fn f(a: i32) -> i32 {\n    a\n}");
    let native = accepted("pub fn f(a: i32) -> i32 {\n    a\n}").native;
    assert_eq!(native.lines().count(), text.lines().count());
    for (native, original) in native.lines().zip(text.lines()) {
        assert!(native == original || (native.is_empty() && original.contains("udf")));
    }
}

#[test]
fn the_attribute_stands_on_the_one_function_that_sql_calls() {
    assert_eq!(accepted("pub fn f(a: i32) -> i32 { g(a) }\nfn g(a: i32) -> i32 { a }").arguments.len(), 1);
    let reason = refused("struct F;\npub fn f(a: i32) -> i32 { a }");
    assert!(reason.contains("0 functions with the attribute #[udf]"), "{reason}");
}

#[test]
fn the_attribute_and_its_import_stand_once_each() {
    let reason =
        read("f", "use arroyo_udf_plugin::udf;\npub fn f(a: i32) -> i32 { a }").unwrap_err().to_string();
    assert!(reason.contains("0 lines `#[udf]`"), "{reason}");
    let reason = read("f", "#[udf]\npub fn f(a: i32) -> i32 { a }").unwrap_err().to_string();
    assert!(reason.contains("0 lines `use arroyo_udf_plugin::udf;`"), "{reason}");
    let reason = refused("#[udf]\npub fn f(a: i32) -> i32 { a }");
    assert!(reason.contains("2 lines `#[udf]`"), "{reason}");
}

#[test]
fn the_function_has_the_name_of_the_file() {
    let reason = refused("pub fn g(a: i32) -> i32 { a }");
    assert!(reason.contains("named `g`") && reason.contains("name it `f`"), "{reason}");
}

#[test]
fn a_function_that_arroyo_cannot_call_is_refused() {
    for (function, said) in [
        ("pub async fn f(a: i32) -> i32 { a }", "async"),
        ("pub unsafe fn f(a: i32) -> i32 { a }", "unsafe"),
        ("pub fn f<T>(a: i32) -> i32 { a }", "generic"),
        ("pub fn f() -> i32 { 1 }", "no argument"),
        ("pub fn f((a, b): (i32, i32)) -> i32 { a }", "argument 1 has a pattern"),
        ("pub fn f(a: i32, x: usize) -> i32 { a }", "argument `x`"),
        ("pub fn f(x: String) -> i32 { 1 }", "argument `x`"),
        ("pub fn f(x: Vec<&str>) -> i32 { 1 }", "argument `x`"),
        ("pub fn f(a: Vec<i64>, b: i64) -> i64 { b }", "in all arguments or in none"),
        ("pub fn f(a: i32) { }", "returns"),
        ("pub fn f(a: i32) -> Result<i32, String> { Ok(a) }", "returns"),
    ] {
        let reason = refused(function);
        assert!(reason.contains(said), "{function}: {reason}");
    }
}

#[test]
fn what_is_not_rust_is_refused() {
    assert!(matches!(read("f", "pub fn f(a: i32 -> i32 { a }"), Err(FormError::NotRust(_))));
}
