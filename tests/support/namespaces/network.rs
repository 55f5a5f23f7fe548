//! The network: a node, a VNet and the Internet, each a network namespace, connected by veth pairs.
//!
//! Owns addresses, routes, packet filters and packet counters. The VNet routes between the other two, so that packets on the
//! public path arrive and are counted.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::leftovers;
use super::process::run;

/// The private endpoint of the login server.
pub const LOGIN: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 4);
/// The private endpoint of the data endpoint.
pub const DATA: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 5);
/// The other regions of the registry, each with the private endpoint of its data endpoint.
pub const REPLICAS: [(&str, Ipv4Addr); 2] =
    [("uksouth", Ipv4Addr::new(10, 60, 4, 6)), ("eastus2", Ipv4Addr::new(10, 60, 4, 7))];
/// The private endpoint of another registry, in the same subnet.
pub const FOREIGN_LOGIN: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 8);
/// The private endpoint of its data endpoint, to which no name resolves.
pub const FOREIGN_DATA: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 9);
/// The VNet's own resolver, which forwards.
pub const FORWARDER: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 10);
/// The authoritative server of the private zone.
pub const PRIVATE_ZONE: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 11);
/// An address of the VNet where nothing listens.
pub const UNUSED: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 12);
/// The lab's own nameserver, for answers that unbound never sends.
pub const ODD_DNS: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 13);
/// Another one, at a link-local address on the link to the node.
pub const LINK_DNS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);
/// docker-registry, which only the endpoints contact.
pub const REGISTRY: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 20);
/// Azure's resolver: it sees the private zones that are linked to the VNet.
pub const AZURE_DNS: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// Azure Blob Storage: public, and reachable if the VNet permits egress.
pub const STORAGE: Ipv4Addr = Ipv4Addr::new(20, 60, 1, 4);
/// The authoritative server of all public names.
pub const PUBLIC_DNS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The listener of AKS LocalDNS on the node, for the node itself.
pub const LOCAL_DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 10, 10);
/// The metadata service of Azure, which issues tokens to managed identities. Only the states of identities have it.
pub const IMDS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// An address of Entra ID, which issues tokens to workload identities.
pub const ENTRA: Ipv4Addr = Ipv4Addr::new(20, 190, 128, 1);
/// The public address of the login server, as in the observed chains.
pub const PUBLIC_LOGIN: Ipv4Addr = Ipv4Addr::new(20, 45, 122, 144);
/// The public address of the data endpoint.
pub const PUBLIC_DATA: Ipv4Addr = Ipv4Addr::new(40, 89, 120, 3);

/// The filters of the VNet: `arriving` sees packets from the node, `leaving` packets to it. Everything except DNS and traffic to
/// the private endpoints is counted, whether it arrives or not.
const VNET_FILTERS: &str = r#"
table inet acrv {
    counter elsewhere {}
    chain watch {
        type filter hook prerouting priority -300; policy accept;
        iifname "node" meta l4proto { tcp, udp } th dport != 53 ip daddr != 10.60.4.4-10.60.4.8 counter name elsewhere
    }
    chain arriving {
        type filter hook input priority 0; policy accept;
        iifname != "node" accept
        jump arriving_faults
    }
    chain arriving_faults {}
    chain leaving {
        type filter hook output priority 0; policy accept;
        oifname != "node" accept
        jump leaving_faults
    }
    chain leaving_faults {}
}
"#;
const INTERNET_FILTERS: &str = "
table inet acrv {
    counter public {}
    chain watch {
        type filter hook input priority -300; policy accept;
        ip daddr { 20.45.122.144, 40.89.120.3 } counter name public
    }
}
";

/// The three namespaces.
pub struct Network {
    pub node: Namespace,
    pub vnet: Namespace,
    pub internet: Namespace,
}

/// A network namespace, removed with its contents on drop.
pub struct Namespace {
    name: String,
}

/// Faults of packets and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// nft rules for packets from the node.
    pub arriving: Vec<&'static str>,
    /// nft rules for packets to the node.
    pub leaving: Vec<&'static str>,
    /// Additional routes of the node.
    pub routes: Vec<&'static str>,
    /// The rate of the link to the node, if slow.
    pub link: Option<&'static str>,
}

/// The number of packets to forbidden destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strays {
    /// From the node to anything but DNS and the private endpoints.
    pub elsewhere: u64,
    /// Packets that arrived at a public address of the registry.
    pub public: u64,
}

