//! The table of omitted steps: each row, reproduced in the lab.

use std::collections::BTreeSet;
use std::time::Duration;

use acr_verifier::cause::Cause;
use acr_verifier::probe::Platform;

use super::{WALK_THROUGH, identities, root};
use crate::check::{Bench, Outcome, files_of};
use crate::documents::samples::{print, shape};
use lab::answers::{Canned, RedirectFault, Step, Target};
use lab::settings::{Behaviour, Certificate, Grant, Nameserver, Settings, Transport, View};

/// Marker before the walkthrough's table.
const TABLE: &str = "<!-- steps -->\n";
/// Long enough for loopback, short enough to wait for a timeout.
const LIMIT: Duration = Duration::from_secs(1);

struct Row {
    key: &'static str,
    layout: &'static str,
    /// The cause, or `None` if the nodes pass.
    cause: Option<&'static str>,
    endpoint: &'static str,
    stage: &'static str,
}

fn rows() -> Vec<Row> {
    let start = WALK_THROUGH.text.find(TABLE).expect("the table is marked") + TABLE.len();
    let lines = WALK_THROUGH.text[start..].lines().take_while(|line| line.starts_with('|')).skip(2);
    lines.map(row).collect()
}

fn row(line: &'static str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [key, layout, _, diagnosis, endpoint, stage, mended] = cells[..] else {
        panic!("seven cells: {line}");
    };
    let cause = diagnosis.strip_prefix("[`").map(|rest| {
        let (cause, link) = rest.split_once("`](").expect("a cause links to the runbook");
        assert_eq!(link, format!("../../dashboards/runbook.md#{cause})"), "{line}");
        cause
    });
    assert!(cause.is_some() || diagnosis == "pass", "{line}");
    assert!(["both", "same", "own"].contains(&layout), "{line}");
    assert!(cause.is_none() || !mended.is_empty(), "{line}");
    Row { key: key.trim_matches('`'), layout, cause, endpoint, stage }
}

/// Returns the lab in the state that a node would see after the step was omitted.
///
/// The rows `public-access` and `link-registry-vnet` do not affect a node: their lab is healthy.
fn left_out(key: &str) -> Option<Bench> {
    let mut settings = Settings::default();
    settings.place.region = "canadacentral".into();
    if let Some(mut bench) = identities::left_out(key, &settings) {
        shorten(&mut bench, key);
        return Some(bench);
    }
    let change: fn(&mut Settings) = match key {
        "nothing" | "public-access" | "link-registry-vnet" | "second-endpoint" | "secret"
        | "secret-server" | "tag" | "platform" | "password" | "password-ends-soon" => |_| {},
        "peering" | "peering-back" | "nsg" => |lab| lab.login.transport = Transport::AcceptQueueFull,
        "data-nsg" => |lab| lab.data.transport = Transport::AcceptQueueFull,
        "firewall-reset" => |lab| lab.login.transport = Transport::ResetInHandshake,
        "tls-inspection" => |lab| lab.login.certificate = Certificate::Untrusted,
        "zone" | "link" | "link-cluster-vnet" | "custom-dns" => {
            |lab| lab.nameservers = vec![Nameserver::seeing(View::NotLinked)]
        }
        "custom-dns-one" => |lab| lab.nameservers.push(Nameserver::seeing(View::NotLinked)),
        "dns-blocked" => |lab| lab.nameservers = vec![Nameserver::behaving(Behaviour::Silent)],
        "import" => |lab| lab.credentials.grant = Grant::Repositories(vec!["apps/absent".into()]),
        "data-endpoint" => |lab| lab.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into(),
        "login-server" => |lab| lab.nameservers = vec![Nameserver::seeing(View::NoSuchName)],
        "private-endpoint" | "endpoint-not-approved" => {
            |lab| lab.nameservers = vec![Nameserver::seeing(View::NoPrivateEndpoint)]
        }
        "zone-group" => |lab| lab.nameservers = vec![Nameserver::seeing(View::RecordMissing)],
        "data-record" => |lab| lab.nameservers[0].data = View::RecordMissing,
        "replica" => |lab| {
            lab.place.region = "canadaeast".into();
            lab.nameservers[0].data = View::RecordMissing;
        },
        "scope-map" => |lab| lab.credentials.grant = Grant::Repositories(vec!["apps/other".into()]),
        "content-read" => |lab| lab.credentials.grant = Grant::Repositories(Vec::new()),
        // The registry returns the same response as for a wrong password.
        "password-expired" | "token-disabled" => |lab| lab.answer(Step::Token, Canned::Unauthorized),
        _ => return None,
    };
    change(&mut settings);
    let mut bench = Bench::new(settings);
    bench.task.platform = Platform::linux("x86_64");
    bench.task.policy.expected =
        vec!["127.0.0.2/31".parse().expect("a range"), "127.0.0.0/24".parse().expect("a range")];
    ask_otherwise(&mut bench, key);
    shorten(&mut bench, key);
    Some(bench)
}

/// Shortens the per-stage timeout of a row whose check waits for it.
fn shorten(bench: &mut Bench, key: &str) {
    let silent = rows_of(key).iter().any(|cause| ["connect_timeout", "dns_timeout"].contains(cause));
    if silent || ["imds-blocked", "entra-egress"].contains(&key) {
        bench.task.stage_timeout = LIMIT;
    }
}

fn rows_of(key: &str) -> Vec<&'static str> {
    rows().into_iter().filter(|row| row.key == key).filter_map(|row| row.cause).collect()
}

