//! Valid command lines with their settings, and those that clap accepts although they are invalid.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anstream::ColorChoice;

use super::{Environment, UsageError, resolve};
use crate::cli::{Check, Command, Invocation, parse};
use crate::config::CredentialsConfig;
use crate::config::SystemResolver;
use crate::logging::LogFormat;
use crate::report::catalogue::CatalogueFormat;
use crate::report::{Details, Format};

const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

fn invoke(words: &[&str]) -> Result<Invocation, UsageError> {
    let words = std::iter::once("acr-verifier").chain(words.iter().copied()).map(OsString::from);
    let environment = Environment {
        docker_config: Some("/docker".into()),
        home: Some("/home/me".into()),
        in_cluster: false,
        ..Environment::default()
    };
    resolve(parse(words).expect("arguments that clap can parse"), &environment)
}

fn check(words: &[&str]) -> Check {
    let Command::Check(check) = invoke(words).expect("valid usage").command else { panic!("a check") };
    *check
}

fn error(words: &[&str]) -> String {
    invoke(words).expect_err("invalid usage").to_string()
}

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

#[test]
fn debug_output_of_an_error_hides_a_password() {
    let name = "user:hunter2@resolver=10.0.0.10";
    let error = UsageError::Duplicate {
        argument: "--compare-resolver <NAME=ADDRESS>",
        what: "value",
        text: name.to_owned(),
    };
    let printed = format!("{error:?}");
    assert!(printed.contains("[redacted]@resolver") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn an_image_without_options_uses_the_defaults() {
    let Check { config, options } = check(&["check", IMAGE]);
    assert_eq!(config.images.len(), 1);
    assert_eq!(config.images[0].image.to_string(), IMAGE);
    assert!(config.images[0].credentials.is_none() && config.images[0].expected.is_empty());
    assert_eq!(config.resolvers.system, SystemResolver::File("/etc/resolv.conf".into()));
    assert!(config.blob && !config.allow_loopback && !options.strict);
    assert_eq!((options.format, options.wait), (Format::Text, None));
    assert_eq!(options.details, Details::Problems);
    let usual = [Path::new("/docker/config.json"), Path::new("/home/me/.docker/config.json")];
    assert_eq!(options.ambient.files, usual);
}

#[test]
fn every_option_sets_its_setting() {
    let folder = folder_with(&[
        ("config.json", "{}"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("resolv.conf", "nameserver 10.0.0.10\n"),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (credentials, ca_file, report) = (path("config.json"), path("ca.pem"), path("report.xml"));
    let mut words = vec!["check", IMAGE, "localhost:5000/app", "--credentials", &credentials];
    words.extend(["--expect-cidr", "10.60.4.0/24", "--expect-cidr", "fd00::/64", "--ca-file", &ca_file]);
    words.extend(["--data-endpoint", "contoso.westeurope.data.azurecr.io", "--nameserver", "10.0.0.10:5353"]);
    words.extend(["--compare-resolver", "azure=168.63.129.16", "--timeout", "20s", "--stage-timeout", "2s"]);
    words.extend([
        "--expect-address",
        "localhost=10.60.4.6",
        "--expect-address",
        "Contoso.azurecr.io.=10.60.4.5",
    ]);
    words.extend(["--wait", "10m", "--strict", "--no-blob", "--allow-loopback", "--output", "junit"]);
    words.extend(["--details", "--report-file", &report, "-vv", "--log-format", "json", "--color", "never"]);
    let invocation = invoke(&words).expect("valid usage");
    assert_eq!((invocation.logging.verbosity, invocation.logging.format), (2, LogFormat::Json));
    assert_eq!(invocation.color, ColorChoice::Never);
    let Check { config, options } = check(&words);
    for image in &config.images {
        let expected = CredentialsConfig::Path { path: credentials.clone().into(), expires_at: None };
        assert_eq!(image.credentials, Some(expected));
        assert_eq!(image.expected.len(), 2);
        assert_eq!(image.expected_addresses.names().collect::<Vec<_>>(), ["contoso.azurecr.io", "localhost"]);
        assert_eq!(image.data_endpoints, ["contoso.westeurope.data.azurecr.io"]);
    }
    assert_eq!(config.images[1].image.registry(), "localhost:5000");
    let server = "10.0.0.10:5353".parse().expect("an address");
    assert_eq!(config.resolvers.system, SystemResolver::Servers(vec![server]));
    assert_eq!(config.resolvers.compare[0].1.to_string(), "168.63.129.16:53");
    assert_eq!(config.ca_file.as_deref(), Some(Path::new(&ca_file)));
    assert_eq!(config.schedule.timeout, Duration::from_secs(20));
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(2));
    assert!(!config.blob && config.allow_loopback && options.strict);
    assert_eq!((options.format, options.wait), (Format::Junit, Some(Duration::from_secs(600))));
    assert_eq!(options.details, Details::All);
    assert_eq!(options.report_file.as_deref(), Some(Path::new(&report)));
    let resolv_conf = path("resolv.conf");
    let Check { config, .. } = check(&["check", IMAGE, "--resolv-conf", &resolv_conf]);
    assert_eq!(config.resolvers.system, SystemResolver::File(resolv_conf.into()));
}

#[test]
fn options_override_the_configuration_file() {
    let folder = folder_with(&[(
        "config.yaml",
        "images: [{image: contoso.azurecr.io/app}]\nresolvers: {compare: {a: 10.0.0.1}}\n\
         schedule: {timeout: 20s, stageTimeout: 4s}\n",
    )]);
    let file = folder.path().join("config.yaml").display().to_string();
    let Check { config, .. } = check(&["check", "--config", &file]);
    assert_eq!(config.resolvers.compare[0].0, "a");
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(4));
    let words =
        ["check", "--config", &file, "--timeout", "3s", "--compare-resolver", "b=10.0.0.2", "--no-blob"];
    let Check { config, .. } = check(&words);
    assert_eq!((config.resolvers.compare.len(), config.resolvers.compare[0].0.as_str()), (1, "b"));
    assert_eq!(config.schedule.timeout, Duration::from_secs(3));
    assert_eq!(config.schedule.stage_timeout, Duration::from_secs(3), "at most the overall timeout");
    assert!(!config.blob);
}

#[test]
fn the_other_commands_are_resolved() {
    for (words, expected) in [
        (vec!["causes"], Command::Causes(CatalogueFormat::Text)),
        (vec!["causes", "--output", "json"], Command::Causes(CatalogueFormat::Json)),
        (vec!["causes", "--output", "markdown", "-v"], Command::Causes(CatalogueFormat::Markdown)),
        (vec!["completions", "zsh"], Command::Completions(clap_complete::Shell::Zsh)),
        (vec!["man"], Command::Man),
    ] {
        assert_eq!(invoke(&words).expect("valid usage").command, expected);
    }
}

#[test]
fn what_depends_on_several_values_is_checked() {
    for (words, expected) in [
        (
            vec!["check", IMAGE, "--timeout", "2s", "--stage-timeout", "3s"],
            "invalid value '3s' for '--stage-timeout <DURATION>': expected at most the overall timeout of 2s",
        ),
        (
            vec!["check", IMAGE, "--stage-timeout", "61s"],
            "invalid value '61s' for '--stage-timeout <DURATION>': expected at most the default overall timeout of 60s",
        ),
        (vec!["check", IMAGE, IMAGE], "duplicate value 'contoso.azurecr.io/apps/canary:1' for '[IMAGE]...'"),
        (
            vec!["check", IMAGE, "--expect-cidr", "10.0.0.0/8", "--expect-cidr", "10.0.0.0/8"],
            "duplicate value '10.0.0.0/8' for '--expect-cidr <CIDR>'",
        ),
        (
            vec!["check", IMAGE, "--data-endpoint", "a.io", "--data-endpoint", "A.io"],
            "duplicate value 'a.io' for '--data-endpoint <HOST>'",
        ),
        (
            vec!["check", IMAGE, "--nameserver", "10.0.0.1", "--nameserver", "10.0.0.1:53"],
            "duplicate value '10.0.0.1:53' for '--nameserver <ADDRESS[:PORT]>'",
        ),
        (
            vec!["check", IMAGE, "--compare-resolver", "a=10.0.0.1", "--compare-resolver", "a=10.0.0.2"],
            "duplicate name 'a' for '--compare-resolver <NAME=ADDRESS[:PORT]>'",
        ),
    ] {
        assert_eq!(error(&words), expected, "{words:?}");
    }
    let many: Vec<_> =
        (1..=4).flat_map(|host| ["--nameserver".to_owned(), format!("10.0.0.{host}")]).collect();
    let words: Vec<_> = ["check", IMAGE].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert_eq!(
        error(&words),
        "invalid value for '--nameserver <ADDRESS[:PORT]>': found 4 nameservers; expected at most 3, as many as a node \
         queries"
    );
}

#[test]
fn errors_of_the_configuration_file_are_reported_at_once() {
    let folder = folder_with(&[("config.yaml", "images: [{image: app}]\nschedule: {interval: 5}\n")]);
    let file = folder.path().join("config.yaml").display().to_string();
    for command in ["check", "agent"] {
        let lines = invoke(&[command, "--config", &file]).expect_err("invalid usage").lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{file}:1:18: invalid value \"app\" for images[0].image: ")));
        assert!(lines[1].starts_with(&format!("{file}:2:22: invalid value \"5\" for schedule.interval: ")));
    }
}

