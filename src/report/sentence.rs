//! The sentence under which a verdict is reported: what it covers, or what failed.
//!
//! Owns its wording for the text report and the status page. A pass names exactly what was tested.

use std::net::IpAddr;

use super::stage_summary::{LISTED, blob_size, common_name, system_addresses, system_resolutions};
use crate::diagnosis::Diagnosis;
use crate::observation::{CredentialsUsed, Endpoint, Resolver, TrustedBy};
use crate::run::{CheckRun, ImageResult, NodeFilesReport, located_at};
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, printable};
use crate::text::words::{list, plural, some_of, verb_of};
use crate::verdict::Verdict;

/// Hexadecimal digits of a digest, enough to recognise it. The stage's line shows the whole digest.
const SHORT_DIGEST: usize = 12;

/// Describes where a run took place: `aks-np1-0 (node network)`.
pub(super) fn place(run: &CheckRun) -> String {
    format!("{} ({})", printable(&run.node, MAX_WORD), run.network_view.words())
}

/// Describes what the verdict on an image covers.
pub(crate) fn sentence(run: &CheckRun, checked: &ImageResult) -> String {
    let image = &checked.image;
    let place_of_check = format!("from {}", place(run));
    let mut sentence = match checked.verdict() {
        Verdict::Pass => {
            format!("{image} can be pulled {place_of_check}: {}.", tested(run, checked))
        }
        Verdict::Warn => format!(
            "{image} can be pulled {place_of_check}: {}. Warnings: {}.",
            tested(run, checked),
            causes(&checked.diagnoses)
        ),
        Verdict::Fail => {
            format!("{image} cannot be pulled over the private path {place_of_check}: {}.", reason(checked))
        }
        Verdict::Unknown => format!("{image} could not be verified {place_of_check}: {}.", reason(checked)),
    };
    if !checked.blob_requested {
        sentence.push_str(" Not tested: the data endpoint and the blob download (--no-blob).");
    }
    sentence.push_str(&of_node(run, checked));
    if checked.policy.allow_loopback {
        sentence.push_str(" Loopback addresses were treated as private.");
    }
    sentence
}

/// Describes the gaps from the node's own files: mirrors that were not tested, and files that could not be read.
fn of_node(run: &CheckRun, checked: &ImageResult) -> String {
    let mut sentences = String::new();
    let mirrors = &checked.observation.mirrors;
    if !mirrors.is_empty() {
        let mirrors = printable(&list(mirrors), MAX_TEXT);
        sentences.push_str(&format!(
            " Not tested: pulls through {mirrors}, which containerd tries first (hosts.toml)."
        ));
    }
    let unknown = run.node_files.as_ref().map(NodeFilesReport::unknown).unwrap_or_default();
    if !unknown.is_empty() {
        sentences.push_str(&format!(" Not read on the node: {}.", list(&unknown)));
    }
    sentences
}

/// States that the CA file of the operator decided, and whether the node would trust the registry without it.
fn trusted_only_by_file(run: &CheckRun) -> &'static str {
    match run.node_files.as_ref().map(|files| files.roots) {
        Some(TrustedBy::Node) => {
            "trusted only through the added CA file, which containerd on this node does not have"
        }
        Some(TrustedBy::Bundled | TrustedBy::System | TrustedBy::CaFile) | None => {
            "trusted only through the added CA file"
        }
    }
}

