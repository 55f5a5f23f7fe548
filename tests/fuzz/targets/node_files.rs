//! The node's files that decide on proxy and mirrors, separated by zero bytes: containerd's unit, a drop-in, its environment file,
//! the manager's settings, `config.toml`, `hosts.toml`, the upstreams of LocalDNS.

#![no_main]

use std::fs;
use std::path::Path;

use acr_verifier::config::ImageConfig;
use acr_verifier::config::file::parse;
use acr_verifier::node::NodeFiles;
use acr_verifier::observation::Fact;
use acr_verifier::proxy::ProxySettings;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const LOGIN: &str = "contoso.azurecr.io";
const CONFIG: &str =
    "images:\n  - image: contoso.azurecr.io/apps/canary:1\n    credentials: {path: /nowhere}\n";
const FILES: [&str; 7] = [
    "etc/systemd/system/containerd.service",
    "etc/systemd/system/containerd.service.d/proxy.conf",
    "etc/default/containerd",
    "etc/systemd/system.conf",
    "etc/containerd/config.toml",
    "etc/containerd/certs.d/contoso.azurecr.io/hosts.toml",
    "etc/localdns/upstream-dns",
];
/// Hosts whose proxy is decided, with their port.
const HOSTS: [(&str, u16); 4] =
    [(LOGIN, 443), ("contoso.westeurope.data.azurecr.io", 443), ("10.1.0.4", 5443), ("localhost", 443)];
/// Bounds of the documentation of `node`.
const MOST_MIRRORS: usize = 16;
const MOST_UPSTREAMS: usize = 15;
/// Far above a host name with scheme and port.
const LONGEST_NAME: usize = 1024;

thread_local! {
    /// A node whose files are replaced for each input, and the configuration of an agent on it.
    static NODE: (TempDir, Vec<ImageConfig>) = node();
}

fn node() -> (TempDir, Vec<ImageConfig>) {
    let root = tempfile::tempdir().expect("a folder");
    for file in FILES {
        fs::create_dir_all(root.path().join(file).parent().expect("a folder")).expect("a folder");
    }
    let config = parse(Path::new("acr-verifier.yaml"), CONFIG).expect("a configuration");
    (root, config.images)
}

fn check_name(name: &str) {
    assert!(name.len() < LONGEST_NAME && !name.chars().any(char::is_control), "{name:?}");
    assert!(!name.contains('@'), "a password could be shown: {name:?}");
}

fn check_proxy(settings: &Fact<ProxySettings>) {
    let Fact::Known(settings) = settings else { return };
    let proxy = settings.proxy();
    proxy.into_iter().for_each(|proxy| check_name(proxy.as_str()));
    for (host, port) in HOSTS {
        let used = settings.for_host(host, port);
        assert!(used.is_none() || used == proxy);
        assert!(used.is_none() || host != "localhost", "Go never uses a proxy for localhost");
    }
}

fuzz_target!(|bytes: &[u8]| {
    NODE.with(|(root, images)| {
        let mut contents = bytes.splitn(FILES.len(), |byte| *byte == 0);
        for file in FILES {
            let path = root.path().join(file);
            match contents.next() {
                Some(content) => fs::write(path, content).expect("a file"),
                None => drop(fs::remove_file(path)),
            }
        }
        let files = NodeFiles::read(root.path(), images);
        assert!(!files.have_changed());
        assert_eq!(files, NodeFiles::read(root.path(), images), "the same files, another result");
        check_proxy(files.proxy());
        check_proxy(files.kubelet_proxy());
        match files.mirrors(LOGIN) {
            Some(Fact::Known(mirrors)) => {
                assert!(mirrors.len() <= MOST_MIRRORS);
                mirrors.iter().for_each(|mirror| check_name(mirror));
            }
            Some(Fact::Unknown(why)) => assert!(!why.is_empty()),
            None => panic!("the registry of an image has no entry"),
        }
        assert!(files.local_dns_upstreams().len() <= MOST_UPSTREAMS);
    });
});
