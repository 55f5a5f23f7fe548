//! The report formats: goldens for the wording, the schema, and what a hostile cluster cannot do.

use acr_verifier::fleet::report::ImageDiagnosis;
use acr_verifier::inventory::coverage::Coverage;
use acr_verifier::inventory::discovery::Discovery;
use acr_verifier::inventory::waiting::{AgentView, Conclusion, Silence, WaitingImage};
use acr_verifier::observation::{CredentialsUsed, Endpoint, Stage};
use acr_verifier::report::Style;
use acr_verifier::report::discover::{self, Format, json::JSON_SCHEMA};
use acr_verifier::verdict::{Severity, Verdict};
use serde_json::Value;

use super::samples::{self, discovery, inventory, mixed, pod, view, waiting, with_secret};

/// Returns what the agent of a waiting Pod's node reports.
type View = fn(&WaitingImage) -> AgentView;

const PLAIN: Style = Style { color: false, unicode: false, width: 100 };

pub(super) fn render(discovery: &Discovery, format: Format) -> String {
    styled(discovery, format, &PLAIN)
}

fn styled(discovery: &Discovery, format: Format, style: &Style) -> String {
    let mut out = Vec::new();
    discover::write(&mut out, discovery, format, style).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}

fn golden(name: &str, actual: &str) {
    expectorate::assert_contents(format!("tests/golden/discover/{name}"), actual);
}

/// A cluster without Pods of a registry and without agents.
fn empty() -> Discovery {
    let mut empty =
        discovery(inventory(&[pod("kube-system", "coredns", "aks-np1-0", &["mcr.microsoft.com/x:1"])]), view);
    empty.coverage = Coverage::NoAgents;
    empty
}

/// Every text of the cluster tries to do harm.
fn hostile() -> Discovery {
    let poison =
        "\u{1b}]0;x\u{7}\u{202e}\nforged: https://user:hunter2@x/y?sig=c2VjcmV0 Bearer hunter2hunter2hunter2";
    let mut pods: Vec<_> = (0..20)
        .map(|index| {
            let image = format!("contoso.azurecr.io/app{index}:1");
            waiting(pod(poison, &format!("{poison}{index}"), poison, &[&image]), "ErrImagePull", poison)
        })
        .collect();
    pods.push(with_secret(pod("a", "b", "c", &["contoso.azurecr.io/app:1"]), "x'; rm -rf / #"));
    pods.push(waiting(pod("a", "b", "c", &["contoso.azurecr.io/app:1"]), "Bad\u{1b}[31mReason", poison));
    pods.push(pod(
        "a",
        "d",
        "c",
        &["contoso.azurecr.io/\u{1b}[31mapp:1", "user:hunter2@contoso.azurecr.io/app"],
    ));
    discovery(inventory(&pods), |_| AgentView::Silent(Silence::NoAgent))
}

#[test]
fn every_format_matches_its_golden() {
    for (name, discovery) in [("mixed", mixed()), ("empty", empty()), ("hostile", hostile())] {
        golden(&format!("{name}.txt"), &render(&discovery, Format::Text));
        golden(&format!("{name}.yaml"), &render(&discovery, Format::Values));
        let value: Value = serde_json::from_str(&render(&discovery, Format::Json)).expect("JSON");
        golden(&format!("{name}.json"), &format!("{value:#}\n"));
    }
    let terminal = Style { unicode: true, ..PLAIN };
    golden("mixed.terminal.txt", &styled(&mixed(), Format::Text, &terminal));
}

#[test]
fn json_matches_its_schema() {
    let schema = serde_json::from_str(JSON_SCHEMA).expect("JSON");
    let schema =
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).expect("a schema");
    for discovery in [mixed(), empty(), hostile()] {
        let value: Value = serde_json::from_str(&render(&discovery, Format::Json)).expect("JSON");
        let errors: Vec<_> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let mut changed: Value = serde_json::from_str(&render(&mixed(), Format::Json)).expect("JSON");
    changed["waiting"][0]["conclusion"] = "guessed".into();
    assert!(!schema.is_valid(&changed));
}

#[test]
fn no_format_shows_secrets_or_control_characters() {
    for format in [Format::Text, Format::Json, Format::Values] {
        let text = render(&hostile(), format);
        for secret in ["hunter2", "c2VjcmV0", "rm -rf"] {
            assert!(!text.contains(secret), "{format:?} shows {secret}: {text}");
        }
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{format:?}");
        assert!(!text.contains('\u{202e}') && !text.contains("\nforged"), "{format:?}: {text}");
    }
}

