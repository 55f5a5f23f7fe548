//! Part of the node's file system below a directory: paths as the node sees them, confined to that directory.
//!
//! Owns path resolution, and the record of the files that were read. A link on the node names a path on the node, so it is
//! resolved below the root. A link to an unmounted path is unreadable, which differs from absent. Linux could resolve links
//! below a root itself (`openat2` with `RESOLVE_IN_ROOT`), but would report that one as absent.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::file::{self, FileError, FileState};

/// Maximum number of links in a path, as in the kernel.
const MAX_LINKS: usize = 40;
/// Maximum number of directory entries read; `/etc/ssl/certs` has some 300.
const MAX_ENTRIES: usize = 2000;
/// Maximum size of the mount table in bytes: a node with hundreds of pods has some hundred KiB, a container far less.
const MAX_MOUNTS: u64 = 1 << 20;

/// Why a file of the node was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// The path does not exist.
    Absent,
    /// The path exists but cannot be read; the text contains path and reason.
    Unreadable(String),
}

/// The directory below which the node's files are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    root: PathBuf,
}

/// The paths that were read, with their state at that time.
pub(super) type Seen = BTreeMap<String, Option<FileState>>;

/// One pass over the node's files, which records the paths it reads.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) tree: Tree,
    seen: RefCell<Seen>,
}

impl Reading {
    pub(super) fn new(root: &Path) -> Self {
        Self { tree: Tree::new(root), seen: RefCell::default() }
    }

    /// Records the state of a path before it is read, so that no later change is missed.
    pub(super) fn look_at(&self, path: &str) {
        self.seen.borrow_mut().entry(path.to_owned()).or_insert_with(|| self.tree.state(path));
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Lost> {
        self.look_at(path);
        self.tree.read(path, limit)
    }

    /// Reads a file as text, replacing invalid UTF-8.
    pub(super) fn text(&self, path: &str, limit: u64) -> Result<String, Lost> {
        self.read(path, limit).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Lost> {
        self.look_at(path);
        self.tree.list(path)
    }

    pub(super) fn finish(self) -> (Tree, Seen) {
        (self.tree, self.seen.into_inner())
    }
}

/// A directory entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) is_link: bool,
}

impl Tree {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path in this process of a path on the node.
    pub(super) fn shown(&self, path: &str) -> String {
        self.root.join(path.trim_start_matches('/')).display().to_string()
    }

    /// Resolves a path of the node to a path in this process, with every link resolved below the root.
    pub(super) fn resolve(&self, path: &str) -> Result<PathBuf, Lost> {
        let unreadable = |why: &str| Lost::Unreadable(format!("{path} {why}"));
        // Each component, with whether it comes from a link.
        let mut left: VecDeque<(OsString, bool)> =
            components(Path::new(path)).into_iter().map(|step| (step, false)).collect();
        let mut walked: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some((next, by_link)) = left.pop_front() {
            if next == ".." {
                walked.pop();
                continue;
            }
            let mut candidate = self.root.clone();
            candidate.extend(&walked);
            candidate.push(&next);
            match candidate.symlink_metadata() {
                Ok(metadata) if metadata.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(unreadable("has too many symbolic links"));
                    }
                    let target =
                        candidate.read_link().map_err(|_| unreadable("has an unreadable symbolic link"))?;
                    if target.is_absolute() {
                        walked.clear();
                    }
                    for component in components(&target).into_iter().rev() {
                        left.push_front((component, true));
                    }
                }
                Ok(_) => walked.push(next),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    // The link proves that its target exists on the node.
                    return Err(if by_link { unreadable("links to a missing file") } else { Lost::Absent });
                }
                Err(error) => return Err(unreadable(&format!("cannot be read: {error}"))),
            }
        }
        let mut found = self.root.clone();
        found.extend(&walked);
        Ok(found)
    }

    /// The state of a path's target; `None` if it does not exist.
    pub(super) fn state(&self, path: &str) -> Option<FileState> {
        self.resolve(path).ok().and_then(|found| file::state(&found))
    }

    /// The target of a link of the node; `None` if the path is not a link.
    pub(super) fn link_target(&self, path: &str) -> Option<PathBuf> {
        let (folder, name) = path.rsplit_once('/')?;
        self.resolve(folder).ok()?.join(name).read_link().ok()
    }

    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Lost> {
        let found = self.resolve(path)?;
        file::read(&found, limit).map_err(|error| match error {
            FileError::Read(error) if error.kind() == ErrorKind::NotFound => Lost::Absent,
            FileError::Read(error) => Lost::Unreadable(format!("{path} cannot be read: {error}")),
            FileError::Irregular => Lost::Unreadable(format!("{path} is not a regular file")),
            FileError::TooLarge => Lost::Unreadable(format!("{path} is larger than {limit} bytes")),
        })
    }

    /// Lists a directory, sorted by name.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Lost> {
        let found = self.resolve(path)?;
        let entries = found.read_dir().map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                return Lost::Absent;
            }
            Lost::Unreadable(format!("{path} cannot be read: {error}"))
        })?;
        let mut listed: Vec<Entry> = entries
            .take(MAX_ENTRIES)
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                Some(Entry { name: entry.file_name(), is_link })
            })
            .collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// The source path of a file mount in its own file system, as far as the kernel still knows it; `None` if nothing is
    /// mounted there.
    pub(super) fn mounted_from(&self, place: &Path) -> Option<PathBuf> {
        if !place.starts_with(&self.root) {
            return None;
        }
        let table = file::read(Path::new("/proc/self/mountinfo"), MAX_MOUNTS).ok()?;
        origin(&String::from_utf8_lossy(&table), &place.to_string_lossy())
    }
}