impl Network {
    /// Creates and connects the namespaces.
    pub fn start() -> Self {
        let network = Self {
            node: Namespace::new("node"),
            vnet: Namespace::new("vnet"),
            internet: Namespace::new("internet"),
        };
        network.vnet.ip(&format!(
            "link set lo up\n\
             link add node type veth peer name eth0 netns {}\n\
             link add internet type veth peer name vnet netns {}\n\
             link set node up\n\
             link set internet up\n\
             address add 10.60.0.1/16 dev node\n\
             address add 198.51.100.1/24 dev internet\n\
             route add default via 198.51.100.2\n",
            network.node.name, network.internet.name
        ));
        let endpoints = [LOGIN, DATA, FOREIGN_LOGIN, FOREIGN_DATA];
        let endpoints = endpoints.into_iter().chain(REPLICAS.map(|(_, address)| address));
        let others = [FORWARDER, PRIVATE_ZONE, UNUSED, ODD_DNS, REGISTRY, AZURE_DNS, STORAGE];
        for address in endpoints.chain(others) {
            network.vnet.ip(&format!("address add {address}/32 dev node\n"));
        }
        network.vnet.ip(&format!("address add {LINK_DNS}/64 dev node nodad\n"));
        // Skips the second of duplicate address detection on the link.
        network.node.ip(&format!("address add {LOCAL_DNS}/32 dev lo\n"));
        network.node.ip("link set lo up\n\
             link set eth0 addrgenmode none\n\
             link set eth0 up\n\
             address add fe80::100/64 dev eth0 nodad\n\
             address add 10.60.0.100/16 dev eth0\n\
             route add default via 10.60.0.1\n");
        network.internet.ip("link set lo up\n\
             link set vnet up\n\
             address add 198.51.100.2/24 dev vnet\n\
             route add default via 198.51.100.1\n");
        for address in [PUBLIC_LOGIN, PUBLIC_DATA, PUBLIC_DNS] {
            network.internet.ip(&format!("address add {address}/32 dev lo\n"));
        }
        network.vnet.run(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a VNet that routes");
            run("nft", &["-f", "-"], VNET_FILTERS);
        });
        network.internet.run(|| run("nft", &["-f", "-"], INTERNET_FILTERS));
        network
    }

    /// Applies faults.
    pub fn break_with(&self, faults: &Faults) {
        for route in &faults.routes {
            self.node.ip(&format!("route add {route}\n"));
        }
        if let Some(rate) = faults.link {
            let queue = format!("qdisc add dev node root tbf rate {rate} burst 2000 latency 2s\n");
            self.vnet.run(|| run("tc", &["-batch", "-"], &queue));
        }
        let rule = |chain: &str, rules: &[&str]| -> String {
            rules.iter().map(|rule| format!("add rule inet acrv {chain} {rule}\n")).collect()
        };
        let rules = rule("arriving_faults", &faults.arriving) + &rule("leaving_faults", &faults.leaving);
        if !rules.is_empty() {
            self.vnet.run(|| run("nft", &["-f", "-"], &rules));
        }
    }

    /// Removes the same faults.
    pub fn repair(&self, faults: &Faults) {
        for route in &faults.routes {
            self.node.ip(&format!("route delete {route}\n"));
        }
        if faults.link.is_some() {
            self.vnet.run(|| run("tc", &["qdisc", "delete", "dev", "node", "root"], ""));
        }
        if !faults.arriving.is_empty() || !faults.leaving.is_empty() {
            let flush = "flush chain inet acrv arriving_faults\nflush chain inet acrv leaving_faults\n";
            self.vnet.run(|| run("nft", &["-f", "-"], flush));
        }
    }

    /// The counters since the start.
    pub fn strays(&self) -> Strays {
        Strays {
            elsewhere: self.vnet.counter("inet", "acrv", "elsewhere"),
            public: self.internet.counter("inet", "acrv", "public"),
        }
    }
}

impl Namespace {
    pub fn new(role: &str) -> Self {
        let name = leftovers::namespace(role);
        run("ip", &["netns", "add", &name], "");
        Self { name }
    }

    /// Runs a job inside; the sockets, threads and processes it creates stay inside.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace exists");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            job()
        };
        let result = std::thread::scope(|scope| scope.spawn(enter).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Its name, as `ip` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` commands inside.
    pub fn ip(&self, lines: &str) {
        run("ip", &["-netns", &self.name, "-batch", "-"], lines);
    }

    /// The number of a link.
    pub fn link(&self, name: &str) -> u32 {
        let line = run("ip", &["-netns", &self.name, "-oneline", "link", "show", name], "");
        line.split(':').next().and_then(|number| number.trim().parse().ok()).expect("ip numbers its links")
    }

    /// The packets of a counter of a table.
    pub fn counter(&self, family: &str, table: &str, name: &str) -> u64 {
        let list = self.run(|| run("nft", &["list", "counter", family, table, name], ""));
        let mut words = list.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|number| number.parse().ok()).expect("nft lists the packets")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        leftovers::remove_namespace(&self.name);
    }
}
