//! The names that fill in a command, each safe to paste into a shell.
//!
//! Owns the check of what a command may contain: the image was parsed, a nameserver is an address, and a host from the
//! network is accepted only if it is a host name. Anything else becomes a placeholder in capitals for the operator to
//! replace. That is why the fields are private and why no command quotes them.

use std::net::IpAddr;

use crate::address::NameserverAddress;
use crate::image::{DEFAULT_PORT, ImageReference, authority, is_host_name};
use crate::observation::Endpoint;

/// A shell on a node. The small image is from a registry that a broken private path does not affect. Microsoft's own choice for a
/// shell on a node of AKS.
pub const DEBUG: &str = "kubectl debug node/NODE --namespace acr-verifier -it --profile=sysadmin \
                                --image=mcr.microsoft.com/azurelinux/busybox:1.36";

/// Most commands that add addresses to a record, and most that remove some: more are not typed one by one.
const MAX_CHANGES: usize = 4;

/// The subscription and resource group of the private DNS zone.
pub(super) const ZONE: &str = "--subscription ZONE_SUBSCRIPTION --resource-group ZONE_RESOURCE_GROUP";

/// The names of one image at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    acr: bool,
    registry: String,
    login_server: String,
    key: String,
    image: String,
    repository: String,
    target: String,
    endpoint: Endpoint,
    host: String,
    port: u16,
    private: Option<PrivateName>,
    nameserver: Option<Nameserver>,
    /// The client id of the identity, a GUID.
    client_id: Option<String>,
    /// The record type of the failed query.
    question: &'static str,
    /// The changes that correct the records of the endpoint's name.
    changes: Vec<RecordChange>,
}

/// One address to add to the records of a name, or to remove from them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RecordChange {
    verb: &'static str,
    is_v6: bool,
    address: String,
}

impl RecordChange {
    fn of(verb: &'static str, address: IpAddr) -> Self {
        Self { verb, is_v6: address.is_ipv6(), address: address.to_string() }
    }

    fn command(&self, zone: &str, record: &str) -> String {
        let Self { verb, address, .. } = self;
        let (set, option) = if self.is_v6 { ("aaaa", "ipv6-address") } else { ("a", "ipv4-address") };
        format!(
            "az network private-dns record-set {set} {verb}-record {ZONE} --zone-name {zone} \
             --record-set-name {record} --{option} {address}"
        )
    }
}

/// The private DNS zone of an endpoint and its A record there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PrivateName {
    zone: String,
    record: String,
}

/// The nameserver at fault, in the form that dig accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Nameserver {
    address: String,
    port: u16,
}

impl Names {
    /// Returns placeholders in capitals only, for the catalogue.
    #[must_use]
    pub fn placeholders() -> Self {
        Self {
            acr: true,
            registry: "REGISTRY".to_owned(),
            login_server: "REGISTRY.azurecr.io".to_owned(),
            key: "REGISTRY.azurecr.io".to_owned(),
            image: "REGISTRY.azurecr.io/REPOSITORY:TAG".to_owned(),
            repository: "REPOSITORY".to_owned(),
            target: "REPOSITORY:TAG".to_owned(),
            endpoint: Endpoint::Login,
            host: "REGISTRY.azurecr.io".to_owned(),
            port: DEFAULT_PORT,
            private: Some(PrivateName {
                zone: "privatelink.azurecr.io".to_owned(),
                record: "REGISTRY".to_owned(),
            }),
            nameserver: Some(Nameserver { address: "NAMESERVER".to_owned(), port: 53 }),
            client_id: None,
            question: "A",
            changes: [("add", "EXPECTED_ADDRESS"), ("remove", "WRONG_ADDRESS")]
                .map(|(verb, address)| RecordChange { verb, is_v6: false, address: address.to_owned() })
                .into(),
        }
    }

