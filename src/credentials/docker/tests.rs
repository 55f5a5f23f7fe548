//! The kubelet's choice of entries, the forms of an entry, and messages without secrets.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::prelude::*;

use super::{CredentialsError, DockerConfig, Form, Match, Pair};
use crate::observation::CredentialEvidence;

fn find(text: &str, image: &str) -> Result<Vec<Match>, CredentialsError> {
    Ok(DockerConfig::parse(text.as_bytes(), Form::ConfigJson)?.find(&image.parse().expect("an image")))
}

/// The only entry that is found.
fn one(text: &str, image: &str) -> Match {
    let mut found = find(text, image).expect(text);
    assert_eq!(found.len(), 1, "{text}");
    found.remove(0)
}

/// The phrase about a missing entry.
fn absence(text: &str) -> String {
    let image = "contoso.azurecr.io/app".parse().expect("an image");
    let config = DockerConfig::parse(text.as_bytes(), Form::ConfigJson).expect(text);
    assert_eq!(config.find(&image), [], "{text}");
    config.describe_absence(&image)
}

/// The user names of the matching entries in order; each entry's user name is its key.
fn found(keys: &[&str], image: &str) -> Vec<String> {
    let auths: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| ((*key).to_owned(), serde_json::json!({"username": key, "password": "hunter2"})))
        .collect();
    let text = serde_json::json!({"auths": auths}).to_string();
    find(&text, image).expect("a configuration").into_iter().map(|found| found.pair.username).collect()
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
        ("contoso.azurecr.[i]o", false),
        ("con[a-z]oso.azurecr.io", false),
        ("c*t*so.azurecr.io", true),
        ("**.azurecr.io", true),
        ("c*x.azurecr.io", false),
        ("contoso*.azurecr.io", true),
        ("user@contoso.azurecr.io", true),
        ("us er@contoso.azurecr.io", false),
        ("contoso.azurecr.io:", true),
        ("contoso.azurecr.io:4a", false),
        ("contoso.azurecr.io?x", true),
        ("contoso.azurecr.io#x", true),
        ("contoso.azurecr.io#%", false),
        ("contoso.azurecr.io/%61pps", true),
        ("contoso.azurecr.io/apps%23x", true),
        ("contoso.azurecr.io/apps%2523x", false),
        ("contoso.azurecr.io/%zz", false),
        ("%63ontoso.azurecr.io", false),
        ("contoso.azurecr.io\u{7f}", false),
        ("contoso\\.azurecr.io", false),
        ("//contoso.azurecr.io", false),
        ("HTTPS://contoso.azurecr.io", false),
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
        assert_eq!(!found(&[key], IMAGE).is_empty(), matches, "{key}");
    }
    for (key, image, matches) in [
        ("localhost:5000", "localhost:5000/app", true),
        ("localhost", "localhost:5000/app", false),
        ("contoso.azurecr.io:443", "contoso.azurecr.io:443/app", true),
        ("*.azurecr.io:443", "contoso.azurecr.io:443/app", true),
        ("contoso.azurecr.io", "contoso.azurecr.io:443/app", false),
        ("Contoso.azurecr.io", "Contoso.azurecr.io/app", true),
        ("contoso.azurecr.io", "Contoso.azurecr.io/app", false),
        ("https://index.docker.io/v1/", "docker.io/app", true),
        ("https://index.docker.io/v1/", "localhost/app", true),
        ("https://index.docker.io/v1/", "localhost:5000/app", false),
        ("docker.io/library", "docker.io/app", true),
        ("docker.io/app", "docker.io/app", false),
        ("docker.io/apps", "index.docker.io/apps/canary", true),
        ("index.docker.io/apps", "index.docker.io/apps/canary", false),
    ] {
        assert_eq!(!found(&[key], image).is_empty(), matches, "{key} {image}");
    }
}

