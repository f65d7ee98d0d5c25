//! Text for people: errors, details, log lines. It may contain bytes of a peer.

use std::fmt::{self, Write};

/// Returns `text` with invisible characters escaped: control characters, which can forge lines and
/// control terminals, and marks that change the direction of text. Text that was escaped once does
/// not change again.
pub fn readable(text: impl AsRef<str>) -> String {
    let mut escaped = String::new();
    // Writing to a String cannot fail.
    let _ = Readable(&mut escaped).write_str(text.as_ref());
    escaped
}

/// The longest beginning of `text` that has at most `bytes` bytes.
pub fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Writes text to a string the way [`readable`] does.
pub struct Readable<'a>(pub &'a mut String);

impl Write for Readable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_control() || breaks_or_turns(character) {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

/// Whether the character ends a line or has the Unicode property `Bidi_Control`.
fn breaks_or_turns(character: char) -> bool {
    matches!(
        character,
        '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_forge_lines_drive_a_terminal_or_turn_text_is_escaped_once() {
        let text = readable(
            "a\r\nb\0\u{1b}[31m\u{85}\u{2028}\u{202e}\u{2066}\u{2069}\u{200f}\u{61c} ü 日本 שלום \\n",
        );
        assert_eq!(
            text,
            "a\\r\\nb\\u{0}\\u{1b}[31m\\u{85}\\u{2028}\\u{202e}\\u{2066}\\u{2069}\\u{200f}\\u{61c} ü 日本 שלום \\n"
        );
        assert_eq!(readable(&text), text);
    }

    #[test]
    fn a_beginning_ends_between_two_characters() {
        assert_eq!(
            [0, 1, 2, 3, 4, 9].map(|bytes| beginning("aüb", bytes)),
            ["", "a", "a", "aü", "aüb", "aüb"]
        );
    }
}
