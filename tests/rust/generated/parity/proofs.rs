//! The tests that a row names.

use super::read;
use super::source::{code, has_word};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    Rust,
    C,
    Cpp,
    Go,
}

/// `file::test`, or a file of tests.
pub struct Proof {
    pub language: Language,
    text: String,
    test: Option<String>,
}

impl Proof {
    pub fn read(proof: &str) -> Self {
        let (file, test) = proof.split_once("::").map_or((proof, None), |(file, test)| (file, Some(test)));
        let language = match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("rs") => Language::Rust,
            Some("c") if file.starts_with("tests/c/") => Language::C,
            Some("cpp") if file.starts_with("tests/cpp/") => Language::Cpp,
            Some("go") if file.ends_with("_test.go") => Language::Go,
            _ => panic!("{proof} is no test"),
        };
        Self { language, text: code(&read(file)), test: test.map(str::to_owned) }
    }

    /// Whether its file defines the test as one that runs.
    pub fn exists(&self) -> bool {
        let Some(test) = &self.test else { return true };
        match self.language {
            Language::Rust => self.text.split("#[test]").skip(1).any(|after| {
                let head = after.split('{').next().expect("something follows");
                head.contains(&format!("fn {test}("))
            }),
            // A function that takes part in a program, which somebody calls.
            Language::C => {
                self.text.contains(&format!("void {test}("))
                    && self.text.matches(&format!("{test}(")).count() > 1
            }
            Language::Cpp => {
                let (suite, name) = test.split_once('.').expect("a suite and a name");
                self.text.contains(&format!("TEST({suite}, {name})"))
            }
            Language::Go => {
                (test.starts_with("Test") || test.starts_with("Example"))
                    && self.text.contains(&format!("\nfunc {test}("))
            }
        }
    }

    /// Whether its file uses what is called so.
    pub fn uses(&self, name: &str) -> bool {
        has_word(&self.text, name)
    }
}