#[test]
fn each_waiting_pod_has_one_conclusion() {
    let found: Vec<(String, Conclusion, Option<String>)> = mixed()
        .explanations
        .iter()
        .map(|explanation| {
            let cause = explanation.fixes.first().and_then(|fix| fix.cause.clone());
            (explanation.waiting.pod.clone(), explanation.conclusion, cause)
        })
        .collect();
    let cause = |cause: &str| Some(cause.to_owned());
    let expected = [
        ("api-new", Conclusion::Disagree, cause("manifest_not_found")),
        ("etl-0", Conclusion::Explained, cause("private_zone_not_linked")),
        ("etl-1", Conclusion::Explained, cause("private_zone_not_linked")),
        ("old", Conclusion::Disagree, None),
        ("web-0", Conclusion::RegistryUnchecked, None),
        ("web-2", Conclusion::NoAgent, None),
        ("web-3", Conclusion::NoAgent, None),
        ("web-4", Conclusion::NoAgent, None),
    ];
    let expected = expected.map(|(pod, conclusion, cause)| (pod.to_owned(), conclusion, cause));
    assert_eq!(found, expected);
}

/// What the kubelet reports and what the agent reports, with the conclusion.
#[test]
fn the_conclusion_depends_on_both_sides() {
    use crate::report::samples as checks;
    let zone = |image: &_| AgentView::of(&samples::report("n", vec![checks::zone_not_linked()]), "p", image);
    let layers =
        |image: &_| AgentView::of(&samples::report("n", vec![checks::data_record_missing()]), "p", image);
    let no_such_host = "failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://x/?sig=a\": dial tcp: \
        lookup contoso.westeurope.data.azurecr.io on 10.0.0.10:53: no such host";
    let passes = |image: &_| AgentView::of(&samples::report("n", vec![checks::healthy()]), "p", image);
    let throttled = |image: &_| AgentView::of(&samples::report("n", vec![checks::throttled()]), "p", image);
    let other = "contoso.azurecr.io/other:1";
    let identity = |image: &_| {
        let mut report = samples::report("n", vec![checks::healthy()]);
        let checked = &mut report.images[0];
        checked.verdict = Verdict::Fail;
        checked.credentials = Some(CredentialsUsed::ManagedIdentity);
        checked.diagnoses.push(ImageDiagnosis {
            cause: "pull_role_missing".into(),
            severity: Severity::Fail,
            stage: Stage::Token,
            endpoint: Endpoint::Login,
            message: "The identity has no pull right.".into(),
            data_host: None,
        });
        AgentView::of(&report, "p", image)
    };
    let rejected = |image: &_| {
        let mut report = samples::report("n", vec![checks::healthy()]);
        let checked = &mut report.images[0];
        checked.verdict = Verdict::Fail;
        checked.diagnoses.push(ImageDiagnosis {
            cause: "credentials_rejected".into(),
            severity: Severity::Fail,
            stage: Stage::Token,
            endpoint: Endpoint::Login,
            message: "The registry rejected the credentials.".into(),
            data_host: None,
        });
        AgentView::of(&report, "p", image)
    };
    let unauthorized =
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";
    let anonymous =
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
    let cases: [(&str, &str, View, Conclusion, &str); 13] = [
        (other, "", zone, Conclusion::Explained, "the problem is not in the Pod"),
        (checks::IMAGE, "", zone, Conclusion::Explained, "cannot pull this image either"),
        // The registry answered the kubelet although the private path is broken: it uses another one.
        (other, samples::NOT_FOUND, zone, Conclusion::MayExplain, "containerd may use another path"),
        // Layers fail, but the registry has no such image either.
        (other, samples::NOT_FOUND, layers, Conclusion::MayExplain, "The agent on this node reaches"),
        (other, no_such_host, layers, Conclusion::Explained, "the problem is not in the Pod"),
        (other, "", throttled, Conclusion::Inconclusive, "could not determine"),
        (other, "", passes, Conclusion::Disagree, "this image, tag or digest does not exist"),
        (checks::IMAGE, "", passes, Conclusion::Disagree, "the Pod's own credentials do not work"),
        (other, samples::TIMEOUT, passes, Conclusion::Disagree, "such as a proxy or a mirror"),
        (other, anonymous, identity, Conclusion::Explained, "with the node's identity as the agent does"),
        (other, unauthorized, rejected, Conclusion::Explained, "report the same problem"),
        (other, samples::NOT_FOUND, rejected, Conclusion::MayExplain, "shows manifest_not_found"),
        (other, anonymous, passes, Conclusion::Disagree, "it names no pull secret"),
    ];
    for (image, message, view, conclusion, words) in cases {
        let pods = [waiting(pod("a", "b", "n", &[image]), "ErrImagePull", message)];
        let found = discovery(inventory(&pods), view);
        let explanation = &found.explanations[0];
        assert_eq!(explanation.conclusion, conclusion, "{image} {message}");
        assert!(explanation.message.contains(words), "{}", explanation.message);
        assert!(!explanation.fixes.is_empty());
    }
}
