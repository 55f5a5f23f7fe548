//! Where containerd asks for the images of a registry: `hosts.toml` in the folders of `config_path`.
//!
//! Owns containerd's rules for them (`core/remotes/docker/config`): which folder is a registry's, which hosts are asked in
//! which order, and which mistakes make containerd pass over the file. Headers and keys in these files are secrets and stay
//! here.

use toml::{Table, Value};
use url::Url;

use crate::legible::{MAX_WORD, printable};
use crate::node::tree::{Lost, Reading};
use crate::observation::Fact;

const CONFIG: &str = "/etc/containerd/config.toml";
/// What containerd's folder holds is decided by its configuration; without one, its default (and the value that AKS sets).
const DEFAULT_FOLDERS: &str = "/etc/containerd/certs.d:/etc/docker/certs.d";
/// Largest file, in bytes: a `hosts.toml` has some hundred.
const MAX_FILE: u64 = 256 * 1024;
/// Mirrors of one registry that are named.
const MAX_MIRRORS: usize = 16;

/// The hosts that are asked in place of a registry or before it, as `host[:port]`, with a scheme unless it is HTTPS. Unknown
/// where containerd's folder is not there, or a file that decides cannot be read.
pub(super) fn mirrors(reading: &Reading, registry: &str) -> Fact<Vec<String>> {
    match read(reading, registry) {
        Ok(mirrors) => Fact::Known(mirrors),
        Err(Lost::Absent) => Fact::Unknown("/etc/containerd is missing".to_owned()),
        Err(Lost::Unreadable(why)) => Fact::Unknown(why),
    }
}

fn read(reading: &Reading, registry: &str) -> Result<Vec<String>, Lost> {
    // Without the folder nothing was mounted, and no file in it is no answer.
    reading.list("/etc/containerd")?;
    for folder in config_path(reading).split(':').filter(|folder| !folder.is_empty()) {
        for name in names(registry) {
            let folder = format!("{folder}/{name}");
            match reading.list(&folder) {
                Ok(_) => return hosts_file(reading, &folder, registry),
                Err(Lost::Absent) => {}
                Err(lost) => return Err(lost),
            }
        }
    }
    Ok(Vec::new())
}

/// The folders of a registry's name: with a port in containerd's form first, then as it is written, then the one of all.
fn names(registry: &str) -> Vec<String> {
    let escaped = registry.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
    escaped.into_iter().chain([registry.to_owned(), "_default".to_owned()]).collect()
}

/// `config_path` of containerd's configuration, where that can be read. Its other parts may hold passwords.
fn config_path(reading: &Reading) -> String {
    let text = reading.text(CONFIG, MAX_FILE).unwrap_or_default();
    let config: Table = text.parse().unwrap_or_default();
    let plugins = config.get("plugins").and_then(Value::as_table);
    let of = |plugin: &str| {
        let registry = plugins?.get(plugin)?.get("registry")?;
        registry.get("config_path")?.as_str().filter(|path| !path.is_empty()).map(str::to_owned)
    };
    of("io.containerd.cri.v1.images")
        .or_else(|| of("io.containerd.grpc.v1.cri"))
        .unwrap_or_else(|| DEFAULT_FOLDERS.to_owned())
}

/// What the file of a folder leads to. One that is not there or that containerd cannot use leaves the registry itself.
fn hosts_file(reading: &Reading, folder: &str, registry: &str) -> Result<Vec<String>, Lost> {
    match reading.text(&format!("{folder}/hosts.toml"), MAX_FILE) {
        Ok(text) => Ok(parse(&text, registry).unwrap_or_default()),
        Err(Lost::Absent) => Ok(Vec::new()),
        Err(lost) => Err(lost),
    }
}

/// The hosts of a file other than the registry itself; none where containerd refuses the file.
fn parse(text: &str, registry: &str) -> Option<Vec<String>> {
    let file: Table = text.parse().ok()?;
    let hosts = match key(&file, "host") {
        Some(hosts) => hosts.as_table()?.clone(),
        None => Table::new(),
    };
    let mut asked = Vec::new();
    for (name, settings) in &hosts {
        let pulls = pulls(settings.as_table()?)?;
        let host = host(name)?;
        asked.extend(host.filter(|_| pulls));
    }
    pulls(&file)?;
    let server = match key(&file, "server") {
        Some(server) => host(server.as_str()?)?,
        None => None,
    };
    asked.extend(server);
    let mut mirrors: Vec<String> = Vec::new();
    for host in asked {
        if host != registry && !mirrors.contains(&host) && mirrors.len() < MAX_MIRRORS {
            mirrors.push(host);
        }
    }
    Some(mirrors)
}

/// Whether a host is asked for images; `None` where containerd refuses what is written.
fn pulls(settings: &Table) -> Option<bool> {
    let capabilities = match key(settings, "capabilities") {
        Some(value) => value.as_array()?.clone(),
        None => Vec::new(),
    };
    let mut pulls = capabilities.is_empty();
    for capability in &capabilities {
        match capability.as_str()?.to_ascii_lowercase().as_str() {
            "pull" | "resolve" => pulls = true,
            "push" | "referrers" => {}
            _ => return None,
        }
    }
    Some(pulls)
}

/// The host of a server as it is shown; `Some(None)` where none is named, `None` where containerd refuses it.
fn host(server: &str) -> Option<Option<String>> {
    if server.is_empty() {
        return Some(None);
    }
    let with_scheme =
        if server.starts_with("http") { server.to_owned() } else { format!("https://{server}") };
    let url = Url::parse(&with_scheme).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = if url.scheme() == "https" { String::new() } else { format!("{}://", url.scheme()) };
    let shown = format!("{scheme}{}{port}", url.host_str().unwrap_or_default());
    Some(Some(printable(&shown, MAX_WORD)))
}

