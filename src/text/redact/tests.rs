//! No form of a secret survives in any context, and the search is linear in the text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::{MAX_BOUNDED, MAX_SECRETS, MAX_SHOWN, Redactor, bounded};
use crate::secret::Secret;

#[test]
fn every_occurrence_is_redacted() {
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new("hunter2".to_owned()));
    redactor.hide(&Secret::new("a".to_owned()));
    assert_eq!(redactor.take_out("hunter2 and hunter2, a bat"), "[redacted] and [redacted], a bat");
}

#[test]
fn url_and_base64_forms_of_a_secret_are_redacted() {
    let mut redactor = Redactor::default();
    redactor.hide_encoded(&Secret::new("p+ss w/rd=é".to_owned()));
    redactor.hide(&Secret::new("rd=é and more".to_owned()));
    for (text, shown) in [
        ("a p+ss w/rd=é!", "a [redacted]!"),
        ("a p%2Bss%20w%2frd%3D%C3%A9!", "a [redacted]!"),
        ("a p+ss+w/rd=é!", "a [redacted]!"),
        ("https://P+SS W/RD=é.example", "https://[redacted].example"),
        ("p+ss w/rd=é and more", "[redacted]"),
        ("cCtzcyB3L3JkPcOp and CCTZCYB3L3JKPCOP", "[redacted] and [redacted]"),
        ("p+ss w/rd=è 100% %zz %C3 %", "p+ss w/rd=è 100% %zz %C3 %"),
    ] {
        assert_eq!(redactor.take_out(text), shown);
        assert_eq!(redactor.finds(text), text != shown);
    }
}

/// A signed URL contains escapes, and a peer may escape any of their characters again.
#[test]
fn a_secret_with_escapes_is_redacted_however_it_is_escaped_again() {
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new("a%2Bb%2Fc%3D".to_owned()));
    for text in
        ["a%2Bb%2Fc%3D", "a%252Bb%252Fc%253D", "%61%252Bb%252Fc%253D", "a%2Bb%252fc%3D", "a%2%42b%2Fc%253%44"]
    {
        assert_eq!(redactor.take_out(text), "[redacted]", "{text}");
    }
}

/// Characters of one to four bytes, and those of base64 and URLs.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![4 => prop::sample::select(vec!['a', 'B', '7', '+', '/', '=', '-', '%', ' ', ':', 'é', '€', '🔑']),
        1 => any::<char>()]
}

fn word(lengths: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(character(), lengths).prop_map(String::from_iter)
}

/// Percent-encodes the characters selected by the pattern, with upper-case or lower-case digits.
fn percent(text: &str, pattern: u64) -> String {
    let encoded = text.chars().enumerate().map(|(index, character)| {
        let bits = pattern.rotate_right(u32::try_from(index % 64).expect("below 64"));
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).bytes();
        match bits & 3 {
            0 => character.to_string(),
            1 => bytes.map(|byte| format!("%{byte:02x}")).collect(),
            _ => bytes.map(|byte| format!("%{byte:02X}")).collect(),
        }
    });
    encoded.collect()
}

#[test]
fn text_is_sanitized_before_the_search() {
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new("pass word-and...'so'".to_owned()));
    redactor.hide(&Secret::new("in\u{200b}visible\tsecret".to_owned()));
    redactor.hide(&Secret::new("???!".to_owned()));
    for (text, shown) in [
        ("pass word-and...'so'", "[redacted]"),
        ("a pa\u{200b}ss\tword\u{2014}and\u{2026}\u{2019}so\u{2018} b", "a [redacted] b"),
        ("pass\u{a0}wo\u{1b}[31mrd-a\u{fe0f}nd...'so'", "[redacted]"),
        // In ASCII, the end of one character and the start of another can form a secret.
        ("\u{2192}pass word\u{2013}and\u{2026}'so'", "\u{2192}[redacted]"),
        ("invisible secret in%E2%80%8Bvisible%09secret", "[redacted] [redacted]"),
        ("\u{e9}\u{e9}?!", "[redacted]"),
        ("tab\tand line\nand end \n", "tab and line and end"),
    ] {
        assert_eq!(redactor.show(text), shown, "{text:?}");
        assert_eq!(redactor.finds(text), shown.contains("[redacted]"), "{text:?}");
    }
}

#[test]
fn the_rest_of_a_long_secret_is_hidden_after_its_start() {
    let token = format!("{}.{}", "eyJhbGci".repeat(100), "sig-".repeat(20));
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new(token.clone()));
    redactor.hide(&Secret::new(format!("{} with spaces", "w".repeat(80))));
    assert_eq!(redactor.show(&format!("the token {token} is refused")), "the token [redacted] is refused");
    assert_eq!(
        redactor.show(&format!("the token {}... is refused", &token[..70])),
        "the token [redacted] is refused"
    );
    assert_eq!(redactor.show(&format!("{}%20with%20spaces", "w".repeat(80))), "[redacted]");
    assert_eq!(redactor.show(&"w".repeat(63)), "w".repeat(63));
}

