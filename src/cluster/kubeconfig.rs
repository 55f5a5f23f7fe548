//! Kubeconfigs: which files, and their content.
//!
//! kube has the types, the merge of several files and the meaning of a context. Its reader is not used: its errors quote the lines
//! around a fault, which may be a token or a key. Here an error names a place.

use std::io;
use std::path::Path;

use kube::config::Kubeconfig;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::KubeAccess;
use crate::file::{self, FileError};
use crate::text::encoding::decode;
use crate::text::yaml::{self, Entry, Node, Value};

/// Maximum size of a file in bytes: a thousand clusters, each with the certificates of a user, have 6 MiB.
const MAX_FILE: u64 = 16 << 20;

/// Reads the named kubeconfig, or merges those that kubectl would use.
pub(super) fn load(access: &KubeAccess) -> Result<Kubeconfig, String> {
    if let Some(path) = &access.kubeconfig {
        return match read(path) {
            Ok(Some(kubeconfig)) => Ok(kubeconfig),
            Ok(None) => Err(format!("--kubeconfig {}: the file does not exist", path.display())),
            Err(error) => Err(format!("--kubeconfig {error}")),
        };
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in &access.default_kubeconfigs {
        // kubectl ignores a file of the list that does not exist.
        if let Some(next) = read(path).map_err(|error| format!("kubeconfig {error}"))? {
            let kubeconfig = merged.unwrap_or_default().merge(next);
            merged = Some(kubeconfig.map_err(|error| format!("kubeconfig {}: {error}", path.display()))?);
        }
    }
    merged.ok_or_else(|| {
        let paths = access.default_kubeconfigs.iter().map(|path| path.display().to_string());
        let place = paths.reduce(|all, path| format!("{all} or {path}")).map(|all| format!(" at {all}"));
        format!("no kubeconfig found{}: set --kubeconfig or $KUBECONFIG", place.unwrap_or_default())
    })
}

/// Reads a file; `None` if it does not exist. An error starts with the path.
fn read(path: &Path) -> Result<Option<Kubeconfig>, String> {
    let about = |what: &str| format!("{}: {what}", path.display());
    let bytes = match file::read(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(FileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(FileError::Read(error)) => return Err(about(&error.to_string())),
        Err(error) => return Err(about(&error.to_string())),
    };
    let text = decode(&bytes).ok_or_else(|| about("the file is not UTF-8"))?;
    let mut kubeconfig = parse(&text).map_err(|fault| format!("{}:{fault}", path.display()))?;
    if let Some(folder) = path.parent() {
        resolve(&mut kubeconfig, folder);
    }
    Ok(Some(kubeconfig))
}

/// Parses a text; the error starts with its position and quotes no value.
fn parse(text: &str) -> Result<Kubeconfig, String> {
    let tree = yaml::parse(text);
    if let Some(fault) = tree.faults.first() {
        return Err(format!("{}: {}", fault.position, fault.message));
    }
    let mut kubeconfig = Kubeconfig::default();
    let Some(root) = tree.root.filter(|root| !root.value.is_null()) else { return Ok(kubeconfig) };
    let Value::Mapping(entries) = root.value else {
        return Err(format!(
            "{}: not a kubeconfig: expected a mapping with clusters, users and contexts",
            root.position
        ));
    };
    for entry in entries {
        match entry.key.as_str() {
            "clusters" => kubeconfig.clusters = list(entry)?,
            "users" => kubeconfig.auth_infos = list(entry)?,
            "contexts" => kubeconfig.contexts = list(entry)?,
            "current-context" => match entry.value.value {
                nothing if nothing.is_null() => {}
                Value::Plain(name) | Value::Quoted(name) => {
                    kubeconfig.current_context = Some(name).filter(|name| !name.is_empty());
                }
                Value::Sequence(_) | Value::Mapping(_) => {
                    return Err(format!(
                        "{}: invalid value for current-context: expected a string",
                        entry.position
                    ));
                }
            },
            _ => {}
        }
    }
    Ok(kubeconfig)
}

/// The named clusters, users or contexts.
fn list<T: DeserializeOwned>(entry: Entry) -> Result<Vec<T>, String> {
    let Entry { key, value: Node { position, value }, .. } = entry;
    let items = match value {
        Value::Sequence(items) => items,
        nothing if nothing.is_null() => Vec::new(),
        Value::Plain(_) | Value::Quoted(_) | Value::Mapping(_) => {
            return Err(format!("{position}: invalid value for {key}: expected a list"));
        }
    };
    let one = |(index, item): (usize, Node)| {
        let position = item.position;
        serde_json::from_value(json(item.value))
            .map_err(|error| format!("{position}: invalid value in {key}[{index}]: {}", reason(&error)))
    };
    items.into_iter().enumerate().map(one).collect()
}

/// What was expected, in the words of the parser; what was found may be secret.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => "expected a mapping".to_owned(),
        Some((_, "a sequence")) => "expected a list".to_owned(),
        Some((_, expected)) => format!("expected {expected}"),
        None if message.starts_with("missing field") => message,
        None => "a value has the wrong type".to_owned(),
    }
}

