//! `docs/parity.md` has a row for everything that the reference documents. Its rows name only
//! things that exist and tests that run.

mod cpp;
mod go;
mod proofs;
mod reference;
mod rows;
mod source;

use std::fs;
use std::path::Path;

use proofs::{Language, Proof};
use reference::items;
use rows::{Row, page, rows};
use source::{code, has_word};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of the files of `folder` with these endings.
fn sources(folder: &str, is_source: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder can be listed");
    let files = entries.map(|entry| entry.expect("an entry can be read").path());
    let texts = files
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_source))
        .map(|path| fs::read_to_string(path).expect("a source can be read"));
    let texts: Vec<_> = texts.collect();
    assert!(!texts.is_empty(), "{folder} has no sources");
    texts
}

/// Fails with a list of all problems.
fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// One line for each name in a column that `is_declared` does not find.
fn undeclared(column: fn(&Row) -> &Vec<String>, is_declared: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for row in rows() {
        for name in column(&row).iter().filter(|name| !is_declared(name)) {
            faults.push(format!("{}: {name} is not declared", row.place()));
        }
    }
    faults
}

#[test]
fn the_checked_in_page_is_current() {
    let (path, made) = (root().join("docs/parity.md"), page());
    if std::env::var_os("WTGRAM_BLESS").is_some() {
        fs::write(&path, made).expect("the page can be written");
        return;
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == made, "docs/parity.md is stale: run `make header`");
}

#[test]
fn everything_that_the_reference_documents_has_a_row() {
    let rows = rows();
    let has_row = |item: &reference::Item| {
        let signature = (item.version, item.signature.clone());
        rows.iter().any(|row| row.group == item.group && row.signatures.contains(&signature))
    };
    let missing = items().into_iter().filter(|item| !has_row(item));
    report(&missing.map(|item| format!("no row: {item:?}")).collect::<Vec<_>>());
}

#[test]
fn every_signature_of_a_row_is_documented_by_the_reference() {
    let items = items();
    let mut faults = Vec::new();
    for row in rows() {
        for (version, signature) in &row.signatures {
            let is_this = |item: &reference::Item| {
                (item.version, &item.group) == (*version, &row.group)
                    && (item.signature == *signature || item.parameters.contains(signature))
            };
            if !items.iter().any(is_this) {
                faults.push(format!("{}: {version} documents no {signature}", row.place()));
            }
        }
    }
    report(&faults);
}

#[test]
fn every_c_name_is_declared_in_the_header() {
    let header = cpp::Declarations::read(&[read("include/wtgram.h")]);
    let is_declared = |name: &str| {
        name.split_once('.').map_or_else(|| header.has("", name), |(scope, field)| header.has(scope, field))
    };
    report(&undeclared(|row| &row.c, is_declared));
}

#[test]
fn every_cpp_name_is_declared_for_all_in_its_class_or_in_the_namespace() {
    let mut headers = sources("bindings/cpp/include/wtgram", |name| name.ends_with(".hpp"));
    headers.push(read("include/wtgram.h"));
    let declared = cpp::Declarations::read(&headers);
    let is_declared = |name: &str| {
        let (scope, last) = name
            .rsplit_once("::")
            .map_or(("wtgram".to_owned(), name), |(class, last)| (format!("wtgram::{class}"), last));
        declared.has(&scope, last)
    };
    report(&undeclared(|row| &row.cpp, is_declared));
}

#[test]
fn every_go_name_is_declared_on_its_type_or_in_the_package() {
    let is_source = |name: &str| name.ends_with(".go") && !name.ends_with("_test.go");
    let declared = go::Declarations::read(&sources("bindings/go", is_source));
    report(&undeclared(|row| &row.go, |name| declared.has(name)));
}

#[test]
fn every_row_has_a_test_that_exists_in_each_language_that_it_claims() {
    let mut faults = Vec::new();
    for row in rows() {
        let proofs: Vec<_> = row.proof.iter().map(|name| (name, Proof::read(name))).collect();
        for (name, _) in proofs.iter().filter(|(_, proof)| !proof.exists()) {
            faults.push(format!("{}: {name} does not exist", row.place()));
        }
        if proofs.is_empty() {
            faults.push(format!("{}: no test", row.place()));
        }
        for (names, language) in [(&row.c, Language::C), (&row.cpp, Language::Cpp), (&row.go, Language::Go)] {
            for name in names {
                let last = name.rsplit(['.', ':']).next().unwrap_or(name);
                if !proofs.iter().any(|(_, proof)| proof.language == language && proof.uses(last)) {
                    faults.push(format!("{}: no {language:?} test that is named uses {name}", row.place()));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn every_exported_function_of_the_transport_is_in_a_row_or_belongs_to_one() {
    // Initializers belong to their structs. Rows name those.
    let text = read("docs/parity.md");
    let header = code(&read("include/wtgram.h"));
    let functions = header.split(|character: char| !(character.is_alphanumeric() || character == '_'));
    for name in functions.filter(|name| {
        name.starts_with("wtgram_transport_") && !name.ends_with("_init") && !name.ends_with("_init_sized")
    }) {
        let is_type = matches!(name, "wtgram_transport_options" | "wtgram_transport_stats");
        assert!(is_type || has_word(&text, name), "{name} is in no row");
    }
}
