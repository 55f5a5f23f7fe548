//! The login server of a registry, as an argument names it.
//!
//! Owns the accepted forms, and why any other name is not one. An image reference has its own parser, because its registry may
//! be any host.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::CLOUDS;
use crate::image::is_host_name;

/// The label of regional login servers: `contoso.westeurope.geo.azurecr.io`.
const REGIONAL: &str = "geo";
/// The label of data endpoints: `contoso.westeurope.data.azurecr.io`.
const DATA: &str = "data";

/// The login server of an Azure Container Registry: `contoso.azurecr.io`, or that of one region,
/// `contoso.westeurope.geo.azurecr.io`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginServer {
    /// `contoso`, or `contoso-e7ggejfuhzhgedc8` with a domain name label.
    label: String,
    region: Option<String>,
    suffix: &'static str,
}

impl LoginServer {
    /// Returns the name of the registry's global login server, also for a regional one.
    #[must_use]
    pub fn registry(&self) -> String {
        format!("{}.{}", self.label, self.suffix)
    }

    /// Returns the name for `az acr --name`: names have no dash, so anything after one is the hash of the domain name label.
    #[must_use]
    pub fn name(&self) -> &str {
        self.label.split('-').next().unwrap_or(&self.label)
    }

    /// Returns whether it is the login server of one region.
    #[must_use]
    pub const fn is_regional(&self) -> bool {
        self.region.is_some()
    }
}

/// Formats the host name.
impl fmt::Display for LoginServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(formatter, "{}.{region}.{REGIONAL}.{}", self.label, self.suffix),
            None => write!(formatter, "{}.{}", self.label, self.suffix),
        }
    }
}

/// Why a text is not the name of a login server. The text itself is not kept, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginServerError {
    /// `https://contoso.azurecr.io`.
    #[error("it is a URL")]
    Url,
    /// `user:password@contoso.azurecr.io`.
    #[error("it contains a user name or a digest")]
    UserInfo,
    /// `contoso.azurecr.io/apps/canary:1`.
    #[error("it is an image reference, and only the part before the first slash is the login server")]
    Image,
    /// `20.45.122.144`.
    #[error("it is an IP address, for which no registry has a certificate")]
    Address,
    /// `contoso.azurecr.io:443`.
    #[error("it has a port, but a registry serves only port 443")]
    Port,
    /// `Contoso.azurecr.io`.
    #[error("it has upper-case letters")]
    Case,
    /// Letters, digits, dashes and dots are missing or misplaced.
    #[error("it is not a valid host name")]
    HostName,
    /// `contoso.westeurope.data.azurecr.io`.
    #[error("it is a data endpoint, which answers 403 in every state of the registry and proves nothing")]
    DataEndpoint,
    /// `contoso.privatelink.azurecr.io`.
    #[error("it is a name in the private DNS zone, and only the private side uses it")]
    PrivateName,
    /// Any other host.
    #[error("it is not the login server of an Azure Container Registry")]
    Foreign,
}

impl FromStr for LoginServer {
    type Err = LoginServerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return Err(LoginServerError::Url);
        }
        if text.contains('@') {
            return Err(LoginServerError::UserInfo);
        }
        if text.contains('/') {
            return Err(LoginServerError::Image);
        }
        if text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
            return Err(LoginServerError::Address);
        }
        if text.contains(':') {
            return Err(LoginServerError::Port);
        }
        if !is_host_name(text) {
            return Err(LoginServerError::HostName);
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(LoginServerError::Case);
        }
        let found = CLOUDS.iter().find_map(|cloud| {
            let labels = text.strip_suffix(cloud.registries)?.strip_suffix('.')?;
            Some((labels.split('.').collect::<Vec<_>>(), cloud.registries))
        });
        let Some((labels, suffix)) = found else { return Err(LoginServerError::Foreign) };
        match labels[..] {
            [.., "privatelink"] => Err(LoginServerError::PrivateName),
            [.., DATA] if labels.len() > 1 => Err(LoginServerError::DataEndpoint),
            [label] => Ok(Self { label: label.to_owned(), region: None, suffix }),
            [label, region, REGIONAL] => {
                Ok(Self { label: label.to_owned(), region: Some(region.to_owned()), suffix })
            }
            _ => Err(LoginServerError::Foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LoginServer, LoginServerError};
    use proptest::prelude::*;

    #[test]
    fn login_servers_of_every_cloud_are_accepted() {
        for (text, registry, name, is_regional) in [
            ("contoso.azurecr.io", "contoso.azurecr.io", "contoso", false),
            ("contoso.azurecr.us", "contoso.azurecr.us", "contoso", false),
            ("contoso.azurecr.cn", "contoso.azurecr.cn", "contoso", false),
            ("contoso-e7ggejfuhzhgedc8.azurecr.io", "contoso-e7ggejfuhzhgedc8.azurecr.io", "contoso", false),
            ("contoso.westeurope.geo.azurecr.io", "contoso.azurecr.io", "contoso", true),
            ("contoso-a1.westus.geo.azurecr.us", "contoso-a1.azurecr.us", "contoso", true),
        ] {
            let server: LoginServer = text.parse().expect(text);
            let found = (server.to_string(), server.registry(), server.name(), server.is_regional());
            assert_eq!(found, (text.to_owned(), registry.to_owned(), name, is_regional));
        }
    }

    #[test]
    fn other_names_have_their_own_error() {
        for (text, error) in [
            ("https://contoso.azurecr.io", LoginServerError::Url),
            ("user:secret@contoso.azurecr.io", LoginServerError::UserInfo),
            ("contoso.azurecr.io/apps/canary:1", LoginServerError::Image),
            ("contoso.azurecr.io/", LoginServerError::Image),
            ("20.45.122.144", LoginServerError::Address),
            ("2603:1030::1", LoginServerError::Address),
            ("[2603:1030::1]", LoginServerError::Address),
            ("contoso.azurecr.io:443", LoginServerError::Port),
            ("Contoso.azurecr.io", LoginServerError::Case),
            ("contoso.AZURECR.IO", LoginServerError::Case),
            ("contoso..azurecr.io", LoginServerError::HostName),
            ("contoso.azurecr.io.", LoginServerError::HostName),
            ("con_toso.azurecr.io", LoginServerError::HostName),
            ("", LoginServerError::HostName),
            ("contoso.westeurope.data.azurecr.io", LoginServerError::DataEndpoint),
            ("contoso.privatelink.azurecr.io", LoginServerError::PrivateName),
            ("contoso.westeurope.data.privatelink.azurecr.io", LoginServerError::PrivateName),
            ("contoso.westeurope.geo.privatelink.azurecr.io", LoginServerError::PrivateName),
            ("azurecr.io", LoginServerError::Foreign),
            ("contoso.azurecr.de", LoginServerError::Foreign),
            ("contoso", LoginServerError::Foreign),
            ("contoso.azurecr.io.example", LoginServerError::Foreign),
            ("contosoazurecr.io", LoginServerError::Foreign),
            ("contoso.westeurope.azurecr.io", LoginServerError::Foreign),
            ("a.contoso.westeurope.geo.azurecr.io", LoginServerError::Foreign),
        ] {
            assert_eq!(text.parse::<LoginServer>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_shown_as_written(text in "[a-zA-Z0-9.:/@-]{0,12}(\\.[a-z]{1,4}){0,2}\\.azurecr\\.(io|us|cn|de)") {
            if let Ok(server) = text.parse::<LoginServer>() {
                prop_assert_eq!(server.to_string(), text);
            }
        }
    }
}