/// A node as JSON, into which kubectl converts a kubeconfig.
fn json(value: Value) -> Json {
    let null = value.is_null();
    match value {
        Value::Plain(_) if null => Json::Null,
        Value::Plain(text) => match text.as_str() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Json::Bool(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Json::Bool(false),
            number => number.parse().map_or_else(|_| Json::String(text.clone()), Json::Number),
        },
        Value::Quoted(text) => Json::String(text),
        Value::Sequence(items) => items.into_iter().map(|item| json(item.value)).collect(),
        Value::Mapping(entries) => {
            Json::Object(entries.into_iter().map(|entry| (entry.key, json(entry.value.value))).collect())
        }
    }
}

/// Makes the paths in a file relative to its folder, as kubectl does. A program without a separator is found in `PATH`.
fn resolve(kubeconfig: &mut Kubeconfig, folder: &Path) {
    let absolute = |path: &mut Option<String>| {
        if let Some(path) = path.as_mut().filter(|path| Path::new(path.as_str()).is_relative()) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        absolute(&mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        absolute(&mut user.client_certificate);
        absolute(&mut user.client_key);
        absolute(&mut user.token_file);
        if let Some(exec) = &mut user.exec
            && exec.command.as_ref().is_some_and(|command| command.contains('/'))
        {
            absolute(&mut exec.command);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use kube::config::{Kubeconfig, NamedAuthInfo};
    use secrecy::ExposeSecret as _;

    use super::{load, parse};
    use crate::cluster::KubeAccess;

    const SECRET: &str = "hunter2secret";

    fn access(kubeconfig: Option<PathBuf>, default_kubeconfigs: Vec<PathBuf>) -> KubeAccess {
        KubeAccess { kubeconfig, default_kubeconfigs, context: None, in_cluster: false }
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
             command: kubelogin\n      env: null\n      provideClusterInfo: false\n"
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
        for bytes in [text.clone().into_bytes(), format!("\u{feff}{text}").into_bytes(), little, big] {
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
        let read = parse(text).expect("a kubeconfig");
        let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
        assert_eq!(cluster.insecure_skip_tls_verify, Some(true));
        let extension = &cluster.extensions.as_ref().expect("extensions")[0].extension;
        assert_eq!(extension.to_string(), "{\"list\":[1,\"1\"],\"n\":1.5,\"none\":null}");
        let read = parse("users: [{name: a, user: {token: \"12345\"}}]\ncurrent-context: \"\"\n")
            .expect("a kubeconfig");
        let token = user(&read).auth_info.as_ref().and_then(|user| user.token.as_ref()).expect("a token");
        assert_eq!(token.expose_secret(), "12345");
        assert_eq!(read.current_context, None);
        for empty in
            ["", "---\n", "# nothing\n", "kind: Config\n", "current-context:\n", "current-context: null\n"]
        {
            let read = parse(empty).expect(empty);
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
        assert_eq!(
            read.contexts.iter().map(|context| context.name.as_str()).collect::<Vec<_>>(),
            ["two", "one"]
        );
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
        let read =
            load(&access(Some(written(folder.path(), "config", text)), Vec::new())).expect("a kubeconfig");
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
    fn errors_name_the_place_and_quote_no_value() {
        for (text, expected) in [
            (
                "- hunter2secret\n",
                "1:1: not a kubeconfig: expected a mapping with clusters, users and contexts",
            ),
            ("hunter2secret", "1:1: not a kubeconfig: expected a mapping with clusters, users and contexts"),
            ("users: hunter2secret\n", "1:8: invalid value for users: expected a list"),
            (
                "current-context: [hunter2secret]\n",
                "1:1: invalid value for current-context: expected a string",
            ),
            (
                "users: [{name: a, user: {token: [hunter2secret]}}]",
                "1:9: invalid value in users[0]: expected a string",
            ),
            (
                "users:\n- user: {token: hunter2secret}\n",
                "2:3: invalid value in users[0]: missing field `name`",
            ),
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
                "users: [{name: a, user: {exec: {env: hunter2secret}}}]",
                "1:9: invalid value in users[0]: expected a list",
            ),
        ] {
            let error = parse(text).expect_err(text);
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
}
