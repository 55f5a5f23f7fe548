//! DNS: public zones on the Internet, the private zone, Azure's resolver, and the VNet's own, which forwards to it.
//!
//! Owns the configuration of two nsd and two unbound, and their restart on changes. The chains are those observed on Azure.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::network::{
    AZURE_DNS, DATA, FORWARDER, LOGIN, Namespace, Network, PRIVATE_ZONE, PUBLIC_DATA, PUBLIC_DNS,
    PUBLIC_LOGIN, REPLICAS, STORAGE,
};
use super::process::{Server, command};

/// `version.bind`, class CH, type TXT: every server answers it locally.
const VERSION_QUESTION: &[u8] = b"\x04\xd2\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";
/// The name of the private zone.
const PRIVATE_DNS_ZONE: &str = "privatelink.azurecr.io";
const PATIENCE: Duration = Duration::from_millis(200);

/// The DNS setup of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The server to which the VNet's own resolver forwards.
    pub forwards_to: Ipv4Addr,
    /// Further options of the VNet's own resolver.
    pub forwarder_options: Vec<&'static str>,
    /// Whether Azure's resolver sees the private zone.
    pub linked: bool,
    /// Whether names missing in the zone fall back to the Internet (`NxDomainRedirect` of the virtual network link).
    pub falls_back: bool,
    /// The private zone's records.
    pub records: Vec<String>,
    /// Further private zones, linked and empty.
    pub empty_zones: Vec<&'static str>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            forwards_to: AZURE_DNS,
            forwarder_options: Vec::new(),
            linked: true,
            falls_back: false,
            records: vec![login_record(LOGIN), data_record(DATA)],
            empty_zones: Vec::new(),
        }
    }
}

impl Names {
    /// The names for which Azure's resolver queries the private zone. unbound has no fallback for names missing in a zone, so a
    /// zone with fallback is only queried for existing names.
    fn seen(&self) -> Vec<String> {
        match (self.linked, self.falls_back) {
            (false, _) => Vec::new(),
            (true, false) => vec![PRIVATE_DNS_ZONE.to_owned()],
            (true, true) => {
                let owners = self.records.iter().filter_map(|record| record.split_whitespace().next());
                owners.map(|owner| format!("{owner}.{PRIVATE_DNS_ZONE}")).collect()
            }
        }
    }
}

/// The login server's record in the private zone.
pub fn login_record(address: Ipv4Addr) -> String {
    format!("contoso 10 IN A {address}")
}

/// The data endpoint's record in the private zone.
pub fn data_record(address: Ipv4Addr) -> String {
    format!("contoso.westeurope.data 10 IN A {address}")
}

/// The records of the data endpoints of the other regions.
pub fn replica_records() -> impl Iterator<Item = String> {
    REPLICAS.into_iter().map(|(region, address)| format!("contoso.{region}.data 10 IN A {address}"))
}

/// The four servers; `None` during a restart.
pub struct Resolvers {
    forwarder: Option<Server>,
    azure: Option<Server>,
    private: Option<Server>,
    _public: Server,
    current: Names,
    folder: PathBuf,
}

impl Resolvers {
    /// Starts the servers with the healthy setup.
    pub fn start(network: &Network, folder: &Path) -> Self {
        let mut resolvers = Self {
            forwarder: None,
            azure: None,
            private: None,
            _public: nsd(&network.internet, folder, "public", PUBLIC_DNS, &public_zones()),
            current: Names::default(),
            folder: folder.to_owned(),
        };
        resolvers.start_again(network, true);
        resolvers
    }

    /// Applies a DNS setup. The caches start empty, as if the change were old.
    pub fn become_like(&mut self, network: &Network, names: &Names) {
        if self.current != *names {
            let zones = |names: &Names| (names.records.clone(), names.empty_zones.clone());
            let zones_differ = zones(&self.current) != zones(names);
            self.current = names.clone();
            self.start_again(network, zones_differ);
        }
    }

