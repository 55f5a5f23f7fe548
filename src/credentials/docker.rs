//! Docker's `config.json` and its older form, read as the kubelet reads them.
//!
//! Owns the entries, their order and their forms (`pkg/credentialprovider`: `keyring.go`, `config.go`). Credential helpers and
//! identity tokens, which the kubelet ignores, are ignored and reported. No file is opened here, and no message contains a
//! value: parse errors are described by their position, because the library's messages may quote the text. Libraries for
//! docker's credentials are not used: they choose an entry by docker's rules and run helpers.

mod entry;
mod json;
mod key;

use std::cmp::Reverse;

use self::entry::Entry;
use self::json::{Fields, JsonError, is_field};
use self::key::Near;
use super::CredentialsError;
use crate::image::ImageReference;
use crate::text::quote::quote;
use crate::text::words::some_of;

pub(super) use self::entry::Pair;

/// Keys that a message names.
const MAX_NAMED: usize = 10;

/// The format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `config.json` and `kubernetes.io/dockerconfigjson`: the entries are below `auths`.
    ConfigJson,
    /// `kubernetes.io/dockercfg`: the entries are the document.
    Cfg,
    /// Detect the format from the content.
    Either,
}

/// A parsed document in which the kubelet accepts every entry.
pub(super) struct DockerConfig {
    /// In document order; a repeated key has the value of its last entry at the position of its first.
    entries: Vec<Entry>,
    helpers: Vec<&'static str>,
    /// What the document appears to be, if it has no entries.
    mistaken: Option<&'static str>,
}

/// An entry that matches an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The key as shown in messages.
    pub(super) key: String,
    pub(super) pair: Pair,
    /// Why the entry has no user name or password.
    pub(super) instead: Option<String>,
}

impl DockerConfig {
    /// Parses a document.
    ///
    /// # Errors
    /// A phrase about the file: `it is not JSON (line 3, column 9)`.
    pub(super) fn parse(bytes: &[u8], form: Form) -> Result<Self, CredentialsError> {
        let text = json::text_of(bytes);
        if text.starts_with('\u{feff}') {
            return Err(invalid("it starts with a byte order mark; save it as UTF-8 without one"));
        }
        let document = json::document(&text).map_err(|error| invalid(describe_syntax(error, &text)))?;
        let root = json::object(document)
            .map_err(|_| invalid("it is JSON, but not an object with the key `auths`"))?
            .unwrap_or_default();
        let form = match form {
            Form::Either if looks_like_cfg(&root) => Form::Cfg,
            Form::Either | Form::ConfigJson => Form::ConfigJson,
            Form::Cfg => Form::Cfg,
        };
        let mut entries = Vec::new();
        match form {
            Form::Cfg => add_entries(&mut entries, &root)?,
            Form::ConfigJson | Form::Either => read_root(&mut entries, &root)?,
        }
        let helpers = ["credsStore", "credHelpers"].into_iter().filter(|key| is_set(&root, key)).collect();
        let mistaken = if entries.is_empty() { mistake(&root) } else { None };
        Ok(Self { entries, helpers, mistaken })
    }

    /// The entries for an image, in the order in which the kubelet tries them.
    pub(super) fn find(&self, image: &ImageReference) -> Vec<Match> {
        let mut found: Vec<_> = self.entries.iter().filter(|entry| entry.key.matches(image)).collect();
        if found.is_empty() {
            found.extend(self.entries.iter().filter(|entry| entry.key.is_default_for(image)));
        }
        // The kubelet tries two spellings of a key in random order, because Go iterates a map; here the order is fixed.
        found.sort_by_key(|entry| Reverse((&entry.key.sorted, &entry.written)));
        found.into_iter().map(|entry| self.describe_match(entry)).collect()
    }

    fn describe_match(&self, entry: &Entry) -> Match {
        let key = quote(&entry.written);
        let instead = if entry.pair.is_complete() {
            None
        } else if entry.has_identity_token {
            Some(format!(
                "the entry {key} has only an `identitytoken`, as written by `az acr login`, which the kubelet ignores"
            ))
        } else if self.helpers.is_empty() {
            let part = if entry.pair.username.is_empty() { "user name" } else { "password" };
            Some(format!("the entry {key} has an empty {part}, so the kubelet pulls anonymously"))
        } else {
            Some(format!("the entry {key} is empty, and {}", describe_helpers(&self.helpers)))
        };
        Match { key, pair: entry.pair.clone(), instead }
    }

