//! Foreign text on a page: no markup, and no character that makes a reader see
//! another text than there is. The API gives texts as they are.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

/// Escapes HTML, and writes out control characters and those that change the
/// direction of text: `⟨U+202E⟩`. <https://www.unicode.org/reports/tr36/> has why.
#[derive(Clone, Copy)]
pub struct Page;

impl Escaper for Page {
    fn write_escaped_str<W: Write>(&self, mut to: W, text: &str) -> fmt::Result {
        // Nearly no text holds one of them.
        let mut rest = text;
        while let Some((at, deceptive)) = rest.char_indices().find(|(_, c)| deceives(*c)) {
            Html.write_escaped_str(&mut to, &rest[..at])?;
            write!(to, "⟨U+{:04X}⟩", deceptive as u32)?;
            rest = &rest[at + deceptive.len_utf8()..];
        }
        Html.write_escaped_str(to, rest)
    }
}

/// Whether a character is not seen and changes what is.
fn deceives(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        // Marks, embeddings, overrides and isolates of direction; joiners stay, which scripts need.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        Page.write_escaped_str(&mut shown, text).unwrap();
        shown
    }

    #[test]
    fn characters_that_turn_text_round_are_written_out_and_markup_is_none() {
        assert_eq!(shown("pay\u{202e}<gpj>\u{2069}"), "pay⟨U+202E⟩&#60;gpj&#62;⟨U+2069⟩");
        assert_eq!(shown("\u{0}\u{85}\u{200f}a\u{61c}"), "⟨U+0000⟩⟨U+0085⟩⟨U+200F⟩a⟨U+061C⟩");
        let plain = "שלום, Zürich\u{200d} – “50 %”\tline\nline";
        assert_eq!(shown(plain), plain);
    }
}
