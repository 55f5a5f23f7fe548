//! Realms and redirects to forbidden destinations: each form of each destination, at each step that could name one. No
//! connection arrives there, their names are never queried, and no secret is shown.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::check::{Bench, Outcome, violations};
use lab::answers::{Canned, Step, Target};
use lab::settings::Settings;

use super::forbidden_destinations::{OWN_PORTS, Places};

/// Where a URL appears that the check might follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lure {
    Realm,
    Redirect(Step),
}

const LURES: [Lure; 6] = [
    Lure::Realm,
    Lure::Redirect(Step::Challenge),
    Lure::Redirect(Step::Token),
    Lure::Redirect(Step::Manifest),
    Lure::Redirect(Step::BlobRedirect),
    Lure::Redirect(Step::Blob),
];

/// The address where the lab also listens, at the registry's port.
const DECOYS: [&str; 4] = ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"];

impl Lure {
    fn reported(self) -> &'static str {
        match self {
            Self::Realm => "fail login challenge untrusted_realm",
            Self::Redirect(Step::Challenge) => "fail login challenge not_a_registry",
            Self::Redirect(Step::Exchange | Step::Token) => "fail login token untrusted_redirect",
            Self::Redirect(Step::Manifest) => "fail login manifest untrusted_redirect",
            Self::Redirect(Step::BlobRedirect | Step::Blob) => "fail data blob untrusted_redirect",
        }
    }

    fn lay(self, settings: &mut Settings, url: &str) {
        match self {
            Self::Realm => {
                let challenge = format!("Bearer realm=\"{url}\",service=\"contoso.azurecr.io\"");
                let headers = vec![("WWW-Authenticate".to_owned(), challenge)];
                settings.answer(Step::Challenge, Canned::Raw { status: 401, headers, body: Vec::new() });
            }
            Self::Redirect(step) => {
                settings.answer(step, Canned::Redirect { status: 307, target: Target::Url(url.to_owned()) });
            }
        }
    }
}

/// Every form of every forbidden destination; `PORT` is the lab's, where something listens.
fn urls(port: u16) -> Vec<String> {
    let forms = [
        // This machine, in every notation.
        "https://127.0.0.1:PORT/",
        "http://127.0.0.1:PORT/",
        "https://127.1:PORT/",
        "https://2130706433:PORT/",
        "https://0177.0.0.1:PORT/",
        "https://0x7f000001:PORT/",
        "https://127.0.0.1.:PORT/",
        "https://1%32%37.0.0.1:PORT/",
        "https://\u{ff11}27.0.0.1:PORT/",
        "https://[::1]:PORT/",
        "https://[::ffff:127.0.0.1]:PORT/",
        "https://[::ffff:7f00:1]:PORT/",
        "https://0.0.0.0:PORT/",
        "https://[::]:PORT/",
        "https://localhost:PORT/",
        "https://localhost.:PORT/",
        "http://127.0.0.1/",
        "https://127.0.0.1:6443/",
        // The metadata service.
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://169.254.169.254:PORT/metadata/instance",
        "https://169.254.169.254:PORT/",
        "https://169.254.169.254:80/",
        "https://[::ffff:169.254.169.254]:PORT/",
        "https://[::ffff:a9fe:a9fe]:PORT/",
        "https://2852039166:PORT/",
        "https://0251.0376.0251.0376:PORT/",
        "https://0xa9.0xfe.0xa9.0xfe:PORT/",
        "https://[fd00:ec2::254]:PORT/",
        // The API server, by address and by name.
        "https://10.0.0.1:PORT/api",
        "https://10.0.0.1/api",
        "https://10.0.0.1:6443/",
        "http://10.0.0.1:6443/api",
        "https://167772161:PORT/",
        "https://kubernetes.default.svc:PORT/api",
        "https://kubernetes.default.svc.cluster.local/api",
        "https://kubernetes:PORT/",
        // Similar to the registry.
        "http://contoso.azurecr.io:PORT/oauth2/token",
        "https://contoso.azurecr.io:6443/oauth2/token",
        "https://contoso.azurecr.io.:PORT/oauth2/token",
        "https://contoso.azurecr.io:PORT@127.0.0.1:PORT/oauth2/token",
        "https://contoso.azurecr.io%2f@127.0.0.1:PORT/oauth2/token",
        "https://contoso.azurecr.io:x@contoso.azurecr.io:PORT/oauth2/token",
        "https://contoso.azurecr.io.evil.example:PORT/oauth2/token",
        "https://xn--contoso-cua.azurecr.io:PORT/oauth2/token",
        // Other notations and protocols.
        "//127.0.0.1:PORT/",
        "\\\\127.0.0.1:PORT\\",
        "https:\\\\127.0.0.1:PORT\\",
        "file:///etc/passwd",
        "ftp://127.0.0.1:PORT/",
        "gopher://127.0.0.1:PORT/_GET",
        "unix:/run/containerd/containerd.sock",
    ];
    forms.iter().map(|form| form.replace("PORT", &port.to_string())).collect()
}

