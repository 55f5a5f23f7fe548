//! Docker's `config.json`, read as the kubelet reads it.
//!
//! Owns the choice of an entry and the forms of one (`pkg/credentialprovider`: `keyring.go`, `config.go`). What the
//! kubelet ignores is ignored here and said so: credential helpers, identity tokens. Nothing here opens a file, and no
//! message carries a value: parse errors are told by their place alone, because a library's words may quote.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::CredentialsError;
use crate::image::ImageReference;
use crate::quote::quote;
use crate::secret::Secret;

/// Base64 as Go's decoder takes it from the kubelet: padded or not, unused bits whatever they are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Keys that a message names.
const MAX_NAMED: usize = 10;

/// A user name with its password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) username: String,
    pub(super) password: Secret,
}

/// A parsed `config.json`, every entry of which has a form that the kubelet takes.
pub(super) struct DockerConfig {
    entries: Vec<Entry>,
    helpers: Vec<&'static str>,
}

/// One entry of `auths`.
struct Entry {
    /// As written, for messages.
    written: String,
    pattern: KeyPattern,
    pair: Pair,
    has_identity_token: bool,
}

/// A key of `auths`, taken apart: `[SCHEME://]HOST[:PORT][/PATH]`.
///
/// The kubelet sorts its keys as texts and tries them from the end, so that a longer path comes first and a wildcard
/// last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KeyPattern {
    host_and_path: String,
    host_length: usize,
}

impl DockerConfig {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// [`CredentialsError::Invalid`], as a phrase about the file: `it is not JSON (line 3, column 9)`.
    pub(super) fn parse(text: &str) -> Result<Self, CredentialsError> {
        if text.starts_with('\u{feff}') {
            return Err(invalid("it starts with a byte order mark; save it as UTF-8 without one"));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            invalid(format!("it is not JSON (line {}, column {})", error.line(), error.column()))
        })?;
        let Value::Object(root) = value else {
            return Err(invalid("it is JSON, but no object with the key `auths`"));
        };
        let helpers = ["credsStore", "credHelpers"].into_iter().filter(|key| is_set(&root, key)).collect();
        let entries = match root.get("auths") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(auths)) => auths
                .iter()
                // The kubelet refuses the whole file for one bad entry, whichever image it pulls.
                .map(|(key, entry)| Entry::parse(key, entry))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(invalid("its `auths` is no object")),
        };
        Ok(Self { entries, helpers })
    }

    /// The most specific entry for an image.
    ///
    /// # Errors
    /// [`CredentialsError::Missing`] where there is none, [`CredentialsError::Invalid`] where it cannot be used; both as
    /// a phrase about the file.
    pub(super) fn find(mut self, image: &ImageReference) -> Result<Pair, CredentialsError> {
        self.entries.sort_by(|one, other| other.pattern.cmp(&one.pattern));
        let Some(position) = self.entries.iter().position(|entry| entry.pattern.matches(image)) else {
            return Err(CredentialsError::Missing(self.describe_absence(image)));
        };
        let entry = self.entries.swap_remove(position);
        let key = quote(&entry.written);
        let Pair { username, password } = &entry.pair;
        if password.is_empty() && entry.has_identity_token {
            return Err(invalid(format!(
                "its entry {key} has only an `identitytoken`, as `az acr login` writes it: the kubelet ignores those; \
                 create a repository token and store its name and password"
            )));
        }
        if username.is_empty() && password.is_empty() && !self.helpers.is_empty() {
            let helpers = describe_helpers(&self.helpers);
            return Err(CredentialsError::Missing(format!("its entry {key} is empty, and {helpers}")));
        }
        for (part, is_empty) in [("user name", username.is_empty()), ("password", password.is_empty())] {
            if is_empty {
                return Err(invalid(format!("its entry {key} has an empty {part}")));
            }
        }
        Ok(entry.pair)
    }

    fn describe_absence(&self, image: &ImageReference) -> String {
        let mut keys: Vec<_> = self.entries.iter().map(|entry| quote(&entry.written)).collect();
        keys.sort();
        let left = keys.len().saturating_sub(MAX_NAMED);
        keys.truncate(MAX_NAMED);
        let mut phrases = vec![format!("it has no entry for {}/{}", image.registry(), image.repository())];
        phrases.push(match (keys.as_slice(), left) {
            ([], _) => "it has no entries at all".to_owned(),
            (_, 0) => format!("its keys are {}", keys.join(", ")),
            (_, left) => format!("its keys are {} and {left} more", keys.join(", ")),
        });
        if !self.helpers.is_empty() {
            phrases.push(describe_helpers(&self.helpers));
        }
        phrases.join("; ")
    }
}

