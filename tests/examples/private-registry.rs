//! `cargo run --example private-registry`: a private registry on loopback, verified, then broken by faults that operators
//! encounter. With `--serve` it keeps running, to try `acr-verifier check` against it.

#![expect(clippy::disallowed_methods, reason = "here the clock becomes an argument")]

use std::io::{self, BufRead, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use acr_verifier::address::ExpectedAddresses;
use acr_verifier::agent::{self, AgentContext};
use acr_verifier::config::server::{ListenAddress, ServerConfig};
use acr_verifier::config::{Config, CredentialsConfig, ImageConfig, LabEndpoints, Resolvers, SystemResolver};
use acr_verifier::credentials::AmbientCredentials;
use acr_verifier::logging::{self, LogFormat, Logging};
use acr_verifier::metrics::NodeLabels;
use acr_verifier::pass::{NodeContext, verify};
use acr_verifier::probe::Trust;
use acr_verifier::report::{Details, Format, write};
use acr_verifier::run::{CheckRun, NetworkView};
use acr_verifier::terminal;
use clap::Parser;
use lab::Lab;
use lab::settings::{Identity, Nameserver, Rights, Settings, View};

/// Start a private registry on loopback, verify it, and show how faults are diagnosed
#[derive(Parser)]
#[command(name = "private-registry")]
struct Arguments {
    /// Keep the registry running, and print the command that verifies it
    #[arg(long)]
    serve: bool,
    /// Serve at these addresses, on Azure's ports; IMDS at the nameserver's
    #[arg(long, requires = "serve", num_args = 3, value_names = ["LOGIN", "DATA", "NAMESERVER"])]
    at: Vec<IpAddr>,
    /// Keep the registry running, and run the agent against it: a check every 5 s, and its status page
    #[arg(long, conflicts_with = "serve")]
    agent: bool,
}

/// How a check pulls.
#[derive(Clone, Copy)]
enum Puller {
    /// With a repository token, from a docker configuration.
    Token,
    /// With the managed identity of the node, whose IMDS is the lab's.
    Identity,
}

/// A fault of the registry.
struct Fault {
    name: &'static str,
    /// Whose pulls show it.
    puller: Puller,
    story: &'static str,
    apply: fn(&mut Settings),
}

const FAULTS: [Fault; 4] = [
    Fault {
        name: "zone not linked",
        puller: Puller::Token,
        story: "The private DNS zone loses its virtual network link: the name now resolves to a public address.",
        apply: |settings| {
            settings.nameservers[0].login = View::NotLinked;
            settings.nameservers[0].data = View::NotLinked;
        },
    },
    Fault {
        name: "token expired",
        puller: Puller::Token,
        story: "The repository token expires: the registry rejects its password.",
        apply: |settings| settings.credentials.password = "the-next-password".into(),
    },
    Fault {
        name: "data record missing",
        puller: Puller::Token,
        story: "The zone has no record for the data endpoint, as after adding a geo-replica: layers cannot be pulled.",
        apply: |settings| settings.nameservers[0].data = View::RecordMissing,
    },
    Fault {
        name: "role missing",
        puller: Puller::Identity,
        story: "The kubelet's identity has no AcrPull role: the registry rejects the token of the node's identity.",
        apply: |settings| settings.identity.rights = Rights::None,
    },
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let healthy = settings(&arguments.at);
    let lab = Lab::try_start(healthy.clone())?;
    match (arguments.agent, arguments.serve) {
        (true, _) => watch(lab, healthy),
        (false, true) => serve(lab, healthy),
        (false, false) => show(&lab, &healthy),
    }
}

/// On loopback with free ports, or at three addresses with Azure's ports.
fn settings(at: &[IpAddr]) -> Settings {
    let &[login, data, nameserver] = at else {
        return Settings { identity: Identity::on_loopback(), ..Settings::default() };
    };
    let mut settings = Settings::on_azures_port(login, data);
    settings.identity.imds.address = Some(SocketAddr::new(nameserver, 80));
    settings.nameservers =
        vec![Nameserver { address: Some(SocketAddr::new(nameserver, 53)), ..Nameserver::default() }];
    settings
}

/// Shows the healthy registry, and each fault with its diagnosis.
fn show(lab: &Lab, healthy: &Settings) -> anyhow::Result<()> {
    let config = self::config(lab, Puller::Token)?;
    let trust = Trust::load(config.ca_file.as_deref())?;
    headline("A healthy private registry: name, address, TLS, token, manifest and blob.")?;
    check(&config, &trust)?;
    for fault in &FAULTS {
        lab.change(fault.apply);
        headline(fault.story)?;
        check(&self::config(lab, fault.puller)?, &trust)?;
        lab.change(|settings| *settings = healthy.clone());
    }
    headline("Try it yourself: cargo run --example private-registry -- --serve (or --agent)")
}

/// Runs the agent against the registry until Ctrl-C; a number applies a fault or restores the registry.
fn watch(lab: Lab, healthy: Settings) -> anyhow::Result<()> {
    let path = lab.folder().join("config.yaml");
    let image = lab.image();
    let yaml = format!(
        "images:\n  - image: {image}\n    name: canary\n    credentials: {{path: {}}}\n  - image: {image}\n    name: identity\n    \
         credentials: {{managedIdentity: {{}}}}\ntls: {{caFile: {}}}\nschedule: {{interval: 5s}}\nserver: {{address: \
         \"127.0.0.1:9469\"}}\n",
        lab.secret_folder().display(),
        lab.ca_file().display()
    );
    std::fs::write(&path, yaml)?;
    let options = agent::Options {
        config: path,
        nameservers: lab.nameservers().into_iter().map(Into::into).collect(),
        allow_loopback: true,
        lab: LabEndpoints { imds: Some(lab.imds()), ..LabEndpoints::default() },
        ambient: AmbientCredentials::default(),
    };
    let node = NodeContext {
        node: "this-machine".into(),
        network_view: NetworkView::Node,
        now: jiff::Timestamp::now,
    };
    let context = AgentContext {
        labels: NodeLabels::new(&node.node, node.network_view, None, None),
        pass: node,
        pod: None,
        node_ips: None,
        in_cluster: false,
        chance: fastrand::f64,
    };
    headline("The agent is running: open http://127.0.0.1:9469/, /metrics or /report")?;
    logging::start(Logging { verbosity: 1, format: LogFormat::Text });
    let folder = lab.folder().to_owned();
    std::thread::spawn(move || obey(&lab, &healthy));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { agent::run(options, context, agent::stop_signal()?).await })?;
    Ok(std::fs::remove_dir_all(folder)?)
}

