//! The node's own files that containerd reads, below the directory where the chart mounts them.
//!
//! Owns the list of files and their combined meaning: resolver configuration, the upstream of the node's DNS cache, certificate
//! authorities, proxy, mirrors. Each is
//! optional, bounded in size, and resolved below the root only, including symbolic links. An unreadable file means unknown,
//! never "none". Nothing is written. [`crate::proxy`] interprets the proxy variables.

mod authorities;
mod hosts;
mod local_dns;
mod systemd;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::address::NameserverAddress;
use crate::config::ImageConfig;
use crate::observation::Fact;
use crate::proxy::ProxySettings;

use self::tree::{Reading, Seen, Tree};

/// The resolver configuration of a node.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The targets of that file with systemd-resolved: the current content, if only the file itself is mounted.
const RESOLVED: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"];

/// The node's files as read, and the location of those that are read at each check.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeFiles {
    tree: Tree,
    seen: Seen,
    proxy: Fact<ProxySettings>,
    kubelet_proxy: Fact<ProxySettings>,
    authorities: Fact<Vec<Vec<u8>>>,
    mirrors: BTreeMap<String, Fact<Vec<String>>>,
}

impl NodeFiles {
    /// Reads the files that seldom change; [`NodeFiles::have_changed`] reports when to read them again.
    #[must_use]
    pub fn read(root: &Path, images: &[ImageConfig]) -> Self {
        let reading = Reading::new(root);
        RESOLVED.into_iter().chain([RESOLV_CONF]).for_each(|path| reading.look_at(path));
        let containerd = systemd::environment(&reading, "containerd.service");
        let kubelet = systemd::environment(&reading, "kubelet.service");
        let authorities = authorities::read(&reading, &containerd);
        let registries = images.iter().map(|image| image.image.registry());
        let mirrors =
            registries.map(|registry| (registry.clone(), hosts::mirrors(&reading, &registry))).collect();
        let (tree, seen) = reading.finish();
        let proxy = containerd.map(|environment| ProxySettings::of(&environment));
        let kubelet_proxy = kubelet.map(|environment| ProxySettings::of(&environment));
        Self { tree, seen, proxy, kubelet_proxy, authorities, mirrors }
    }

    /// Whether a file or directory has changed since it was read.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        self.seen.iter().any(|(path, before)| self.tree.state(path) != *before)
    }

    /// The current resolver configuration of the node, resolved below the root.
    ///
    /// A file mount keeps the file that existed when the pod started; if its directory is also mounted, the current file is
    /// there.
    #[must_use]
    pub fn resolv_conf(&self) -> Option<PathBuf> {
        let path = self.tree.resolve(RESOLV_CONF).ok().filter(|path| path.is_file())?;
        let origin = self.tree.mounted_from(&path);
        let current = origin.and_then(|origin| self.tree.resolve(&origin.to_string_lossy()).ok());
        Some(current.unwrap_or(path))
    }

    /// The path of that file in this process.
    #[must_use]
    pub fn resolv_conf_name(&self) -> String {
        self.tree.shown(RESOLV_CONF)
    }

    /// The servers that AKS LocalDNS forwards to, as they are now; empty if unknown.
    #[must_use]
    pub fn local_dns_upstreams(&self) -> Vec<NameserverAddress> {
        local_dns::upstreams(&self.tree)
    }

    /// The certificate authorities that containerd trusts, as PEM texts.
    #[must_use]
    pub const fn authorities(&self) -> &Fact<Vec<Vec<u8>>> {
        &self.authorities
    }

    /// The proxy settings of containerd.
    #[must_use]
    pub const fn proxy(&self) -> &Fact<ProxySettings> {
        &self.proxy
    }

    /// The proxy settings of the kubelet, which its credential providers inherit.
    #[must_use]
    pub const fn kubelet_proxy(&self) -> &Fact<ProxySettings> {
        &self.kubelet_proxy
    }

    /// The mirrors that containerd would use before or instead of a registry.
    #[must_use]
    pub fn mirrors(&self, registry: &str) -> Option<&Fact<Vec<String>>> {
        self.mirrors.get(registry)
    }
}
