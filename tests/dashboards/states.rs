//! The states for testing the dashboards: each with its own registry, agents and fault.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::proof::WINDOW;
use crate::PROGRAM;
use generate::dashboards::Chosen;
use lab::Lab;
use lab::answers::{Canned, RedirectFault, RetryAfter, Target};
use lab::settings::{Behaviour, Certificate, Nameserver, Settings, Transport, View};
use support::agent::Agent;

/// A registry, its nodes and its fault.
pub(super) struct State {
    /// The name of the registry, of the cluster and of its nodes.
    pub(super) name: &'static str,
    pub(super) nodes: usize,
    /// The cause that the nodes then report; empty if nothing changes for them.
    pub(super) cause: &'static str,
    pub(super) fault: fn(&mut Settings),
}

pub(super) const HEALTHY: &str = "healthy";

pub(super) const STATES: [State; 13] = [
    State { name: HEALTHY, nodes: 2, cause: "", fault: |_| {} },
    State {
        name: "zone",
        nodes: 3,
        cause: "private_zone_not_linked",
        fault: |settings| settings.nameservers[1].login = View::NotLinked,
    },
    State {
        name: "public",
        nodes: 2,
        cause: "no_private_endpoint",
        fault: |settings| settings.nameservers[0] = Nameserver::seeing(View::NoPrivateEndpoint),
    },
    State {
        name: "storage",
        nodes: 1,
        cause: "data_endpoint_disabled",
        fault: |settings| settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into(),
    },
    State {
        name: "rejected",
        nodes: 1,
        cause: "credentials_rejected",
        fault: |settings| settings.credentials.password = "the-next-one".into(),
    },
    State {
        name: "expiring",
        nodes: 1,
        cause: "certificate_expiring",
        fault: |settings| settings.login.certificate = Certificate::ExpiresIn(7),
    },
    State {
        name: "disagree",
        nodes: 1,
        cause: "resolvers_disagree",
        fault: |settings| settings.nameservers[1].login = View::Addresses(vec![[10, 60, 9, 9].into()]),
    },
    State {
        name: "silent",
        nodes: 1,
        cause: "dns_timeout",
        fault: |settings| settings.nameservers[0] = Nameserver::behaving(Behaviour::Silent),
    },
    State {
        name: "missing",
        nodes: 1,
        cause: "manifest_not_found",
        fault: |settings| settings.manifest.answer = Canned::ManifestUnknown.into(),
    },
    State {
        name: "throttled",
        nodes: 1,
        cause: "throttled",
        fault: |settings| settings.token.answer = Canned::Throttled(RetryAfter::None).into(),
    },
    State {
        name: "refused",
        nodes: 2,
        cause: "connect_refused",
        fault: |settings| settings.data.transport = Transport::Closed,
    },
    State {
        name: "full",
        nodes: 1,
        cause: "connect_timeout",
        fault: |settings| settings.data.transport = Transport::AcceptQueueFull,
    },
    State { name: "reload", nodes: 1, cause: "", fault: |_| {} },
];

/// A state with its lab and agents.
pub(super) struct Fleet {
    pub(super) state: &'static State,
    pub(super) lab: Lab,
    pub(super) agents: Vec<Agent>,
}

impl Fleet {
    pub(super) fn start(state: &'static State) -> Self {
        let mut settings = Settings::default();
        settings.place.registry = state.name.into();
        settings.nameservers.push(Nameserver::default());
        let lab = Lab::start(settings);
        let servers = lab.nameservers();
        let agents = (1..=state.nodes)
            .map(|number| {
                // One node of the state `zone` uses the second nameserver.
                let asked = servers[usize::from(state.name == "zone" && number == 2)];
                Agent::start_on(PROGRAM, &node(state, number), &[asked], &config(state, &lab))
            })
            .collect();
        Self { state, lab, agents }
    }

    pub(super) fn break_it(&self) {
        self.lab.change(self.state.fault);
        match self.state.name {
            "expiring" => {
                let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
                std::fs::write(self.lab.secret_folder().join("expiresAt"), until.to_string())
                    .expect("a file");
            }
            "reload" => self.agents[0].rewrite("images: [\n"),
            _ => {}
        }
    }

