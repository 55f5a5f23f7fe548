//! Kubeconfigs of clusters and tools, mistakes in them, and what their errors may say.

use std::fs;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, NamedAuthInfo};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{load, parse};
use crate::cluster::KubeAccess;
use crate::proxy::ProxySettings;

const SECRET: &str = "hunter2secret";

fn access(kubeconfig: Option<PathBuf>, default_kubeconfigs: Vec<PathBuf>) -> KubeAccess {
    KubeAccess {
        kubeconfig,
        default_kubeconfigs,
        context: None,
        proxies: ProxySettings::default(),
        in_cluster: false,
    }
}

fn written(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// A kubeconfig as `az aks get-credentials` writes it.
fn named(name: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0t\n    server: https://{name}.example:443\n  \
         name: {name}\ncontexts:\n- context:\n    cluster: {name}\n    user: clusterUser_{name}\n  name: {name}\n\
         current-context: {name}\nkind: Config\npreferences: {{}}\nusers:\n- name: clusterUser_{name}\n  user:\n    exec:\n      \
         apiVersion: client.authentication.k8s.io/v1beta1\n      args:\n      - get-token\n      - --server-id\n      - \"6\"\n      \
         command: kubelogin\n      env: null\n      installHint: |2\n\n        kubelogin is not installed:\n\n          az \
         aks install-cli\n      interactiveMode: IfAvailable\n      provideClusterInfo: false\n"
    )
}

fn user(kubeconfig: &Kubeconfig) -> &NamedAuthInfo {
    kubeconfig.auth_infos.first().expect("a user")
}

#[test]
fn the_file_of_an_aks_cluster_is_read_in_every_encoding() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = named("aks");
    let units = || std::iter::once(0xfeff).chain(text.encode_utf16());
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let windows = text.replace('\n', "\r\n").into_bytes();
    let marked = format!("\u{feff}{text}").into_bytes();
    // kubectl reads the first of several documents.
    let followed = format!("---\n{text}---\nusers: !\n").into_bytes();
    for bytes in [text.clone().into_bytes(), windows, marked, little, big, followed] {
        let path = written(folder.path(), "config", bytes);
        let read = load(&access(Some(path), Vec::new())).expect("a kubeconfig");
        assert_eq!(read.current_context.as_deref(), Some("aks"));
        let exec = user(&read).auth_info.as_ref().and_then(|user| user.exec.as_ref()).expect("exec");
        assert_eq!(exec.command.as_deref(), Some("kubelogin"));
        assert_eq!(
            exec.args.as_deref(),
            Some(["get-token", "--server-id", "6"].map(str::to_owned).as_slice())
        );
        let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
        assert_eq!(cluster.server.as_deref(), Some("https://aks.example:443"));
    }
}

#[test]
fn json_and_every_kind_of_scalar_are_read() {
    let text = "{\"clusters\": [{\"name\": \"a\", \"cluster\": {\"insecure-skip-tls-verify\": true, \"extensions\": [{\"name\": \"x\", \
                \"extension\": {\"n\": 1.5, \"none\": null, \"list\": [1, \"1\"]}}]}}], \"users\": null}";
    let read = parse(text, Path::new("")).expect("a kubeconfig");
    let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
    assert_eq!(cluster.insecure_skip_tls_verify, Some(true));
    let extension = &cluster.extensions.as_ref().expect("extensions")[0].extension;
    assert_eq!(extension.to_string(), "{\"list\":[1,\"1\"],\"n\":1.5}");
    let read = parse("users: [{name: a, user: {token: \"12345\"}}]\ncurrent-context: \"\"\n", Path::new(""))
        .expect("a kubeconfig");
    let token = user(&read).auth_info.as_ref().and_then(|user| user.token.as_ref()).expect("a token");
    assert_eq!(token.expose_secret(), "12345");
    assert_eq!(read.current_context, None);
    for empty in
        ["", "---\n", "# nothing\n", "kind: Config\n", "current-context:\n", "current-context: null\n"]
    {
        let read = parse(empty, Path::new("")).expect(empty);
        assert!(read.contexts.is_empty() && read.current_context.is_none());
    }
}

