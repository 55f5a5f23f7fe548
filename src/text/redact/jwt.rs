//! Finds JSON Web Tokens by their form, whatever their issuer.
//!
//! The secrets of one check are known only when they are issued, but a peer can return a token that an earlier check sent it.
//! All tokens of Entra ID and of ACR are JWTs (RFC 7519): `eyJ`, which starts an encoded `{"`, and dots between the parts. A
//! refresh token also travels in Basic authentication, behind a constant user name.

/// The beginning of a header, in lower case.
const START: &[u8] = b"eyj";
/// The beginning of Basic authentication with a refresh token: 36 characters of the zero GUID in base64, in lower case.
const BASIC: &[u8] = b"mdawmdawmdatmdawmc0wmdawltawmdatmdawmdawmdawmdaw";
/// Shorter texts are no token: the smallest header and claims have more.
const SHORTEST: usize = 40;

/// Marks the bytes of each token; DNS names may be in lower case.
pub(super) fn mark(text: &[u8], hidden: &mut [bool]) {
    let mut at = 0;
    while at + SHORTEST <= text.len() {
        let starts =
            |with: &[u8]| text[at..].get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let is_basic = starts(BASIC);
        if !is_basic && !starts(START) {
            at += 1;
            continue;
        }
        let is_part = |byte: u8| is_of_token(byte) || (is_basic && matches!(byte, b'+' | b'/'));
        let length = text[at..].iter().take_while(|byte| is_part(**byte)).count();
        let token = &text[at..at + length];
        if is_basic || (length >= SHORTEST && token.contains(&b'.')) {
            hidden[at..at + length].fill(true);
        }
        at += length;
    }
}

/// The characters of base64url (RFC 4648, section 5), and the dot.
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=')
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::text::redact::Redactor;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0aWQiOiI3MmY5ODhiZiJ9.c2lnbmF0dXJl";

    #[test]
    fn a_token_is_hidden_even_if_it_is_not_known() {
        let redactor = Redactor::default();
        for (text, shown) in [
            (format!("invalid token {TOKEN}, expired"), "invalid token [redacted], expired".to_owned()),
            (format!("{}.azurecr.io", TOKEN.to_lowercase()), "[redacted]".to_owned()),
            (format!("?access_token={TOKEN}&x=1"), "?access_token=[redacted]&x=1".to_owned()),
            (
                format!("Basic {}", STANDARD.encode(format!("00000000-0000-0000-0000-000000000000:{TOKEN}"))),
                "Basic [redacted]".to_owned(),
            ),
            ("eyJhbGciOiJSUzI1NiJ9".to_owned(), "eyJhbGciOiJSUzI1NiJ9".to_owned()),
            ("the journey.of a key".to_owned(), "the journey.of a key".to_owned()),
        ] {
            assert_eq!(redactor.show(&text), shown);
        }
    }
}
