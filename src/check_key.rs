//! The shared key of checks on demand, which agents compare and clients send.
//!
//! Owns the file's form, the header, and the comparison in constant time. The server decides which requests need a key.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::file::{self, FileError};
use crate::secret::Secret;

/// The request header with the key. Not `Authorization`, which the API server's proxy removes.
pub const HEADER: &str = "acr-verifier-key";
/// Shortest key: 16 random characters cannot be guessed over a network.
const MIN_LENGTH: usize = 16;
/// Longest key in characters; it travels in a header.
const MAX_LENGTH: usize = 256;
/// Largest file, in bytes.
const MAX_FILE: u64 = 1024;

/// A shared key; prints as `[redacted]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckKey(Secret);

/// Why a file has no usable key. Contains nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file does not exist, or the system denied access.
    #[error("cannot read it: {0}")]
    Read(String),
    /// The path is a directory, pipe, socket or device.
    #[error("it is not a regular file")]
    Irregular,
    /// The file exceeds the size limit.
    #[error("it is too large")]
    TooLarge,
    /// The file is empty, or has only white space.
    #[error("it is empty")]
    Empty,
    /// The key has too few or too many characters.
    #[error("the key has {0} characters")]
    Length(usize),
    /// The key has characters that a header cannot carry.
    #[error("the key has white space or characters other than visible ASCII")]
    Characters,
}

impl KeyError {
    /// What is expected of a file.
    pub const EXPECTED: &str = "a file with a key of 16 to 256 visible ASCII characters";
}

impl CheckKey {
    /// Reads a file with one key. White space around it, such as a final line break, is not part of the key.
    ///
    /// # Errors
    /// The file cannot be read or has no valid key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes = file::read(path, MAX_FILE).map_err(|error| match error {
            FileError::Read(error) => KeyError::Read(error.to_string()),
            FileError::Irregular => KeyError::Irregular,
            FileError::TooLarge => KeyError::TooLarge,
        })?;
        let key = bytes.trim_ascii();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.iter().all(u8::is_ascii_graphic) {
            return Err(KeyError::Characters);
        }
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&key.len()) {
            return Err(KeyError::Length(key.len()));
        }
        Ok(Self(Secret::new(key.iter().copied().map(char::from).collect())))
    }

    /// Whether a client sent this key. Takes the same time wherever the two differ, and whatever their lengths.
    #[must_use]
    pub fn matches(&self, sent: &[u8]) -> bool {
        let digest = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        digest(self.0.expose().as_bytes()).ct_eq(&digest(sent)).into()
    }

    /// Returns the key, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckKey, KeyError};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_file_has_one_key_of_visible_characters() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).expect("a file");
            CheckKey::read(&path)
        };
        let long = "k".repeat(256);
        for content in [
            KEY,
            &format!("{KEY}\n"),
            &format!("{KEY}\r\n"),
            &format!(" {KEY}\n\n"),
            &long,
            "~!@#$%^&*()_+=-`",
        ] {
            let key = read(content.as_bytes()).expect(content);
            assert_eq!(key.expose(), content.trim());
            assert!(!format!("{key:?}").contains(content.trim()), "{key:?}");
        }
        for (content, expected) in [
            (&b""[..], KeyError::Empty),
            (b" \r\n", KeyError::Empty),
            (b"fifteen-letters", KeyError::Length(15)),
            (&[b'k'; 257], KeyError::Length(257)),
            (&[b'k'; 1025], KeyError::TooLarge),
            (b"0123456789 abcdefgh", KeyError::Characters),
            (b"0123456789abcdef\n0123456789abcdef", KeyError::Characters),
            (b"0123456789abcdef\0", KeyError::Characters),
            ("0123456789abcdefé".as_bytes(), KeyError::Characters),
            (b"\xff\xfe0123456789abcdef", KeyError::Characters),
        ] {
            assert_eq!(read(content), Err(expected), "{content:?}");
        }
        assert_eq!(CheckKey::read(folder.path()), Err(KeyError::Irregular));
        let absent = CheckKey::read(&folder.path().join("absent"));
        assert!(matches!(absent, Err(KeyError::Read(reason)) if reason.contains("No such file")));
    }

    #[test]
    fn only_the_whole_key_matches() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, KEY).expect("a file");
        let key = CheckKey::read(&path).expect("a key");
        assert!(key.matches(KEY.as_bytes()));
        for other in ["", &KEY[1..], &KEY[..31], &KEY.to_uppercase(), &format!("{KEY}\n"), &format!("{KEY}0")]
        {
            assert!(!key.matches(other.as_bytes()), "{other}");
        }
    }
}