/// The source of a mount point in a mount table (proc(5)): the fourth field of the last line with the mount point in the fifth.
/// `/run` is a file system of its own, so it is prepended to systemd-resolved's files.
fn origin(table: &str, place: &str) -> Option<PathBuf> {
    let line = table.lines().rev().find(|line| line.split(' ').nth(4) == Some(place))?;
    let root = line.split(' ').nth(3)?;
    // The kernel's suffix for a file that was replaced since.
    let root = root.trim_end_matches("//deleted");
    let name = root.strip_prefix("/run").unwrap_or(root).strip_prefix("/systemd/resolve/")?;
    Some(Path::new("/run/systemd/resolve").join(name))
}

/// The components of a path, without the root and `.`.
fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Lost, Tree, origin};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    struct Node(tempfile::TempDir);

    impl Node {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("host")
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }

        fn link(&self, target: &str, path: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            symlink(target, path).expect("a link");
        }

        fn read(&self, path: &str) -> Result<String, Lost> {
            Tree::new(&self.root()).read(path, 64).map(|text| String::from_utf8(text).expect("text"))
        }
    }

    #[test]
    fn links_are_resolved_below_the_root() {
        let node = Node::new();
        fs::write(node.0.path().join("secret"), "outside").expect("a file");
        node.write("run/resolve/resolv.conf", "inside");
        node.write("secret", "inside too");
        node.link("/run/resolve/resolv.conf", "etc/absolute");
        node.link("../run/resolve/resolv.conf", "etc/relative");
        node.link("../../../../../../run/resolve/resolv.conf", "etc/above");
        node.link("/run/resolve", "etc/folder");
        node.link("../../secret", "etc/escape");
        node.link("/proc/self/root/etc/hostname", "etc/proc");
        node.link(&node.0.path().join("secret").display().to_string(), "etc/real");
        node.link("loop", "etc/loop");
        for path in ["/etc/absolute", "/etc/relative", "/etc/above", "/etc/folder/resolv.conf"] {
            assert_eq!(node.read(path).as_deref(), Ok("inside"), "{path}");
        }
        assert_eq!(node.read("/etc/escape").as_deref(), Ok("inside too"));
        assert_eq!(node.read("/../secret").as_deref(), Ok("inside too"));
        for path in ["/etc/proc", "/etc/real", "/etc/loop"] {
            assert!(matches!(node.read(path), Err(Lost::Unreadable(_))), "{path}");
        }
    }

    #[test]
    fn absent_and_unreadable_files_are_distinguished() {
        let node = Node::new();
        assert_eq!(node.read("/etc/resolv.conf"), Err(Lost::Absent), "there is no root");
        node.write("etc/file", "x");
        node.write("etc/large", &"x".repeat(65));
        fs::create_dir_all(node.root().join("etc/folder")).expect("a folder");
        for (path, absent) in [
            ("/etc/other", true),
            ("/etc/file/below", true),
            ("/usr/lib", true),
            ("/etc/large", false),
            ("/etc/folder", false),
        ] {
            let lost = node.read(path).expect_err("it is not read");
            assert_eq!(lost == Lost::Absent, absent, "{path}: {lost:?}");
        }
        fs::set_permissions(node.root().join("etc/file"), fs::Permissions::from_mode(0o000)).expect("a mode");
        // Root can still read it.
        assert!(matches!(node.read("/etc/file"), Ok(_) | Err(Lost::Unreadable(_))));
    }

    #[test]
    fn a_file_mount_is_followed_to_the_replacing_file() {
        let line = |root: &str| {
            format!(
                "30 23 0:26 / /run rw - tmpfs tmpfs rw\n31 30 0:26 {root} /host/etc/resolv.conf ro - tmpfs t rw\n"
            )
        };
        let resolved = Some(Path::new("/run/systemd/resolve/resolv.conf").to_owned());
        for (root, expected) in [
            ("/systemd/resolve/resolv.conf", resolved.clone()),
            ("/systemd/resolve/resolv.conf//deleted", resolved.clone()),
            ("/run/systemd/resolve/resolv.conf", resolved),
            ("/systemd/resolve/stub-resolv.conf", Some("/run/systemd/resolve/stub-resolv.conf".into())),
            ("/etc/resolv.conf", None),
        ] {
            assert_eq!(origin(&line(root), "/host/etc/resolv.conf"), expected, "{root}");
        }
        assert_eq!(origin(&line("/systemd/resolve/resolv.conf"), "/etc/resolv.conf"), None);
        assert_eq!(origin("", "/host"), None);
    }
}
