//! The node's own files, below a folder where the chart mounts them: what containerd on this node reads.
//!
//! Owns which files those are and what they mean together: the resolver's file, the certificate authorities, the proxy, the
//! mirrors. Each is optional, bounded in size, and resolved below the root only, also through links; what cannot be read is
//! unknown and never "none". Nothing here writes. What Go makes of a proxy's variables is [`crate::proxy`]'s.

mod authorities;
mod hosts;
mod systemd;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::ImageConfig;
use crate::observation::Fact;
use crate::proxy::ProxySettings;

use self::tree::{Reading, Seen, Tree};

/// Where every resolver on a node looks for its nameservers.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What that file is a link to where systemd-resolved runs, and what is there now where only the file itself is mounted.
const RESOLVED: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"];

/// What was read of the node, and where the rest is read at each check.
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
    /// Reads what changes seldom; [`NodeFiles::have_changed`] says when to do it again.
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

    /// Whether a file or folder that was looked at is another one now.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        self.seen.iter().any(|(path, before)| self.tree.state(path) != *before)
    }

    /// The file that names the node's nameservers, resolved below the root, as it is now.
    ///
    /// A file that is mounted by itself stays the one that it was when the pod started; where its folder is mounted too, the
    /// one that it is now is there.
    #[must_use]
    pub fn resolv_conf(&self) -> Option<PathBuf> {
        let path = self.tree.resolve(RESOLV_CONF).ok().filter(|path| path.is_file())?;
        let origin = self.tree.mounted_from(&path);
        let current = origin.and_then(|origin| self.tree.resolve(&origin.to_string_lossy()).ok());
        Some(current.unwrap_or(path))
    }

    /// The name of that file in this process.
    #[must_use]
    pub fn resolv_conf_name(&self) -> String {
        self.tree.shown(RESOLV_CONF)
    }

    /// The texts with the certificate authorities that containerd trusts, in PEM.
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

    /// Where containerd would ask for images of a registry before it or in its place.
    #[must_use]
    pub fn mirrors(&self, registry: &str) -> Option<&Fact<Vec<String>>> {
        self.mirrors.get(registry)
    }
}
