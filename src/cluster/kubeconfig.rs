//! Kubeconfigs: which files, and their content.
//!
//! kube has the types, the merge of several files and the meaning of a context. Its reader is not used: its errors quote the
//! lines around a fault, which may be a token or a key. Here an error names a place.

use std::io;
use std::path::Path;

use kube::config::Kubeconfig;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::KubeAccess;
use crate::file::{self, FileError};
use crate::text::encoding::decode;
use crate::text::yaml::{self, Entry, Node, Value};

/// Maximum size of a file in bytes: a thousand clusters, each with the certificates of a user, take 6 MiB.
const MAX_FILE: u64 = 16 << 20;
/// Maximum length of a file's name in bytes (`NAME_MAX` of Linux).
const MAX_NAME: usize = 255;

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

/// Whether the context's cluster has a `proxy-url`.
pub(super) fn has_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let context = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|named| Some(named.name.as_str()) == context);
    let cluster = context.and_then(|named| named.context.as_ref()).map(|context| &context.cluster);
    let cluster = kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster);
    cluster.and_then(|named| named.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some())
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
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&text, folder).map(Some).map_err(|fault| format!("{}:{fault}", path.display()))
}

/// Parses the text of a file in `folder`; the error starts with its position and quotes no value.
fn parse(text: &str, folder: &Path) -> Result<Kubeconfig, String> {
    let tree = yaml::parse_first(text);
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
            "clusters" => kubeconfig.clusters = list(entry, Some(("cluster", folder)))?,
            "users" => kubeconfig.auth_infos = list(entry, Some(("user", folder)))?,
            "contexts" => kubeconfig.contexts = list(entry, None)?,
            "current-context" => match entry.value.value {
                nothing if nothing.is_null() => {}
                Value::Plain(name) | Value::Quoted(name) => {
                    kubeconfig.current_context = Some(name).filter(|name| !name.is_empty());
                }
                Value::Sequence(_) | Value::Mapping(_) => {
                    return Err(format!(
                        "{}: invalid value for current-context: expected a string",
                        entry.value.position
                    ));
                }
            },
            _ => {}
        }
    }
    Ok(kubeconfig)
}

/// The named clusters, users or contexts. The fields below the named key are completed.
fn list<T: DeserializeOwned>(entry: Entry, completed: Option<(&str, &Path)>) -> Result<Vec<T>, String> {
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
        let invalid = |why: String| format!("{position}: invalid value in {key}[{index}]: {why}");
        let mut item = json(item.value);
        if let Some((inner, folder)) = completed
            && let Some(Json::Object(fields)) = item.get_mut(inner)
        {
            complete(fields, folder).map_err(invalid)?;
        }
        serde_json::from_value(item).map_err(|error| invalid(reason(&error)))
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

/// A node as JSON, as kubectl converts it. A key without a value is absent.
fn json(value: Value) -> Json {
    let null = value.is_null();
    match value {
        Value::Plain(_) if null => Json::Null,
        Value::Plain(text) => match text.as_str() {
            "y" | "Y" | "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Json::Bool(true)
            }
            "n" | "N" | "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                Json::Bool(false)
            }
            number => match number.parse() {
                Ok(number) => Json::Number(number),
                Err(_) => Json::String(text),
            },
        },
        Value::Quoted(text) => Json::String(text),
        Value::Sequence(items) => items.into_iter().map(|item| json(item.value)).collect(),
        Value::Mapping(entries) => {
            let present = entries.into_iter().filter(|entry| !entry.value.value.is_null());
            Json::Object(present.map(|entry| (entry.key, json(entry.value.value))).collect())
        }
    }
}

/// Interprets the fields of a cluster or user like client-go: an empty text is an absent one, base64 may have line breaks, and a
/// path is relative to the file's folder. A program without a separator is found in `PATH`.
fn complete(fields: &mut Map<String, Json>, folder: &Path) -> Result<(), String> {
    fields.retain(|_, value| value != "");
    for key in ["certificate-authority-data", "client-certificate-data", "client-key-data"] {
        if let Some(Json::String(text)) = fields.get_mut(key) {
            text.retain(|letter| !matches!(letter, '\n' | '\r'));
        }
    }
    for (key, inline) in [
        ("certificate-authority", "certificate-authority-data"),
        ("client-certificate", "client-certificate-data"),
        ("client-key", "client-key-data"),
        ("tokenFile", "token"),
    ] {
        if let Some(Json::String(path)) = fields.get_mut(key) {
            if is_content(path) {
                return Err(format!(
                    "invalid value for {key}: expected a path; the content belongs in {inline}"
                ));
            }
            *path = absolute(path, folder);
        }
    }
    if let Some(Json::String(command)) = fields.get_mut("exec").and_then(|exec| exec.get_mut("command"))
        && command.contains('/')
    {
        *command = absolute(command, folder);
    }
    Ok(())
}

/// Whether a text in the place of a path is what the file should contain: PEM, its base64, or a JSON web token. An error of
/// the system would quote it.
fn is_content(path: &str) -> bool {
    path.contains('\n')
        || ["-----BEGIN", "LS0t", "eyJ"].iter().any(|start| path.starts_with(start))
        || path.split('/').any(|name| name.len() > MAX_NAME)
}

fn absolute(path: &str, folder: &Path) -> String {
    folder.join(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
