//! Which registries count: Azure's, by the names of its clouds, and those with a suffix that the operator gives.

use crate::acr;

/// The suffixes of registries that count in addition to Azure's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suffixes(Vec<String>);

impl Suffixes {
    /// Returns the suffixes; each is a host name in lower case.
    #[must_use]
    pub const fn new(suffixes: Vec<String>) -> Self {
        Self(suffixes)
    }

    /// Whether a registry counts, by its host name in lower case.
    #[must_use]
    pub fn contain(&self, host: &str) -> bool {
        acr::is_login_server(host)
            || self.0.iter().any(|suffix| {
                host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
    }
}

/// Returns what an invalid image reference has in place of a host name.
pub(super) fn host_of(image: &str) -> &str {
    let registry = image.split('/').next().unwrap_or_default();
    registry.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Suffixes, host_of};

    #[test]
    fn registries_of_azure_and_of_the_operator_count() {
        let suffixes = Suffixes::new(vec!["contoso.internal".to_owned()]);
        for (host, counts) in [
            ("contoso.azurecr.io", true),
            ("contoso-e7ggejfuhzhgedc8.azurecr.io", true),
            ("contoso.westeurope.geo.azurecr.io", true),
            ("contoso.azurecr.us", true),
            ("contoso.azurecr.cn", true),
            ("contoso.azurecr.de", true),
            ("contoso.internal", true),
            ("registry.contoso.internal", true),
            ("azurecr.io", false),
            ("notazurecr.io", false),
            ("contoso.azurecr.io.example.com", false),
            ("evilcontoso.internal", false),
            ("mcr.microsoft.com", false),
            ("", false),
        ] {
            assert_eq!(suffixes.contain(host), counts, "{host}");
        }
        assert_eq!(host_of("contoso.azurecr.io:443/Apps:1"), "contoso.azurecr.io");
    }
}
