//! The kubelet's choice of an entry, the forms of an entry, and that no message carries a secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::prelude::*;

use super::{CredentialsError, DockerConfig, Pair};

fn find(text: &str, image: &str) -> Result<Pair, CredentialsError> {
    DockerConfig::parse(text)?.find(&image.parse().expect("an image"))
}

/// The user of the entry that is chosen, where each entry's user is its own key.
fn chosen(keys: &[&str], image: &str) -> Option<String> {
    let auths: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| ((*key).to_owned(), serde_json::json!({"username": key, "password": "hunter2"})))
        .collect();
    let text = serde_json::json!({"auths": auths}).to_string();
    match find(&text, image) {
        Ok(pair) => Some(pair.username),
        Err(CredentialsError::Missing(_)) => None,
        Err(CredentialsError::Invalid(phrase)) => panic!("{phrase}"),
    }
}

#[test]
fn keys_match_as_the_kubelet_matches_them() {
    const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";
    for (key, matches) in [
        ("contoso.azurecr.io", true),
        ("https://contoso.azurecr.io", true),
        ("http://contoso.azurecr.io/", true),
        ("https://contoso.azurecr.io/v1/", true),
        ("contoso.azurecr.io/v2/", true),
        ("contoso.azurecr.io/apps", true),
        ("contoso.azurecr.io/apps/canary", true),
        ("contoso.azurecr.io/app", true),
        ("contoso.azurecr.io/v2/apps", true),
        ("*.azurecr.io", true),
        ("cont*.azurecr.io", true),
        ("contoso.*.io", true),
        ("contoso.azurecr.[i]o", true),
        ("c?ntoso.azurecr.io", false),
        ("contoso.azurecr.io/other", false),
        ("contoso.azurecr.io/v2", false),
        ("contoso.azurecr.io:443", false),
        ("contoso.azurecr.io:5000", false),
        ("*.io", false),
        ("*", false),
        ("*.*.azurecr.io", false),
        ("Contoso.azurecr.io", false),
        ("fabrikam.azurecr.io", false),
        ("contoso.azurecr.[io", false),
        ("ftp://contoso.azurecr.io", false),
        ("", false),
    ] {
        assert_eq!(chosen(&[key], IMAGE).is_some(), matches, "{key}");
    }
    assert!(chosen(&["localhost:5000"], "localhost:5000/app").is_some());
    assert!(chosen(&["localhost"], "localhost:5000/app").is_none());
}

#[test]
fn the_most_specific_key_decides() {
    const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";
    for (keys, expected) in [
        (vec!["*.azurecr.io", "contoso.azurecr.io"], "contoso.azurecr.io"),
        (vec!["contoso.azurecr.io", "contoso.azurecr.io/apps"], "contoso.azurecr.io/apps"),
        (
            vec!["contoso.azurecr.io/apps", "contoso.azurecr.io/apps/canary", "*.azurecr.io/apps/canary"],
            "contoso.azurecr.io/apps/canary",
        ),
        (
            vec!["https://contoso.azurecr.io/apps", "contoso.azurecr.io/other"],
            "https://contoso.azurecr.io/apps",
        ),
    ] {
        assert_eq!(chosen(&keys, IMAGE).as_deref(), Some(expected));
    }
}

