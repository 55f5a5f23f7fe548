//! Tables of valid and invalid references, and properties of any string.

use super::{ImageReference, ImageReferenceError, is_host_name};
use crate::acr;
use proptest::prelude::*;

/// Matches one kind of error.
type Recognises = fn(&ImageReferenceError) -> bool;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parse(text: &str) -> Result<ImageReference, ImageReferenceError> {
    text.parse()
}

#[test]
fn valid_references_are_split_as_the_kubelet_does() {
    let pinned = format!("contoso.azurecr.io/app:1@{DIGEST}");
    let by_digest = format!("contoso.azurecr.io/app@{DIGEST}");
    for (text, host, port, repository, tag, wanted) in [
        ("contoso.azurecr.io/app", "contoso.azurecr.io", 443, "app", None, "latest"),
        ("contoso.azurecr.io/apps/canary:1", "contoso.azurecr.io", 443, "apps/canary", Some("1"), "1"),
        ("Contoso.AzureCR.io/app:V1_x.y-z", "contoso.azurecr.io", 443, "app", Some("V1_x.y-z"), "V1_x.y-z"),
        ("contoso.azurecr.io:443/app", "contoso.azurecr.io", 443, "app", None, "latest"),
        ("localhost:5000/a/b-c__d.e", "localhost", 5000, "a/b-c__d.e", None, "latest"),
        ("localhost/app", "localhost", 443, "app", None, "latest"),
        ("registry:5000/a---b:_", "registry", 5000, "a---b", Some("_"), "_"),
        (&pinned, "contoso.azurecr.io", 443, "app", Some("1"), DIGEST),
        (&by_digest, "contoso.azurecr.io", 443, "app", None, DIGEST),
    ] {
        let image = parse(text).expect(text);
        assert_eq!(
            (image.host(), image.port(), image.repository(), image.tag(), image.wanted()),
            (host, port, repository, tag, wanted),
            "{text}"
        );
    }
}

#[test]
fn host_and_port_are_kept_as_written_and_normalized_to_one_login_server() {
    for text in ["contoso.azurecr.io/app:1", "contoso.azurecr.io:443/app:1", "Contoso.AzureCR.io:0443/app:1"]
    {
        let image = parse(text).expect(text);
        assert_eq!(image.to_string(), text);
        assert_eq!(Some(image.written_registry()), text.split('/').next());
        assert_eq!((image.registry().as_str(), image.port()), ("contoso.azurecr.io", 443));
    }
}

#[test]
fn invalid_references_are_rejected_with_the_invalid_part() {
    use ImageReferenceError as E;
    let long_tag = format!("contoso.azurecr.io/app:{}", "t".repeat(129));
    let long_repository = format!("contoso.azurecr.io/{}", "r".repeat(256));
    let upper_digest = format!("contoso.azurecr.io/app@{}", DIGEST.to_uppercase());
    let wrong: [(&str, Recognises); 36] = [
        ("", |e| matches!(e, E::RegistryMissing(_))),
        ("app", |e| matches!(e, E::RegistryMissing(_))),
        ("app:1", |e| matches!(e, E::RegistryMissing(_))),
        ("contoso/app:1", |e| matches!(e, E::RegistryMissing(_))),
        ("contoso.azurecr.io", |e| matches!(e, E::RegistryMissing(_))),
        ("/app", |e| matches!(e, E::RegistryMissing(_))),
        ("https://contoso.azurecr.io/app", |e| matches!(e, E::Scheme(scheme) if scheme == "https://")),
        ("docker://contoso.azurecr.io/app", |e| matches!(e, E::Scheme(_))),
        ("user:pw@contoso.azurecr.io/app", |e| *e == E::UserInfo),
        ("user@contoso.azurecr.io/app", |e| *e == E::UserInfo),
        ("user:pw@contoso.azurecr.io", |e| *e == E::UserInfo),
        ("user:p/w@contoso.azurecr.io/app", |e| *e == E::UserInfo),
        ("user:p@w@contoso.azurecr.io:443/app:1", |e| *e == E::UserInfo),
        ("contoso.azurecr.io./app", |e| matches!(e, E::Host(_))),
        ("contoso..io/app", |e| matches!(e, E::Host(_))),
        ("-contoso.azurecr.io/app", |e| matches!(e, E::Host(_))),
        ("con_toso.azurecr.io/app", |e| matches!(e, E::Host(_))),
        (" contoso.azurecr.io/app", |e| matches!(e, E::Host(_))),
        ("10.60.4.4/app", |e| matches!(e, E::Host(_))),
        ("[fd00::1]:5000/app", |e| matches!(e, E::Host(_))),
        ("contoso.azurecr.io:/app", |e| matches!(e, E::Port(_))),
        ("contoso.azurecr.io:0/app", |e| matches!(e, E::Port(_))),
        ("contoso.azurecr.io:65536/app", |e| matches!(e, E::Port(_))),
        ("contoso.azurecr.io:+443/app", |e| matches!(e, E::Port(_))),
        ("contoso.azurecr.io/", |e| *e == E::RepositoryMissing),
        ("contoso.azurecr.io/:1", |e| *e == E::RepositoryMissing),
        ("contoso.azurecr.io/App", |e| matches!(e, E::RepositoryCase(_))),
        ("contoso.azurecr.io//app", |e| matches!(e, E::Repository(_))),
        ("contoso.azurecr.io/a___b", |e| matches!(e, E::Repository(_))),
        ("contoso.azurecr.io/app-", |e| matches!(e, E::Repository(_))),
        ("contoso.azurecr.io/app:", |e| matches!(e, E::Tag(_))),
        ("contoso.azurecr.io/app:1:2", |e| matches!(e, E::Tag(_))),
        ("contoso.azurecr.io/app@sha256:abc", |e| matches!(e, E::Digest(_))),
        (&long_tag, |e| matches!(e, E::Tag(_))),
        (&long_repository, |e| matches!(e, E::Repository(_))),
        (&upper_digest, |e| matches!(e, E::Digest(_))),
    ];
    for (text, is_expected) in wrong {
        let error = parse(text).expect_err(text);
        assert!(is_expected(&error), "{text}: {error:?}");
        assert!(!error.to_string().contains("pw"), "{error}");
    }
}