    /// The variables for this fleet on either dashboard.
    pub(super) fn chosen(&self, dashboard: &str, since: f64, until: f64) -> Chosen {
        let name = self.state.name;
        let cluster = if name == HEALTHY { ".*" } else { name };
        let one = if name == "zone" { 2 } else { 1 };
        let node = if dashboard == "node" { node(self.state, one) } else { format!("{name}-.*") };
        Chosen {
            cluster: cluster.to_owned(),
            registry: self.lab.registry().replace('.', "\\\\."),
            image: ".*".to_owned(),
            pool: ".*".to_owned(),
            zone: ".*".to_owned(),
            node,
            rate_interval: format!("{}s", WINDOW.as_secs()),
            range: format!("{:.0}s", (until - since).max(1.0)),
        }
    }
}

fn node(state: &State, number: usize) -> String {
    format!("{}-{number}", state.name)
}

fn config(state: &State, lab: &Lab) -> String {
    let image = |reference: &str, name: &str| {
        let folder = lab.secret_folder().display().to_string();
        format!(
            "  - {{image: {}, {name}credentials: {{path: {folder}}}}}\n",
            lab.image_of("apps/canary", reference)
        )
    };
    let mut images = image(":1", "");
    if state.name == HEALTHY {
        // Shares the series of the image above; the third has its own.
        images.push_str(&image(&format!("@{}", lab.digest("1")), ""));
        images.push_str(&image(&format!(":other@{}", lab.digest("1")), "name: canary, "));
    }
    let compare = if state.name == "disagree" {
        format!("resolvers: {{compare: {{azure: \"{}\"}}}}\n", lab.nameservers()[1])
    } else {
        String::new()
    };
    // Short for the states about timeouts, otherwise long enough for a busy machine.
    let limit = if ["silent", "full"].contains(&state.name) { "2s" } else { "9s" };
    // Between two checks of the healthy fleet there is time for a path check.
    let path = if state.name == HEALTHY { "1s" } else { "2s" };
    format!(
        "images:\n{images}{compare}tls: {{caFile: {}}}\nschedule: {{interval: 2s, jitter: 0, timeout: 10s, stageTimeout: \
         {limit}, pathInterval: {path}}}\nserver: {{address: \"127.0.0.1:0\"}}\n",
        lab.ca_file().display()
    )
}

/// Serves the cluster's nodes like kube-state-metrics, one of them without an agent and one with Windows.
fn kube_state_metrics() -> SocketAddr {
    let mut text = String::from("# TYPE kube_node_info gauge\n");
    for (cluster, node, system) in [
        ("zone", "zone-1", "Ubuntu 24.04"),
        ("zone", "zone-2", "Ubuntu 24.04"),
        ("zone", "zone-3", "Ubuntu 24.04"),
        ("zone", "zone-new", "Ubuntu 24.04"),
        ("zone", "zone-win", "Windows Server 2022 Datacenter"),
        ("reload", "reload-1", "Ubuntu 24.04"),
    ] {
        text.push_str(&format!(
            "kube_node_info{{cluster=\"{cluster}\",node=\"{node}\",os_image=\"{system}\"}} 1\n"
        ));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    // Runs until the process exits; only Prometheus connects.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    address
}

pub(super) fn scraping(fleets: &[Fleet]) -> String {
    let mut config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - {{job_name: kube-state-metrics, static_configs: [{{targets: ['{}']}}]}}\n\
         - job_name: acr-verifier\n  static_configs:\n",
        kube_state_metrics()
    );
    for fleet in fleets {
        let targets: Vec<String> = fleet.agents.iter().map(|agent| format!("'{}'", agent.address)).collect();
        let labels = match fleet.state.name {
            HEALTHY => String::new(),
            name => format!(", labels: {{cluster: {name}}}"),
        };
        config.push_str(&format!("  - {{targets: [{}]{labels}}}\n", targets.join(", ")));
    }
    config
}
