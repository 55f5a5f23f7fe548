//! Command lines that clap rejects, with its errors, and what these never contain.

use std::ffi::OsString;

use super::{command, parse, with_secret_flags};

const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

fn error(words: &[&str]) -> String {
    let words = std::iter::once("acr-verifier").chain(words.iter().copied()).map(OsString::from);
    let error = parse(words).expect_err("invalid usage");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn clap_accepts_the_definition_of_the_flags() {
    with_secret_flags(command()).debug_assert();
}

#[test]
fn conflicting_and_missing_arguments_are_rejected() {
    for (words, expected) in [
        (vec!["check"], "arguments were not provided:\n  <IMAGE|--config <FILE>>\n"),
        (vec!["check", IMAGE, "--config", "f"], "'[IMAGE]...' cannot be used with '--config <FILE>'"),
        (
            vec!["check", "--config", "f", "--credentials", "f"],
            "'--config <FILE>' cannot be used with '--credentials <PATH>'",
        ),
        (
            vec!["check", "--config", "f", "--expect-cidr", "10.0.0.0/8"],
            "'--config <FILE>' cannot be used with '--expect-cidr <CIDR>'",
        ),
        (
            vec!["check", "--config", "f", "--data-endpoint", "a.io"],
            "'--config <FILE>' cannot be used with '--data-endpoint <HOST>'",
        ),
        (
            vec!["check", IMAGE, "--nameserver", "10.0.0.1", "--resolv-conf", "f"],
            "'--nameserver <ADDRESS[:PORT]>' cannot be used with '--resolv-conf <PATH>'",
        ),
    ] {
        let found = error(&words);
        assert!(found.contains(expected), "{words:?}: {found}");
    }
}

#[test]
fn an_invalid_value_is_reported_with_its_argument_and_what_is_expected() {
    for (words, expected) in [
        (
            vec!["--expect-cidr", "all"],
            "'all' for '--expect-cidr <CIDR>': expected a CIDR such as 10.60.4.0/24",
        ),
        (vec!["--wait", "5"], "'5' for '--wait <DURATION>': expected a duration from 1ms to 24h"),
        (vec!["--output", "jsn"], "'jsn' for '--output <FORMAT>'\n  [possible values: text, json, junit]\n"),
        (vec!["--output", "jsn"], "tip: a similar value exists: 'json'"),
        (
            vec!["--compare-resolver", "azure=dns"],
            "'azure=dns' for '--compare-resolver <NAME=ADDRESS[:PORT]>': invalid address \"dns\"; expected an IP",
        ),
        (
            vec!["--compare-resolver", "a b=10.0.0.1"],
            "'a b=10.0.0.1' for '--compare-resolver <NAME=ADDRESS[:PORT]>': invalid name \"a b\"; expected 1 to 63",
        ),
        (
            vec!["--compare-resolver", "system=10.0.0.1"],
            "'system=10.0.0.1' for '--compare-resolver <NAME=ADDRESS[:PORT]>': the name is reserved",
        ),
        (vec!["--nameserver", "\u{1b}[31mit's"], "'\\u{1b}[31mit\\'s' for '--nameserver <ADDRESS[:PORT]>': "),
    ] {
        let words = [&["check", IMAGE][..], &words].concat();
        let found = error(&words);
        assert!(found.contains(expected), "{words:?}: {found}");
        assert!(!found.contains('\u{1b}'), "{words:?}: {found}");
    }
}

#[test]
fn a_similar_argument_is_suggested_unless_it_is_always_rejected() {
    for (words, tip) in [
        (vec!["check", IMAGE, "--timeot", "3s"], Some("'--timeout'")),
        (vec!["--timeout", "3s", "check", IMAGE], Some("'check --timeout' exists")),
        (vec!["check", IMAGE, "--pasword", "hunter2"], None),
        (vec!["--pasword", "hunter2", "check", IMAGE], None),
        (vec!["--password=hunter2", "check", IMAGE], None),
    ] {
        let found = error(&words);
        assert!(found.contains("unexpected argument '--"), "{words:?}: {found}");
        match tip {
            Some(tip) => assert!(found.contains(tip), "{words:?}: {found}"),
            None => assert!(!found.contains("tip:"), "{words:?}: {found}"),
        }
        assert!(!found.contains("hunter2"), "{words:?}: {found}");
    }
}

#[test]
fn a_password_is_never_an_argument_and_never_printed() {
    for words in [
        ["--password", "hunter2"].as_slice(),
        &["--password=hunter2"],
        &["-phunter2"],
        &["-p", "-hunter2"],
        &["-u", "pull", "-p", "hunter2"],
        &["--token", "hunter2"],
        &["--user", "pull:hunter2"],
        &["--secret=hunter2"],
        &["--password"],
    ] {
        for before in [["check", IMAGE].as_slice(), &["check"], &["check", "--config", "config.yaml"]] {
            let words = [before, words].concat();
            let found = error(&words);
            assert!(
                found.contains("every process on the machine can read the arguments"),
                "{words:?}: {found}"
            );
            assert!(found.contains("--credentials PATH"), "{words:?}: {found}");
            assert!(!found.contains("hunter2"), "{words:?}: {found}");
        }
    }
    for image in [
        "pull:hunter2@contoso.azurecr.io/app",
        "pull:hunter2@contoso.azurecr.io",
        "pull:abc/hunter2@contoso.azurecr.io/app",
    ] {
        let found = error(&["check", image]);
        assert!(found.contains("'[redacted]@contoso.azurecr.io"), "{found}");
        assert!(found.contains("an image reference cannot contain a user name"), "{found}");
        assert!(!found.contains("hunter2") && !found.contains("abc"), "{found}");
    }
    // Everything else that clap quotes.
    let secret = "https://pull:hunter2@contoso.azurecr.io";
    let flag = |name: &str| format!("--{name}={secret}");
    for words in [
        vec![secret.to_owned()],
        vec!["causes".into(), secret.into()],
        vec!["completions".into(), secret.into()],
        vec!["causes".into(), flag("output")],
        vec!["check".into(), IMAGE.into(), flag("strict")],
        vec!["check".into(), IMAGE.into(), flag("expect-cidr")],
        vec!["check".into(), IMAGE.into(), flag("data-endpoint")],
        vec!["check".into(), IMAGE.into(), flag("nameserver")],
        vec!["check".into(), IMAGE.into(), flag("compare-resolver")],
        vec!["check".into(), IMAGE.into(), flag("timeout")],
        vec!["check".into(), IMAGE.into(), flag("color")],
        vec!["check".into(), IMAGE.into(), flag("unknown")],
        vec!["check".into(), IMAGE.into(), format!("--{secret}")],
        vec!["smoke".into(), flag("namespace")],
        vec!["smoke".into(), flag("expect-config")],
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let found = error(&words);
        assert!(!found.contains("hunter2"), "{words:?}: {found}");
    }
}