#[test]
fn entries_have_two_forms_and_auth_goes_first() {
    let entry =
        |entry: &str| find(&format!(r#"{{"auths": {{"r.io": {entry}}}, "HttpHeaders": {{}}}}"#), "r.io/app");
    for (text, username, password) in [
        (r#"{"username": "u", "password": "p"}"#.to_owned(), "u", "p"),
        (format!(r#"{{"auth": "{}"}}"#, STANDARD.encode("u:p:with:colons")), "u", "p:with:colons"),
        (format!(r#"{{"auth": "{}"}}"#, STANDARD_NO_PAD.encode("us:p")), "us", "p"),
        (format!(r#"{{"auth": "{}\n"}}"#, STANDARD.encode("u:p")), "u", "p"),
        (format!(r#"{{"auth": "{}", "username": "x", "password": "y"}}"#, STANDARD.encode("u:p")), "u", "p"),
        (
            r#"{"username": "u", "password": "p", "identitytoken": "t", "email": "e", "x": 1}"#.to_owned(),
            "u",
            "p",
        ),
    ] {
        let pair = entry(&text).expect(&text);
        assert_eq!((pair.username.as_str(), pair.password.expose()), (username, password), "{text}");
    }
}

#[test]
fn what_is_missing_is_told_with_what_is_there() {
    let phrase = |text: &str| find(text, "contoso.azurecr.io/app").expect_err(text).to_string();
    assert_eq!(phrase("{}"), "it has no entry for contoso.azurecr.io/app; it has no entries at all");
    assert_eq!(
        phrase(r#"{"auths": {"b.io": {}, "a.io": {}}, "credsStore": "desktop"}"#),
        "it has no entry for contoso.azurecr.io/app; its keys are `a.io`, `b.io`; credentials that `credsStore` keeps \
         are not used: neither the kubelet nor this program runs helpers"
    );
    let many: Vec<_> = (10..25).map(|number| format!(r#""r{number}.io": {{}}"#)).collect();
    assert!(phrase(&format!(r#"{{"auths": {{{}}}}}"#, many.join(","))).ends_with("`r19.io` and 5 more"));
    assert!(matches!(
        find(r#"{"auths": {"r.io": {}}, "credHelpers": {"r.io": "x"}}"#, "r.io/app"),
        Err(CredentialsError::Missing(phrase)) if phrase.contains("`r.io` is empty, and credentials that `credHelpers`")
    ));
}

#[test]
fn what_cannot_be_used_is_told_without_its_value() {
    const SECRET: &str = "hunter2hunter2";
    let bare = STANDARD.encode(SECRET);
    let no_password = STANDARD.encode(format!("{SECRET}:"));
    let no_user = STANDARD.encode(format!(":{SECRET}"));
    for (text, expected) in [
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{SECRET}"#), "not JSON (line 1, column "),
        (format!(r#"{{"auths": {{"r.io": {{"auth": {SECRET}}}}}}}"#), "not JSON (line 1, column "),
        (format!("\u{feff}{{\"a\": \"{SECRET}\"}}"), "byte order mark"),
        (format!(r#""{SECRET}""#), "no object with the key"),
        (format!(r#"{{"auths": "{SECRET}"}}"#), "its `auths` is no object"),
        (format!(r#"{{"auths": {{"r.io": "{SECRET}"}}}}"#), "its entry `r.io` is no object"),
        (
            format!(r#"{{"auths": {{"r.io": {{"password": ["{SECRET}"]}}}}}}"#),
            "`password` of its entry `r.io` is no text",
        ),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{SECRET}!"}}}}}}"#), "not the base64 of USER:PASSWORD"),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{bare}"}}}}}}"#), "not the base64 of USER:PASSWORD"),
        (format!(r#"{{"auths": {{"other.io": {{"auth": "{bare}"}}}}}}"#), "`auth` of its entry `other.io`"),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{no_password}"}}}}}}"#), "an empty password"),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{no_user}"}}}}}}"#), "an empty user name"),
        (
            format!(r#"{{"auths": {{"r.io": {{"username": "", "password": "{SECRET}"}}}}}}"#),
            "an empty user name",
        ),
        (format!(r#"{{"auths": {{"r.io": {{"username": "{SECRET}"}}}}}}"#), "an empty password"),
        (
            format!(r#"{{"auths": {{"r.io": {{"auth": "{no_password}", "identitytoken": "{SECRET}"}}}}}}"#),
            "only an `identitytoken`, as `az acr login` writes it",
        ),
        (format!(r#"{{"auths": {{"u:{SECRET}@r.io": "x"}}}}"#), "its entry `[redacted]@r.io` is no object"),
        (format!("{}\"{SECRET}\"", "[".repeat(100_000)), "not JSON (line 1, column 128)"),
    ] {
        let error = find(&text, "r.io/app").expect_err(expected);
        assert!(matches!(error, CredentialsError::Invalid(_)), "{error}");
        let phrase = error.to_string();
        assert!(phrase.contains(expected), "{phrase}");
        for secret in [SECRET, &bare, &no_password, &no_user] {
            assert!(!phrase.contains(secret), "{phrase}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = find(&text, "r.io/app");
    }

    #[test]
    fn no_key_and_no_auth_make_it_panic(key in any::<String>(), auth in any::<String>()) {
        let text = serde_json::json!({"auths": {key: {"auth": auth, "username": "u", "password": "p"}}}).to_string();
        let _ = find(&text, "r.io/app");
    }

    #[test]
    fn any_password_comes_back_as_it_was(username in "[^:]{1,20}", password in ".{1,40}") {
        let auth = STANDARD.encode(format!("{username}:{password}"));
        let pair = find(&format!(r#"{{"auths": {{"r.io": {{"auth": "{auth}"}}}}}}"#), "r.io/app").expect("an entry");
        prop_assert_eq!((pair.username, pair.password.expose()), (username, password.as_str()));
    }
}
