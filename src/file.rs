//! Bounded reading of regular files.
//!
//! Guards against two risks of a path chosen by someone else: reading a named pipe would block indefinitely, and a device has
//! no end. The caller parses the content and words the message.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Largest file of certificate authorities, in bytes: all of Mozilla's roots take some 200 KiB.
pub(crate) const MAX_CA_FILE: u64 = 4 << 20;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file does not exist, or the system denied access.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The path is a directory, pipe, socket or device.
    #[error("it is not a regular file")]
    Irregular,
    /// The file exceeds the size limit.
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

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    // Checked before opening: opening a pipe blocks.
    if !fs::metadata(path).map_err(FileError::Read)?.is_file() {
        return Err(FileError::Irregular);
    }
    File::open(path).map_err(FileError::Read)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes).map_err(FileError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// The state by which a changed or replaced file or directory is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// The state of a file or directory, following links; `None` if it does not exist.
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
    fn only_regular_files_up_to_the_limit_are_read() {
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
