//! Challenges, redirects, errors and tokens: what is parsed, and what is rejected.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use url::Url;

use super::{
    Grant, Head, Redirect, TokenRequest, bearer_challenge, check_realm, classify_redirect, read_error,
    read_grant,
};
use crate::image::ImageReference;
use crate::observation::Answer;
use crate::secret::Secret;
use crate::text::redact::Redactor;

fn image(text: &str) -> ImageReference {
    text.parse().expect("a reference")
}

fn redirect(image: &ImageReference, configured: &[String], location: &str) -> Redirect {
    let asked = format!("https://{}/v2/{}/blobs/sha256:0", image.registry(), image.repository());
    classify_redirect(image, configured, &Url::parse(&asked).expect("a URL"), Some(location.as_bytes()))
}

/// The result in a word.
fn judged(redirect: &Redirect) -> String {
    match redirect {
        Redirect::Data(url) => format!("data {}", url.host_str().unwrap_or_default()),
        Redirect::Storage(host) => format!("storage {host}"),
        Redirect::Untrusted { reason, .. } => (*reason).to_owned(),
        Redirect::Missing => "missing".to_owned(),
    }
}

#[test]
fn only_redirects_to_the_registrys_own_names_are_followed() {
    let foreign = "a host outside the registry's own names";
    for (registry, location, expected) in [
        (
            "contoso.azurecr.io",
            "https://contoso.westeurope.data.azurecr.io/?s=1",
            "data contoso.westeurope.data.azurecr.io",
        ),
        (
            "contoso.azurecr.io",
            "https://contoso.westeurope.data.azurecr.io?s=1",
            "data contoso.westeurope.data.azurecr.io",
        ),
        ("contoso.azurecr.io", "https://contoso.westeurope.data.azurecr.io./", foreign),
        (
            "contoso-e7gg.azurecr.io",
            "https://contoso-e7gg.uksouth.data.azurecr.io/",
            "data contoso-e7gg.uksouth.data.azurecr.io",
        ),
        (
            "contoso.azurecr.us",
            "https://contoso.usgovvirginia.data.azurecr.us/",
            "data contoso.usgovvirginia.data.azurecr.us",
        ),
        ("contoso.azurecr.us", "https://contoso.usgovvirginia.data.azurecr.io/", foreign),
        ("contoso.azurecr.io", "https://fabrikam.westeurope.data.azurecr.io/", foreign),
        ("contoso.azurecr.io", "https://contoso.westeurope.data.azurecr.io.example.net/", foreign),
        ("contoso.azurecr.io", "https://contoso.data.azurecr.io/", foreign),
        ("contoso.azurecr.io", "https://a.contoso.azurecr.io/", foreign),
        (
            "contoso.azurecr.io",
            "https://weureplstore28.blob.core.windows.net/x?sig=1",
            "storage weureplstore28.blob.core.windows.net",
        ),
        (
            "contoso.azurecr.us",
            "https://store.blob.core.usgovcloudapi.net/x",
            "storage store.blob.core.usgovcloudapi.net",
        ),
        ("contoso.azurecr.io", "https://blob.core.windows.net/x", foreign),
        ("contoso.azurecr.io", "https://evilblob.core.windows.net/x", foreign),
        ("contoso.azurecr.io", "http://contoso.westeurope.data.azurecr.io/", "not HTTPS"),
        ("contoso.azurecr.io", "https://contoso.westeurope.data.azurecr.io:8443/", "another port"),
        (
            "contoso.azurecr.io:8443",
            "https://contoso.westeurope.data.azurecr.io:8443/",
            "data contoso.westeurope.data.azurecr.io",
        ),
        ("contoso.azurecr.io:8443", "https://contoso.westeurope.data.azurecr.io/", "another port"),
        ("contoso.azurecr.io", "https://127.0.0.1/", "an IP literal"),
        ("contoso.azurecr.io", "https://2130706433/", "an IP literal"),
        ("contoso.azurecr.io", "https://0x7f.1/", "an IP literal"),
        ("contoso.azurecr.io", "https://[::ffff:169.254.169.254]/", "an IP literal"),
        (
            "contoso.azurecr.io",
            "https://u:p@contoso.westeurope.data.azurecr.io/",
            "user information in the URL",
        ),
        (
            "contoso.azurecr.io",
            "//contoso.westeurope.data.azurecr.io/x",
            "data contoso.westeurope.data.azurecr.io",
        ),
        ("contoso.azurecr.io", "/elsewhere", "data contoso.azurecr.io"),
        ("contoso.azurecr.io", "/v2/app/blobs/sha256:0", "a redirect to itself"),
        ("contoso.azurecr.io", "/v2/app/blobs/sha256:0?again=1", "data contoso.azurecr.io"),
        ("contoso.azurecr.io", "https://data.example.net/", "data data.example.net"),
        ("contoso.azurecr.io", "javascript:alert(1)", "not HTTPS"),
        ("contoso.azurecr.io", "https://[", "missing"),
        ("registry.example.net", "https://blobs.registry.example.net/x", "data blobs.registry.example.net"),
        ("registry.example.net", "https://store.blob.core.windows.net/x", foreign),
    ] {
        let image = image(&format!("{registry}/app"));
        let judged = judged(&redirect(&image, &["data.example.net".to_owned()], location));
        assert_eq!(judged, expected, "{registry} -> {location}");
    }
}

