//! Image references: `LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]`.
//!
//! Has its own parser, because the usual libraries default to Docker Hub if the registry is missing, accept upper case, and one
//! compiles a 9 MB regular expression for it. `acr` owns what is specific to the names of ACR.

use std::fmt;
use std::str::FromStr;

use crate::text::quote::quote;

/// The port if none is given: HTTPS's.
pub const DEFAULT_PORT: u16 = 443;

/// Maximum length of a tag (OCI distribution specification).
const MAX_TAG: usize = 128;
/// Maximum length of a repository (distribution's `RepositoryNameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;

/// A valid image reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// Host and port as written: the kubelet compares them with its keys as strings.
    written: String,
    host: String,
    port: u16,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// The login server's host name in lower case, without port, as used for DNS and SNI.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The login server's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The login server, with the port unless it is 443.
    #[must_use]
    pub fn registry(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The login server exactly as written, including case and port: the key by which the kubelet finds credentials.
    #[must_use]
    pub fn written_registry(&self) -> &str {
        &self.written
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if given.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The requested tag or digest: like the kubelet, the digest if given, then the tag, otherwise `latest`.
    #[must_use]
    pub fn wanted(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.written, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

/// Why a string is not a valid image reference. Strings are kept as written and displayed by [`quote`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// The reference is a URL.
    #[error("an image reference cannot start with {}", quote(.0))]
    Scheme(String),
    /// It contains user information, which is not kept because it may include a password.
    #[error("an image reference cannot contain a user name")]
    UserInfo,
    /// The part before the first slash is not a host name.
    #[error(
        "the registry is missing: start with its login server, such as {}",
        quote(&format!("contoso.azurecr.io/{}", .0.trim_start_matches('/')))
    )]
    RegistryMissing(String),
    /// The host is not a valid host name.
    #[error(
        "{} is not a valid host name: expected letters, digits, dashes and dots, such as contoso.azurecr.io",
        quote(.0)
    )]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("{} is not a valid port: expected 1 to 65535", quote(.0))]
    Port(String),
    /// Nothing follows the registry.
    #[error("the repository is missing after the registry")]
    RepositoryMissing,
    /// The repository contains upper-case letters.
    #[error("the repository must be lower case: {}", quote(&.0.to_ascii_lowercase()))]
    RepositoryCase(String),
    /// The repository is not valid.
    #[error(
        "{} is not a valid repository: expected parts separated by `/`, each of lower-case letters and digits \
         separated by `.`, `_`, `__` or dashes, at most 255 characters in total",
        quote(.0)
    )]
    Repository(String),
    /// The tag is not valid.
    #[error(
        "{} is not a valid tag: expected 1 to 128 letters, digits, `_`, `.` and `-`, with no leading `.` or `-`",
        quote(.0)
    )]
    Tag(String),
    /// The digest has another format or algorithm.
    #[error("{} is not a valid digest: expected sha256: and 64 lower-case hexadecimal digits", quote(.0))]
    Digest(String),
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ImageReferenceError::Scheme(format!("{scheme}://")));
        }
        // Checked first, since other errors quote the string. A password may contain a slash.
        if text.rsplit_once('@').is_some_and(|(_, behind)| !is_digest(behind)) {
            return Err(ImageReferenceError::UserInfo);
        }
        let Some((registry, rest)) = text.split_once('/') else {
            return Err(ImageReferenceError::RegistryMissing(text.to_owned()));
        };
        // The rule of docker, containerd and the kubelet that distinguishes a registry from the first part of a repository.
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(ImageReferenceError::RegistryMissing(text.to_owned()));
        }
        let (host, port) = parse_registry(registry)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(parse_tag(tag)?)),
            None => (rest, None),
        };
        let repository = parse_repository(repository)?;
        Ok(Self { written: registry.to_owned(), host, port, repository, tag, digest })
    }
}

/// `HOST`, or `HOST:PORT` unless the port is 443.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if port == DEFAULT_PORT { host.to_owned() } else { format!("{host}:{port}") }
}

/// Whether a string is a DNS host name (RFC 1123) and not an IP address.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label) && !host.rsplit('.').next().is_some_and(is_number)
}

/// Whether a name that ends in this label is an IPv4 address in a URL (WHATWG URL, "ends in a number"): `10.0.0x4` means
/// 10.0.0.4 there, and would be connected to without a DNS query.
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    digits(label) || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether the text after an `@` is meant as a digest of any algorithm.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, _)| {
        algorithm.to_ascii_lowercase().strip_prefix("sha").is_some_and(|bits| bits.parse::<u16>().is_ok())
    })
}

fn parse_registry(registry: &str) -> Result<(String, u16), ImageReferenceError> {
    if registry.starts_with('[') {
        // An IPv6 address: its colons do not separate a port, and no registry has a certificate for it.
        return Err(ImageReferenceError::Host(registry.to_owned()));
    }
    let (host, port) = match registry.split_once(':') {
        Some((host, port)) => {
            let number =
                port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse::<u16>().ok()).flatten();
            match number {
                Some(number) if number > 0 => (host, number),
                _ => return Err(ImageReferenceError::Port(port.to_owned())),
            }
        }
        None => (registry, DEFAULT_PORT),
    };
    if !is_host_name(host) {
        return Err(ImageReferenceError::Host(host.to_owned()));
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn parse_repository(repository: &str) -> Result<String, ImageReferenceError> {
    if repository.is_empty() {
        return Err(ImageReferenceError::RepositoryMissing);
    }
    let valid =
        |repository: &str| repository.len() <= MAX_REPOSITORY && repository.split('/').all(is_path_component);
    if valid(repository) {
        return Ok(repository.to_owned());
    }
    if valid(&repository.to_ascii_lowercase()) {
        return Err(ImageReferenceError::RepositoryCase(repository.to_owned()));
    }
    Err(ImageReferenceError::Repository(repository.to_owned()))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the OCI distribution specification.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = bytes.first().is_some_and(|&byte| alphanumeric(byte))
        && bytes.last().is_some_and(|&byte| alphanumeric(byte));
    ends_well
        && component
            .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
            })
}

fn parse_tag(tag: &str) -> Result<String, ImageReferenceError> {
    let valid = (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-']);
    if valid { Ok(tag.to_owned()) } else { Err(ImageReferenceError::Tag(tag.to_owned())) }
}

fn parse_digest(digest: &str) -> Result<String, ImageReferenceError> {
    if is_sha256_digest(digest) {
        Ok(digest.to_owned())
    } else {
        Err(ImageReferenceError::Digest(digest.to_owned()))
    }
}

/// Whether a string is a SHA-256 digest, the only algorithm that registries use.
#[must_use]
pub fn is_sha256_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests;
