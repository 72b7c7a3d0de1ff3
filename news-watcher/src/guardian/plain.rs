//! Plain text of what may hold markup.

/// The longest name of an entity with its `&` and `;`: `&CounterClockwiseContourIntegral;`.
const LONGEST_ENTITY: usize = 33;

/// `text` without tags and comments, with entities decoded once and white space
/// collapsed, in one pass. What only looks like markup (`5 < 6`, `AT&T`) stays.
///
/// Entities are those of HTML with their `;`, by name or number. One that is written
/// twice over (`&amp;eacute;`) is decoded to the entity that it names, as a browser
/// does; one that stands for no character or for a control character stays as it is.
pub(crate) fn plain(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    // Where the end of a tag or a comment is nowhere, it is looked for only once.
    let (mut tags_end, mut comments_end) = (true, true);
    while let Some(at) = rest.find('<') {
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        if comments_end && let Some(comment) = rest.strip_prefix("<!--") {
            match comment.split_once("-->") {
                Some((_, after)) => {
                    rest = after;
                    continue;
                }
                None => comments_end = false,
            }
        }
        match if tags_end { tag(rest) } else { Tag::No } {
            Tag::Ends { breaks, after } => {
                if breaks {
                    words.push(' ');
                }
                rest = after;
            }
            other => {
                tags_end &= !matches!(other, Tag::NeverEnds);
                words.push('<');
                rest = &rest[1..];
            }
        }
    }
    words.push_str(rest);
    decoded(&words).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a text that begins with `<` begins with.
enum Tag<'a> {
    /// A tag; whether it breaks the line, and what comes after it.
    Ends { breaks: bool, after: &'a str },
    /// The beginning of a tag, and no end of any in what follows.
    NeverEnds,
    /// No tag.
    No,
}

fn tag(text: &str) -> Tag<'_> {
    let inner = &text[1..];
    let name = inner.strip_prefix('/').unwrap_or(inner);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return Tag::No;
    }
    let Some((inside, after)) = name.split_once('>') else { return Tag::NeverEnds };
    let name = inside.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let breaks = ["br", "p", "li", "div"].iter().any(|known| name.eq_ignore_ascii_case(known));
    Tag::Ends { breaks, after }
}

fn decoded(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = entity(rest);
        match entity.and_then(|entity| Some((characters(entity)?, entity.len()))) {
            Some((characters, length)) => {
                words.push_str(&characters);
                rest = &rest[length..];
            }
            None => {
                words.push('&');
                rest = &rest[1..];
            }
        }
    }
    words.push_str(rest);
    words
}

/// What a text that begins with `&` begins with, if it may be an entity.
fn entity(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let length = 1 + bytes[1..].iter().take(LONGEST_ENTITY).take_while(|byte| is_inside(byte)).count();
    (bytes.get(length) == Some(&b';')).then(|| &text[..=length])
}

/// What an entity stands for.
fn characters(entity: &str) -> Option<std::borrow::Cow<'_, str>> {
    let characters = htmlize::unescape(entity);
    let stands_for_none = |c: char| c.is_control() && !c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
    (characters != entity && !characters.contains(stands_for_none)).then_some(characters)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn markup_goes_and_what_only_looks_like_it_stays() {
        for (text, said) in [
            ("<strong>Apple</strong> soars", "Apple soars"),
            ("Profits&nbsp;&amp; losses &#8211; &#x2014; day", "Profits & losses – — day"),
            ("one<br/>two <p class=\"a\">three</p>", "one two three"),
            ("5 < 6 and AT&T, R&D; cut <em", "5 < 6 and AT&T, R&D; cut <em"),
            ("a&lt;script&gt;", "a<script>"),
            ("  wide \n gap ", "wide gap"),
            ("é<b>ü</b>&é;", "éü&é;"),
            ("a <!-- 5 > 4 --> b<!-- c", "a b<!-- c"),
            ("<P>one<LI>two</LI><img alt='3'>", "one two"),
        ] {
            assert_eq!(plain(text), said, "{text}");
        }
    }

    #[test]
    fn entities_of_every_kind_are_decoded_once() {
        for (text, said) in [
            ("Nestl&eacute; raises prices", "Nestlé raises prices"),
            ("Profits up 5&frac12;% at P&amp;G&trade; and M&amp;S&reg;", "Profits up 5½% at P&G™ and M&S®"),
            ("1,000&deg; &times; 3 &cent; &Auml;&szlig;&Ccaron;&Lstrok;", "1,000° × 3 ¢ ÄßČŁ"),
            ("&CounterClockwiseContourIntegral;&NotEqualTilde;&hairsp;x&Tab;y", "∳≂̸ x y"),
            ("&#233;&#xE9;&#XE9;&#x1F4C8; &#146;&#150;", "ééé📈 ’–"),
            (
                "AT&T, R&D;, &copy 2024, &unknown; &; &#; &#x; &#xZZ;",
                "AT&T, R&D;, &copy 2024, &unknown; &; &#; &#x; &#xZZ;",
            ),
            ("&amp;eacute; &amp;amp; &#38;lt;", "&eacute; &amp; &lt;"),
            (
                "&#0;&#7;&#1114112;&#xD800;&#99999999999999999999;",
                "&#0;&#7;&#1114112;&#xD800;&#99999999999999999999;",
            ),
        ] {
            assert_eq!(plain(text), said, "{text}");
        }
    }

    #[test]
    fn a_text_of_megabytes_takes_one_pass_whatever_it_holds() {
        // Quadratic work on any of these would take hours.
        for piece in [
            "<a",
            "<",
            "</",
            "<!--",
            "<!-- >",
            "&",
            "&#",
            "&amp",
            "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "<a>&lt;",
        ] {
            let text = piece.repeat((8 << 20) / piece.len());
            assert!(plain(&text).len() <= text.len(), "{piece}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_markup_does_any_harm(text in "(\\PC|[<>/!&;#xb-]|&[a-z]{1,6};|<!--|-->){0,60}") {
            let said = plain(&text);
            assert!(said.len() <= 2 * text.len() && !said.contains("  "), "{said}");
        }
    }
}
