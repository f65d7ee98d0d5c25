//! What a Go package declares, read from sources as gofmt lays them out.

use std::collections::{HashMap, HashSet};

use super::source::code;

#[derive(Default)]
pub struct Declarations {
    /// Functions, types, constants and variables of the package.
    package: HashSet<String>,
    /// Fields and methods by their type.
    members: HashMap<String, HashSet<String>>,
    /// What a struct embeds.
    embedded: HashMap<String, Vec<String>>,
}

fn identifier(text: &str) -> &str {
    let end = text.find(|character: char| !(character.is_alphanumeric() || character == '_'));
    &text[..end.unwrap_or(text.len())]
}

impl Declarations {
    pub fn read(sources: &[String]) -> Self {
        let mut all = Self::default();
        for source in sources {
            all.file(&code(source));
        }
        all
    }

    fn file(&mut self, code: &str) {
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("func (") {
                let (receiver, rest) = rest.split_once(") ").expect("a receiver ends");
                let name = receiver.rsplit([' ', '*']).next().expect("a type");
                self.member(identifier(name), identifier(rest));
            } else if let Some(rest) = line.strip_prefix("func ") {
                self.package.insert(identifier(rest).to_owned());
            } else if let Some(rest) = line.strip_prefix("type ") {
                let name = identifier(rest);
                self.package.insert(name.to_owned());
                if rest.trim_end().ends_with('{') {
                    let body = lines.by_ref().take_while(|line| *line != "}");
                    body.for_each(|line| self.field(name, line));
                }
            } else if line.starts_with("const (") || line.starts_with("var (") {
                let body = lines.by_ref().take_while(|line| *line != ")");
                body.filter_map(|line| line.strip_prefix('\t')).for_each(|line| {
                    self.package.insert(identifier(line).to_owned());
                });
            } else if let Some(rest) = line.strip_prefix("const ").or_else(|| line.strip_prefix("var ")) {
                self.package.insert(identifier(rest).to_owned());
            }
        }
    }

    fn member(&mut self, name: &str, member: &str) {
        self.members.entry(name.to_owned()).or_default().insert(member.to_owned());
    }

    /// One line of a struct or interface: `A, B type`, an embedded `Type`, or a method.
    fn field(&mut self, name: &str, line: &str) {
        let Some(line) = line.strip_prefix('\t').map(str::trim_end) else { return };
        if !line.contains([' ', '(']) {
            let embedded = line.trim_start_matches('*').to_owned();
            self.embedded.entry(name.to_owned()).or_default().push(embedded);
            return;
        }
        for part in line.split(", ") {
            self.member(name, identifier(part));
            if part.contains(' ') {
                return;
            }
        }
    }

    /// Whether `Type.Member`, or `Name` of the package, is declared and exported.
    pub fn has(&self, name: &str) -> bool {
        let (of, last) = name.split_once('.').map_or((None, name), |(of, last)| (Some(of), last));
        let exported = |name: &str| name.starts_with(char::is_uppercase);
        exported(last)
            && match of {
                None => self.package.contains(last),
                Some(of) => exported(of) && self.has_member(of, last),
            }
    }

    fn has_member(&self, of: &str, member: &str) -> bool {
        self.members.get(of).is_some_and(|members| members.contains(member))
            || self.embedded.get(of).is_some_and(|all| all.iter().any(|one| self.has_member(one, member)))
    }
}
