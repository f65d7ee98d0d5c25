//! The rows of `docs/parity.md`.

use crate::read;
use crate::reference::VERSIONS;

/// One row; the cells as they stand.
pub struct Row {
    pub line: usize,
    /// The first word of the heading it is under: a class, or what belongs to the module.
    pub group: String,
    /// The signatures it names, each with its version; without one it is that of the heading, else all.
    pub signatures: Vec<(&'static str, String)>,
    pub reference: String,
    pub c: String,
    pub cpp: String,
    pub go: String,
    pub proof: String,
}

pub fn rows() -> Vec<Row> {
    let (mut rows, mut group, mut versions) = (Vec::new(), String::new(), Vec::new());
    for (index, line) in read("docs/parity.md").lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            group = heading.split([' ', ':']).next().expect("a word").to_owned();
            versions = versions_in(heading).collect();
        }
        if !line.starts_with('|') || line.starts_with("|---") || line.starts_with("| reference |") {
            continue;
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [reference, c, cpp, go, _difference, proof] = &cells[..] else {
            panic!("line {}: {} columns instead of 6", index + 1, cells.len());
        };
        rows.push(Row {
            line: index + 1,
            group: group.clone(),
            signatures: signatures(reference, &versions),
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

/// What a cell has in code type.
pub fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