    /// Returns the same placeholders for a data endpoint.
    #[must_use]
    pub fn at_data_endpoint(self) -> Self {
        let record = "REGISTRY.REGION.data".to_owned();
        Self {
            endpoint: Endpoint::Data,
            host: "REGISTRY.REGION.data.azurecr.io".to_owned(),
            private: self.private.map(|name| PrivateName { record, ..name }),
            ..self
        }
    }

    /// Returns the names of an image at an endpoint. `host` is the data endpoint's (`HOST` or `HOST:PORT`), if known; it
    /// comes from the network and is ignored unless it is a host name. `nameserver` is the one at fault.
    #[must_use]
    pub fn new(
        image: &ImageReference,
        endpoint: Endpoint,
        host: Option<&str>,
        nameserver: Option<&NameserverAddress>,
    ) -> Self {
        let (host, port) = match endpoint {
            Endpoint::Login => (image.host().to_owned(), image.port()),
            Endpoint::Data => host.and_then(checked_host).unwrap_or_else(|| unknown_data_host(image)),
        };
        let separator = if image.digest().is_some() { '@' } else { ':' };
        Self {
            acr: image.is_acr(),
            registry: image.registry_name().to_owned(),
            login_server: image.registry(),
            key: image.written_registry().to_owned(),
            image: image.to_string(),
            repository: image.repository().to_owned(),
            target: format!("{}{separator}{}", image.repository(), image.wanted()),
            endpoint,
            private: private_name(image, &host),
            host,
            port,
            nameserver: nameserver.map(|server| Nameserver {
                address: server.pasteable().unwrap_or_else(|| "NAMESERVER".to_owned()),
                port: server.socket.port(),
            }),
            client_id: None,
            question: "A",
            changes: Vec::new(),
        }
    }

    /// Returns the same names with the changes to the records of the host: `missing` addresses are added before `wrong` ones are
    /// removed, so that the record set is never empty.
    #[must_use]
    pub fn changing(mut self, missing: &[IpAddr], wrong: &[IpAddr]) -> Self {
        let changes = |verb, addresses: &[IpAddr]| -> Vec<RecordChange> {
            addresses.iter().take(MAX_CHANGES).map(|address| RecordChange::of(verb, *address)).collect()
        };
        self.changes = [changes("add", missing), changes("remove", wrong)].concat();
        self
    }

    /// Returns the same names for a failed query of another record type than A.
    #[must_use]
    pub const fn asking(mut self, question: &'static str) -> Self {
        self.question = question;
        self
    }

    /// Returns the same names for the identity with this client id, which is ignored unless it is a GUID's characters.
    #[must_use]
    pub fn of_identity(mut self, client_id: Option<&str>) -> Self {
        let is_plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        self.client_id = client_id.filter(is_plain).map(str::to_owned);
        self
    }

    /// Whether the client id of the identity is known.
    pub(super) const fn has_client_id(&self) -> bool {
        self.client_id.is_some()
    }

    /// The client id of the identity, or a placeholder.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or("CLIENT_ID")
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    pub(super) fn login_server(&self) -> &str {
        &self.login_server
    }

    /// The key of the pull secret's entry: the registry as the image reference has it.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn image(&self) -> &str {
        &self.image
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// `REPOSITORY:TAG` or `REPOSITORY@DIGEST`: what `az acr manifest` calls the name.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Returns the commands for an Azure Container Registry, none for any other registry.
    pub(super) fn acr<const COUNT: usize>(&self, commands: [String; COUNT]) -> Vec<String> {
        if self.acr { commands.into() } else { Vec::new() }
    }

    /// Returns the commands about the A record of a private endpoint, given its zone and its name in the zone; none if the
    /// host is not one of an Azure Container Registry's own.
    pub(super) fn private<const COUNT: usize>(
        &self,
        commands: impl FnOnce(&str, &str) -> [String; COUNT],
    ) -> Vec<String> {
        match &self.private {
            Some(PrivateName { zone, record }) => commands(zone, record).into(),
            None => Vec::new(),
        }
    }

