//! `docs/parity.md` names only what exists.

use std::fs;
use std::path::{Path, PathBuf};

/// The columns of a row after the reference's.
struct Row {
    line: usize,
    reference: String,
    c: String,
    cpp: String,
    go: String,
    proof: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, line) in read("docs/parity.md").lines().enumerate() {
        if !line.starts_with('|') || line.starts_with("|---") || line.starts_with("| reference |") {
            continue;
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [reference, c, cpp, go, _difference, proof] = &cells[..] else {
            panic!("line {}: {} columns instead of 6", index + 1, cells.len());
        };
        rows.push(Row {
            line: index + 1,
            reference: reference.clone(),
            c: c.clone(),
            cpp: cpp.clone(),
            go: go.clone(),
            proof: proof.clone(),
        });
    }
    assert!(rows.len() > 80, "only {} rows were found", rows.len());
    rows
}

/// What a cell has in code type.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether `word` occurs as a whole identifier.
fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}

/// The source of all files below `folder` with this extension.
fn sources(folder: &str, extension: &str) -> String {
    let mut pending: Vec<PathBuf> = vec![root().join(folder)];
    let mut all = String::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder can be listed");
            pending.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            all += &fs::read_to_string(&path).expect("a source can be read");
        }
    }
    all
}

#[test]
fn every_c_name_is_in_the_header() {
    let header = read("include/wtgram.h");
    for row in rows() {
        assert!(!row.c.is_empty(), "line {}: {} has no C name", row.line, row.reference);
        for name in names(&row.c) {
            // A function is declared, a field or type is there; a comment that mentions it does not count.
            let declared =
                header.lines().any(|line| !line.trim_start().starts_with("//") && has_word(line, name));
            assert!(declared, "line {}: {name} is not in the header", row.line);
        }
    }
}

#[test]
fn every_cpp_and_go_name_is_in_its_binding() {
    let (cpp, go) = (sources("bindings/cpp/include", "hpp"), sources("bindings/go", "go"));
    for row in rows() {
        for (cell, source) in [(&row.cpp, &cpp), (&row.go, &go)] {
            for name in names(cell) {
                let last = name.rsplit(['.', ':']).next().unwrap_or(name);
                assert!(has_word(source, last), "line {}: {name} is in no binding", row.line);
            }
        }
    }
}

#[test]
fn every_row_that_is_not_planned_names_a_test_that_exists() {
    for row in rows() {
        let planned = row.c.starts_with("planned");
        assert!(planned || !row.proof.is_empty(), "line {}: nothing proves {}", row.line, row.reference);
        for proof in names(&row.proof) {
            let (file, function) =
                proof.split_once("::").map_or((proof, None), |(file, name)| (file, Some(name)));
            let source = read(file);
            if let Some(function) = function {
                let rust = format!("fn {function}(");
                let c = format!("void {function}(");
                assert!(
                    source.contains(&rust) || source.contains(&c),
                    "line {}: {proof} does not exist",
                    row.line
                );
            }
        }
    }
}

#[test]
fn every_exported_function_of_the_transport_is_in_a_row_or_belongs_to_one() {
    // Initializers belong to their structs, which rows name by their functions.
    let text = read("docs/parity.md");
    let header = read("include/wtgram.h");
    let functions = header.split(|character: char| !(character.is_alphanumeric() || character == '_'));
    for name in functions.filter(|name| name.starts_with("wtgram_transport_") && !name.ends_with("_init")) {
        let is_type = matches!(name, "wtgram_transport_options" | "wtgram_transport_statistics");
        assert!(is_type || has_word(&text, name), "{name} is in no row");
    }
}
