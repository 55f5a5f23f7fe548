use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;

use super::{environment, words};
use crate::node::tree::Reading;
use crate::observation::Fact;

const UNIT: &str = "containerd.service";

fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn read(root: &Path) -> Fact<BTreeMap<String, String>> {
    environment(&Reading::new(root), UNIT)
}

/// The variable `V` of a service with these files.
fn value(files: &[(&str, &str)]) -> Option<String> {
    match read(root(files).path()) {
        Fact::Known(environment) => environment.get("V").cloned(),
        Fact::Unknown(why) => panic!("{files:?}: {why}"),
    }
}

const OWN: &str = "etc/systemd/system/containerd.service.d";

#[test]
fn values_are_unquoted_as_by_systemd() {
    for (text, expected) in [
        ("[Service]\nEnvironment=V=a\n", Some("a")),
        ("[Service]\nEnvironment=\"V=a b\"\n", Some("a b")),
        ("[Service]\nEnvironment='V=a b'\n", Some("a b")),
        ("[Service]\nEnvironment=V=\"a b\"\n", Some("a b")),
        ("[Service]\n  Environment = \"X=1\" \"V=a\" Y=2\n", Some("a")),
        ("[Service]\nEnvironment=X=1 \\\n  V=a \\\n# a comment\n  Y=2\n", Some("a")),
        ("[Service]\nEnvironment=V=a\nEnvironment=V=b\n", Some("b")),
        ("[Service]\nEnvironment=V=a\nEnvironment=\nEnvironment=X=1\n", None),
        ("[Service]\nEnvironment=V=a\nUnsetEnvironment=V\n", None),
        ("[Service]\nEnvironment=V=http://u%%40:p@h\n", Some("http://u%40:p@h")),
        ("[Service]\nEnvironment=\"V=\\x41\\101\\\"\\s\"\n", Some("AA\" ")),
        ("[Service]\nEnvironment=\"V=a\n", None),
        ("[Service]\nEnvironment=V=\n", Some("")),
        ("[Service]\n#Environment=V=a\n;Environment=V=a\n", None),
        ("[Unit]\nEnvironment=V=a\n", None),
        ("Environment=V=a\n", None),
        ("[Service]\nenvironment=V=a\n", None),
        ("[Service]\nEnvironment=1V=a V\n", None),
        ("[Service]\r\nEnvironment=V=a\r\n", Some("a")),
    ] {
        assert_eq!(value(&[(&format!("{OWN}/10.conf"), text)]).as_deref(), expected, "{text:?}");
    }
}

#[test]
fn later_files_and_the_nodes_own_directory_take_precedence() {
    let set = |value: &str| format!("[Service]\nEnvironment=V={value}\n");
    let (one, two) = (set("one"), set("two"));
    for (files, expected) in [
        (vec![("etc/systemd/system/containerd.service", &one)], "one"),
        (
            vec![("etc/systemd/system/x.service", &two), ("lib/systemd/system/containerd.service", &one)],
            "one",
        ),
        (
            vec![
                ("etc/systemd/system/containerd.service", &one),
                ("usr/lib/systemd/system/containerd.service", &two),
            ],
            "one",
        ),
        (
            vec![
                ("etc/systemd/system/containerd.service", &two),
                ("etc/systemd/system/containerd.service.d/z.conf", &one),
            ],
            "one",
        ),
        (
            vec![
                ("etc/systemd/system/containerd.service.d/a.conf", &two),
                ("usr/lib/systemd/system/containerd.service.d/b.conf", &one),
            ],
            "one",
        ),
        (
            vec![
                ("etc/systemd/system/containerd.service.d/a.conf", &one),
                ("usr/lib/systemd/system/containerd.service.d/a.conf", &two),
            ],
            "one",
        ),
        (
            vec![
                ("etc/systemd/system/containerd.service.d/a.conf", &one),
                ("etc/systemd/system/service.d/a.conf", &two),
                ("etc/systemd/system/containerd.service.d/b.conf~", &two),
                ("etc/systemd/system/kubelet.service.d/a.conf", &two),
            ],
            "one",
        ),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        assert_eq!(value(&files).as_deref(), Some(expected), "{files:?}");
    }
}