    /// Returns the commands that correct the records of the endpoint's name.
    pub(super) fn record_changes(&self) -> Vec<String> {
        let commands = |PrivateName { zone, record }: &PrivateName| {
            self.changes.iter().map(|change| change.command(zone, record)).collect()
        };
        self.private.as_ref().map(commands).unwrap_or_default()
    }

    /// Queries the nameserver at fault for the records that are wrong.
    pub(super) fn dig_wrong(&self) -> Vec<String> {
        let is_wrong =
            |is_v6| self.changes.iter().any(|change| change.verb == "remove" && change.is_v6 == is_v6);
        match (is_wrong(false), is_wrong(true)) {
            (true, true) => vec![self.dig("A"), self.dig("AAAA")],
            (false, true) => vec![self.dig("AAAA")],
            (true | false, false) => vec![self.dig("A")],
        }
    }

    /// Queries the nameserver at fault, or the machine's own if none is known.
    pub(super) fn dig(&self, kind: &str) -> String {
        match &self.nameserver {
            Some(Nameserver { address, port: 53 }) => format!("dig @{address} {} {kind}", self.host),
            Some(Nameserver { address, port }) => format!("dig @{address} -p {port} {} {kind}", self.host),
            None => format!("dig {} {kind}", self.host),
        }
    }

    /// Repeats the failed query at the nameserver at fault, over UDP and over TCP.
    pub(super) fn dig_again(&self) -> [String; 2] {
        [self.dig(self.question), self.dig(&format!("{} +tcp", self.question))]
    }

    /// Queries Azure's own resolver, which answers only inside a VNet.
    pub(super) fn dig_azure(&self) -> String {
        format!("dig @168.63.129.16 {} A", self.host)
    }

    /// Sends the same request from a node, with the node's own curl, resolver and routes.
    pub(super) fn curl_on_node(&self) -> String {
        let path = match self.endpoint {
            Endpoint::Login => "/v2/",
            Endpoint::Data => "/",
        };
        let url = format!("https://{}{path}", authority(&self.host, self.port));
        on_node(&format!("chroot /host curl --verbose --max-time 10 --output /dev/null {url}"))
    }

    /// Shows the subject, issuer, dates and names of the peer's certificate.
    pub(super) fn openssl(&self) -> String {
        format!(
            "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -subject \
             -issuer -dates -ext subjectAltName",
            host = self.host,
            port = self.port,
        )
    }

    /// Shows the whole handshake.
    pub(super) fn openssl_chain(&self) -> String {
        format!(
            "openssl s_client -connect {host}:{port} -servername {host} -showcerts </dev/null",
            host = self.host,
            port = self.port,
        )
    }
}

/// Runs a command on a node: in its network, with its files under `/host`. The agent's namespace admits such a Pod where
/// others enforce Pod Security.
pub(super) fn on_node(command: &str) -> String {
    format!("{DEBUG} -- {command}")
}

/// Parses `HOST` or `HOST:PORT` from the network.
fn checked_host(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()?),
        Some(_) => return None,
        None => (text, DEFAULT_PORT),
    };
    is_host_name(host).then(|| (host.to_ascii_lowercase(), port))
}

fn unknown_data_host(image: &ImageReference) -> (String, u16) {
    let host = match image.acr_suffix() {
        Some(suffix) => format!("{}.REGION.data.{suffix}", image.first_label()),
        None => "DATA_ENDPOINT".to_owned(),
    };
    (host, DEFAULT_PORT)
}

/// Returns the zone and the record of a host. One zone has the records of both endpoints: `contoso` and
/// `contoso.westeurope.data`, each the host without the cloud's suffix.
fn private_name(image: &ImageReference, host: &str) -> Option<PrivateName> {
    let suffix = image.acr_suffix()?;
    if host != image.host() && image.data_region(host).is_none() {
        return None;
    }
    let record = host.strip_suffix(suffix)?.strip_suffix('.')?;
    Some(PrivateName { zone: format!("privatelink.{suffix}"), record: record.to_owned() })
}

#[cfg(test)]
mod tests;
