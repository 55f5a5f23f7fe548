//! containerd's mirrors of a registry: `hosts.toml` in the directories of `config_path`.
//!
//! Owns containerd's rules for them (`core/remotes/docker/config`): the directory of a registry, the order of its hosts, and the
//! errors that make containerd ignore the file. Headers and keys in these files are secret and never leave this module. `toml`
//! parses the syntax; no library has the rules.

use toml::{Table, Value};
use url::Url;

use crate::node::tree::{Lost, Reading};
use crate::observation::Fact;
use crate::text::sanitize::{MAX_WORD, printable};

const CONFIG: &str = "/etc/containerd/config.toml";
/// The directories if containerd's configuration sets none: its default, and the value that AKS sets.
const DEFAULT_FOLDERS: &str = "/etc/containerd/certs.d:/etc/docker/certs.d";
/// Maximum size of a file in bytes; a `hosts.toml` has some hundred.
const MAX_FILE: u64 = 256 * 1024;
/// Maximum number of reported mirrors per registry.
const MAX_MIRRORS: usize = 16;

/// The hosts that containerd uses before or instead of a registry, as `host[:port]`, with a scheme unless it is HTTPS. Unknown
/// if containerd's directory is missing or a relevant file cannot be read.
pub(super) fn mirrors(reading: &Reading, registry: &str) -> Fact<Vec<String>> {
    match read(reading, registry) {
        Ok(mirrors) => Fact::Known(mirrors),
        Err(Lost::Absent) => Fact::Unknown("/etc/containerd is missing".to_owned()),
        Err(Lost::Unreadable(why)) => Fact::Unknown(why),
    }
}

fn read(reading: &Reading, registry: &str) -> Result<Vec<String>, Lost> {
    // Without the directory nothing is mounted, so a missing file proves nothing.
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

/// The directory names for a registry: with a port in containerd's form first, then as written, then the default.
fn names(registry: &str) -> Vec<String> {
    let escaped = registry.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
    escaped.into_iter().chain([registry.to_owned(), "_default".to_owned()]).collect()
}

/// `config_path` of containerd's configuration, if readable. Its other parts may contain passwords.
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

/// The hosts in a directory's file. If it is missing or invalid, containerd uses only the registry itself.
fn hosts_file(reading: &Reading, folder: &str, registry: &str) -> Result<Vec<String>, Lost> {
    match reading.text(&format!("{folder}/hosts.toml"), MAX_FILE) {
        Ok(text) => Ok(parse(&text, registry).unwrap_or_default()),
        Err(Lost::Absent) => Ok(Vec::new()),
        Err(lost) => Err(lost),
    }
}

/// The hosts of a file other than the registry itself; `None` if containerd rejects the file.
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
        asked.extend(pulls.then_some(host));
    }
    pulls(&file)?;
    if let Some(server) = key(&file, "server") {
        asked.push(host(server.as_str()?)?);
    }
    let mut mirrors: Vec<String> = Vec::new();
    for host in asked {
        if !host.is_empty() && host != registry && !mirrors.contains(&host) && mirrors.len() < MAX_MIRRORS {
            mirrors.push(host);
        }
    }
    Some(mirrors)
}

/// Whether a host serves pulls; `None` if containerd rejects the value.
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

/// The displayed host of a server, empty if the server is; `None` if containerd rejects it.
fn host(server: &str) -> Option<String> {
    if server.is_empty() {
        return Some(String::new());
    }
    let with_scheme =
        if server.starts_with("http") { server.to_owned() } else { format!("https://{server}") };
    let url = Url::parse(&with_scheme).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = if url.scheme() == "https" { String::new() } else { format!("{}://", url.scheme()) };
    let shown = format!("{scheme}{}{port}", url.host_str().unwrap_or_default());
    Some(printable(&shown, MAX_WORD))
}

/// The value of a key; Go's parser is case-insensitive.
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
    fn the_directory_of_a_registry_is_chosen_as_by_containerd() {
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
            // A directory without the file means no mirrors, and _default is not used.
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
    fn hosts_are_listed_in_containerds_order() {
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
            // Rejected by containerd, which then uses the registry itself.
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
        fn parsing_never_panics(text in "(?s).{0,120}") {
            let _ = parse(&text, LOGIN);
            let _ = parse(&format!("[host.\"{text}\"]\n"), LOGIN);
        }
    }
}