/// Changes the node's side: the image, the Secret, the expected range.
fn ask_otherwise(bench: &mut Bench, key: &str) {
    match key {
        "import" => bench.task.image = bench.lab.image_of("apps/absent", ":1").parse().expect("a reference"),
        "tag" => bench.image(":absent"),
        "platform" => bench.task.platform = Platform::linux("riscv64"),
        "second-endpoint" => bench.task.policy.expected = vec!["127.0.0.3/32".parse().expect("a range")],
        "secret" => files_of(&mut bench.task.credentials).paths = vec![bench.lab.folder().join("absent")],
        "secret-server" => {
            let entry = serde_json::json!({"username": "DemoToken", "password": bench.lab.password()});
            let config = serde_json::json!({"auths": {"fabrikam.azurecr.io": entry}});
            write_secret(bench, ".dockerconfigjson", &config.to_string());
        }
        "password" => {
            write_secret(bench, "username", &bench.lab.username());
            write_secret(bench, "password", "an-old-password");
        }
        "password-ends-soon" => {
            files_of(&mut bench.task.credentials).expires_at =
                Some(bench.task.now + jiff::SignedDuration::from_hours(24 * 13));
        }
        _ => {}
    }
}

fn write_secret(bench: &mut Bench, name: &str, text: &str) {
    let folder = bench.lab.folder().join("pull-secret");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(name), text).expect("a file");
    files_of(&mut bench.task.credentials).paths = vec![folder];
}

/// A row with the outcome of its check.
struct Played {
    row: Row,
    outcome: Outcome,
    /// Message of the first diagnosis, without ports, folders and IDs, which differ in each run.
    said: Option<String>,
}

/// Runs the check of a row; fails for an unknown key.
fn play(row: Row) -> Played {
    let bench = left_out(row.key).unwrap_or_else(|| panic!("no lab for `{}`", row.key));
    let outcome = bench.check();
    let said = outcome.diagnoses.first().map(|first| settled(&first.message, &bench));
    Played { row, outcome, said }
}

fn settled(message: &str, bench: &Bench) -> String {
    let mut text = message.replace(&format!(":{}", bench.lab.port()), "");
    for server in bench.lab.nameservers() {
        text = text.replace(&format!("{}:{}", server.ip(), server.port()), &server.ip().to_string());
    }
    text = text.replace(&bench.lab.folder().display().to_string(), "/var/run/secrets");
    match text.split_once(" CorrelationId: ") {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|letter: char| letter != ')'))
        }
        None => text,
    }
}

/// Runs all rows, two at a time because some wait for a timeout.
fn played() -> Vec<Played> {
    let half = rows().len() / 2;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| rows().into_iter().take(half).map(play).collect::<Vec<_>>());
        let second: Vec<_> = rows().into_iter().skip(half).map(play).collect();
        first.join().expect("no check panics").into_iter().chain(second).collect()
    })
}

#[test]
fn each_omitted_step_causes_its_diagnosis() {
    let mut wrong = Vec::new();
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for Played { row, outcome, said: sentence } in played() {
        let reported = outcome.findings();
        let first = reported.first().and_then(|first| first.split_once(' ')).map(|(_, place)| place);
        let expected = row.cause.map(|cause| format!("{} {} {cause}", row.endpoint, row.stage));
        if first != expected.as_deref() || (expected.is_none() && !row.stage.is_empty()) {
            wrong.push(format!("{}: {reported:?}", row.key));
        }
        let Some(sentence) = sentence else { continue };
        match said.iter_mut().find(|(known, _)| *known == sentence) {
            Some((_, keys)) => keys.push(row.key),
            None => said.push((sentence, vec![row.key])),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let options = textwrap::Options::new(118)
        .subsequent_indent("  ")
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = said.iter().map(|(sentence, keys)| format!("{}: {sentence}", keys.join(", ")));
    let said: String = lines.map(|line| textwrap::fill(&line, &options) + "\n").collect();
    assert_eq!(
        shape(WALK_THROUGH.marked("problems")),
        shape(&said),
        "the block below `problems` is out of date; it is now:\n{said}"
    );
}

#[test]
fn the_sample_matches_the_printed_report() {
    let bench = left_out("data-record").expect("a known key");
    let printed = print(&bench);
    let sample = WALK_THROUGH.marked("sample: data-record");
    assert_eq!(shape(sample), shape(&printed), "the sample is out of date; it is now:\n{printed}");
}

#[test]
fn the_table_has_unique_keys_and_both_layouts() {
    let keys: Vec<&str> = rows().iter().map(|row| row.key).collect();
    let once: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(keys.len(), once.len(), "{keys:?}");
    assert!(rows().iter().any(|row| row.layout == "own") && rows().iter().any(|row| row.layout == "same"));
    let runbook = std::fs::read_to_string(root().join("dashboards/runbook.md")).expect("the runbook");
    for cause in rows().iter().filter_map(|row| row.cause) {
        assert!(Cause::ALL.iter().any(|known| known.to_string() == cause), "{cause}");
        assert!(runbook.contains(&format!("\n## {cause}\n")), "the runbook has no section {cause}");
    }
}

#[test]
fn the_keys_of_the_steps_are_those_of_the_table() {
    let keys: BTreeSet<&str> = rows().iter().map(|row| row.key).collect();
    let named: BTreeSet<&str> = WALK_THROUGH
        .text
        .split("*If omitted:* ")
        .skip(1)
        .filter_map(|text| text.split("\n\n").next())
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .filter(|word| !word.contains(' ') && !word.contains("acr-verifier"))
        .collect();
    assert_eq!(named.difference(&keys).collect::<Vec<_>>(), Vec::<&&str>::new());
    let unnamed: Vec<&&str> = keys.difference(&named).filter(|key| **key != "nothing").collect();
    assert!(unnamed.is_empty(), "no step prevents {unnamed:?}");
}