#[test]
fn acr_names_are_recognized() {
    let image = parse("contoso-e7ggejfuhzhgedc8.azurecr.us/app").expect("an image");
    assert_eq!(image.acr_suffix(), Some("azurecr.us"));
    assert_eq!(image.registry_name(), "contoso");
    assert_eq!(
        image.data_region("contoso-e7ggejfuhzhgedc8.usgovvirginia.data.azurecr.us"),
        Some("usgovvirginia")
    );
    for other in ["fabrikam.eastus.data.azurecr.us", "contoso-e7ggejfuhzhgedc8.data.azurecr.us", "x"] {
        assert_eq!(image.data_region(other), None, "{other}");
    }
    assert!(!parse("azurecr.io/app").expect("an image").is_acr());
    assert!(!parse("notazurecr.io/app").expect("an image").is_acr());
    assert!(acr::is_storage("weu1.blob.core.windows.net"));
    assert!(!acr::is_storage("blob.core.windows.net.evil.example"));
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn printed_references_parse_to_the_same_value(
        host in "[a-z][a-z0-9]{0,9}(\\.[a-z][a-z0-9-]{0,5}[a-z]){1,3}",
        port in prop::option::of(1u16..),
        repository in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,5}){0,2}",
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        pinned in any::<bool>(),
    ) {
        let mut text = host;
        if let Some(port) = port { text += &format!(":{port}"); }
        text += &format!("/{repository}");
        if let Some(tag) = tag { text += &format!(":{tag}"); }
        if pinned { text += &format!("@{DIGEST}"); }
        let image = parse(&text).expect("a reference");
        prop_assert_eq!(parse(&image.to_string()), Ok(image.clone()));
        prop_assert!(is_host_name(image.host()));
    }
}

#[test]
fn hosts_that_urls_treat_as_addresses_are_rejected() {
    for host in
        ["10.0.0.4", "10.0.0x4", "10.0.0.0x4", "a.0x", "a.0X1f", "contoso.0xdeadbeef", "0x7f000001", "a.017"]
    {
        assert!(!is_host_name(host), "{host}");
    }
    for host in ["a.x4", "0x4.example", "a.0xyz", "a.0x-1", "contoso.azurecr.io"] {
        assert!(is_host_name(host), "{host}");
    }
}

proptest! {
    #[test]
    fn valid_host_names_remain_domains_in_urls(host in "[0-9a-fxX]{1,4}(\\.[0-9a-fxX]{1,4}){0,3}") {
        if let Ok(url) = url::Url::parse(&format!("https://{host}/")) && is_host_name(&host) {
            prop_assert_eq!(url.domain().map(str::to_owned), Some(host.to_ascii_lowercase()));
        }
    }
}