impl Entry {
    fn parse(key: &str, value: &Value) -> Result<Self, CredentialsError> {
        let shown = quote(key);
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => &Map::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(invalid(format!("its entry {shown} is no object")));
            }
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(invalid(format!("the `{name}` of its entry {shown} is no text"))),
        };
        // `auth` goes before the two fields, as in the kubelet.
        let (username, password) = match text("auth")? {
            "" => (text("username")?.to_owned(), text("password")?.to_owned()),
            auth => decode_auth(auth).ok_or_else(|| {
                invalid(format!("the `auth` of its entry {shown} is not the base64 of USER:PASSWORD"))
            })?,
        };
        Ok(Self {
            written: key.to_owned(),
            pattern: KeyPattern::parse(key),
            pair: Pair { username, password: Secret::new(password) },
            has_identity_token: !text("identitytoken")?.is_empty(),
        })
    }
}

impl KeyPattern {
    fn parse(key: &str) -> Self {
        let bare = ["https://", "http://"].iter().find_map(|scheme| key.strip_prefix(scheme)).unwrap_or(key);
        let bare = bare.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        // The API's own path says nothing about a repository: docker wrote `https://index.docker.io/v1/`.
        let path = if path.starts_with("/v1/") || path.starts_with("/v2/") { &path[3..] } else { path };
        let path = if path == "/" { "" } else { path };
        Self { host_and_path: format!("{host}{path}"), host_length: host.len() }
    }

    /// Whether the key is for the image: the same port, as many labels, each of which matches, and a path that the
    /// repository starts with.
    fn matches(&self, image: &ImageReference) -> bool {
        let (authority, path) = self.host_and_path.split_at(self.host_length);
        let (wanted_host, wanted_port) = split_port(image.registry());
        let (host, port) = split_port(authority.to_owned());
        let labels: Vec<_> = host.split('.').collect();
        let wanted: Vec<_> = wanted_host.split('.').collect();
        port == wanted_port
            && labels.len() == wanted.len()
            && format!("/{}", image.repository()).starts_with(path)
            && labels.iter().zip(wanted).all(|(label, wanted)| label_matches(label, wanted))
    }
}

/// `HOST:PORT` taken apart; more than one colon is no port.
fn split_port(authority: String) -> (String, String) {
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host.to_owned(), port.to_owned()),
        Some(_) | None => (authority, String::new()),
    }
}

/// A pattern that cannot be parsed matches nothing, as in the kubelet.
fn label_matches(pattern: &str, label: &str) -> bool {
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(label))
}

/// `USER:PASSWORD` from its base64; the password may have colons itself.
fn decode_auth(auth: &str) -> Option<(String, String)> {
    // Go's decoder skips line ends, and `base64` without `-w0` makes them.
    let compact: String = auth.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    let bytes = BASE64.decode(compact).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}

fn is_set(root: &Map<String, Value>, key: &str) -> bool {
    match root.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => true,
    }
}

fn describe_helpers(helpers: &[&str]) -> String {
    format!(
        "credentials that `{}` keeps are not used: neither the kubelet nor this program runs helpers",
        helpers.join("` or `")
    )
}

fn invalid(phrase: impl Into<String>) -> CredentialsError {
    CredentialsError::Invalid(phrase.into())
}

#[cfg(test)]
mod tests;
