//! How a text that somebody typed is shown in a message.
//!
//! Owns the one function that puts foreign text between backticks: bounded, without characters that a terminal would
//! obey, and without the password of a `USER:PASSWORD@HOST`. What the message says is its caller's.

/// Characters shown of one text; a message must stay readable whatever was typed.
const MAX_SHOWN: usize = 120;

/// The text between backticks, fit for a terminal and a log.
#[must_use]
pub fn quote(text: &str) -> String {
    let (hidden, shown) = match userinfo_end(text) {
        Some(end) => ("[redacted]@", &text[end..]),
        None => ("", text),
    };
    let mut quoted = format!("`{hidden}");
    for (count, character) in shown.chars().enumerate() {
        if count == MAX_SHOWN {
            quoted.push('…');
            break;
        }
        match character {
            // `escape_debug` is after unprintable characters; these three it would escape for Rust's sake.
            '"' | '\'' | '\\' => quoted.push(character),
            other => quoted.extend(other.escape_debug()),
        }
    }
    quoted.push('`');
    quoted
}

/// Where a leading `USER:PASSWORD@` ends, with or without a scheme before it.
fn userinfo_end(text: &str) -> Option<usize> {
    let start = text.find("://").map_or(0, |scheme| scheme + "://".len());
    // Not only up to the first slash: a password may have one, such as those of ACR, which are base64.
    let rest = &text[start..];
    // `app:1@sha256:…` has a digest there, not a host.
    let end = rest.rfind("@sha256:").unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    rest[..at].contains(':').then_some(start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::quote;
    use proptest::prelude::*;

    #[test]
    fn shows_plain_text_as_it_is_and_nothing_that_a_terminal_obeys() {
        for (text, shown) in [
            ("contoso.azurecr.io/app:1", "`contoso.azurecr.io/app:1`"),
            ("", "``"),
            ("it's \"C:\\x\"", "`it's \"C:\\x\"`"),
            ("a\nb\u{1b}[31m", "`a\\nb\\u{1b}[31m`"),
            ("\u{202e}gpj", "`\\u{202e}gpj`"),
            ("grün", "`grün`"),
            ("app:1@sha256:0", "`app:1@sha256:0`"),
            ("user:hunter2@contoso.azurecr.io/app", "`[redacted]@contoso.azurecr.io/app`"),
            ("https://user:hunter2@contoso.azurecr.io/app", "`[redacted]@contoso.azurecr.io/app`"),
            ("user:hun/ter2@contoso.azurecr.io/app", "`[redacted]@contoso.azurecr.io/app`"),
            (
                "user:hun@ter/2@contoso.azurecr.io/app@sha256:0",
                "`[redacted]@contoso.azurecr.io/app@sha256:0`",
            ),
            ("contoso.azurecr.io/app:1@sha256:0", "`contoso.azurecr.io/app:1@sha256:0`"),
        ] {
            assert_eq!(quote(text), shown);
        }
        assert_eq!(quote(&"x".repeat(500)), format!("`{}…`", "x".repeat(120)));
    }

    proptest! {
        #[test]
        fn is_bounded_and_free_of_control_characters(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert!(!quoted.chars().any(char::is_control));
            prop_assert!(quoted.len() <= 120 * 10 + 20);
        }
    }
}
