//! Source text without comments and literals.

/// `text` with a blank for each comment and an empty text for each literal; line ends stay. C, C++,
/// Go and Rust alike, as far as names go.
pub fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' || first == '`' || is_character(rest) {
            code += "\"\"";
            literal(rest, first)
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().filter(|character| *character == '\n'));
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

/// A quote that does not begin a Rust lifetime.
fn is_character(rest: &str) -> bool {
    rest.starts_with('\'') && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\''))
}

/// The length of the literal that `rest` begins with.
fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if !escaped && character == quote {
            return at + quote.len_utf8();
        }
        escaped = !escaped && character == '\\' && quote != '`';
    }
    rest.len()
}

/// Whether `word` occurs in `text` as a whole identifier.
pub fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}

/// Identifiers, numbers and single signs; `::` is one.
pub fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        let is_word = next.is_alphanumeric() || next == '_';
        let length = if rest.starts_with("::") { 2 } else { next.len_utf8() };
        if in_word && is_word {
            tokens.last_mut().expect("a word has begun").push(next);
        } else if !next.is_whitespace() {
            tokens.push(rest[..length].to_owned());
        }
        in_word = is_word;
        rest = &rest[length..];
    }
    tokens
}

/// A header line by line.
pub struct Lines(String);

impl Lines {
    pub fn new(text: &str) -> Self {
        Self(code(&text.replace("\\\n", " ")))
    }

    /// The rest without the preprocessor's lines, and the names that those define.
    pub fn without_preprocessor(&self) -> (String, Vec<String>) {
        let (mut rest, mut defined) = (String::new(), Vec::new());
        for line in self.0.lines() {
            match line.trim_start().strip_prefix('#') {
                Some(directive) => {
                    let words = tokens(directive);
                    if words.first().is_some_and(|word| word == "define") {
                        defined.extend(words.get(1).cloned());
                    }
                }
                None => rest = rest + line + "\n",
            }
        }
        (rest, defined)
    }
}
