//! Report files, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// Replaces a file atomically, so a reader never sees half a report, even if the disk is full. A pipe or a device is written
/// to directly.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    replace_with(path, |out| out.write_all(text))
}

/// The same, for a text that is too long to build in memory first.
pub(crate) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let write_to = |file: File| {
        let mut out = BufWriter::new(file);
        write(&mut out).and_then(|()| out.flush())
    };
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write_to(File::options().write(true).truncate(true).open(path)?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // Never follow a planted link: the folder may be writable by everyone.
    let file = File::options().write(true).create_new(true).open(&new)?;
    let written = write_to(file).and_then(|()| fs::rename(&new, path));
    written.inspect_err(|_| {
        // Do not leave half a report behind.
        let _ = fs::remove_file(&new);
    })
}
