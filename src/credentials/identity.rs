//! Identities as a source of credentials: what is configured, and what the workload identity webhook sets in the Pod.
//!
//! Owns the names of the webhook's variables and the rules for their values. `probe::identity` gets the token.

use std::ffi::OsString;
use std::path::Path;

use crate::config::value::is_guid;
use crate::file::{self, FileError};
use crate::secret::Secret;
use crate::text::words::list;

/// Largest token of a service account, in bytes; real ones have about 1,200.
const MAX_ASSERTION: u64 = 16 * 1024;
/// The hosts of Entra ID, one for each cloud; China has two. An assertion goes nowhere else.
const AUTHORITIES: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];

/// The node's managed identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// Its client id, a GUID; required if the node has several identities.
    pub client_id: Option<String>,
}

/// The Pod's workload identity: the variables that the webhook of Azure Workload Identity sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadIdentity {
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<OsString>,
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<OsString>,
    /// `AZURE_AUTHORITY_HOST`.
    pub authority_host: Option<OsString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<OsString>,
}

/// A usable workload identity, with the current token of its service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federated {
    /// The client id, a GUID.
    pub client_id: String,
    /// The tenant: a GUID or a domain.
    pub tenant_id: String,
    /// The host of Entra ID, one of a closed list.
    pub authority: &'static str,
    /// The token of the service account.
    pub assertion: Secret,
}

impl WorkloadIdentity {
    /// Reads the variables and the token file as they are now: the kubelet renews the file.
    ///
    /// # Errors
    /// The variable or file that is missing or invalid, as a phrase without the file's content.
    pub fn read(&self) -> Result<Federated, String> {
        let missing: Vec<_> = self
            .variables()
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| (*name).to_owned())
            .collect();
        match missing.as_slice() {
            [] => {}
            [name] => return Err(format!("{name} is not set")),
            names => return Err(format!("{} are not set", list(names))),
        }
        let [client_id, tenant_id, authority_host, token_file] =
            self.variables().map(|(name, value)| text(name, value));
        let client_id = client_id?;
        if !is_guid(client_id) {
            return Err("AZURE_CLIENT_ID is not a GUID".to_owned());
        }
        let tenant_id = tenant_id?;
        if !is_tenant(tenant_id) {
            return Err("AZURE_TENANT_ID is neither a GUID nor a domain".to_owned());
        }
        Ok(Federated {
            authority: authority(authority_host?)?,
            assertion: read_assertion(Path::new(token_file?))?,
            client_id: client_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
        })
    }

    const fn variables(&self) -> [(&'static str, Option<&OsString>); 4] {
        [
            ("AZURE_CLIENT_ID", self.client_id.as_ref()),
            ("AZURE_TENANT_ID", self.tenant_id.as_ref()),
            ("AZURE_AUTHORITY_HOST", self.authority_host.as_ref()),
            ("AZURE_FEDERATED_TOKEN_FILE", self.token_file.as_ref()),
        ]
    }
}

fn text<'value>(name: &str, value: Option<&'value OsString>) -> Result<&'value str, String> {
    match value.map_or(Some(""), |value| value.to_str()) {
        Some("") => Err(format!("{name} is empty")),
        Some(value) => Ok(value),
        None => Err(format!("{name} is not UTF-8")),
    }
}

/// The known host of `https://HOST/`.
fn authority(url: &str) -> Result<&'static str, String> {
    let host = url.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let known = host.and_then(|host| AUTHORITIES.into_iter().find(|known| host.eq_ignore_ascii_case(known)));
    known.ok_or_else(|| "AZURE_AUTHORITY_HOST is not a host of Entra ID".to_owned())
}

fn read_assertion(path: &Path) -> Result<Secret, String> {
    // The path is shown: it must not be the token itself.
    if !path.is_absolute() {
        return Err("AZURE_FEDERATED_TOKEN_FILE is not an absolute path".to_owned());
    }
    let shown = path.display();
    let bytes = file::read(path, MAX_ASSERTION).map_err(|error| match error {
        FileError::Read(error) => format!("the token file `{shown}` cannot be read: {error}"),
        FileError::Irregular => format!("the token file `{shown}` is not a regular file"),
        FileError::TooLarge => format!("the token file `{shown}` is larger than {MAX_ASSERTION} bytes"),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| format!("the token file `{shown}` is not UTF-8"))?;
    match text.trim() {
        "" => Err(format!("the token file `{shown}` is empty")),
        token => Ok(Secret::new(token.to_owned())),
    }
}

/// Whether a text can be the tenant in Entra ID's paths.
fn is_tenant(text: &str) -> bool {
    is_guid(text) || (crate::image::is_host_name(text) && text.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::WorkloadIdentity;
    use crate::config::value::is_guid;

    const GUID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

    #[test]
    fn a_guid_has_five_groups_of_digits() {
        assert!(is_guid(GUID));
        for other in
            ["", "3fa85f64", "3fa85f64-5717-4562-b3fc-2c963f66afa", "3fa85f64-5717-4562-b3fc-2c963f66afaz"]
        {
            assert!(!is_guid(other), "{other}");
        }
    }

    #[test]
    fn the_first_unusable_variable_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "header.claims.signature\n").expect("a file");
        let usable = WorkloadIdentity {
            client_id: Some(GUID.into()),
            tenant_id: Some(GUID.into()),
            authority_host: Some("https://login.microsoftonline.com/".into()),
            token_file: Some(file.clone().into()),
        };
        let read = usable.read().expect("everything is set");
        assert_eq!(
            (read.authority, read.assertion.expose()),
            ("login.microsoftonline.com", "header.claims.signature")
        );
        let problem = |change: fn(&mut WorkloadIdentity)| {
            let mut changed = usable.clone();
            change(&mut changed);
            changed.read().expect_err("something is missing")
        };
        assert_eq!(
            WorkloadIdentity::default().read(),
            Err("AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_AUTHORITY_HOST and AZURE_FEDERATED_TOKEN_FILE are not set".to_owned())
        );
        assert_eq!(problem(|set| set.client_id = None), "AZURE_CLIENT_ID is not set");
        assert_eq!(problem(|set| set.client_id = Some("canary".into())), "AZURE_CLIENT_ID is not a GUID");
        assert_eq!(
            problem(|set| set.tenant_id = Some("a/b".into())),
            "AZURE_TENANT_ID is neither a GUID nor a domain"
        );
        for host in [
            "http://login.microsoftonline.com/",
            "https://login.example.com/",
            "https://login.microsoftonline.com:8443/",
        ] {
            let mut changed = usable.clone();
            changed.authority_host = Some(host.into());
            assert_eq!(
                changed.read(),
                Err("AZURE_AUTHORITY_HOST is not a host of Entra ID".to_owned()),
                "{host}"
            );
        }
        assert_eq!(
            problem(|set| set.token_file = Some("header.claims.signature".into())),
            "AZURE_FEDERATED_TOKEN_FILE is not an absolute path"
        );
        std::fs::write(&file, "\n").expect("a file");
        let empty = usable.read().expect_err("an empty file");
        assert!(empty.ends_with("is empty"), "{empty}");
        std::fs::remove_file(&file).expect("a file");
        let missing = usable.read().expect_err("no file");
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
