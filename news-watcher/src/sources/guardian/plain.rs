//! Plain text of what may hold markup.

/// `text` without tags, with entities decoded and white space collapsed. What
/// only looks like markup (`5 < 6`, `AT&T`) stays.
pub(crate) fn plain(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag(rest) {
            Some((name, after)) => {
                if matches!(name.as_str(), "br" | "p" | "li" | "div") {
                    words.push(' ');
                }
                rest = after;
            }
            None => {
                words.push('<');
                rest = &rest[1..];
            }
        }
    }
    words.push_str(rest);
    decoded(&words).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of the tag that `text` begins with, and what comes after the tag.
fn tag(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('<')?;
    let name = inner.strip_prefix('/').unwrap_or(inner);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    let end = inner.find('>')?;
    let name = name.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    Some((name.to_ascii_lowercase(), &inner[end + 1..]))
}

fn decoded(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        words.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The longest name and the largest number have less than ten characters.
        let end = rest.char_indices().take(10).find(|(_, c)| *c == ';').map(|(end, _)| end);
        match end.and_then(|end| Some((character(&rest[..end])?, end))) {
            Some((character, end)) => {
                words.push(character);
                rest = &rest[end + 1..];
            }
            None => words.push('&'),
        }
    }
    words.push_str(rest);
    words
}

fn character(entity: &str) -> Option<char> {
    if let Some(number) = entity.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|character| !character.is_control());
    }
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "hellip" => '…',
        "pound" => '£',
        "euro" => '€',
        _ => return None,
    })
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
            ("&#0;&#1114112;", "&#0;&#1114112;"),
        ] {
            assert_eq!(plain(text), said, "{text}");
        }
    }
}