/// Keeps the registry running until Ctrl-C; a number applies a fault or restores it.
fn serve(lab: Lab, healthy: Settings) -> anyhow::Result<()> {
    let nameserver = lab.nameservers()[0];
    headline("A private registry is running. In another terminal:")?;
    let is_on_loopback = lab.login_address().ip().is_loopback();
    let command = |credentials: &str| {
        let words = [
            format!("cargo run -- check{}", if is_on_loopback { " --allow-loopback" } else { "" }),
            format!("--nameserver {nameserver}"),
            format!("--ca-file {}", lab.ca_file().display()),
            credentials.to_owned(),
            lab.image(),
        ];
        format!("    {}\n\n", words.join(" \\\n        "))
    };
    let token = format!("--credentials {}", lab.credentials_folder().display());
    terminal::print(command(&token).as_bytes())?;
    if is_on_loopback {
        headline("With the node's managed identity instead of a repository token:")?;
        let identity = format!("--identity managed --lab-imds {}", lab.imds());
        terminal::print(command(&identity).as_bytes())?;
    }
    let folder = lab.folder().to_owned();
    std::thread::spawn(move || obey(&lab, &healthy));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        agent::stop_signal()?.await;
        anyhow::Ok(())
    })?;
    Ok(std::fs::remove_dir_all(folder)?)
}

/// Applies faults as typed; without a terminal the registry keeps running.
fn obey(lab: &Lab, healthy: &Settings) -> anyhow::Result<()> {
    let mut menu = "Type a number and press Enter; Ctrl-C stops it.\n    0  healthy\n".to_owned();
    for (number, fault) in (1..).zip(&FAULTS) {
        menu.push_str(&format!("    {number}  {}\n", fault.name));
    }
    terminal::print(menu.as_bytes())?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        lab.change(|settings| *settings = healthy.clone());
        let number = line.trim().parse::<usize>().ok().filter(|number| *number <= FAULTS.len());
        let now = match number {
            Some(0) => "healthy",
            Some(number) => {
                lab.change(FAULTS[number - 1].apply);
                FAULTS[number - 1].name
            }
            None => "healthy (unknown number)",
        };
        terminal::print(format!("now: {now}\n").as_bytes())?;
    }
    loop {
        std::thread::park();
    }
}

fn config(lab: &Lab, puller: Puller) -> anyhow::Result<Config> {
    let (credentials, endpoints) = match puller {
        Puller::Token => (
            CredentialsConfig::Path { path: lab.credentials_folder(), expires_at: None },
            LabEndpoints::default(),
        ),
        Puller::Identity => (
            CredentialsConfig::ManagedIdentity { client_id: None },
            LabEndpoints { imds: Some(lab.imds()), ..LabEndpoints::default() },
        ),
    };
    let image = ImageConfig {
        expected_addresses: ExpectedAddresses::default(),
        image: lab.image().parse()?,
        name: None,
        credentials: Some(credentials),
        expected: Vec::new(),
        data_endpoints: Vec::new(),
    };
    Ok(Config {
        resolvers: Resolvers {
            system: SystemResolver::Servers(lab.nameservers().into_iter().map(Into::into).collect()),
            ..Resolvers::default()
        },
        ca_file: Some(lab.ca_file()),
        allow_loopback: true,
        lab: endpoints,
        server: ServerConfig {
            address: ListenAddress::At(([127, 0, 0, 1], 0).into()),
            ..ServerConfig::default()
        },
        events: false,
        ..Config::of(vec![image])
    })
}

fn check(config: &Config, trust: &Trust) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (started_at, started) = (jiff::Timestamp::now(), Instant::now());
    let checked = runtime.block_on(verify(
        config,
        &config.images[0],
        &AmbientCredentials::default(),
        (trust, None),
        started_at,
    ));
    let run = CheckRun {
        node: "this machine".into(),
        network_view: NetworkView::Node,
        node_files: None,
        started_at,
        duration: started.elapsed(),
        configuration: None,
        images: vec![checked],
    };
    let mut text = Vec::new();
    write(&mut text, &run, Format::Text, Details::Problems, &terminal::style())?;
    Ok(terminal::print(&text)?)
}

fn headline(text: &str) -> anyhow::Result<()> {
    let style = anstyle::Style::new().bold();
    let mut line = Vec::new();
    writeln!(line, "\n{style}# {text}{style:#}\n")?;
    Ok(terminal::print(&line)?)
}