/// Describes what a pass covers.
fn tested(run: &CheckRun, checked: &ImageResult) -> String {
    let observation = &checked.observation;
    let mut facts = vec![names(checked)];
    facts.extend(expected(checked));
    if let Some(session) = observation.tls_of(Endpoint::Login) {
        let version = session.version.map_or("TLS", |version| version.as_str());
        let issuer = session.certificate.as_ref().map(|certificate| common_name(&certificate.issuer));
        facts.push(format!("{version} (issuer {})", issuer.as_deref().unwrap_or("unknown")));
        if session.trusted_by == Some(TrustedBy::CaFile) {
            facts.push(trusted_only_by_file(run).to_owned());
        }
    }
    if observation.credentials == Some(CredentialsUsed::Anonymous) {
        facts.push("pulled anonymously".to_owned());
    } else if let Some(identity) = &observation.identity {
        facts.push(format!("pulled with the {}", identity.name()));
    }
    if let Some(manifest) = &observation.manifest {
        let platform = manifest.platform.as_deref().map(|platform| format!(" ({platform})"));
        let platform = printable(&platform.unwrap_or_default(), MAX_WORD);
        facts.push(format!("manifest {}{platform}", short_digest(&manifest.digest)));
    }
    if let Some(blob) = &observation.blob {
        let size = blob_size(blob.bytes_read, blob.size);
        facts.push(format!("blob {size} through {}", printable(&blob.host, MAX_WORD)));
    }
    facts.join(", ")
}

/// `2 nameservers agree on 10.60.4.4`: the node's own nameservers, for the login server.
fn names(checked: &ImageResult) -> String {
    let observation = &checked.observation;
    let servers = observation
        .resolutions
        .iter()
        .filter(|resolution| {
            resolution.endpoint == Endpoint::Login && resolution.resolver == Resolver::System
        })
        .collect::<Vec<_>>();
    let addresses: Vec<String> =
        system_addresses(observation, Endpoint::Login).iter().map(ToString::to_string).collect();
    let addresses = list(&addresses);
    let sorted = |index: usize| {
        let mut addresses = servers.get(index).map(|server| server.addresses()).unwrap_or_default();
        addresses.sort_unstable();
        addresses
    };
    let agree = (1..servers.len()).all(|index| sorted(index) == sorted(0));
    let count = servers.len();
    let verb = if agree && count != 1 { "agree on".to_owned() } else { verb_of(count, "answer") };
    format!("{} {verb} {addresses}", plural(count, "nameserver"))
}

/// `exactly the expected addresses of contoso.azurecr.io`: the names whose addresses were compared one by one, and those that
/// have only some of them.
fn expected(checked: &ImageResult) -> Vec<String> {
    let (mut all, mut some): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let resolutions =
        || Endpoint::ALL.into_iter().flat_map(|of| system_resolutions(&checked.observation, of));
    for resolution in resolutions() {
        let host = resolution.host.as_str();
        let Some(expected) = checked.policy.exact.of(host) else { continue };
        if all.contains(&host) || some.contains(&host) {
            continue;
        }
        let is_found = |address: &IpAddr| {
            let mut same = resolutions().filter(|other| other.host == host);
            same.any(|other| other.addresses().iter().any(|found| found.to_canonical() == *address))
        };
        if expected.iter().all(is_found) { all.push(host) } else { some.push(host) }
    }
    let phrase = |quantity: &str, hosts: &[&str]| {
        let names = printable(&some_of(hosts, LISTED), MAX_TEXT);
        (!hosts.is_empty()).then(|| format!("{quantity} the expected addresses of {names}"))
    };
    phrase("exactly", &all).into_iter().chain(phrase("some of", &some)).collect()
}

fn reason(checked: &ImageResult) -> String {
    match checked.decisive() {
        Some(decisive) => {
            let (endpoint, stage) = located_at(decisive);
            let others: Vec<_> =
                checked.diagnoses.iter().filter(|other| other.cause != decisive.cause).collect();
            let others = match causes(others) {
                others if others.is_empty() => others,
                others => format!("; also {others}"),
            };
            format!("{} at {endpoint}.{stage}{others}", decisive.cause)
        }
        None => "no stage ran".to_owned(),
    }
}

/// Returns the codes of the causes, without duplicates.
fn causes<'run>(diagnoses: impl IntoIterator<Item = &'run Diagnosis>) -> String {
    let mut codes: Vec<&str> = Vec::new();
    for diagnosis in diagnoses {
        if !codes.contains(&diagnosis.cause.code()) {
            codes.push(diagnosis.cause.code());
        }
    }
    codes.join(", ")
}

fn short_digest(digest: &str) -> String {
    let length = "sha256:".len() + SHORT_DIGEST;
    printable(digest, length)
}
