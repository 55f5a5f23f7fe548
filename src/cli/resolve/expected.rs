//! The expected addresses of `check`: `--expect-address` and `--expect-file` together.
//!
//! Owns the reading of the files and the conflicts. `config` parses names, addresses and the Azure CLI's JSON.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{UsageError, paths, reject_duplicates};
use crate::address::{ExpectedAddresses, MAX_ADDRESSES, MAX_NAMES};
use crate::config::value::Refusal;
use crate::config::{endpoint, expect_file};
use crate::file;
use crate::image::ImageReference;

const ADDRESS: &str = "--expect-address <FQDN=ADDRESS>";
const FILE: &str = "--expect-file <FILE>";

/// The arguments about expected addresses.
pub(super) struct Given {
    pub(super) addresses: Vec<(String, IpAddr)>,
    pub(super) files: Vec<PathBuf>,
    pub(super) allow_loopback: bool,
}

impl Given {
    /// Returns all expected addresses.
    ///
    /// # Errors
    /// A file is not the Azure CLI's JSON of a private endpoint, an address is reserved or given twice, there are too many, or
    /// an image's registry has none of the names.
    pub(super) fn resolve(
        self,
        images: &[ImageReference],
        data_endpoints: &[String],
    ) -> Result<ExpectedAddresses, UsageError> {
        let written = self.addresses.iter().map(|(name, address)| format!("{name}={address}"));
        reject_duplicates(ADDRESS, "value", written)?;
        let mut all = ExpectedAddresses::default();
        for (name, address) in &self.addresses {
            self.add(ADDRESS, &mut all, name, *address)?;
        }
        for path in &self.files {
            let found = read(path).map_err(|refusal| UsageError::Value { argument: FILE, refusal })?;
            for (name, addresses) in found.iter() {
                addresses.iter().try_for_each(|address| self.add(FILE, &mut all, name, *address))?;
            }
        }
        let argument = if self.addresses.is_empty() { FILE } else { ADDRESS };
        for image in images {
            endpoint::check_names_of(image, data_endpoints, &all)
                .map_err(|refusal| UsageError::Value { argument, refusal })?;
        }
        Ok(all)
    }

    fn add(
        &self,
        argument: &'static str,
        all: &mut ExpectedAddresses,
        name: &str,
        address: IpAddr,
    ) -> Result<(), UsageError> {
        let value = || format!("{name}={address}");
        if address.is_loopback() && !self.allow_loopback {
            return Err(UsageError::Value { argument, refusal: endpoint::reserved_endpoint(&value()) });
        }
        all.add(name, address).map_err(|_| {
            let expected = format!("at most {MAX_NAMES} names with {MAX_ADDRESSES} addresses each");
            UsageError::Value { argument, refusal: Refusal::new(value(), expected).because("one too many") }
        })
    }
}

fn read(path: &Path) -> Result<ExpectedAddresses, Refusal> {
    let name = path.to_string_lossy();
    let bytes = file::read(path, expect_file::MAX_BYTES)
        .map_err(|error| paths::refuse(path, error, expect_file::EXPECTED))?;
    expect_file::parse(&bytes).map_err(|refusal| refusal.of(name))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Given;
    use crate::address::ExpectedAddresses;

    const DNS_CONFIGS: &str = r#"[{"fqdn": "contoso.azurecr.io", "ipAddresses": ["10.60.4.5"]}]"#;

    fn resolve(
        addresses: &[(&str, &str)],
        files: &[&str],
        allow_loopback: bool,
        images: &[&str],
    ) -> Result<ExpectedAddresses, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |(index, text): (usize, &&str)| -> PathBuf {
            let path = folder.path().join(format!("{index}.json"));
            std::fs::write(&path, text).expect("a file");
            path
        };
        let parsed =
            |(name, address): &(&str, &str)| ((*name).to_owned(), address.parse().expect("an address"));
        let given = Given {
            addresses: addresses.iter().map(parsed).collect(),
            files: files.iter().enumerate().map(path).collect(),
            allow_loopback,
        };
        let images: Vec<_> = images.iter().map(|image| image.parse().expect("an image")).collect();
        given.resolve(&images, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_of_all_arguments_add_up() {
        let data = r#"{"customDnsConfigs": [{"fqdn": "contoso.westeurope.data.azurecr.io", "ipAddresses": ["10.60.4.4"]}]}"#;
        let image = &["contoso.azurecr.io/app:1"];
        let all = resolve(&[("contoso.azurecr.io", "10.61.4.5")], &[DNS_CONFIGS, data, data], false, image);
        let all = all.expect("valid arguments");
        let of = |name| all.of(name).map(|addresses| format!("{addresses:?}"));
        assert_eq!(of("contoso.azurecr.io").as_deref(), Some("[10.61.4.5, 10.60.4.5]"));
        assert_eq!(of("contoso.westeurope.data.azurecr.io").as_deref(), Some("[10.60.4.4]"));
        assert!(resolve(&[], &[], false, image).is_ok_and(|none| none.is_empty()));
        assert!(resolve(&[("contoso.azurecr.io", "127.0.0.2")], &[], true, image).is_ok());
    }

    #[test]
    fn what_would_change_nothing_or_cannot_be_is_rejected() {
        let contoso = "contoso.azurecr.io/app:1";
        for (addresses, files, images, expected) in [
            (
                &[("contoso.azurecr.io", "10.60.4.5"), ("contoso.azurecr.io", "10.60.4.5")][..],
                &[][..],
                &[contoso][..],
                "duplicate value 'contoso.azurecr.io=10.60.4.5' for '--expect-address <FQDN=ADDRESS>'",
            ),
            (
                &[("contoso.azurecr.io", "127.0.0.2")],
                &[],
                &[contoso],
                "invalid value 'contoso.azurecr.io=127.0.0.2' for '--expect-address <FQDN=ADDRESS>': it is reserved: no \
                 private endpoint can have it; expected",
            ),
            (
                &[],
                &[DNS_CONFIGS],
                &[contoso, "fabrikam.azurecr.io/app:1"],
                "invalid value for '--expect-file <FILE>': contoso.azurecr.io is not a name of the registry \
                 fabrikam.azurecr.io; expected an address of fabrikam.azurecr.io or fabrikam.REGION.data.azurecr.io",
            ),
            (
                &[("contoso.privatelink.azurecr.io", "10.60.4.5")],
                &[],
                &[contoso],
                "invalid value for '--expect-address <FQDN=ADDRESS>': contoso.privatelink.azurecr.io is not a name of the \
                 registry contoso.azurecr.io",
            ),
            (
                &[],
                &["{}"],
                &[contoso],
                "0.json' for '--expect-file <FILE>': it is neither a private endpoint nor a",
            ),
            (
                &[],
                &[&" ".repeat((1 << 20) + 1)],
                &[contoso],
                "0.json' for '--expect-file <FILE>': it is too large",
            ),
        ] {
            let error = resolve(addresses, files, false, images).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
