//! The keys of a docker configuration, parsed and matched as the kubelet does.
//!
//! Follows Go's `net/url` and `path/filepath` (`pkg/credentialprovider/keyring.go`: `Add`, `URLsMatch`, `Lookup`). Port and
//! case are compared exactly. A key that Go cannot parse as a URL matches no image. The `url` crate follows the WHATWG's
//! standard instead, which repairs such keys and changes their case.

use crate::image::ImageReference;

/// Docker Hub's entry, which the kubelet also uses for images without a registry name.
const DEFAULT_REGISTRY: &[u8] = b"index.docker.io";

/// A key of `auths`: `[SCHEME://]HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The kubelet's sort key, in reverse: a longer path comes first and a wildcard last. Absent if the key is not a URL.
    pub(super) sorted: Option<Vec<u8>>,
    target: Option<Target>,
}

/// The parts of a key that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    host: Vec<u8>,
    port: Vec<u8>,
    path: Vec<u8>,
}

/// How a key that does not match differs from an image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    Port,
    Case,
    PortAndCase,
}

impl Key {
    pub(super) fn parse(written: &str) -> Self {
        let bare = ["https://", "http://"].iter().find_map(|scheme| written.strip_prefix(scheme));
        let Some((mut sorted, path)) = split_url(bare.unwrap_or(written).as_bytes()) else {
            return Self { sorted: None, target: None };
        };
        // The path of the API is not part of a repository: docker wrote `https://index.docker.io/v1/`.
        let path =
            if path.starts_with(b"/v1/") || path.starts_with(b"/v2/") { &path[3..] } else { &path[..] };
        if path != b"/" {
            sorted.extend_from_slice(path);
        }
        // The kubelet parses the sorted key again, so an escaped `%23` has become a fragment.
        let target = split_url(&sorted).map(|(host, path)| Target::new(host, path));
        Self { sorted: Some(sorted), target }
    }

    /// Whether the key matches the image: same port, same number of labels, every label matches, and the repository starts
    /// with the path.
    pub(super) fn matches(&self, image: &ImageReference) -> bool {
        self.target.as_ref().is_some_and(|target| target.matches(&Target::of(image)))
    }

    /// Whether the key is Docker Hub's and the kubelet treats the image as one of Docker Hub.
    pub(super) fn is_default_for(&self, image: &ImageReference) -> bool {
        let registry = canonical_registry(image);
        self.sorted.as_deref() == Some(DEFAULT_REGISTRY)
            && (registry == "docker.io" || !registry.contains(['.', ':']))
    }

    /// How the key differs from the image reference, if only in port or case.
    pub(super) fn near(&self, image: &ImageReference) -> Option<Near> {
        let (own, wanted) = (self.target.as_ref()?, Target::of(image));
        let lower = |target: &Target| Target { host: target.host.to_ascii_lowercase(), ..target.clone() };
        let bare = |target: &Target| Target { port: Vec::new(), ..target.clone() };
        if own.matches(&wanted) {
            None
        } else if bare(own).matches(&bare(&wanted)) {
            Some(Near::Port)
        } else if lower(own).matches(&lower(&wanted)) {
            Some(Near::Case)
        } else {
            lower(&bare(own)).matches(&lower(&bare(&wanted))).then_some(Near::PortAndCase)
        }
    }
}

impl Target {
    fn new(authority: Vec<u8>, path: Vec<u8>) -> Self {
        let (host, port) = match authority.iter().position(|byte| *byte == b':') {
            Some(colon) => (authority[..colon].to_vec(), authority[colon + 1..].to_vec()),
            None => (authority, Vec::new()),
        };
        Self { host, port, path }
    }

    fn of(image: &ImageReference) -> Self {
        let registry = canonical_registry(image);
        let library =
            if registry == "docker.io" && !image.repository().contains('/') { "library/" } else { "" };
        Self::new(registry.as_bytes().to_vec(), format!("/{library}{}", image.repository()).into_bytes())
    }

    fn matches(&self, wanted: &Self) -> bool {
        let labels = |host: &[u8]| host.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (own, theirs) = (labels(&self.host), labels(&wanted.host));
        self.port == wanted.port
            && own.len() == theirs.len()
            && wanted.path.starts_with(&self.path)
            && own.iter().zip(&theirs).all(|(pattern, label)| label_matches(pattern, label))
    }
}

/// The registry as normalised by the kubelet's parser of image names.
fn canonical_registry(image: &ImageReference) -> &str {
    let written = image.written_registry();
    if written == "index.docker.io" { "docker.io" } else { written }
}

/// Whether a label matches a pattern of Go's `filepath.Match`. Of its characters only `*` can be in the host of a URL: `?`
/// starts a query, `\` is invalid, and brackets enclose addresses.
fn label_matches(pattern: &[u8], label: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = pieces.next().and_then(|first| label.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        // The first match is enough: any text that follows a later one also follows this one.
        let found = (0..=rest.len()).find(|start| rest[*start..].starts_with(piece));
        match found {
            Some(start) => rest = &rest[start + piece.len()..],
            None => return false,
        }
    }
    true
}

/// Host with port, and path, of the text after `https://`, unescaped as Go's `url.Parse` does; `None` if that fails.
fn split_url(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (url, fragment) = cut(text, b'#');
    unescape(fragment)?;
    if url.iter().any(u8::is_ascii_control) {
        return None;
    }
    let (url, _query) = cut(url, b'?');
    let (authority, path) = url.split_at(url.iter().position(|byte| *byte == b'/').unwrap_or(url.len()));
    let host = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(at) => {
            let user = &authority[..at];
            unescape(user).filter(|_| user.iter().all(|byte| is_of_user(*byte)))?;
            &authority[at + 1..]
        }
        None => authority,
    };
    Some((parse_host(host)?, unescape(path)?))
}

/// Host and port, unescaped. An address in brackets is not supported: no image has one.
fn parse_host(host: &[u8]) -> Option<Vec<u8>> {
    if host.contains(&b'[') {
        return None;
    }
    let (_, port) = cut(host, b':');
    if !port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // In a host, only non-ASCII bytes and the percent sign may be escaped.
    let is_escape_allowed =
        |escape: &[u8]| escape == b"25" || escape.first().is_some_and(|digit| !(b'0'..=b'7').contains(digit));
    let mut escapes = host.split(|byte| *byte == b'%').skip(1);
    if !escapes.all(|behind| behind.get(..2).is_some_and(is_escape_allowed)) {
        return None;
    }
    let is_of_host = |byte: &u8| !byte.is_ascii() || !b" #/?@\\^`{|}".contains(byte);
    host.iter().all(is_of_host).then(|| unescape(host)).flatten()
}

const fn is_of_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b':'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b'%'
                | b'@'
        )
}

/// The bytes before and after the first separator.
fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == separator) {
        Some(position) => (&text[..position], &text[position + 1..]),
        None => (text, &[]),
    }
}

/// Decodes `%XX`; `None` if a percent sign is not followed by two hexadecimal digits.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = text.split(|byte| *byte == b'%');
    let mut bytes = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let digit = |position: usize| piece.get(position).and_then(|byte| char::from(*byte).to_digit(16));
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        bytes.extend_from_slice(&piece[2..]);
    }
    Some(bytes)
}