#[test]
fn names_that_contain_a_secret_are_never_resolved() {
    let mut redactor = Redactor::default();
    redactor.hide_encoded(&Secret::new("opensesame".to_owned()));
    let configured = ["opensesame.example".to_owned()];
    for (registry, host, expected) in [
        ("contoso.azurecr.io", "contoso.opensesame.data.azurecr.io", true),
        ("contoso.azurecr.io", "contoso.westeurope.data.azurecr.io", false),
        ("contoso.azurecr.io", "contoso.azurecr.io", false),
        ("opensesame.azurecr.io", "opensesame.westeurope.data.azurecr.io", false),
        ("registry.example", "opensesame.registry.example", true),
        ("registry.example", "blobs.x-OpenSesame-x.registry.example", true),
        ("registry.example", "open.sesame.registry.example", true),
        ("registry.example", "b3BlbnNlc2FtZQ.registry.example", true),
        ("registry.example", "blobs.registry.example", false),
        ("registry.example", "registry.example", false),
        ("opensesame.example:8443", "blobs.opensesame.example", false),
        ("registry.example", "opensesame.example", false),
        ("registry.example", &format!("{}registry.example", "a.".repeat(200)), true),
    ] {
        let image = image(&format!("{registry}/app"));
        let url = Url::parse(&format!("https://{host}/x")).expect("a URL");
        assert_eq!(
            super::leaks_secret(&image, &configured, &redactor, &url),
            expected,
            "{registry} -> {host}"
        );
    }
}

#[test]
fn correlation_ids_that_contain_a_secret_are_dropped() {
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new("hunter2/hunter3".to_owned()));
    for (said, shown) in [
        ("0a1b-2c3d", Some("0a1b-2c3d")),
        ("hunter2/hunter3", None),
        ("hun\u{200b}ter2/hunter3", None),
        ("0a1b-2c3d-hunter2/hunter3", Some("0a1b-2c3d-")),
    ] {
        let body =
            serde_json::json!({"errors": [{"code": "DENIED", "message": format!("CorrelationId: {said}")}]});
        let long = format!("{said}{}", " ".repeat(400_000));
        for (id, body) in [(Some(long.as_str()), String::new()), (None, body.to_string())] {
            let head = Head { status: 403, correlation_id: id, ..Head::default() };
            let answer = read_error(&head, body.as_bytes(), Timestamp::UNIX_EPOCH, &redactor);
            assert_eq!(answer.correlation_id.as_deref(), shown, "{said}");
        }
    }
}

#[test]
fn redirects_are_shown_without_path_and_query() {
    let image = image("contoso.azurecr.io/app");
    let Redirect::Untrusted { target, .. } =
        redirect(&image, &[], "https://evil.example/secret/path?sig=secret")
    else {
        panic!("a foreign host is not trusted");
    };
    assert_eq!(target, "https://evil.example");
}

#[test]
fn only_realms_on_the_login_server_are_trusted() {
    for (registry, realm, expected) in [
        ("contoso.azurecr.io", "https://contoso.azurecr.io/oauth2/token", None),
        ("contoso.azurecr.io", "https://CONTOSO.azurecr.io:443/oauth2/token", None),
        ("contoso.azurecr.io:8443", "https://contoso.azurecr.io:8443/oauth2/token", None),
        ("contoso.azurecr.io:8443", "https://contoso.azurecr.io/oauth2/token", Some("another port")),
        ("contoso.azurecr.io", "http://contoso.azurecr.io/oauth2/token", Some("not HTTPS")),
        ("contoso.azurecr.io", "https://contoso.azurecr.io.evil.example/", Some("another host")),
        (
            "contoso.azurecr.io",
            "https://contoso.azurecr.io@evil.example/",
            Some("user information in the URL"),
        ),
        ("contoso.azurecr.io", "https://10.60.4.4/", Some("another host")),
        ("contoso.azurecr.io", "/oauth2/token", Some("not a URL")),
        ("contoso.azurecr.io", "", Some("not a URL")),
    ] {
        let judged = check_realm(&image(&format!("{registry}/app")), realm);
        assert_eq!(judged.as_ref().err().map(|untrusted| untrusted.reason), expected, "{registry} {realm}");
    }
}

#[test]
fn challenges_are_read_as_rfc_9110_writes_them() {
    let bearer = |headers: &[&str]| bearer_challenge(headers.iter().map(|header| header.as_bytes()));
    let acr = r#"Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io",scope="repository:a:pull""#;
    let read = bearer(&[acr]).expect("a challenge");
    assert_eq!(read.realm, "https://r.azurecr.io/oauth2/token");
    assert_eq!(read.service.as_deref(), Some("r.azurecr.io"));
    assert_eq!(bearer(&["Basic realm=\"x\"", acr]).expect("the second header").realm, read.realm);
    assert_eq!(
        bearer(&[&format!("Basic realm=\"x\", {acr}")]).expect("the second challenge").realm,
        read.realm
    );
    assert_eq!(bearer(&["bearer REALM=\"https://r/\""]).expect("no case").realm, "https://r/");
    assert_eq!(
        bearer(&[&format!("{acr},error=\"invalid_token\"")]).expect("an error").error.as_deref(),
        Some("invalid_token")
    );
    assert!(bearer(&[]).is_err());
    assert!(bearer(&["Bearer realm=\"open"]).is_err());
    assert!(bearer(&["Bearer service=\"s\""]).is_err());
}