/// The forbidden connections and queries of one check.
fn astray(bench: &Bench, outcome: &Outcome) -> Vec<String> {
    let mut astray = violations(bench, outcome);
    let own: [SocketAddr; 2] = [bench.lab.login_address(), bench.lab.data_address()];
    let attempts = outcome.observation.attempts.iter().map(|attempt| attempt.address);
    astray.extend(
        attempts.filter(|address| !own.contains(address)).map(|address| format!("dialled {address}")),
    );
    let known = [bench.lab.login_server(), bench.lab.data_endpoint()];
    let asked: BTreeSet<String> = bench.lab.queries().into_iter().map(|query| query.name).collect();
    let foreign = asked.iter().filter(|name| !known.contains(&name.trim_end_matches('.').to_lowercase()));
    astray.extend(foreign.map(|name| format!("queried {name}")));
    astray
}

/// Tries every form at every step against one lab; returns the count and the problems.
fn lay_all(bench: &Bench) -> (usize, Vec<String>) {
    let mut healthy = Settings::default();
    bench.lab.change(|settings| healthy = settings.clone());
    let mut wrong = Vec::new();
    let mut laid = 0;
    for url in urls(bench.lab.port()) {
        for lure in LURES {
            bench.lab.forget();
            bench.lab.change(|settings| {
                *settings = healthy.clone();
                lure.lay(settings, &url);
            });
            let outcome = bench.check();
            let reported = outcome.findings();
            // An invalid header or URL leads nowhere.
            let nowhere = reported.iter().all(|line| line.ends_with(" not_a_registry"));
            let refused = reported == [lure.reported()] || (nowhere && !reported.is_empty());
            if !refused {
                wrong.push(format!("{lure:?} to {url}: {reported:?}"));
            }
            wrong.extend(astray(bench, &outcome).iter().map(|what| format!("{lure:?} to {url}: {what}")));
            laid += 1;
        }
    }
    (laid, wrong)
}

#[test]
fn forbidden_realms_and_redirects_are_never_followed() {
    let bench = Bench::with(|settings| {
        let decoys = ["127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().expect("an address"));
        settings.place.decoy_addresses = decoys.to_vec();
    });
    let (laid, wrong) = lay_all(&bench);
    assert!(wrong.is_empty(), "{} of {laid}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_listening_destination_has_a_url() {
    let urls = urls(443);
    let named: BTreeSet<String> = urls
        .iter()
        .filter_map(|form| Url::parse(form).ok())
        .filter_map(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)))
        .collect();
    let decoys = DECOYS.map(|address| SocketAddr::new(address.parse().expect("an address"), 443).to_string());
    let places = OWN_PORTS.map(str::to_owned).into_iter().chain(decoys);
    let unnamed: Vec<String> = places.filter(|place| !named.contains(place)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?} of {urls:#?}");
}

/// The same with a real metadata service and API server, at the registry's port and at their own, while the kernel counts every
/// connection attempt.
#[test]
fn the_metadata_service_and_the_api_server_are_never_contacted() {
    let Some(places) = Places::make() else { return };
    places.run(|| {
        let listeners = Places::listen();
        let bench = Bench::with(|settings| {
            settings.place.port = Some(443);
            settings.place.decoy_addresses = DECOYS.map(|text| text.parse().expect("an address")).to_vec();
        });
        let opened = Places::opened();
        let (laid, wrong) = lay_all(&bench);
        assert!(wrong.is_empty(), "{} of {laid}:\n{}", wrong.len(), wrong.join("\n"));
        let connections = Places::opened() - opened;
        // One connection to the login server each, plus one to the data endpoint if its own redirect is tested.
        let expected = laid + laid / LURES.len();
        assert_eq!(connections, u64::try_from(expected).expect("few"), "of {laid} checks");
        assert_eq!(Places::accepted(&listeners), 0);
    });
}