#[test]
fn environment_files_override_units_and_the_manager() {
    let unit = "[Service]\nEnvironment=V=unit\n";
    let manager = "[Manager]\nDefaultEnvironment=\"V=manager\" \"X=1\"\n";
    let file = "[Service]\nEnvironmentFile=-/etc/default/containerd\n";
    let own = format!("{OWN}/10.conf");
    let named = format!("{OWN}/20.conf");
    for (files, expected) in [
        (vec![("etc/systemd/system.conf.d/proxy.conf", manager), ("etc/systemd/system/x", "")], "manager"),
        (vec![("etc/systemd/system.conf.d/proxy.conf", manager), (own.as_str(), unit)], "unit"),
        (vec![(own.as_str(), unit), (named.as_str(), file), ("etc/default/containerd", "V=file\n")], "file"),
        (vec![(own.as_str(), unit), (named.as_str(), file), ("etc/default/other", "V=file\n")], "unit"),
        (
            vec![
                (own.as_str(), unit),
                (named.as_str(), "[Service]\nEnvironmentFile=/etc/default/x\nEnvironmentFile=\n"),
            ],
            "unit",
        ),
    ] {
        assert_eq!(value(&files).as_deref(), Some(expected), "{files:?}");
    }
}

#[test]
fn an_unreadable_relevant_file_makes_the_environment_unknown() {
    let own = format!("{OWN}/10.conf");
    for (files, expected) in [
        (vec![], "/etc/systemd/system is missing"),
        (vec![("etc/resolv.conf", "")], "/etc/systemd/system is missing"),
        (
            vec![(own.as_str(), "[Service]\nEnvironmentFile=/etc/environment\n")],
            "/etc/environment is missing",
        ),
        (
            vec![(own.as_str(), "[Service]\nEnvironmentFile=-/opt/x/environment\n")],
            "/opt/x/environment is missing",
        ),
        (vec![(own.as_str(), &"#".repeat(300_000))], "larger than 262144 bytes"),
    ] {
        match read(root(&files).path()) {
            Fact::Unknown(why) => assert!(why.contains(expected), "{why}"),
            Fact::Known(environment) => panic!("{files:?}: {environment:?}"),
        }
    }
    let masked = root(&[("etc/systemd/system/containerd.service.d/b.conf", "[Service]\nEnvironment=V=a\n")]);
    let link = masked.path().join("etc/systemd/system/containerd.service.d/a.conf");
    symlink("/dev/null", &link).expect("a link");
    assert!(matches!(read(masked.path()), Fact::Known(known) if known["V"] == "a"));
    symlink("/opt/proxy.conf", link.with_file_name("c.conf")).expect("a link");
    assert!(matches!(read(masked.path()), Fact::Unknown(why) if why.contains("c.conf")));
}

#[test]
fn environment_files_are_unquoted_as_in_a_shell_without_expansion() {
    for (text, expected) in [
        ("V=a", Some("a")),
        ("  V = a b  \n", Some("a b")),
        ("V='a b '\n", Some("a b ")),
        ("V=\"a \\\"b\\\" \\$c \\n\"", Some("a \"b\" $c \\n")),
        ("V=a\\\nb\n", Some("ab")),
        ("# V=no\n; V=no\nV=a # kept\n", Some("a # kept")),
        ("# no \\\nV=no\nX=1\n", None),
        ("export V=a\n", None),
        ("V=$X${Y}\n", Some("$X${Y}")),
        ("V=\nX=1\n", Some("")),
        ("no assignment\nV=a\r\n", Some("a")),
    ] {
        let found: BTreeMap<String, String> = words::file(text).into_iter().collect();
        assert_eq!(found.get("V").map(String::as_str), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "(?s).{0,200}") {
        for (_, _, value) in words::assignments(&text) {
            words::split(&value);
        }
        words::split(&text);
        words::file(&text);
    }
}