#[test]
fn cutting_leaves_no_start_of_a_secret() {
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new("hunter2-hunter3-hunter4".to_owned()));
    let token = "t".repeat(1_000);
    redactor.hide(&Secret::new(token.clone()));
    // Redaction shortens the text: the last secret would be shown, although its end is beyond the bound.
    let words = format!("{token} {token} {token} ");
    for spaces in (MAX_BOUNDED - 40 - words.len()..MAX_BOUNDED - words.len()).chain(200..MAX_SHOWN) {
        for filler in [" ", "\u{200b}", "\u{1b}[0m"] {
            let text = format!("{words}{}hunter2-hunter3-hunter4", filler.repeat(spaces));
            let shown = redactor.show(&text);
            assert!(!shown.contains("hunt"), "{spaces}: {shown}");
        }
    }
}

#[test]
fn nothing_is_shown_if_there_are_too_many_secrets() {
    let mut redactor = Redactor::default();
    for number in 0..MAX_SECRETS {
        redactor.hide(&Secret::new(format!("secret{number:04}")));
        redactor.hide(&Secret::new(format!("secret{number:04}")));
    }
    assert_eq!(redactor.show("one secret0001 and more"), "one [redacted] and more");
    redactor.hide(&Secret::new("one more".to_owned()));
    assert_eq!(redactor.show("nothing of it"), "[redacted]");
    assert_eq!(redactor.show(""), "");
}

/// Secrets and texts of one letter, of percent signs, and of both: many interpretations begin or end at each position. The time
/// limit is generous, since the algorithm itself is the limit; a naive search takes minutes.
#[test]
fn the_search_is_linear_in_the_text() {
    let started = std::time::Instant::now();
    for unit in ["a", "%", "%25", "%2525", "%61a", "+ ", "\u{e9}?"] {
        let mut redactor = Redactor::default();
        for length in (1..MAX_SECRETS).map(|number| number * 700 / unit.len()) {
            redactor.hide(&Secret::new(unit.repeat(length)));
        }
        redactor.hide_encoded(&Secret::new(format!("{}b", unit.repeat(20))));
        let text = unit.repeat(500_000);
        assert!(redactor.show(&text).len() <= MAX_SHOWN);
        assert!(redactor.redact(&text).len() <= MAX_BOUNDED);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn no_form_of_a_secret_survives_in_any_context(
        secret in word(4..40),
        other in word(4..40),
        (before, after) in (word(0..20), word(0..20)),
        pattern in any::<u64>(),
        overlap in 0_usize..40,
    ) {
        let mut redactor = Redactor::default();
        redactor.hide_encoded(&Secret::new(other.clone()));
        redactor.hide_encoded(&Secret::new(secret.clone()));
        let forms = [
            secret.clone(),
            secret.to_ascii_lowercase(),
            STANDARD.encode(&secret),
            URL_SAFE.encode(&secret),
            percent(&secret, pattern),
            percent(&STANDARD.encode(&secret), pattern),
        ];
        for form in forms {
            let shown = redactor.take_out(&format!("{before}{form}{after}"));
            prop_assert!(shown.contains("[redacted]"), "{}", shown);
            // The text around it may have been part of an occurrence, and base64 padding reveals nothing.
            let left = shown.replace("[redacted]", "");
            prop_assert!(left.len() <= before.len() + "%3D%3D".len() + after.len(), "{}", shown);
        }
        // Two that overlap: no part of either remains.
        let start: String = other.chars().take(overlap).collect();
        let both = format!("{start}{secret}");
        let mut overlapping = Redactor::default();
        overlapping.hide(&Secret::new(format!("{start}{}", secret.chars().next().expect("four at least"))));
        overlapping.hide(&Secret::new(secret));
        let shown = overlapping.take_out(&both);
        prop_assert!(shown == "[redacted]" || shown == format!("{start}[redacted]"), "{}", shown);
    }

    #[test]
    fn text_without_a_secret_is_unchanged(secret in "[a-z]{4,20}", text in "[0-9%+ é€🔑]{0,80}") {
        let mut redactor = Redactor::default();
        redactor.hide(&Secret::new(secret));
        prop_assert_eq!(redactor.take_out(&text), text);
    }

    #[test]
    fn shown_text_is_bounded_and_visible(text in any::<String>(), letters in 0_usize..5_000) {
        let mut redactor = Redactor::default();
        redactor.hide(&Secret::new("hunter2".to_owned()));
        let text = format!("{}{text}hunter2", "x".repeat(letters));
        let kept = bounded(&text);
        prop_assert!(kept.len() <= MAX_BOUNDED && bounded(&kept) == kept);
        let shown = redactor.show(&text);
        prop_assert!(shown.chars().count() <= MAX_SHOWN && !shown.chars().any(char::is_control));
        prop_assert!(!shown.contains("hunter"), "{}", shown);
    }
}
