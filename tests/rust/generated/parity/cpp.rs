//! What a C or C++ header declares: enough of a parser to tell a declaration from a comment, a body
//! or a private member.

use std::collections::{HashMap, HashSet};

use super::source::{Lines, tokens};

/// The names that a namespace, class, struct or enum declares for all to see, and what a class inherits from.
#[derive(Default)]
struct Scope {
    names: HashSet<String>,
    bases: Vec<String>,
}

/// Scopes by their whole name, `a::b`; the global one is the empty name.
#[derive(Default)]
pub struct Declarations {
    scopes: HashMap<String, Scope>,
}

impl Declarations {
    pub fn read(headers: &[String]) -> Self {
        let mut all = Self::default();
        for header in headers {
            let (code, defined) = Lines::new(header).without_preprocessor();
            for name in defined {
                all.declare("", &name);
            }
            let tokens = tokens(&code);
            let mut parser = Parser { tokens: &tokens, at: 0, all: &mut all };
            parser.scope("", true);
            assert_eq!(parser.at, tokens.len(), "braces do not match");
        }
        all
    }

    fn declare(&mut self, scope: &str, name: &str) {
        self.scopes.entry(scope.to_owned()).or_default().names.insert(name.to_owned());
    }

    /// Whether `scope` or what it inherits from declares `name`.
    pub fn has(&self, scope: &str, name: &str) -> bool {
        let Some(found) = self.scopes.get(scope) else { return false };
        let namespace = scope.rsplit_once("::").map_or("", |(outer, _)| outer);
        found.names.contains(name)
            || found.bases.iter().any(|base| {
                self.has(&joined(namespace, base), name) || !namespace.is_empty() && self.has(base, name)
            })
    }
}

fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}::{name}") }
}

/// Whether the signs of an operator's name come next.
fn names_an_operator(declaration: &[String]) -> bool {
    declaration.iter().any(|token| token == "operator") && !declaration.iter().any(|token| token == "(")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    all: &'a mut Declarations,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    /// Passes what is between here and the bracket that closes the one just passed.
    fn skip(&mut self, open: &str, close: &str) {
        let mut depth = 1;
        while depth > 0 {
            let token = self.peek().expect("brackets match");
            depth += i32::from(token == open) - i32::from(token == close);
            self.at += 1;
        }
    }

    /// Reads declarations up to the end of the scope, or of the file.
    fn scope(&mut self, scope: &str, mut public: bool) {
        let mut declaration: Vec<String> = Vec::new();
        let mut parentheses = 0;
        while let Some(token) = self.peek().map(str::to_owned) {
            self.at += 1;
            match token.as_str() {
                "}" if parentheses == 0 => return,
                ";" if parentheses == 0 => self.finish(scope, public, &mut declaration),
                "template" => {
                    self.at += 1;
                    self.skip("<", ">");
                }
                "[" if self.peek() == Some("[") => {
                    self.skip("[", "]");
                }
                "public" | "private" | "protected" if self.peek() == Some(":") => {
                    public = token == "public";
                    self.at += 1;
                }
                "=" if parentheses == 0 && !names_an_operator(&declaration) => {
                    self.finish(scope, public, &mut declaration);
                    while self.peek().is_some_and(|token| token != ";") {
                        self.at += 1;
                        if self.tokens[self.at - 1] == "{" {
                            self.skip("{", "}");
                        }
                    }
                }
                "{" if parentheses == 0 => self.block(scope, public, &mut declaration),
                _ => {
                    parentheses += i32::from(token == "(") - i32::from(token == ")");
                    declaration.push(token);
                }
            }
        }
    }

    /// What a brace opens depends on what was before it.
    fn block(&mut self, scope: &str, public: bool, declaration: &mut Vec<String>) {
        let find = |words: &[&str]| declaration.iter().position(|token| words.contains(&token.as_str()));
        let is_function = declaration.iter().any(|token| token == "(");
        if let Some(at) = find(&["namespace"]) {
            let name = declaration[at + 1..].concat();
            declaration.clear();
            self.scope(&joined(scope, &name), true);
        } else if declaration.first().is_some_and(|first| first == "extern") && !is_function {
            declaration.clear();
            self.scope(scope, true);
        } else if let (Some(at), false) = (find(&["enum"]), is_function) {
            let is_own_scope =
                declaration.get(at + 1).is_some_and(|next| matches!(next.as_str(), "class" | "struct"));
            let name = declaration.get(at + 1 + usize::from(is_own_scope)).cloned();
            let name = name.unwrap_or_else(|| self.name_after_block());
            declaration.clear();
            self.enumerators(scope, &name, is_own_scope, public);
        } else if let (Some(at), false) = (find(&["class", "struct", "union"]), is_function) {
            let name = declaration[at + 1..].iter().find(|token| is_name(token)).cloned();
            let name = name.unwrap_or_else(|| self.name_after_block());
            let bases = bases(&declaration[at..]);
            let open = declaration[at] != "class";
            declaration.clear();
            let inner = joined(scope, &name);
            if public {
                self.all.declare(scope, &name);
            }
            self.all.scopes.entry(inner.clone()).or_default().bases.extend(bases);
            self.scope(&inner, open);
        } else {
            self.finish(scope, public, declaration);
            self.skip("{", "}");
        }
    }

    /// The name that a `typedef` gives to the struct or enum whose brace was just passed; empty if there is none.
    fn name_after_block(&self) -> String {
        let mut depth = 1;
        let mut at = self.at;
        while depth > 0 {
            depth += i32::from(self.tokens[at] == "{") - i32::from(self.tokens[at] == "}");
            at += 1;
        }
        self.tokens.get(at).filter(|token| is_name(token)).cloned().unwrap_or_default()
    }

    fn enumerators(&mut self, scope: &str, name: &str, is_own_scope: bool, public: bool) {
        let inner = joined(scope, name);
        let mut first = true;
        loop {
            let token = self.peek().expect("an enum ends").to_owned();
            self.at += 1;
            match token.as_str() {
                "}" => break,
                "," => first = true,
                "(" => self.skip("(", ")"),
                _ if first && is_name(&token) => {
                    first = false;
                    self.all.declare(&inner, &token);
                    if !is_own_scope {
                        self.all.declare(scope, &token);
                    }
                }
                _ => {}
            }
        }
        if public {
            self.all.declare(scope, name);
        }
    }

    fn finish(&mut self, scope: &str, public: bool, declaration: &mut Vec<String>) {
        let tokens = std::mem::take(declaration);
        if public && tokens.first().is_some_and(|first| first != "friend") {
            for name in declared(&tokens) {
                self.all.declare(scope, &name);
            }
        }
    }
}

