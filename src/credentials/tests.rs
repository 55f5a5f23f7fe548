//! The formats of a source, with real files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Attempt, CredentialFiles, Credentials, CredentialsError, CredentialsSource, Found, inspect};
use crate::observation::{CredentialKind, CredentialsUsed};

const SECRET: &str = "hunter2hunter2";

fn read(path: &Path) -> Result<Found, CredentialsError> {
    let image = "contoso.azurecr.io/app".parse().expect("an image");
    CredentialFiles { paths: vec![path.to_owned()], expires_at: None }.read(&image)
}

/// The credentials of the only attempt.
fn only(found: &Found) -> &Credentials {
    let [attempt] = &found.attempts[..] else { panic!("{found:?}") };
    assert_eq!((attempt.used(), &found.searched), (CredentialsUsed::Secret, &None));
    attempt.credentials.as_ref().expect("credentials")
}

/// The phrase about the search if the only attempt is anonymous.
fn searched(found: &Found) -> &str {
    let [Attempt { entry: None, credentials: None, .. }] = &found.attempts[..] else { panic!("{found:?}") };
    assert_eq!(found.attempts[0].rejected(), None);
    found.searched.as_deref().expect("a phrase")
}

fn docker(registry: &str) -> String {
    format!(r#"{{"auths": {{"{registry}": {{"username": "pull", "password": "{SECRET}"}}}}}}"#)
}

fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

#[test]
fn every_format_gives_the_same_credentials() {
    let config = docker("contoso.azurecr.io");
    let cfg = format!(r#"{{"contoso.azurecr.io": {{"username": "pull", "password": "{SECRET}"}}}}"#);
    let expires = ("expiresAt", b"2027-05-01T00:00:00Z\n".as_slice());
    let pair = [("username", b"pull\n".as_slice()), ("password", b"hunter2hunter2\r\n"), expires];
    for (files, file, has_expiry) in [
        (vec![("any-name", config.as_bytes())], "any-name", false),
        (vec![(".dockerconfigjson", config.as_bytes()), expires], "", true),
        (vec![("config.json", config.as_bytes())], "", false),
        (vec![(".dockercfg", cfg.as_bytes()), expires], "", true),
        (vec![("any-name", cfg.as_bytes())], "any-name", false),
        (pair.to_vec(), "", true),
        (pair[..2].to_vec(), "", false),
    ] {
        let folder = folder_with(&files);
        let path = if file.is_empty() { folder.path().to_owned() } else { folder.path().join(file) };
        let found = read(&path).expect("credentials");
        let credentials = only(&found);
        assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("pull", SECRET));
        assert_eq!(found.expires_at.is_some(), has_expiry);
        assert_eq!(inspect(&path), Ok(()));
    }
}

#[test]
fn missing_credentials_mean_an_anonymous_pull_and_name_the_path() {
    let folder = folder_with(&[("config.json", docker("other.io").as_bytes())]);
    let found = read(folder.path()).expect("another registry");
    assert!(
        searched(&found)
            .contains("config.json` has no entry for contoso.azurecr.io/app; its only key is `other.io`"),
        "{found:?}"
    );
    assert_eq!(inspect(folder.path()), Ok(()), "a file without a matching entry is valid");
    for path in [folder.path().join("absent"), folder.path().join("config.json/below")] {
        let phrase = format!("`{}` does not exist", path.display());
        assert_eq!(searched(&read(&path).expect("nothing")), phrase);
        assert_eq!(inspect(&path), Err(CredentialsError(phrase)));
    }
    let empty = folder_with(&[]);
    let found = read(empty.path()).expect("nothing");
    assert!(searched(&found).contains("nor username and password"), "{found:?}");
    assert_eq!(inspect(empty.path()).expect_err("nothing").to_string(), searched(&found));
    let nowhere = CredentialFiles { paths: vec![], expires_at: None };
    let found = nowhere.read(&"r.io/app".parse().expect("an image")).expect("nothing");
    assert!(searched(&found).contains("neither DOCKER_CONFIG nor HOME is set"), "{found:?}");
    let usual = CredentialFiles { paths: vec!["/a/x".into(), "/b/x".into()], expires_at: None };
    let found = usual.read(&"r.io/app".parse().expect("an image")).expect("nothing");
    assert_eq!(searched(&found), "neither `/a/x` nor `/b/x` exists");
}

#[test]
fn every_matching_entry_is_an_attempt_with_its_kind() {
    let guid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let zeros = "00000000-0000-0000-0000-000000000000";
    let entry = |user: &str| format!(r#"{{"username": "{user}", "password": "{SECRET}"}}"#);
    let config = format!(
        r#"{{"auths": {{"contoso.azurecr.io/app": {}, "contoso.azurecr.io": {}, "*.azurecr.io": {}, "*.*.io": {},
            "*.azurecr.*": {{}}}}}}"#,
        entry(guid),
        entry(zeros),
        entry("Contoso"),
        entry("pull")
    );
    let folder = folder_with(&[("config.json", config.as_bytes())]);
    let found = read(folder.path()).expect("credentials");
    let file = folder.path().join("config.json");
    let expected = [
        ("contoso.azurecr.io/app", CredentialKind::ServicePrincipal, CredentialsUsed::Secret),
        ("contoso.azurecr.io", CredentialKind::RefreshToken, CredentialsUsed::Secret),
        ("*.azurecr.io", CredentialKind::AdminUser, CredentialsUsed::Secret),
        ("*.azurecr.*", CredentialKind::Empty, CredentialsUsed::Anonymous),
        ("*.*.io", CredentialKind::RepositoryToken, CredentialsUsed::Secret),
    ]
    .map(|(key, kind, used)| (Some(format!("`{key}` of `{}`", file.display())), kind, used));
    let attempts: Vec<_> =
        found.attempts.iter().map(|attempt| (attempt.entry.clone(), attempt.kind, attempt.used())).collect();
    assert_eq!(attempts, expected);
    assert_eq!(found.searched, None, "an entry can be used");
    let empty = folder_with(&[("config.json", br#"{"auths": {"contoso.azurecr.io": {}}}"#)]);
    let found = read(empty.path()).expect("an entry");
    assert_eq!((found.attempts.len(), found.attempts[0].used()), (1, CredentialsUsed::Anonymous));
    assert!(found.searched.is_some_and(|phrase| phrase.contains("has an empty user name")));
}

#[test]
fn unusable_files_are_errors_without_values() {
    let large = vec![b' '; (1 << 20) + 1];
    for (files, expected) in [
        (vec![("config.json", b"{\"auths\": hunter2hunter2".as_slice())], "is not JSON (line 1, column 11)"),
        (vec![("config.json", b"\xff\xfehunter2hunter2")], "is not JSON (line 1, column 1)"),
        (vec![("username", b"\xff"), ("password", b"hunter2hunter2")], "it is not UTF-8"),
        (vec![("config.json", large.as_slice())], "it is larger than 1 MiB"),
        (vec![("username", b"hunter2hunter2")], "contains username but no password"),
        (vec![("password", b"hunter2hunter2")], "contains password but no username"),
        (vec![("username", b"pull"), ("password", b"\n")], "password` is empty"),
        (vec![("username", b""), ("password", b"hunter2hunter2")], "username` is empty"),
        (
            vec![("username", b"pull"), ("password", b"hunter2hunter2"), ("expiresAt", b"hunter2hunter2")],
            "expiresAt` cannot be used: expected an RFC 3339 time",
        ),
    ] {
        let folder = folder_with(&files);
        let phrase = read(folder.path()).expect_err(expected).to_string();
        assert!(phrase.contains(expected), "{phrase}");
        assert!(!phrase.contains(SECRET), "{phrase}");
        assert_eq!(inspect(folder.path()), Ok(()), "an unusable file is a result, not invalid usage");
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("config.json")).expect("a folder");
    assert!(
        matches!(read(folder.path()), Err(CredentialsError(phrase)) if phrase.contains("not a regular file"))
    );
}

#[test]
fn an_updated_secret_is_reloaded() {
    let folder = tempfile::tempdir().expect("a folder");
    for (version, password) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(folder.path().join(version)).expect("a folder");
        fs::write(folder.path().join(version).join("username"), "pull").expect("a file");
        fs::write(folder.path().join(version).join("password"), password).expect("a file");
    }
    let link = |version: &str| {
        let _ = fs::remove_file(folder.path().join("..data"));
        symlink(version, folder.path().join("..data")).expect("a link");
    };
    link("..1");
    for name in ["username", "password"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).expect("a link");
    }
    assert_eq!(only(&read(folder.path()).expect("credentials")).password.expose(), "one");
    link("..2");
    assert_eq!(only(&read(folder.path()).expect("credentials")).password.expose(), "two");
}

#[test]
fn the_first_existing_docker_config_is_used() {
    let usual = |docker: Option<&str>, home: Option<&str>| {
        CredentialsSource::usual(docker.map(OsStr::new), home.map(Path::new)).paths
    };
    assert_eq!(
        usual(Some("/d"), Some("/h")),
        [PathBuf::from("/d/config.json"), PathBuf::from("/h/.docker/config.json")]
    );
    assert_eq!(usual(Some(""), Some("/h")), [PathBuf::from("/h/.docker/config.json")]);
    assert_eq!(usual(None, None), Vec::<PathBuf>::new());
    let folder = folder_with(&[("config.json", docker("contoso.azurecr.io").as_bytes())]);
    let expires_at = "2027-05-01T00:00:00Z".parse().ok();
    let source = CredentialFiles {
        paths: vec![folder.path().join("absent"), folder.path().join("config.json")],
        expires_at,
    };
    let found = source.read(&"contoso.azurecr.io/app".parse().expect("an image")).expect("credentials");
    assert_eq!((found.expires_at, only(&found).username.as_str()), (expires_at, "pull"));
}