    fn start_again(&mut self, network: &Network, private_too: bool) {
        let (vnet, folder, names) = (&network.vnet, &self.folder, &self.current);
        // The old server must stop before the new one can bind its address.
        self.forwarder = None;
        self.azure = None;
        if private_too {
            self.private = None;
            self.private = Some(nsd(vnet, folder, "private", PRIVATE_ZONE, &private_zones(names)));
        }
        let stub: String = names.seen().iter().map(|zone| zone_clause("stub", zone, PRIVATE_ZONE)).collect();
        let rest = zone_clause("forward", ".", PUBLIC_DNS);
        self.azure = Some(unbound(vnet, folder, "azure", AZURE_DNS, &[], &(stub + &rest)));
        let rest = zone_clause("forward", ".", names.forwards_to);
        self.forwarder = Some(unbound(vnet, folder, "forwarder", FORWARDER, &names.forwarder_options, &rest));
    }
}

/// A resolver of the VNet that does not see the private zone.
pub fn unlinked(network: &Network, folder: &Path, address: Ipv4Addr) -> Server {
    unbound(&network.vnet, folder, "unlinked", address, &[], &zone_clause("forward", ".", PUBLIC_DNS))
}

/// A resolver of the VNet whose private zone lacks the data endpoint's record, and the zone's server.
pub fn without_data_record(
    network: &Network,
    folder: &Path,
    resolver: Ipv4Addr,
    server: Ipv4Addr,
) -> [Server; 2] {
    let names = Names { records: vec![login_record(LOGIN)], ..Names::default() };
    let zone = nsd(&network.vnet, folder, "incomplete-zone", server, &private_zones(&names));
    let zones = zone_clause("stub", PRIVATE_DNS_ZONE, server) + &zone_clause("forward", ".", PUBLIC_DNS);
    [unbound(&network.vnet, folder, "incomplete", resolver, &[], &zones), zone]
}

/// A zone and its records.
type Zone = (String, Vec<String>);

/// The chains of three registries: `contoso` and `fabrikam`, which have private endpoints, and `open`, which has none.
fn public_zones() -> Vec<Zone> {
    let zone = |name: &str, records: &[&str]| -> Zone {
        (name.to_owned(), records.iter().map(|&record| record.to_owned()).collect())
    };
    let address = |name: &str, address: Ipv4Addr| format!("{name}.westeurope 10 IN A {address}");
    let mut zones = vec![
        zone(
            "azurecr.io",
            &[
                "contoso 1783 IN CNAME contoso.privatelink.azurecr.io.",
                "contoso.westeurope.data 1783 IN CNAME contoso.westeurope.data.privatelink.azurecr.io.",
                "open 1783 IN CNAME we.fe.azcr.io.",
                "fabrikam 1783 IN CNAME fabrikam.privatelink.azurecr.io.",
            ],
        ),
        zone(
            "privatelink.azurecr.io",
            &[
                "contoso 2881 IN CNAME we.fe.azcr.io.",
                "contoso.westeurope.data 2881 IN CNAME we-0.data.azcr.io.",
            ],
        ),
        zone(
            "azcr.io",
            &[
                "we.fe 300 IN CNAME we-acr-reg.trafficmanager.net.",
                "we-0.data 300 IN CNAME we-acr-dp.trafficmanager.net.",
            ],
        ),
        zone(
            "trafficmanager.net",
            &[
                "we-acr-reg 300 IN CNAME r1007we.westeurope.cloudapp.azure.com.",
                "we-acr-dp 300 IN CNAME d0831we.westeurope.cloudapp.azure.com.",
            ],
        ),
        zone("cloudapp.azure.com", &[&address("r1007we", PUBLIC_LOGIN), &address("d0831we", PUBLIC_DATA)]),
        zone("blob.core.windows.net", &[&format!("weureplstore28 60 IN A {STORAGE}")]),
    ];
    // The replicas' public addresses are never queried: their chains end at the private zone's name.
    let alias =
        |region| format!("contoso.{region}.data 1783 IN CNAME contoso.{region}.data.{PRIVATE_DNS_ZONE}.");
    zones[0].1.extend(REPLICAS.map(|(region, _)| alias(region)));
    zones
}

