//! The rows of `parity.toml`, and the page that is generated from them.

use std::fmt::Write;

use toml::{Table, Value};

use super::read;
use super::reference::VERSIONS;

/// An item of the reference and its counterpart here.
pub struct Row {
    /// The first word of its heading: a class, or what belongs to the module.
    pub group: String,
    /// The signatures it names, each with its version; without one it is that of the heading, else all.
    pub signatures: Vec<(&'static str, String)>,
    pub reference: String,
    pub c: Vec<String>,
    pub cpp: Vec<String>,
    pub go: Vec<String>,
    pub difference: String,
    pub proof: Vec<String>,
}

impl Row {
    /// The text to search for in `parity.toml`.
    pub fn place(&self) -> String {
        format!("{}: {}", self.group, self.reference)
    }
}

struct Group {
    heading: String,
    text: String,
    rows: Vec<Row>,
}

fn text(table: &Table, key: &str) -> String {
    table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(table: &Table, key: &str) -> Vec<String> {
    let values =
        table.get(key).and_then(Value::as_array).unwrap_or_else(|| panic!("{key} is missing: {table:?}"));
    values.iter().map(|value| value.as_str().expect("a list of names").to_owned()).collect()
}

fn tables<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    let values = table.get(key).and_then(Value::as_array).into_iter().flatten();
    values.map(|value| value.as_table().expect("a list of tables"))
}

fn data() -> Table {
    read("tests/rust/generated/parity/parity.toml").parse().expect("parity.toml can be read")
}

fn groups() -> Vec<Group> {
    let data = data();
    let groups = tables(&data, "group").map(|group| {
        let heading = text(group, "heading");
        let rows = tables(group, "row").map(|row| read_row(row, &heading)).collect();
        Group { text: text(group, "text"), heading, rows }
    });
    groups.collect()
}

fn read_row(row: &Table, heading: &str) -> Row {
    let reference = text(row, "reference");
    let versions: Vec<_> = versions_in(heading).collect();
    Row {
        group: heading.split([' ', ':']).next().expect("a word").to_owned(),
        signatures: signatures(&reference, &versions),
        reference,
        c: list(row, "c"),
        cpp: list(row, "cpp"),
        go: list(row, "go"),
        difference: text(row, "difference"),
        proof: list(row, "proof"),
    }
}

pub fn rows() -> Vec<Row> {
    let rows: Vec<_> = groups().into_iter().flat_map(|group| group.rows).collect();
    assert!(rows.len() > 80, "only {} rows were found", rows.len());
    rows
}

/// The page `docs/parity.md`.
pub fn page() -> String {
    let mut page = format!("# Parity with pywebtransport's datagrams\n\n{}", text(&data(), "intro"));
    for Group { heading, text, rows } in groups() {
        let _ = write!(page, "\n## {heading}\n\n");
        if !text.is_empty() {
            let _ = writeln!(page, "{text}");
        }
        if rows.is_empty() {
            continue;
        }
        page.push_str(
            "| reference | C | C++ | Go | difference, and why | proved by |\n|---|---|---|---|---|---|\n",
        );
        for row in rows {
            let [c, cpp, go, proof] = [&row.c, &row.cpp, &row.go, &row.proof].map(|names| cell(names));
            let _ =
                writeln!(page, "| {} | {c} | {cpp} | {go} | {} | {proof} |", row.reference, row.difference);
        }
    }
    page
}

fn cell(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn versions_in(text: &str) -> impl Iterator<Item = &'static str> {
    VERSIONS.into_iter().filter(move |version| text.contains(version))
}

fn signatures(reference: &str, of_heading: &[&'static str]) -> Vec<(&'static str, String)> {
    let mut signatures = Vec::new();
    let mut parts = reference.split('`');
    while let Some(before) = parts.next() {
        let Some(signature) = parts.next() else { break };
        let mut versions: Vec<_> = versions_in(before).collect();
        if versions.is_empty() {
            versions = of_heading.to_vec();
        }
        if versions.is_empty() {
            versions = VERSIONS.to_vec();
        }
        signatures.extend(versions.into_iter().map(|version| (version, signature.to_owned())));
    }
    signatures
}
