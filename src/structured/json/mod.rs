//! JSON as RFC 8259 defines it and nothing more, read in one pass, without a tree, without
//! recursion, without loss.
//!
//! Numbers keep their digits; objects keep the order and the number of their members. `serde_json`
//! decodes strings, and refuses lone surrogates and bad escapes. (A `serde_json::Value` would not
//! work: it drops repeated members, and with arbitrary precision it takes an object with one
//! particular key for a number.)

use std::borrow::Cow;
use std::fmt;

/// The most arrays and objects within each other, as in `serde_json` and others with a limit.
pub const MAX_DEPTH: usize = 127;

/// Why bytes are not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub what: &'static str,
    /// The byte at which it was noticed.
    pub at: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.what, self.at)
    }
}

/// A piece of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in its own digits.
    Number(&'a str),
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// The name of the member whose value follows, decoded.
    Name(Cow<'a, str>),
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
}

/// Appends `text` to `out` without spaces between tokens and with the shortest spelling of its
/// strings. `out` keeps its content, also if the text is refused.
pub fn compact(text: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    let start = out.len();
    let mut reader = Reader::new(text)?;
    let mut writer = Writer::new(out);
    loop {
        match reader.next() {
            Ok(Some(event)) => writer.write(&event),
            Ok(None) => return Ok(()),
            Err(refused) => {
                out.truncate(start);
                return Err(refused);
            }
        }
    }
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    CommaOrEnd,
    Nothing,
}

/// Reads a text piece by piece.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// For each open array or object, whether it is an object.
    open: Vec<bool>,
    expect: Expect,
}

impl<'a> Reader<'a> {
    /// A reader of one JSON text, which is UTF-8 without a byte order mark.
    pub fn new(text: &'a [u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(text)
            .map_err(|error| Refused { what: "not UTF-8", at: error.valid_up_to() })?;
        Ok(Self { text, at: 0, open: Vec::new(), expect: Expect::Value })
    }

    /// The next piece, or nothing at the end of the text.
    #[allow(clippy::should_implement_trait)] // An iterator would go on after an error.
    pub fn next(&mut self) -> Result<Option<Event<'a>>, Refused> {
        self.skip_space();
        if self.expect == Expect::CommaOrEnd && self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
            self.expect = if self.in_object() { Expect::Name } else { Expect::Value };
        }
        let Some(byte) = self.peek() else {
            return if self.expect == Expect::Nothing {
                Ok(None)
            } else {
                Err(self.refuse("the text ends early"))
            };
        };
        let event = match (self.expect, byte) {
            (Expect::Nothing, _) => return Err(self.refuse("something follows the value")),
            (Expect::ValueOrEnd | Expect::CommaOrEnd, b']') if !self.in_object() => self.end(Event::ArrayEnd),
            (Expect::NameOrEnd | Expect::CommaOrEnd, b'}') if self.in_object() => self.end(Event::ObjectEnd),
            (Expect::Name | Expect::NameOrEnd, b'"') => self.name()?,
            (Expect::Name | Expect::NameOrEnd, _) => return Err(self.refuse("a member name is missing")),
            (Expect::CommaOrEnd, _) => return Err(self.refuse("a comma or an end is missing")),
            (Expect::Value | Expect::ValueOrEnd, _) => self.value(byte)?,
        };
        Ok(Some(event))
    }

    /// The byte up to which the text was read.
    pub fn at(&self) -> usize {
        self.at
    }

    fn value(&mut self, byte: u8) -> Result<Event<'a>, Refused> {
        let event = match byte {
            b'[' => return self.begin(Event::ArrayStart, false),
            b'{' => return self.begin(Event::ObjectStart, true),
            b'"' => Event::Text(self.string()?),
            b'-' | b'0'..=b'9' => Event::Number(self.number()?),
            b't' => self.word("true", Event::Bool(true))?,
            b'f' => self.word("false", Event::Bool(false))?,
            b'n' => self.word("null", Event::Null)?,
            _ => return Err(self.refuse("a value is missing")),
        };
        self.value_is_over();
        Ok(event)
    }

    fn begin(&mut self, event: Event<'a>, object: bool) -> Result<Event<'a>, Refused> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.refuse("too many arrays and objects within each other"));
        }
        self.at += 1;
        self.open.push(object);
        self.expect = if object { Expect::NameOrEnd } else { Expect::ValueOrEnd };
        Ok(event)
    }

    fn end(&mut self, event: Event<'a>) -> Event<'a> {
        self.at += 1;
        self.open.pop();
        self.value_is_over();
        event
    }

    fn value_is_over(&mut self) {
        self.expect = if self.open.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn name(&mut self) -> Result<Event<'a>, Refused> {
        let name = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.refuse("a colon is missing"));
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Event::Name(name))
    }

    fn word(&mut self, word: &str, event: Event<'a>) -> Result<Event<'a>, Refused> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.refuse("a value is missing"));
        }
        self.at += word.len();
        Ok(event)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Refused> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                None => return Err(self.refuse("a string does not end")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(0..=0x1f) => return Err(Refused { what: "a control character in a string", at: end }),
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        if !escaped {
            return Ok(Cow::Borrowed(&self.text[start + 1..end]));
        }
        serde_json::from_str(&self.text[start..=end])
            .map(Cow::Owned)
            .map_err(|_| Refused { what: "a bad escape in a string", at: start })
    }

    /// RFC 8259 section 6: `-`, an integer without leading zeroes, a fraction, an exponent.
    fn number(&mut self) -> Result<&'a str, Refused> {
        let start = self.at;
        self.skip_one(b"-");
        if !self.skip_one(b"0") {
            self.digits()?;
        }
        if self.skip_one(b".") {
            self.digits()?;
        }
        if self.skip_one(b"eE") {
            self.skip_one(b"+-");
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.refuse("a number begins with 0"));
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.refuse("a digit is missing")) } else { Ok(()) }
    }

    fn skip_one(&mut self, any_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn in_object(&self) -> bool {
        self.open.last() == Some(&true)
    }

    fn refuse(&self, what: &'static str) -> Refused {
        Refused { what, at: self.at }
    }
}

/// Writes compact JSON.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { start: out.len(), out }
    }

    /// Writes one piece, with a comma before it if it needs one.
    pub fn write(&mut self, event: &Event<'_>) {
        let ends = matches!(event, Event::ArrayEnd | Event::ObjectEnd);
        // No value ends with one of these three bytes, so the last byte shows whether a value has
        // just ended.
        let after_value = self.out[self.start..].last().is_some_and(|last| !b"[{:".contains(last));
        if after_value && !ends {
            self.out.push(b',');
        }
        match event {
            Event::Null => self.out.extend_from_slice(b"null"),
            Event::Bool(true) => self.out.extend_from_slice(b"true"),
            Event::Bool(false) => self.out.extend_from_slice(b"false"),
            Event::Number(digits) => self.out.extend_from_slice(digits.as_bytes()),
            Event::Text(text) => self.string(text),
            Event::Name(name) => {
                self.string(name);
                self.out.push(b':');
            }
            Event::ArrayStart => self.out.push(b'['),
            Event::ArrayEnd => self.out.push(b']'),
            Event::ObjectStart => self.out.push(b'{'),
            Event::ObjectEnd => self.out.push(b'}'),
        }
    }

    fn string(&mut self, text: &str) {
        // Writing to a vector cannot fail, and neither can serializing a string.
        let _ = serde_json::to_writer(&mut *self.out, text);
    }
}

#[cfg(test)]
pub(in crate::structured) mod tests;