#[test]
fn the_first_file_wins_and_missing_ones_are_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("absent");
    let one = written(folder.path(), "one", named("one"));
    let two = written(folder.path(), "two", named("two"));
    let read = load(&access(None, vec![absent.clone(), two, one])).expect("a kubeconfig");
    assert_eq!(read.current_context.as_deref(), Some("two"));
    assert_eq!(read.contexts.iter().map(|context| context.name.as_str()).collect::<Vec<_>>(), ["two", "one"]);
    let error = load(&access(None, vec![absent.clone()])).expect_err("no file");
    assert_eq!(
        error,
        format!("no kubeconfig found at {}: set --kubeconfig or $KUBECONFIG", absent.display())
    );
    assert_eq!(
        load(&access(None, Vec::new())).expect_err("no home"),
        "no kubeconfig found: set --kubeconfig or $KUBECONFIG"
    );
    let error = load(&access(Some(absent.clone()), Vec::new())).expect_err("no file");
    assert_eq!(error, format!("--kubeconfig {}: the file does not exist", absent.display()));
}

#[test]
fn paths_are_relative_to_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "clusters: [{name: a, cluster: {certificate-authority: ca.crt}}]\nusers:\n- name: a\n  user: {client-certificate: \
                pki/a.crt, client-key: /pki/a.key, tokenFile: token, exec: {command: ./bin/login}}\n- name: b\n  user: {exec: \
                {command: kubelogin}}\n";
    let read = load(&access(Some(written(folder.path(), "config", text)), Vec::new())).expect("a kubeconfig");
    let inside = |path: &str| Some(folder.path().join(path).to_string_lossy().into_owned());
    let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
    assert_eq!(cluster.certificate_authority, inside("ca.crt"));
    let users: Vec<_> = read.auth_infos.iter().filter_map(|user| user.auth_info.as_ref()).collect();
    assert_eq!(users[0].client_certificate, inside("pki/a.crt"));
    assert_eq!(users[0].client_key.as_deref(), Some("/pki/a.key"));
    assert_eq!(users[0].token_file, inside("token"));
    assert_eq!(users[0].exec.as_ref().and_then(|exec| exec.command.clone()), inside("./bin/login"));
    assert_eq!(users[1].exec.as_ref().and_then(|exec| exec.command.as_deref()), Some("kubelogin"));
}

#[test]
fn values_count_as_in_client_go() {
    let text = "clusters: [{name: a, cluster: {insecure-skip-tls-verify: y, certificate-authority: '', \
                certificate-authority-data: \"TEFC\\nQ0Q=\\n\", proxy-url: ''}}]\ncontexts: [{name: a, context: {cluster: '', \
                user: a}}]\nusers: [{name: a, user: {token: '', client-key: '', client-key-data: null, auth-provider: \
                {name: gcp, config: null}, exec: {command: login, args: [''], env: [{name: X, value: ''}]}}}]\n";
    let read = parse(text, Path::new("/home")).expect("a kubeconfig");
    let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
    assert_eq!(cluster.insecure_skip_tls_verify, Some(true));
    assert_eq!((&cluster.certificate_authority, &cluster.proxy_url), (&None, &None));
    assert_eq!(cluster.certificate_authority_data.as_deref(), Some("TEFCQ0Q="));
    let user = user(&read).auth_info.as_ref().expect("a user");
    assert!(user.token.is_none() && user.client_key.is_none() && user.client_key_data.is_none());
    let exec = user.exec.as_ref().expect("exec");
    assert_eq!(exec.args.as_deref(), Some([String::new()].as_slice()));
    assert_eq!(exec.env.as_ref().expect("variables")[0]["value"], "");
}

