//! An entry of a docker configuration: its two forms, and the evidence they give about the credential.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use super::invalid;
use super::json::{self, is_field};
use super::key::Key;
use crate::credentials::CredentialsError;
use crate::observation::CredentialEvidence;
use crate::secret::Secret;
use crate::text::quote::quote;

/// Base64 as Go decodes it: unused trailing bits may be set.
const fn go(padding: DecodePaddingMode) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(padding).with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, config)
}
const PADDED: GeneralPurpose = go(DecodePaddingMode::RequireCanonical);
const UNPADDED: GeneralPurpose = go(DecodePaddingMode::RequireNone);

/// A user name and password, with the evidence in the file about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::credentials) struct Pair {
    pub(in crate::credentials) username: String,
    pub(in crate::credentials) password: Secret,
    pub(in crate::credentials) evidence: Vec<CredentialEvidence>,
}

/// An entry of `auths`.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key as written.
    pub(super) written: String,
    pub(super) key: Key,
    pub(super) pair: Pair,
    pub(super) has_identity_token: bool,
}

/// The strings of an entry.
#[derive(Default)]
struct Texts {
    username: String,
    password: String,
    auth: String,
    email: String,
}

impl Pair {
    /// Whether containerd sends it; without a user name or a password it pulls anonymously.
    pub(in crate::credentials) fn is_complete(&self) -> bool {
        !self.username.is_empty() && !self.password.is_empty()
    }
}

impl Entry {
    /// Parses an entry.
    ///
    /// # Errors
    /// A phrase about the file: the value that Go's types reject.
    pub(super) fn parse(key: &str, value: &RawValue) -> Result<Self, CredentialsError> {
        let shown = quote(key);
        let fields = json::object(value)
            .map_err(|_| invalid(format!("its entry {shown} is not an object")))?
            .unwrap_or_default();
        let mut texts = Texts::default();
        let mut has_identity_token = false;
        for (name, value) in &fields {
            let Some((field, place)) = texts.place(name) else {
                // The kubelet does not parse this field.
                has_identity_token |= name == "identitytoken" && value.get() != "\"\"";
                continue;
            };
            let text = json::string(value)
                .map_err(|_| invalid(format!("the `{field}` of its entry {shown} is not a string")))?;
            if let Some(text) = text {
                *place = text;
            }
        }
        let pair =
            texts.pair().map_err(|phrase| invalid(format!("the `auth` of its entry {shown} is {phrase}")))?;
        Ok(Self { written: key.to_owned(), key: Key::parse(key), pair, has_identity_token })
    }
}

impl Texts {
    /// The destination of a field's text; of several that differ only in case, the last one wins.
    fn place(&mut self, name: &str) -> Option<(&'static str, &mut String)> {
        let fields = [
            ("username", &mut self.username),
            ("password", &mut self.password),
            ("auth", &mut self.auth),
            ("email", &mut self.email),
        ];
        fields.into_iter().find(|(field, _)| is_field(name, field))
    }

    /// The user name and password; `auth` takes precedence over the two fields, as in the kubelet.
    fn pair(self) -> Result<Pair, &'static str> {
        let mut evidence = Vec::new();
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            let decoded = decode(&self.auth).ok_or(NOT_A_PAIR)?;
            let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
                return Err(if is_pair_again(&decoded) { ENCODED_TWICE } else { NOT_A_PAIR });
            };
            let texts = [&decoded[..colon], &decoded[colon + 1..]].map(json::text_of_bytes);
            if std::str::from_utf8(&decoded).is_err() {
                evidence.push(CredentialEvidence::NotUtf8);
            }
            let [username, password] = texts;
            let differs = |field: &str, counted: &str| !field.is_empty() && field != counted;
            if differs(&self.username, &username) || differs(&self.password, &password) {
                evidence.push(CredentialEvidence::AuthDiffers);
            }
            (username, password)
        };
        if password.ends_with(['\r', '\n']) {
            evidence.push(CredentialEvidence::LineEnd);
        }
        let is_padded = |text: &str| text.starts_with(char::is_whitespace) || text.ends_with([' ', '\t']);
        if is_padded(&password) || is_padded(&username) || username.ends_with(['\r', '\n']) {
            evidence.push(CredentialEvidence::Blank);
        }
        Ok(Pair { username, password: Secret::new(password), evidence })
    }
}

const NOT_A_PAIR: &str = "not the base64 of USER:PASSWORD";
const ENCODED_TWICE: &str = "base64 twice: decoded once, it is still the base64 of USER:PASSWORD";

/// Whether the decoded text is itself the base64 of `USER:PASSWORD`.
fn is_pair_again(decoded: &[u8]) -> bool {
    let again = std::str::from_utf8(decoded).ok().and_then(|text| decode(text.trim()));
    again.is_some_and(|bytes| bytes.contains(&b':') && bytes.iter().all(u8::is_ascii_graphic))
}

/// Decodes base64 as the kubelet does: padding is required if the text ends with it, line ends are skipped.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let engine = if text.trim().ends_with('=') { PADDED } else { UNPADDED };
    let compact: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    engine.decode(compact).ok()
}