#[test]
fn credentials_that_are_no_path_are_not_printed() {
    for path in ["pull:hunter2", "user:hun/ter2hunter2"] {
        let found = error(&["check", IMAGE, "--credentials", path]);
        assert!(found.contains("'--credentials <PATH>': it is not a path"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn invalid_paths_are_invalid_usage() {
    let folder = folder_with(&[("empty.json", ""), ("other.json", "{\"auths\": {}}"), ("text", "text")]);
    let here = folder.path().display().to_string();
    let [empty, other, text, absent] =
        ["empty.json", "other.json", "text", "absent"].map(|name| format!("{here}/{name}"));
    let below = format!("{absent}/report.xml");
    for (flag, path, expected) in [
        ("--credentials", &absent, "does not exist; expected a docker config.json"),
        ("--credentials", &here, "has neither .dockerconfigjson"),
        ("--ca-file", &absent, "cannot read it: No such file"),
        ("--ca-file", &here, "it is not a regular file"),
        ("--ca-file", &text, "it contains no PEM certificate"),
        ("--resolv-conf", &absent, "cannot read it: No such file"),
        ("--resolv-conf", &here, "it is not a regular file"),
        ("--report-file", &here, "it is a folder"),
        ("--report-file", &below, "its folder does not exist"),
        ("--config", &absent, "cannot read the file: No such file"),
        ("--config", &here, "not a regular file"),
        ("--config", &text, "text:1:1: invalid value: found a string; expected a mapping"),
    ] {
        let words =
            if flag == "--config" { vec!["check", flag, path] } else { vec!["check", IMAGE, flag, path] };
        let found = error(&words);
        assert!(found.contains(expected), "{words:?}: {found}");
    }
    // Credentials that a kubelet would reject are a result of the check.
    for path in [&other, &empty, &text] {
        check(&["check", IMAGE, "--credentials", path]);
    }
    check(&["check", IMAGE, "--report-file", "report.xml"]);
}

#[test]
fn an_identity_replaces_credentials_from_files() {
    const CLIENT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let credentials = |words: &[&str]| check(words).config.images[0].credentials.clone();
    assert_eq!(
        credentials(&["check", "--identity", "managed", IMAGE]),
        Some(CredentialsConfig::ManagedIdentity { client_id: None })
    );
    assert_eq!(
        credentials(&["check", "--identity", "managed", "--identity-client-id", CLIENT, IMAGE]),
        Some(CredentialsConfig::ManagedIdentity { client_id: Some(CLIENT.to_owned()) })
    );
    assert_eq!(
        credentials(&["check", "--identity", "workload", IMAGE]),
        Some(CredentialsConfig::WorkloadIdentity)
    );
    assert_eq!(
        error(&["check", "--identity", "workload", "--identity-client-id", CLIENT, IMAGE]),
        format!(
            "invalid value '{CLIENT}' for '--identity-client-id <ID>': expected no client id with --identity workload, \
             which takes it from AZURE_CLIENT_ID"
        )
    );
    assert_eq!(
        error(&["check", "--identity", "managed", "registry.example/app:1"]),
        "invalid value for '--identity <KIND>': an identity pulls only from an Azure Container Registry, and \
         registry.example is none; expected an image of *.azurecr.io, *.azurecr.us or *.azurecr.cn"
    );
    for (words, problem) in [
        (&["--identity", "managed", "--credentials", "/c"][..], "cannot be used with"),
        (&["--identity-client-id", CLIENT], "required arguments"),
        (&["--identity", "managed", "--identity-client-id", "canary"], "invalid value 'canary'"),
        (&["--identity", "secret"], "possible values: managed, workload"),
        (&["--lab-imds", "127.0.0.1:80"], "--allow-loopback"),
        (&["--allow-loopback", "--lab-imds", "10.0.0.1:80"], "a loopback address with a port"),
    ] {
        let words = ["acr-verifier", "check"].iter().chain(words).chain(&[IMAGE]).map(OsString::from);
        let refused = parse(words).expect_err("invalid usage").to_string();
        assert!(refused.contains(problem), "{problem}: {refused}");
    }
}

#[test]
fn default_kubeconfigs_are_those_of_kubectl() {
    let home = Some(Path::new("/home/a"));
    for (variable, home, expected) in [
        (None, home, &["/home/a/.kube/config"][..]),
        (Some(""), home, &["/home/a/.kube/config"]),
        (Some(":"), home, &["/home/a/.kube/config"]),
        (Some("/one::two"), home, &["/one", "two"]),
        (Some("/one"), None, &["/one"]),
        (None, None, &[]),
    ] {
        let paths = super::paths::default_kubeconfigs(variable.map(AsRef::as_ref), home);
        assert!(
            paths.iter().map(|path| path.to_str().expect("UTF-8")).eq(expected.iter().copied()),
            "{paths:?}"
        );
    }
}