    /// What the file contains instead of an entry for an image, to follow the file's name.
    pub(super) fn describe_absence(&self, image: &ImageReference) -> String {
        let mut keys: Vec<_> = self.entries.iter().map(|entry| quote(&entry.written)).collect();
        keys.sort();
        let mut phrases =
            vec![format!("has no entry for {}/{}", image.written_registry(), image.repository())];
        phrases.push(match (keys.as_slice(), self.mistaken) {
            ([], Some(mistaken)) => mistaken.to_owned(),
            ([], None) => "it has no entries".to_owned(),
            ([key], _) => format!("its only key is {key}"),
            (keys, _) => format!("its keys are {}", some_of(keys, MAX_NAMED)),
        });
        phrases.extend(self.describe_near(image));
        if !self.helpers.is_empty() {
            phrases.push(describe_helpers(&self.helpers));
        }
        phrases.join("; ")
    }

    /// The first key that differs only in port or case.
    fn describe_near(&self, image: &ImageReference) -> Option<String> {
        self.entries.iter().find_map(|entry| {
            let what = match entry.key.near(image)? {
                Near::Port => "port",
                Near::Case => "case",
                Near::PortAndCase => "port and case",
            };
            let key = quote(&entry.written);
            Some(format!(
                "{key} differs from the image reference only in {what}, which the kubelet compares exactly"
            ))
        })
    }
}

/// Reads the fields of a `config.json` that the kubelet parses.
fn read_root(entries: &mut Vec<Entry>, root: &Fields<'_>) -> Result<(), CredentialsError> {
    for (key, value) in root {
        if is_field(key, "auths") {
            match json::object(value).map_err(|_| invalid("its `auths` is not an object"))? {
                // Repeated `auths` are merged, unless there is a `null` in between.
                Some(auths) => add_entries(entries, &auths)?,
                None => entries.clear(),
            }
        } else if is_field(key, "HttpHeaders") {
            let headers = json::object(value).map_err(|_| invalid("its `HttpHeaders` is not an object"))?;
            for (_name, value) in headers.unwrap_or_default() {
                json::string(value).map_err(|_| invalid("a value of its `HttpHeaders` is not a string"))?;
            }
        }
    }
    Ok(())
}

/// Adds entries; the kubelet rejects the whole file for one bad entry, whichever image it pulls.
fn add_entries(entries: &mut Vec<Entry>, fields: &Fields<'_>) -> Result<(), CredentialsError> {
    for (key, value) in fields {
        let entry = Entry::parse(key, value)?;
        match entries.iter_mut().find(|known| known.written == *key) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Ok(())
}

/// Whether a document without `auths` has the older format: a value in it has the fields of an entry.
fn looks_like_cfg(root: &Fields<'_>) -> bool {
    let is_entry = |fields: &Fields<'_>| {
        fields.iter().any(|(key, _)| ["auth", "username", "password"].iter().any(|name| is_field(key, name)))
    };
    !root.iter().any(|(key, _)| is_field(key, "auths"))
        && root.iter().any(|(key, value)| {
            !is_field(key, "HttpHeaders")
                && json::object(value).ok().flatten().is_some_and(|fields| is_entry(&fields))
        })
}

/// What a document without entries appears to be.
fn mistake(root: &Fields<'_>) -> Option<&'static str> {
    let has = |name: &str| root.iter().any(|(key, _)| key == name);
    if has("kind") && (has("data") || has("stringData")) {
        Some("it is the manifest of a Secret: use the decoded content of its `.dockerconfigjson`")
    } else if looks_like_cfg(root) {
        Some(
            "it has the format of a `kubernetes.io/dockercfg` Secret, which the kubelet reads only from a Secret of that type",
        )
    } else {
        None
    }
}

/// Why a text is not JSON, and what it appears to be.
fn describe_syntax(error: JsonError, text: &str) -> String {
    let place = match error {
        JsonError::Syntax { line, column } => format!("it is not JSON (line {line}, column {column})"),
        JsonError::Type => "it is not JSON".to_owned(),
    };
    if text.lines().any(|line| line.trim_end() == "kind: Secret") {
        format!("{place}: it is the manifest of a Secret; use the decoded content of its `.dockerconfigjson`")
    } else if entry::decode(text.trim()).is_some_and(|bytes| bytes.trim_ascii_start().starts_with(b"{")) {
        format!("{place}: it is base64-encoded JSON, so it was encoded once too often")
    } else {
        place
    }
}

fn is_set(root: &Fields<'_>, name: &str) -> bool {
    let value = root.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
    value.is_some_and(|value| !matches!(value, "null" | "\"\"" | "{}"))
}

fn describe_helpers(helpers: &[&str]) -> String {
    format!(
        "credentials in `{}` are not used: neither the kubelet nor this program runs credential helpers",
        helpers.join("` or `")
    )
}

fn invalid(phrase: impl Into<String>) -> CredentialsError {
    CredentialsError(phrase.into())
}

#[cfg(test)]
mod tests;