/// The classes after the colon of a class head.
fn bases(head: &[String]) -> Vec<String> {
    let Some(colon) = head.iter().position(|token| token == ":") else { return Vec::new() };
    let mut depth = 0;
    let mut bases = Vec::new();
    for token in &head[colon + 1..] {
        depth += i32::from(token == "<") - i32::from(token == ">");
        if depth == 0 && is_name(token) && !matches!(token.as_str(), "public" | "private" | "virtual") {
            bases.push(token.clone());
        }
    }
    bases
}

/// The names of a declaration without its body or value: one of a function, one or more of fields.
fn declared(tokens: &[String]) -> Vec<String> {
    const NOT_FUNCTIONS: [&str; 6] =
        ["__attribute__", "static_assert", "decltype", "alignas", "noexcept", "operator"];
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "(" && at > 0 {
            let before = &tokens[at - 1];
            if tokens.get(at + 1).is_some_and(|next| next == "*") {
                return tokens.get(at + 2).cloned().into_iter().collect();
            }
            if is_name(before) && !NOT_FUNCTIONS.contains(&before.as_str()) {
                return vec![before.clone()];
            }
            let mut depth = 1;
            while depth > 0 && at + 1 < tokens.len() {
                at += 1;
                depth += i32::from(tokens[at] == "(") - i32::from(tokens[at] == ")");
            }
        }
        at += 1;
    }
    if tokens.iter().any(|token| token == "(") {
        return Vec::new();
    }
    let mut names = Vec::new();
    let mut angles = 0;
    for (at, token) in tokens.iter().enumerate() {
        angles += i32::from(token == "<") - i32::from(token == ">");
        let ends = tokens.get(at + 1).is_none_or(|next| next == "," || next == "[");
        if angles == 0 && is_name(token) && ends {
            names.push(token.clone());
        }
    }
    names
}