#[test]
fn matching_keys_are_tried_most_specific_first() {
    const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";
    for (keys, expected) in [
        (vec!["*.azurecr.io", "contoso.azurecr.io"], vec!["contoso.azurecr.io", "*.azurecr.io"]),
        (
            vec!["contoso.azurecr.io", "contoso.azurecr.io/apps"],
            vec!["contoso.azurecr.io/apps", "contoso.azurecr.io"],
        ),
        (
            vec!["contoso.azurecr.io/apps", "contoso.azurecr.io/apps/canary", "*.azurecr.io/apps/canary"],
            vec!["contoso.azurecr.io/apps/canary", "contoso.azurecr.io/apps", "*.azurecr.io/apps/canary"],
        ),
        (
            vec!["https://contoso.azurecr.io/apps", "contoso.azurecr.io/other"],
            vec!["https://contoso.azurecr.io/apps"],
        ),
        (
            vec!["https://contoso.azurecr.io", "contoso.azurecr.io"],
            vec!["https://contoso.azurecr.io", "contoso.azurecr.io"],
        ),
    ] {
        assert_eq!(found(&keys, IMAGE), expected, "{keys:?}");
    }
}

#[test]
fn auth_takes_precedence_over_username_and_password() {
    let entry = |entry: &str| {
        one(&format!(r#"{{"auths": {{"r.io": {entry}}}, "HttpHeaders": {{"a": null}}}}"#), "r.io/app").pair
    };
    for (text, username, password) in [
        (r#"{"username": "u", "password": "p"}"#.to_owned(), "u", "p"),
        (format!(r#"{{"auth": "{}"}}"#, STANDARD.encode("u:p:with:colons")), "u", "p:with:colons"),
        (format!(r#"{{"auth": "{}"}}"#, STANDARD_NO_PAD.encode("us:p")), "us", "p"),
        (format!(r#"{{"auth": "{}\n"}}"#, STANDARD.encode("u:p")), "u", "p"),
        (format!(r#"{{"auth": "{}", "username": "x", "password": "y"}}"#, STANDARD.encode("u:p")), "u", "p"),
        (
            r#"{"username": "u", "password": "p", "identitytoken": 5, "email": "e", "x": 1e999}"#.to_owned(),
            "u",
            "p",
        ),
        (
            r#"{"USERNAME": "x", "Username": "u", "pa\u017fſword": "p", "username": null}"#.to_owned(),
            "u",
            "p",
        ),
        (
            r#"{"username": "\ud800", "password": "\ud83d\ude00\udc00\\u"}"#.to_owned(),
            "\u{fffd}",
            "😀\u{fffd}\\u",
        ),
    ] {
        let pair = entry(&text);
        assert_eq!((pair.username.as_str(), pair.password.expose()), (username, password), "{text}");
    }
}

#[test]
fn a_missing_entry_is_reported_with_the_existing_keys() {
    assert_eq!(absence("{}"), "has no entry for contoso.azurecr.io/app; it has no entries");
    assert_eq!(absence("null"), absence("{}"));
    assert_eq!(
        absence(r#"{"auths": {"b.io": {}, "a.io": {}}, "credsStore": "desktop"}"#),
        "has no entry for contoso.azurecr.io/app; its keys are `a.io` and `b.io`; credentials in `credsStore` are not \
         used: neither the kubelet nor this program runs credential helpers"
    );
    let many: Vec<_> = (10..25).map(|number| format!(r#""r{number}.io": {{}}"#)).collect();
    assert!(absence(&format!(r#"{{"auths": {{{}}}}}"#, many.join(","))).ends_with("`r19.io` and 5 more"));
    for (key, what) in [
        ("contoso.azurecr.io:443", "port"),
        ("*.azurecr.io:443/app", "port"),
        ("Contoso.azurecr.io", "case"),
        ("https://CONTOSO.azurecr.io:443", "port and case"),
    ] {
        let phrase = absence(&format!(r#"{{"auths": {{"{key}": {{}}}}}}"#));
        let expected = format!("`{key}` differs from the image reference only in {what}, which the kubelet");
        assert!(phrase.contains(&expected), "{phrase}");
    }
    assert!(
        absence(r#"{"kind": "Secret", "data": {".dockerconfigjson": "e30="}}"#)
            .contains("manifest of a Secret")
    );
    assert!(
        absence(r#"{"contoso.azurecr.io": {"auth": "dTpw"}}"#)
            .contains("the format of a `kubernetes.io/dockercfg`")
    );
}

#[test]
fn an_incomplete_entry_is_an_anonymous_pull_with_the_reason() {
    let instead = |entry: &str, rest: &str| {
        let found = one(&format!(r#"{{"auths": {{"r.io": {entry}}}{rest}}}"#), "r.io/app");
        assert!(!found.pair.is_complete(), "{entry}");
        found.instead.expect("a phrase")
    };
    let no_password = STANDARD.encode("u:");
    for (entry, rest, expected) in [
        ("null", "", "the entry `r.io` has an empty user name, so the kubelet pulls anonymously"),
        (
            "{}",
            r#", "credHelpers": {"r.io": "x"}"#,
            "`r.io` is empty, and credentials in `credHelpers` are not used",
        ),
        (r#"{"username": "u"}"#, "", "an empty password"),
        (r#"{"password": "p"}"#, "", "an empty user name"),
        (&format!(r#"{{"auth": "{no_password}"}}"#), "", "an empty password"),
        (
            &format!(r#"{{"auth": "{no_password}", "identitytoken": "t"}}"#),
            "",
            "only an `identitytoken`, as written by `az acr login`",
        ),
    ] {
        let phrase = instead(entry, rest);
        assert!(phrase.contains(expected), "{phrase}");
    }
}

#[test]
fn suspicious_credentials_give_evidence() {
    use CredentialEvidence::{AuthDiffers, Blank, LineEnd, NotUtf8};
    let auth = |text: &[u8], rest: &str| format!(r#"{{"auth": "{}"{rest}}}"#, STANDARD.encode(text));
    for (entry, expected) in [
        (auth(b"u:p", ""), vec![]),
        (auth(b"u:p\n", ""), vec![LineEnd]),
        (r#"{"username": "u", "password": "p\r\n"}"#.to_owned(), vec![LineEnd]),
        (auth(b"u: p", ""), vec![Blank]),
        (auth(b"u\n:p", ""), vec![Blank]),
        (auth(b"u:p", r#", "username": "u", "password": "p""#), vec![]),
        (auth(b"u:p", r#", "username": "u""#), vec![]),
        (auth(b"u:p", r#", "username": "u", "password": "q""#), vec![AuthDiffers]),
        (auth(b"u:p\n", r#", "username": "x""#), vec![AuthDiffers, LineEnd]),
        (auth(b"u:\xff", ""), vec![NotUtf8]),
    ] {
        let found = one(&format!(r#"{{"auths": {{"r.io": {entry}}}}}"#), "r.io/app");
        assert_eq!(found.pair.evidence, expected, "{entry}");
    }
}

#[test]
fn repeated_keys_are_merged_as_in_go() {
    let users = |text: &str| -> Vec<_> {
        find(text, "r.io/app").expect(text).into_iter().map(|found| found.pair.username).collect()
    };
    let entry = |user: &str| format!(r#"{{"username": "{user}", "password": "p"}}"#);
    let (one, two) = (entry("one"), entry("two"));
    for (text, expected) in [
        (format!(r#"{{"auths": {{"r.io": {one}, "r.io": {two}}}}}"#), vec!["two"]),
        (format!(r#"{{"auths": {{"r.io": {one}}}, "Auths": {{"*.io": {two}}}}}"#), vec!["one", "two"]),
        (
            format!(r#"{{"auths": {{"r.io": {one}}}, "auths": null, "AUTHS": {{"*.io": {two}}}}}"#),
            vec!["two"],
        ),
        (format!(r#"{{"auths": {{"r.io": {one}, "r.io": null}}}}"#), vec![""]),
    ] {
        assert_eq!(users(&text), expected, "{text}");
    }
}

#[test]
fn the_older_format_is_only_read_if_expected_or_detected() {
    let text = r#"{"r.io": {"auth": "dTpw"}, "auths": {"auth": "eDp5"}}"#.as_bytes();
    let image = "r.io/app".parse().expect("an image");
    let found = |text: &[u8], form| DockerConfig::parse(text, form).expect("a form").find(&image).len();
    assert_eq!(found(text, Form::Cfg), 1);
    let plain = br#"{"r.io": {"auth": "dTpw"}}"#;
    for (form, expected) in [(Form::Cfg, 1), (Form::Either, 1), (Form::ConfigJson, 0)] {
        assert_eq!(found(plain, form), expected, "{form:?}");
    }
    assert_eq!(found(br#"{"auths": {"r.io": {"auth": "dTpw"}}}"#, Form::Either), 1);
}

#[test]
fn parse_errors_contain_no_values() {
    const SECRET: &str = "hunter2hunter2";
    let bare = STANDARD.encode(SECRET);
    let twice = STANDARD.encode(STANDARD.encode(format!("pull:{SECRET}")));
    let encoded = STANDARD.encode(format!(r#"{{"auths": "{SECRET}"}}"#));
    for (text, expected) in [
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{SECRET}"#), "not JSON (line 1, column "),
        (format!(r#"{{"auths": {{"r.io": {{"auth": {SECRET}}}}}}}"#), "not JSON (line 1, column "),
        (format!("\u{feff}{{\"a\": \"{SECRET}\"}}"), "byte order mark"),
        (format!(r#""{SECRET}""#), "not an object with the key"),
        (format!(r#"{{"auths": "{SECRET}"}}"#), "its `auths` is not an object"),
        (format!(r#"{{"auths": {{"r.io": "{SECRET}"}}}}"#), "its entry `r.io` is not an object"),
        (
            format!(r#"{{"auths": {{"r.io": {{"password": ["{SECRET}"]}}}}}}"#),
            "`password` of its entry `r.io` is not a string",
        ),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{SECRET}!"}}}}}}"#), "not the base64 of USER:PASSWORD"),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{bare}"}}}}}}"#), "not the base64 of USER:PASSWORD"),
        (format!(r#"{{"auths": {{"other.io": {{"auth": "{bare}"}}}}}}"#), "`auth` of its entry `other.io`"),
        (
            format!(r#"{{"auths": {{"r.io": {{"auth": "{twice}"}}}}}}"#),
            "`auth` of its entry `r.io` is base64 twice",
        ),
        (encoded, "it is not JSON (line 1, column 1): it is base64-encoded JSON"),
        (
            format!("apiVersion: v1\nkind: Secret\ndata:\n  .dockerconfigjson: {bare}\n"),
            "(line 1, column 1): it is the manifest of a Secret",
        ),
        (
            format!(r#"{{"auths": {{"r.io": {{"email": 5, "password": "{SECRET}"}}}}}}"#),
            "the `email` of its entry `r.io` is not a string",
        ),
        (format!(r#"{{"HttpHeaders": "{SECRET}"}}"#), "its `HttpHeaders` is not an object"),
        (
            format!(r#"{{"httpheaders": {{"a": ["{SECRET}"]}}}}"#),
            "a value of its `HttpHeaders` is not a string",
        ),
        (
            format!(r#"{{"auths": {{"u:{SECRET}@r.io": "x"}}}}"#),
            "its entry `[redacted]@r.io` is not an object",
        ),
        (format!("{}\"{SECRET}\"", "[".repeat(100_000)), "not JSON (line 1, column "),
    ] {
        let error = find(&text, "r.io/app").expect_err(expected);
        let phrase = error.to_string();
        assert!(phrase.contains(expected), "{phrase}");
        for secret in [SECRET, &bare, &twice] {
            assert!(!phrase.contains(secret), "{phrase}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_text_causes_a_panic(text in any::<String>()) {
        let _ = find(&text, "r.io/app");
    }

    #[test]
    fn no_key_and_no_auth_cause_a_panic(key in any::<String>(), auth in any::<String>()) {
        let text = serde_json::json!({"auths": {key: {"auth": auth, "username": "u", "password": "p"}}}).to_string();
        let _ = find(&text, "r.io/app");
    }

    #[test]
    fn every_password_is_decoded_unchanged(username in "[^:]{1,20}", password in ".{1,40}") {
        let auth = STANDARD.encode(format!("{username}:{password}"));
        let Pair { username: found, password: kept, evidence: _ } =
            one(&format!(r#"{{"auths": {{"r.io": {{"auth": "{auth}"}}}}}}"#), "r.io/app").pair;
        prop_assert_eq!((found, kept.expose()), (username, password.as_str()));
    }
}
