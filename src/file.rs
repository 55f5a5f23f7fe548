//! Files as they are read everywhere here: regular ones alone, and not more of them than they may have.
//!
//! Owns the two dangers of a path that somebody else chose: a named pipe would wait for its writer for ever, and a device has
//! no end. What is in a file, and how a message says what is wrong with it, is its reader's.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The system refuses it, or there is none.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It is a folder, a pipe, a socket or a device.
    #[error("it is not a regular file")]
    Irregular,
    /// It has more bytes than such a file may have.
    #[error("it is too large")]
    TooLarge,
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Read(error) => error,
            FileError::Irregular | FileError::TooLarge => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}

/// A regular file, opened to be read.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    // Before it is opened: opening a pipe is what waits.
    if !fs::metadata(path).map_err(FileError::Read)?.is_file() {
        return Err(FileError::Irregular);
    }
    File::open(path).map_err(FileError::Read)
}

/// The bytes of a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes).map_err(FileError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// What changes with a file or folder: another one behind the name, or another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// The state of a file or folder, through links; none where there is none.
pub(crate) fn state(path: &Path) -> Option<FileState> {
    let metadata = fs::metadata(path).ok()?;
    Some(FileState {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::{FileError, read};
    use std::path::Path;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").expect("a file");
        assert_eq!(read(&path, 5).expect("it fits"), b"12345");
        assert!(matches!(read(&path, 4), Err(FileError::TooLarge)));
        assert!(matches!(read(folder.path(), 5), Err(FileError::Irregular)));
        assert!(matches!(read(&folder.path().join("absent"), 5), Err(FileError::Read(_))));
        assert!(matches!(read(Path::new("/dev/zero"), 5), Err(FileError::Irregular)));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        assert!(matches!(read(&pipe, 5), Err(FileError::Irregular)));
    }
}