/// The value of a key; Go's reader does not mind capitals.
fn key<'table>(table: &'table Table, name: &str) -> Option<&'table Value> {
    let any = || table.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    table.get(name).or_else(any)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::{mirrors, parse};
    use crate::node::tree::Reading;
    use crate::observation::Fact;

    const LOGIN: &str = "contoso.azurecr.io";

    fn of(files: &[(&str, &str)], registry: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        match mirrors(&Reading::new(folder.path()), registry) {
            Fact::Known(mirrors) => Ok(mirrors),
            Fact::Unknown(why) => Err(why),
        }
    }

    #[test]
    fn the_folder_of_a_registry_is_the_one_that_containerd_takes() {
        let mirror = |host: &str| format!("[host.\"https://{host}\"]\n");
        let (own, default, port) = (mirror("own"), mirror("default"), mirror("port"));
        let (own, default, port) = (own.as_str(), default.as_str(), port.as_str());
        let certs = |name: &str| format!("etc/containerd/certs.d/{name}/hosts.toml");
        let elsewhere = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/elsewhere\"\n";
        let images = elsewhere.replace("grpc.v1.cri", "cri.v1.images");
        for (files, registry, expected) in [
            (vec![("etc/containerd/x".to_owned(), "")], LOGIN, vec![]),
            (vec![(certs(LOGIN), own), (certs("_default"), default)], LOGIN, vec!["own"]),
            (vec![(certs("other.io"), own), (certs("_default"), default)], LOGIN, vec!["default"]),
            (vec![(certs("_default"), default)], LOGIN, vec!["default"]),
            (vec![(certs(LOGIN), own)], "contoso.azurecr.io:5443", vec![]),
            (
                vec![(certs("contoso.azurecr.io_5443_"), port), (certs("contoso.azurecr.io:5443"), own)],
                "contoso.azurecr.io:5443",
                vec!["port"],
            ),
            (vec![(certs("contoso.azurecr.io:5443"), own)], "contoso.azurecr.io:5443", vec!["own"]),
            // A folder without the file is a registry without mirrors, and _default does not count.
            (
                vec![(certs(LOGIN).replace("hosts.toml", "ca.crt"), ""), (certs("_default"), default)],
                LOGIN,
                vec![],
            ),
            (
                vec![
                    ("etc/docker/certs.d/contoso.azurecr.io/hosts.toml".to_owned(), own),
                    (certs("x"), port),
                ],
                LOGIN,
                vec!["own"],
            ),
            (
                vec![
                    ("etc/containerd/config.toml".to_owned(), elsewhere),
                    (certs(LOGIN), own),
                    ("etc/elsewhere/_default/hosts.toml".to_owned(), default),
                ],
                LOGIN,
                vec!["default"],
            ),
            (
                vec![("etc/containerd/config.toml".to_owned(), images.as_str()), (certs(LOGIN), own)],
                LOGIN,
                vec![],
            ),
        ] {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            assert_eq!(of(&files, registry).expect("it is known"), expected, "{files:?}");
        }
        let why = of(&[("etc/resolv.conf", "")], LOGIN).expect_err("nothing was mounted");
        assert_eq!(why, "/etc/containerd is missing");
    }

    #[test]
    fn the_hosts_of_a_file_are_those_that_containerd_asks_in_its_order() {
        let none = Some(Vec::new());
        let some = |hosts: &[&str]| Some(hosts.iter().map(|&host| host.to_owned()).collect());
        for (text, expected) in [
            ("", none.clone()),
            ("server = \"https://contoso.azurecr.io\"", none.clone()),
            ("server = \"contoso.azurecr.io\"", none.clone()),
            ("server = \"https://other.io\"", some(&["other.io"])),
            ("Server = \"https://other.io\"", some(&["other.io"])),
            ("[host.\"https://contoso.azurecr.io\"]\nskip_verify = true", none.clone()),
            (
                "server = \"https://contoso.azurecr.io\"\n[host.\"https://z.io\"]\n[host.\"http://a.io:5000/v2\"]\n",
                some(&["z.io", "http://a.io:5000"]),
            ),
            ("[host.\"mirror.io\".header]\nAuthorization = \"Basic hunter2\"\n", some(&["mirror.io"])),
            ("[host.\"https://user:hunter2@mirror.io\"]\n", some(&["mirror.io"])),
            ("[host.\"https://mirror.io\"]\ncapabilities = [\"push\"]", none.clone()),
            ("[host.\"https://mirror.io\"]\ncapabilities = [\"Resolve\"]", some(&["mirror.io"])),
            ("[host.\"https://mirror.io\"]\ncapabilities = []", some(&["mirror.io"])),
            // What containerd refuses: the registry itself is asked.
            ("[host.\"https://mirror.io\"]\ncapabilities = [\"fetch\"]", None),
            ("[host.\"https://mirror.io\"]\ncapabilities = \"pull\"", None),
            ("server = 5", None),
            ("[host", None),
            ("host = 1", None),
        ] {
            assert_eq!(parse(text, LOGIN), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_there_is_a_panic(text in "(?s).{0,120}") {
            let _ = parse(&text, LOGIN);
            let _ = parse(&format!("[host.\"{text}\"]\n"), LOGIN);
        }
    }
}
