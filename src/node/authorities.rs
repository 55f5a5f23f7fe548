//! The certificate authorities that containerd trusts: the files that Go reads on Linux (`crypto/x509`, `loadSystemRoots`).
//!
//! Owns Go's order: the first existing bundle, and every file of the directories; `SSL_CERT_FILE` and `SSL_CERT_DIR` in
//! containerd's own environment override them. `probe` parses them, like every other certificate.

use crate::file::MAX_CA_FILE;
use crate::node::tree::{Lost, Reading};
use crate::observation::Fact;
use crate::proxy::Environment;

/// Bundles in Go's order, which reads the first existing one (Debian and Ubuntu; Fedora and Azure Linux; SUSE; …).
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Directories with one file per authority; Go reads all files of both.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Maximum size of a file in the directories in bytes, unless it is a bundle.
const MAX_FILE: u64 = 256 * 1024;
/// Maximum total size of the files in the directories in bytes.
const MAX_FOLDERS: usize = 4 * 1024 * 1024;

/// Reads the node's authorities. Unknown without a bundle, since the directories are never complete by themselves.
pub(super) fn read(reading: &Reading, containerd: &Fact<Environment>) -> Fact<Vec<Vec<u8>>> {
    let variable = |name: &str| match containerd {
        Fact::Known(environment) => environment.get(name).filter(|value| !value.is_empty()).cloned(),
        Fact::Unknown(_) => None,
    };
    let bundle = match variable("SSL_CERT_FILE") {
        Some(path) => reading.read(&path, MAX_CA_FILE).map_err(|lost| match lost {
            Lost::Absent => Lost::Unreadable(format!("{path} is missing")),
            lost @ Lost::Unreadable(_) => lost,
        }),
        None => first_bundle(reading),
    };
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(Lost::Absent) => return Fact::Unknown("no CA bundle found".to_owned()),
        Err(Lost::Unreadable(why)) => return Fact::Unknown(why),
    };
    let folders = variable("SSL_CERT_DIR").map_or_else(
        || FOLDERS.iter().map(|&folder| folder.to_owned()).collect(),
        |value| value.split(':').map(str::to_owned).collect::<Vec<_>>(),
    );
    let mut texts = vec![bundle];
    let mut left = MAX_FOLDERS;
    for folder in folders {
        from_folder(reading, &folder, &mut left, &mut texts);
    }
    Fact::Known(texts)
}

/// Reads the first existing bundle. An unreadable one ends the search, because Go on the node reads that one.
fn first_bundle(reading: &Reading) -> Result<Vec<u8>, Lost> {
    for path in BUNDLES {
        match reading.read(path, MAX_CA_FILE) {
            Err(Lost::Absent) => {}
            read => return read,
        }
    }
    Err(Lost::Absent)
}

/// Adds the files of a directory that the bundle may lack. A link within the directory is another name for one of them. A link
/// to an unmounted path is skipped: the tools that create the bundle also add its target there.
fn from_folder(reading: &Reading, folder: &str, left: &mut usize, texts: &mut Vec<Vec<u8>>) {
    for entry in reading.list(folder).unwrap_or_default() {
        let path = format!("{folder}/{}", entry.name.to_string_lossy());
        if BUNDLES.contains(&path.as_str()) {
            continue;
        }
        let target = reading.tree.link_target(&path);
        if target.as_ref().is_some_and(|target| target.components().count() < 2) {
            continue;
        }
        // A link's target is not watched by itself, since there are hundreds; the directory changes with it.
        let text =
            if entry.is_link { reading.tree.read(&path, MAX_FILE) } else { reading.read(&path, MAX_FILE) };
        if let Ok(text) = text
            && let Some(rest) = left.checked_sub(text.len())
        {
            *left = rest;
            texts.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::read;
    use crate::node::tree::Reading;
    use crate::observation::Fact;
    use crate::proxy::Environment;

    /// The texts read from these files; `-> TARGET` creates a link.
    fn texts(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path).expect("a link"),
                None => fs::write(path, text).expect("a file"),
            }
        }
        let environment: Environment =
            variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        match read(&Reading::new(folder.path()), &Fact::Known(environment)) {
            Fact::Known(texts) => {
                Ok(texts.into_iter().map(|text| String::from_utf8(text).expect("text")).collect())
            }
            Fact::Unknown(why) => Err(why),
        }
    }

    #[test]
    fn ca_files_are_read_in_gos_order() {
        let ubuntu = "etc/ssl/certs/ca-certificates.crt";
        let fedora = "etc/pki/tls/certs/ca-bundle.crt";
        let extracted = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        for (files, expected) in [
            (vec![(ubuntu, "bundle")], vec!["bundle"]),
            (vec![(ubuntu, "bundle"), (extracted, "other")], vec!["bundle"]),
            // Azure Linux: the bundle and the directory are links.
            (
                vec![
                    (extracted, "bundle"),
                    (fedora, "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
                    ("etc/ssl/certs", "-> /etc/pki/tls/certs"),
                ],
                vec!["bundle", "bundle"],
            ),
            (vec![(extracted, "bundle")], vec!["bundle"]),
            // Ubuntu: each authority also as a link out of the directory, and by its hash as a link within it.
            (
                vec![
                    (ubuntu, "bundle"),
                    ("etc/ssl/certs/one.pem", "-> /usr/share/ca-certificates/one.crt"),
                    ("etc/ssl/certs/0a1b2c3d.0", "-> one.pem"),
                    ("etc/ssl/certs/added.pem", "added"),
                ],
                vec!["bundle", "added"],
            ),
        ] {
            assert_eq!(texts(&files, &[]).expect("they are read"), expected, "{files:?}");
        }
    }

    #[test]
    fn authorities_are_unknown_without_a_bundle() {
        let azure_linux = "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        for (files, expected) in [
            (vec![], "no CA bundle"),
            (vec![("etc/ssl/certs/one.pem", "one")], "no CA bundle"),
            (vec![("etc/pki/tls/certs/ca-bundle.crt", azure_linux)], "links to a missing file"),
            (vec![("etc/ssl/certs/ca-certificates.crt/x", "")], "not a regular file"),
        ] {
            let why = texts(&files, &[]).expect_err("it is not known");
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn containerds_environment_overrides_the_default_files() {
        let files = [
            ("etc/ssl/certs/ca-certificates.crt", "bundle"),
            ("opt/roots.pem", "roots"),
            ("opt/more/a", "a"),
            ("opt/more/b", "b"),
        ];
        let known: BTreeMap<&str, Vec<&str>> = [
            ("SSL_CERT_FILE=/opt/roots.pem", vec!["roots"]),
            ("SSL_CERT_DIR=/opt/more", vec!["bundle", "a", "b"]),
            ("SSL_CERT_FILE=", vec!["bundle"]),
        ]
        .into();
        for (variable, expected) in known {
            let (name, value) = variable.split_once('=').expect("an assignment");
            assert_eq!(
                texts(&files, &[(name, value)]).as_deref(),
                Ok(&expected.map_owned()[..]),
                "{variable}"
            );
        }
        let why = texts(&files, &[("SSL_CERT_FILE", "/opt/absent.pem")]).expect_err("it is missing");
        assert_eq!(why, "/opt/absent.pem is missing");
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for Vec<&str> {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|&text| text.to_owned()).collect()
        }
    }
}
