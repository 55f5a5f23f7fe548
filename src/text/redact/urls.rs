//! Hides what a URL and an HTTP header may carry in secret, without knowing the secrets.
//!
//! For the messages of other programs, such as the kubelet: the query of a signed URL, a user name with a password, and the values
//! of parameters and headers that authenticate.

/// The replacement of a secret.
const REDACTED: &str = "[redacted]";
/// Parameters whose value is a secret wherever it occurs, in lower case.
const PARAMETERS: [&str; 9] = [
    "sig",
    "signature",
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "password",
    "secret",
    "client_secret",
];
/// Authentication schemes that a credential follows, in lower case.
const SCHEMES: [&str; 2] = ["bearer", "basic"];
/// Shorter words after a scheme are ordinary ones, such as "authentication".
const SHORTEST_CREDENTIAL: usize = 16;

/// Returns a text without the secrets that its URLs, parameters and headers may carry.
#[must_use]
pub fn without_secrets_of_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_after_scheme = false;
    for piece in text.split_inclusive(is_boundary) {
        let word = piece.trim_end_matches(is_boundary);
        let boundary = &piece[word.len()..];
        if is_after_scheme && is_credential(word) {
            shown.push_str(REDACTED);
        } else {
            shown.push_str(&hidden(word));
        }
        shown.push_str(boundary);
        if !word.is_empty() {
            let scheme = word.trim_end_matches(':').rsplit([':', '=']).next().unwrap_or(word);
            is_after_scheme = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        }
    }
    shown
}

fn is_boundary(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>')
}

fn is_credential(word: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=._-~,;:)".contains(&byte);
    word.len() >= SHORTEST_CREDENTIAL && word.bytes().all(is_of_it)
}

/// Hides the secrets in a word, which may be a URL.
fn hidden(word: &str) -> String {
    let word = without_userinfo(word);
    // Everything after the first question mark: a parser that disagrees about its end must not reveal a part.
    if let Some((before, query)) = word.split_once('?')
        && query.contains(['=', '%'])
    {
        return format!("{}?{REDACTED}", without_values(before));
    }
    without_values(&word)
}

fn without_userinfo(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    // A password may contain a slash. In `app:1@sha256:…` a digest follows, not a host.
    let end = rest.find('?').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) if rest[..at].contains(':') && !rest[at..].starts_with("@sha256:") => {
            format!("{scheme}://{REDACTED}{}", &rest[at..])
        }
        Some(_) | None => word.to_owned(),
    }
}

/// Hides the value of `name=value` and `name:value` for the names that authenticate.
fn without_values(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let mut found: Vec<usize> = Vec::new();
    for name in PARAMETERS {
        for (start, _) in lower.match_indices(name) {
            let is_start = is_end_of_separator(&lower[..start]);
            let rest = &lower[start + name.len()..];
            let separator = ["=", ":", "%3d"].into_iter().find(|separator| rest.starts_with(separator));
            if let Some(separator) = separator.filter(|_| is_start) {
                let value = start + name.len() + separator.len();
                if value < word.len() {
                    found.push(value);
                }
            }
        }
    }
    match found.into_iter().min() {
        Some(value) => format!("{}{REDACTED}", &word[..value]),
        None => word.to_owned(),
    }
}

/// Whether a name may start after this text: after a separator, raw, percent-encoded, or escaped as in JSON.
fn is_end_of_separator(before: &str) -> bool {
    let is_encoded = before.len() >= 3
        && before.as_bytes()[before.len() - 3] == b'%'
        && before.bytes().rev().take(2).all(|byte| byte.is_ascii_hexdigit());
    is_encoded || before.ends_with("u0026") || !before.ends_with(|last: char| last.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::without_secrets_of_urls;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_hidden_and_ordinary_text_is_kept() {
        for (text, shown) in [
            ("dial tcp 10.60.4.4:443: i/o timeout", "dial tcp 10.60.4.4:443: i/o timeout"),
            ("image \"contoso.azurecr.io/app:1@sha256:0\"", "image \"contoso.azurecr.io/app:1@sha256:0\""),
            ("Get \"https://x/y?sig=abc&se=1\": EOF", "Get \"https://x/y?[redacted]\": EOF"),
            ("Get \\\"https://x/y?a=1\\u0026sig=abc\\\": EOF", "Get \\\"https://x/y?[redacted]\": EOF"),
            ("https://x/y%3Fsv=1%26sig%3Dabc", "https://x/y%3Fsv=1%26sig%3D[redacted]"),
            ("x\\u0026sig=abc", "x\\u0026sig=[redacted]"),
            ("sig=abc", "sig=[redacted]"),
            ("design=abc why? yes", "design=abc why? yes"),
            ("https://user:hun/ter2@contoso.azurecr.io/v2/", "https://[redacted]@contoso.azurecr.io/v2/"),
            ("Authorization: Bearer abcdefghijklmnop+/=", "Authorization: Bearer [redacted]"),
            ("Authorization: Basic dXNlcjpodW50ZXIyaHVudGVy, x", "Authorization: Basic [redacted] x"),
            (
                "Bearer realm=\"https://x/oauth2/token\",service=\"x\"",
                "Bearer realm=\"https://x/oauth2/token\",service=\"x\"",
            ),
            ("password:hunter2", "password:[redacted]"),
        ] {
            assert_eq!(without_secrets_of_urls(text), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_query_survives(host in "[a-z]{1,10}", query in "[a-z]{1,5}=[A-Za-z0-9%&=+/?]{1,40}") {
            let shown = without_secrets_of_urls(&format!("Get https://{host}/x?{query} failed"));
            prop_assert_eq!(shown, format!("Get https://{host}/x?[redacted] failed"));
        }
    }
}