#[test]
fn tokens_are_bounded_and_valid_in_a_header() {
    let granted = |body: &str| {
        read_grant(body.as_bytes(), TokenRequest::Query, "apps/canary")
            .map(|Grant { token, pull }| (token, pull))
    };
    let opaque = granted(r#"{"access_token": "opaque"}"#).expect("a token");
    assert_eq!((opaque.0.expose(), opaque.1), ("opaque", None));
    // {"access":[{"type":"repository","name":"apps/canary","actions":["pull"]}]}
    let claim =
        "eyJhY2Nlc3MiOlt7InR5cGUiOiJyZXBvc2l0b3J5IiwibmFtZSI6ImFwcHMvY2FuYXJ5IiwiYWN0aW9ucyI6WyJwdWxsIl19XX0";
    assert_eq!(granted(&format!(r#"{{"token": "a.{claim}.c"}}"#)).expect("a token").1, Some(true));
    for body in
        ["", "[]", "{}", r#"{"token": ""}"#, r#"{"token": "a b"}"#, r#"{"token": "a\nb"}"#, r#"{"token": 1}"#]
    {
        assert!(granted(body).is_err(), "{body}");
    }
    assert!(granted(&format!(r#"{{"token": "{}"}}"#, "a".repeat(20_000))).is_err());
}

fn error(head: &Head<'_>, body: &str) -> Answer {
    let now = "2026-11-23T02:06:00Z".parse::<Timestamp>().expect("a time");
    read_error(head, body.as_bytes(), now, &Redactor::default())
}

#[test]
fn the_client_address_is_read_from_every_firewall_message() {
    for (message, seen) in [
        (
            "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
            "203.0.113.7",
        ),
        (
            "client with IP '203.0.113.7' is not allowed access, refer https://aka.ms/acr/firewall to grant access",
            "203.0.113.7",
        ),
        ("client with IP 203.0.113.7 is not allowed access", "203.0.113.7"),
        ("Client with IP \\\"2001:db8::1\\\" is not allowed access", "2001:db8::1"),
    ] {
        let answer = error(
            &Head { status: 403, ..Head::default() },
            &format!(r#"{{"errors":[{{"code":"DENIED","message":"{message}"}}]}}"#),
        );
        assert_eq!(answer.seen_address, seen.parse().ok(), "{message}");
    }
}

#[test]
fn retry_after_accepts_seconds_and_dates_and_is_bounded() {
    for (value, expected) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("99999999", Some(86_400)),
        ("Mon, 23 Nov 2026 02:06:30 GMT", Some(30)),
        ("Mon, 23 Nov 2020 02:06:30 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
    ] {
        let answer = error(&Head { status: 429, retry_after: Some(value), ..Head::default() }, "");
        assert_eq!(answer.retry_after, expected.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn messages_are_redacted_before_they_are_cut() {
    let token = "x".repeat(1000);
    let mut redactor = Redactor::default();
    redactor.hide(&Secret::new(token.clone()));
    let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"your token is {token}"}}]}}"#);
    let answer = read_error(
        &Head { status: 403, ..Head::default() },
        body.as_bytes(),
        Timestamp::UNIX_EPOCH,
        &redactor,
    );
    assert_eq!(answer.message.as_deref(), Some("your token is [redacted]"));
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600), status in any::<u16>()) {
        let text = String::from_utf8_lossy(&bytes);
        let image = image("contoso.azurecr.io/apps/canary:1");
        let _ = bearer_challenge([bytes.as_slice()].into_iter());
        let _ = check_realm(&image, &text);
        let _ = redirect(&image, &[], &text);
        let _ = read_grant(&bytes, TokenRequest::Form, "apps/canary");
        let answer = error(&Head { status, retry_after: Some(&text), correlation_id: Some(&text), ..Head::default() }, &text);
        prop_assert!(answer.message.is_none_or(|message| message.chars().count() <= 300));
    }

    #[test]
    fn only_the_registrys_own_urls_are_followed(host in "[a-z0-9.-]{1,40}", scheme in "https?", port in 1u16..) {
        let image = image("contoso.azurecr.io/app");
        if let Redirect::Data(url) = redirect(&image, &[], &format!("{scheme}://{host}:{port}/x")) {
            prop_assert_eq!(url.scheme(), "https");
            prop_assert_eq!(url.port(), None);
            let host = url.host_str().unwrap_or_default();
            prop_assert!(host == "contoso.azurecr.io" || (host.starts_with("contoso.") && host.ends_with(".data.azurecr.io")));
        }
    }

}