#[test]
fn errors_name_the_place_and_quote_no_value() {
    let long = format!("users: [{{name: a, user: {{tokenFile: {}}}}}]", SECRET.repeat(20));
    for (text, expected) in [
        ("- hunter2secret\n", "1:1: not a kubeconfig: expected a mapping with clusters, users and contexts"),
        ("hunter2secret", "1:1: not a kubeconfig: expected a mapping with clusters, users and contexts"),
        ("users: hunter2secret\n", "1:8: invalid value for users: expected a list"),
        ("current-context: [hunter2secret]\n", "1:18: invalid value for current-context: expected a string"),
        (
            "users: [{name: a, user: {token: [hunter2secret]}}]",
            "1:9: invalid value in users[0]: expected a string",
        ),
        ("users:\n- user: {token: hunter2secret}\n", "2:3: invalid value in users[0]: missing field `name`"),
        (
            "users:\n- name: a\n  user:\n    token: hunter2secret\n    exec: 5\n",
            "2:3: invalid value in users[0]: expected a mapping",
        ),
        (
            "users:\n- name: a\n  user:\n    token: hunter2secret\n    token: b\n",
            "5:5: duplicate key \"token\": already set in line 4",
        ),
        (
            "users:\n- name: a\n  user:\n    token: \"hunter2secret\n    x: y",
            "4:12: not valid YAML: unclosed quote",
        ),
        (
            "users: [{name: a, user: {exec: {interactiveMode: hunter2secret}}}]",
            "1:9: invalid value in users[0]: expected one of",
        ),
        (
            "users: [{name: a, user: {password: !hunter2secret}}]",
            "1:50: tags are not supported: remove the tag, or quote a value that starts with `!`",
        ),
        ("users: [{name: a, user: {password: &hunter2secret}}]", "1:50: anchors are not supported"),
        ("users: [{name: a, user: {password: *hunter2secret}}]", "1:36: not valid YAML: "),
        (
            "users: [{name: a, user: {client-key: LS0thunter2secret}}]",
            "1:9: invalid value in users[0]: invalid value for client-key: expected a path; the content belongs in \
             client-key-data",
        ),
        (
            long.as_str(),
            "1:9: invalid value in users[0]: invalid value for tokenFile: expected a path; the content belongs in \
             token",
        ),
        (
            "users: [{name: a, user: {exec: {env: hunter2secret}}}]",
            "1:9: invalid value in users[0]: expected a list",
        ),
    ] {
        let error = parse(text, Path::new("")).expect_err(text);
        assert!(error.starts_with(expected), "{text}: {error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}

#[test]
fn binary_and_irregular_files_are_rejected() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "config", [0xff, 0x00, 0xc3]);
    let error = load(&access(Some(path.clone()), Vec::new())).expect_err("no text");
    assert_eq!(error, format!("--kubeconfig {}: the file is not UTF-8", path.display()));
    let error = load(&access(Some(PathBuf::from("/dev/zero")), Vec::new())).expect_err("no file");
    assert_eq!(error, "--kubeconfig /dev/zero: it is not a regular file");
}

proptest! {
    /// One mistake anywhere in a file with a token.
    #[test]
    fn no_mistake_brings_a_token_into_an_error(
        place in 0..1000_usize,
        mistake in "[-:?,&*!|>'\"%@`#{}\\[\\]\\\\~ \n\ta-c0-9]{1,3}",
        removed in 0..3_usize,
    ) {
        let text = named("aks").replace("exec:", &format!("token: {SECRET}\n    exec:"));
        let (start, rest) = text.split_at(place % text.len());
        let text = format!("{start}{mistake}{}", &rest[removed.min(rest.len())..]);
        if let Err(error) = parse(&text, Path::new("")) {
            prop_assert!(!error.contains(&SECRET[2..11]), "{error}");
        }
    }
}
