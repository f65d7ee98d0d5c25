//! JSON datagrams: which text is accepted, and in which form it is sent.
//!
//! It is strict in both directions (RFC 8259): UTF-8, no NaN or Infinity, no lone surrogates,
//! nothing after the value, at most 127 levels. It is sent without insignificant white space, like
//! the reference's (`separators=(",", ":")`). Everything else is kept, including digits of numbers
//! and the order of members.

use serde_json::Value;

use crate::error::{Error, Result};

/// Longer text is refused unread: no datagram can hold it, unless most of it is white space.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Checks JSON text and removes its insignificant white space.
///
/// [`Error::Serialization`] says what is wrong and where; [`Error::TooLarge`] means more than
/// [`MAX_TEXT_BYTES`].
pub fn compact(text: &[u8]) -> Result<String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::TooLarge { size: text.len(), limit: MAX_TEXT_BYTES });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| Error::Serialization(format!("not UTF-8 from byte {} on", error.valid_up_to())))?;
    // The parser limits nesting, so that hostile text cannot use up the stack.
    let _: Value = serde_json::from_str(text).map_err(|error| Error::Serialization(error.to_string()))?;
    Ok(without_white_space(text))
}

/// Removes insignificant white space from text that is known to be JSON.
fn without_white_space(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            (in_string, escaped) = (escaped || character != '"', !escaped && character == '\\');
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        compact.push(character);
    }
    compact
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: impl AsRef<[u8]>) -> String {
        match compact(text.as_ref()) {
            Err(Error::Serialization(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn white_space_goes_and_everything_else_stays_as_it_was() {
        let text = " {\r\n\t\"a b\" : [ 1.10 , -0, 1e400, 123456789012345678901234567890 ] ,\"a b\":\" \\\" \\\\\" } ";
        assert_eq!(
            compact(text.as_bytes()).unwrap(),
            "{\"a b\":[1.10,-0,1e400,123456789012345678901234567890],\"a b\":\" \\\" \\\\\"}"
        );
        for text in ["null", "true", "0", "\"\"", "[]", "{}", "\"\\ud83d\\ude00 ü\""] {
            assert_eq!(compact(text.as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn what_a_strict_parser_refuses_is_refused_with_its_place() {
        for text in [
            "NaN",
            "[1,NaN]",
            "Infinity",
            "-Infinity",
            "[1,]",
            "{\"a\":1,}",
            "'a'",
            "01",
            "+1",
            "1.",
            ".5",
            "",
            "   ",
            "[1] x",
            "{a:1}",
            "\"\t\"",
            "\"\\x\"",
            "// c\n1",
            "\u{feff}1",
            "tru",
            "[",
            "\"",
            "{\"a\"}",
        ] {
            let why = refusal(text);
            assert!(why.contains("line 1 column") || why.contains("line 2 column"), "{text}: {why}");
        }
        assert!(refusal("[1,\n 2 3]").contains("line 2 column 4"), "{}", refusal("[1,\n 2 3]"));
    }

    #[test]
    fn lone_surrogates_are_refused() {
        for text in ["\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800x\"", "{\"\\udfff\":1}"] {
            assert!(refusal(text).contains("column"), "{text}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused_with_its_place() {
        assert_eq!(refusal(b"\"ab\xff\""), "not UTF-8 from byte 3 on");
        // A surrogate encoded as if it were a character.
        assert_eq!(refusal(b"\"\xed\xa0\x80\""), "not UTF-8 from byte 1 on");
    }

    #[test]
    fn nesting_of_a_hundred_thousand_levels_is_refused_without_using_up_the_stack() {
        for open in ["[", "{\"a\":"] {
            let why = refusal(open.repeat(100_000));
            assert!(why.contains("recursion limit"), "{why}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(compact(nested(127).as_bytes()).is_ok());
        assert!(refusal(nested(128)).contains("recursion limit"));
    }

    #[test]
    fn a_text_of_more_than_a_mebibyte_is_too_large() {
        let text = vec![b' '; MAX_TEXT_BYTES + 1];
        assert_eq!(compact(&text), Err(Error::TooLarge { size: MAX_TEXT_BYTES + 1, limit: MAX_TEXT_BYTES }));
    }
}
