//! The certificate authorities that containerd trusts: the files that Go reads on Linux (`crypto/x509`, `loadSystemRoots`).
//!
//! Owns the order of Go: the first bundle that is there, and every file of the folders; `SSL_CERT_FILE` and `SSL_CERT_DIR` of
//! containerd's own environment replace them. Parsing is `probe`'s, as for every other certificate.

use crate::node::tree::{Lost, Reading};
use crate::observation::Fact;
use crate::proxy::Environment;

/// Bundles, in Go's order: it reads the first that is there (Debian and Ubuntu; Fedora and Azure Linux; SUSE; …).
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Folders with a file for each authority: Go reads all of both.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Largest bundle, in bytes: those of distributions have some 200 KiB.
const MAX_BUNDLE: u64 = 4 * 1024 * 1024;
/// Largest file of a folder, in bytes, unless it is a bundle again.
const MAX_FILE: u64 = 256 * 1024;
/// Most bytes of all files of the folders.
const MAX_FOLDERS: usize = 4 * 1024 * 1024;

/// The texts with the node's authorities. Unknown unless a bundle was read: what only the folders hold is never all.
pub(super) fn read(reading: &Reading, containerd: &Fact<Environment>) -> Fact<Vec<Vec<u8>>> {
    let variable = |name: &str| match containerd {
        Fact::Known(environment) => environment.get(name).filter(|value| !value.is_empty()).cloned(),
        Fact::Unknown(_) => None,
    };
    let bundle = match variable("SSL_CERT_FILE") {
        Some(path) => reading.read(&path, MAX_BUNDLE).map_err(|lost| match lost {
            Lost::Absent => Lost::Unreadable(format!("{path} is missing")),
            lost @ Lost::Unreadable(_) => lost,
        }),
        None => first_bundle(reading),
    };
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(Lost::Absent) => {
            return Fact::Unknown("no CA bundle found".to_owned());
        }
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

/// The first bundle that is there. One that cannot be read ends the search: on the node Go reads that one.
fn first_bundle(reading: &Reading) -> Result<Vec<u8>, Lost> {
    for path in BUNDLES {
        match reading.read(path, MAX_BUNDLE) {
            Err(Lost::Absent) => {}
            read => return read,
        }
    }
    Err(Lost::Absent)
}

/// Adds the files of a folder that the bundle may lack. A link within the folder is another name of one of them, and one that
/// leads out of what is mounted is passed over: the tools that make the bundle put it there too.
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
        // What a link leads to is seen to change where its folder does, and never looked at for itself: there are hundreds.
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

    /// The texts that are read of these files; of a link, `-> TARGET`.
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
    fn the_files_are_those_of_go_in_its_order() {
        let ubuntu = "etc/ssl/certs/ca-certificates.crt";
        let fedora = "etc/pki/tls/certs/ca-bundle.crt";
        let extracted = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        for (files, expected) in [
            (vec![(ubuntu, "bundle")], vec!["bundle"]),
            (vec![(ubuntu, "bundle"), (extracted, "other")], vec!["bundle"]),
            // Azure Linux: the bundle and the folder are links.
            (
                vec![
                    (extracted, "bundle"),
                    (fedora, "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
                    ("etc/ssl/certs", "-> /etc/pki/tls/certs"),
                ],
                vec!["bundle", "bundle"],
            ),
            (vec![(extracted, "bundle")], vec!["bundle"]),
            // Ubuntu: each authority again, as a link out of the folder, and under its hash as a link in it.
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
    fn without_a_bundle_nothing_is_known() {
        let azure_linux = "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        for (files, expected) in [
            (vec![], "no bundle"),
            (vec![("etc/ssl/certs/one.pem", "one")], "no bundle"),
            (vec![("etc/pki/tls/certs/ca-bundle.crt", azure_linux)], "links to a missing file"),
            (vec![("etc/ssl/certs/ca-certificates.crt/x", "")], "not a regular file"),
        ] {
            let why = texts(&files, &[]).expect_err("it is not known");
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn containerds_own_variables_replace_the_files() {
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
        let why = texts(&files, &[("SSL_CERT_FILE", "/opt/absent.pem")]).expect_err("it is not there");
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
