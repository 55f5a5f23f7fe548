//! Quotes user input in messages.
//!
//! Owns the one function that makes untrusted text fit to stand between quotation marks: bounded, without terminal control
//! characters, and without the password of a `USER:PASSWORD@HOST`.

/// Maximum number of quoted characters, so that a message stays readable for any input.
const MAX_SHOWN: usize = 120;

/// Quotes a string between backticks, safe for terminals and logs.
#[must_use]
pub fn quote(text: &str) -> String {
    enclose(text, '`')
}

/// A value that the operator wrote, between double quotes, as clap and kubectl show one.
#[must_use]
pub fn quote_value(text: &str) -> String {
    enclose(text, '"')
}

/// A value that the operator wrote, as it stands between the single quotes that clap puts around one.
#[must_use]
pub fn inside_quotes(text: &str) -> String {
    escape(text, '\'')
}

fn enclose(text: &str, mark: char) -> String {
    format!("{mark}{}{mark}", escape(text, mark))
}

fn escape(text: &str, mark: char) -> String {
    let (hidden, shown) = match userinfo_end(text) {
        Some(end) => ("[redacted]@", &text[end..]),
        None => ("", text),
    };
    let mut quoted = hidden.to_owned();
    for (count, character) in shown.chars().enumerate() {
        if count == MAX_SHOWN {
            quoted.push('…');
            break;
        }
        match character {
            // `escape_debug` is used for unprintable characters; it would also escape these three.
            '"' | '\'' | '\\' if character != mark => quoted.push(character),
            other => quoted.extend(other.escape_debug()),
        }
    }
    quoted
}

/// The end of a leading `USER:PASSWORD@`, with or without a scheme before it.
fn userinfo_end(text: &str) -> Option<usize> {
    let start = text.find("://").map_or(0, |scheme| scheme + "://".len());
    // Search beyond the first slash: a password may contain one, such as ACR's base64 passwords.
    let rest = &text[start..];
    // In `app:1@sha256:…` a digest follows, not a host.
    let end = rest.rfind("@sha256:").unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    rest[..at].contains(':').then_some(start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::{inside_quotes, quote, quote_value};
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_unchanged_and_control_characters_and_passwords_are_hidden() {
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
        assert_eq!(quote_value("say \"a\" `b`\n"), "\"say \\\"a\\\" `b`\\n\"");
        assert_eq!(quote_value("user:hunter2@contoso.azurecr.io"), "\"[redacted]@contoso.azurecr.io\"");
        assert_eq!(inside_quotes("it's \"C:\\x\"\u{1b}[31m"), "it\\'s \"C:\\x\"\\u{1b}[31m");
        assert_eq!(inside_quotes("user:hunter2@contoso.azurecr.io"), "[redacted]@contoso.azurecr.io");
    }

    proptest! {
        #[test]
        fn quoted_text_is_bounded_and_free_of_control_characters(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert!(!quoted.chars().any(char::is_control));
            prop_assert!(quoted.len() <= 120 * 10 + 20);
        }
    }
}
