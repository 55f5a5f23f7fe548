//! What is specific to Azure Container Registry: its clouds, and the names of registries, data endpoints, private zones and
//! storage.
//!
//! Owns the form of these names only. `rules` decide what a name means for a check, and `address` knows Azure's addresses.

mod login_server;

use crate::image::ImageReference;

pub use login_server::{LoginServer, LoginServerError};

/// The public and sovereign clouds.
const CLOUDS: [Cloud; 3] = [
    Cloud { registries: "azurecr.io", storage: "blob.core.windows.net" },
    Cloud { registries: "azurecr.us", storage: "blob.core.usgovcloudapi.net" },
    Cloud { registries: "azurecr.cn", storage: "blob.core.chinacloudapi.cn" },
];

/// The suffixes of a cloud's names.
struct Cloud {
    /// Of login servers and data endpoints.
    registries: &'static str,
    /// Of blob storage, where a registry without dedicated data endpoints keeps its layers.
    storage: &'static str,
}

/// The suffix of the former German cloud: its registries count as Azure's, but no identity of today pulls from them.
const FORMER_CLOUD: &str = "azurecr.de";

/// Whether a host is the login server of a registry in one of Azure's clouds, by its name in lower case.
#[must_use]
pub fn is_login_server(host: &str) -> bool {
    let suffixes = CLOUDS.iter().map(|cloud| cloud.registries).chain([FORMER_CLOUD]);
    let mut names = suffixes.filter_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'));
    names.any(|name| !name.is_empty())
}

/// Whether a host belongs to Azure Blob Storage.
#[must_use]
pub fn is_storage(host: &str) -> bool {
    CLOUDS.iter().any(|cloud| host.strip_suffix(cloud.storage).is_some_and(|rest| rest.ends_with('.')))
}

/// Whether a name, with or without its final dot, is in a private zone of a registry's cloud.
#[must_use]
pub fn is_in_private_zone(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    CLOUDS.iter().any(|cloud| is_below(name, &zone_of(cloud.registries)))
}

fn zone_of(suffix: &str) -> String {
    format!("privatelink.{suffix}")
}

fn is_below(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

impl ImageReference {
    /// Whether the login server is an Azure Container Registry, by its name.
    #[must_use]
    pub fn is_acr(&self) -> bool {
        self.acr_suffix().is_some()
    }

    /// The cloud's suffix of an Azure Container Registry, such as `azurecr.io`; otherwise `None`.
    #[must_use]
    pub fn acr_suffix(&self) -> Option<&'static str> {
        CLOUDS.iter().map(|cloud| cloud.registries).find(|suffix| {
            self.host()
                .strip_suffix(suffix)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|name| !name.is_empty())
        })
    }

    /// The first label of the login server: the registry's name, plus a hash if it uses a domain name label.
    #[must_use]
    pub fn first_label(&self) -> &str {
        self.host().split('.').next().unwrap_or(self.host())
    }

    /// The name for `az acr --name`: names have no dash, so anything after one is the hash of the domain name label.
    #[must_use]
    pub fn registry_name(&self) -> &str {
        let label = self.first_label();
        label.split('-').next().unwrap_or(label)
    }

    /// The region in the name of one of this registry's data endpoints, such as `westeurope`.
    #[must_use]
    pub fn data_region<'host>(&self, host: &'host str) -> Option<&'host str> {
        let suffix = self.acr_suffix()?;
        let rest = host.strip_suffix(suffix)?.strip_suffix(".data.")?;
        let (label, region) = rest.split_once('.')?;
        (label == self.first_label() && !region.is_empty() && !region.contains('.')).then_some(region)
    }

    /// Whether a name, with or without its final dot, is the private zone of this registry's cloud or below it.
    #[must_use]
    pub fn is_of_private_zone(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.private_zone().is_some_and(|zone| name == zone || is_below(name, &zone))
    }

    /// The private DNS zone of an Azure Container Registry, such as `privatelink.azurecr.io`; otherwise `None`.
    #[must_use]
    pub fn private_zone(&self) -> Option<String> {
        self.acr_suffix().map(zone_of)
    }
}