fn private_zones(names: &Names) -> Vec<Zone> {
    let empty = names.empty_zones.iter().map(|&name| (name.to_owned(), Vec::new()));
    std::iter::once((PRIVATE_DNS_ZONE.to_owned(), names.records.clone())).chain(empty).collect()
}

/// An authoritative server.
fn nsd(namespace: &Namespace, folder: &Path, name: &str, address: Ipv4Addr, zones: &[Zone]) -> Server {
    let own = folder.join(name);
    fs::create_dir_all(&own).expect("a folder");
    let own_text = own.display();
    let mut configuration = format!(
        "server:\n  ip-address: {address}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{own_text}\"\n  \
         pidfile: \"\"\n  database: \"\"\n  xfrdfile: \"{own_text}/xfrd\"\n  zonelistfile: \"{own_text}/list\"\n  \
         server-count: 1\nremote-control:\n  control-enable: no\n"
    );
    for (zone, records) in zones {
        configuration.push_str(&format!("zone:\n  name: {zone}\n  zonefile: {zone}.zone\n"));
        let head = "@ 60 IN SOA azureprivatedns.net. host.microsoft.com. 1 3600 300 2419200 10\n\
                    @ 60 IN NS azureprivatedns.net.\n";
        let records: String = records.iter().map(|record| format!("{record}\n")).collect();
        fs::write(own.join(format!("{zone}.zone")), head.to_owned() + &records).expect("a file");
    }
    let file = own.join("nsd.conf");
    fs::write(&file, configuration).expect("a file");
    start(namespace, &own, address, command("nsd").arg("-d").arg("-c").arg(file))
}

/// A resolver.
fn unbound(
    namespace: &Namespace,
    folder: &Path,
    name: &str,
    address: Ipv4Addr,
    options: &[&str],
    zones: &str,
) -> Server {
    let own = folder.join(name);
    fs::create_dir_all(&own).expect("a folder");
    let options: String = options.iter().map(|option| format!("  {option}\n")).collect();
    let configuration = format!(
        "server:\n  interface: {address}\n  outgoing-interface: {address}\n  access-control: 0.0.0.0/0 allow\n  \
         do-daemonize: no\n  use-syslog: no\n  logfile: \"\"\n  username: \"\"\n  chroot: \"\"\n  directory: \"{}\"\n  \
         pidfile: \"\"\n  num-threads: 1\n  do-ip6: no\n  ede: yes\n  module-config: \"validator iterator\"\n{options}\
         remote-control:\n  control-enable: no\n{zones}",
        own.display()
    );
    let file = own.join("unbound.conf");
    fs::write(&file, configuration).expect("a file");
    start(namespace, &own, address, command("unbound").arg("-d").arg("-c").arg(file))
}

/// unbound's clause that forwards a zone to a server.
fn zone_clause(kind: &str, zone: &str, server: Ipv4Addr) -> String {
    format!("{kind}-zone:\n  name: \"{zone}\"\n  {kind}-addr: {server}\n")
}

fn start(
    namespace: &Namespace,
    own: &Path,
    address: Ipv4Addr,
    command: &mut std::process::Command,
) -> Server {
    namespace.run(|| {
        let mut server = Server::start(command, &own.join("log"));
        server.wait_until(|| answers(address));
        server
    })
}

/// Returns whether a server answers.
pub(super) fn answers(address: Ipv4Addr) -> bool {
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((address, 53))?;
        socket.send(VERSION_QUESTION)?;
        socket.recv(&mut [0; 512])
    };
    ask().is_ok()
}
