//! What is promised, and that each test which is named beside it exists.

use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The promises of the document, each as one line.
fn promises() -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/guarantees.md")).unwrap();
    let mut promises: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        match line.strip_prefix("- ") {
            Some(first) => promises.push(first.to_owned()),
            None if within && line.starts_with("  ") => {
                promises.last_mut().unwrap().push_str(line.trim_end());
            }
            None => {}
        }
        within = line.starts_with("- ") || within && line.starts_with("  ");
    }
    promises
}

/// All Rust files of the repository, one after the other.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Whether some function of this name is a test: by its attribute, or by one of
/// the macros that run it for every log or store, or over random input.
fn is_a_test(sources: &str, name: &str) -> bool {
    let alone = sources.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let before: Vec<&str> = sources[..at].lines().rev().take(4).collect();
        let for_every_log = sources[at..].starts_with(&format!("fn {name}(bench: "));
        for_every_log || before.iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    });
    alone || sources.contains(&format!("::{name},"))
}

#[test]
fn every_promise_names_tests_that_exist() {
    let mut text = String::new();
    sources(Path::new(ROOT), &mut text);
    let promises = promises();
    assert!(promises.len() > 30, "{} promises", promises.len());
    for promise in promises {
        assert!(promise.contains("MUST") || promise.contains("SHOULD"), "no promise: {promise}");
        let held = promise.split("Held by ").nth(1).unwrap_or_else(|| panic!("held by nothing: {promise}"));
        let names: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{promise}");
        for name in names {
            assert!(is_a_test(&text, name), "there is no test `{name}`, which is to hold: {promise}");
        }
    }
}
