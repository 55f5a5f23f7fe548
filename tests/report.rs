//! The renderers: goldens for the wording, and properties of every report.

mod arbitrary;
mod catalogue;
pub(crate) mod expected;
pub(crate) mod samples;
mod screen;

use acr_verifier::cause::Cause;
use acr_verifier::observation::{Endpoint, Observation, Stage};
use acr_verifier::report::{self, Details, Format, Style};
use acr_verifier::run::{CheckRun, ImageResult};
use acr_verifier::verdict::Verdict;
use acr_verifier::wire::report::Report;
use samples::{CORRELATION_ID, IMAGE, run};

const PLAIN: Style = Style { color: false, unicode: false, width: 100 };

fn render(run: &CheckRun, format: Format, style: &Style) -> String {
    let mut out = Vec::new();
    report::write(&mut out, run, format, Details::Problems, style).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}

fn text(checked: ImageResult) -> String {
    render(&run(vec![checked]), Format::Text, &PLAIN)
}

fn report_of(run: &CheckRun) -> Report {
    serde_json::from_str(&render(run, Format::Json, &PLAIN)).expect("a report")
}

/// All samples with the names of their goldens.
fn all() -> Vec<(&'static str, CheckRun)> {
    vec![
        ("healthy", run(vec![samples::healthy()])),
        ("zone-not-linked", run(vec![samples::zone_not_linked()])),
        ("data-record-missing", run(vec![samples::data_record_missing()])),
        ("credentials-rejected", run(vec![samples::credentials_rejected()])),
        ("throttled", run(vec![samples::throttled()])),
        ("certificate-expiring", run(vec![samples::certificate_expiring()])),
        ("without-blob", run(vec![samples::without_blob()])),
        ("public-ipv6", run(vec![samples::public_ipv6()])),
        ("as-expected", run(vec![expected::as_expected()])),
        ("swapped", run(vec![expected::swapped()])),
        ("hostile", run(vec![samples::hostile()])),
        (
            "several",
            run(vec![samples::healthy(), samples::connect_warning(), samples::credentials_rejected()]),
        ),
    ]
}

#[test]
fn text_matches_its_goldens() {
    for (name, run) in all() {
        let actual = render(&run, Format::Text, &PLAIN);
        expectorate::assert_contents(format!("tests/golden/report/{name}.txt"), &actual);
    }
}

#[test]
fn text_fits_a_narrow_terminal_and_supports_colours() {
    let run = run(vec![samples::zone_not_linked()]);
    let narrow = render(&run, Format::Text, &Style { color: false, unicode: true, width: 60 });
    expectorate::assert_contents("tests/golden/report/zone-not-linked.narrow.txt", &narrow);
    let coloured = render(&run, Format::Text, &Style { color: true, unicode: true, width: 100 });
    expectorate::assert_contents("tests/golden/report/zone-not-linked.coloured.txt", &coloured);
}

#[test]
fn colours_do_not_change_the_text() {
    for (name, run) in all() {
        let plain = render(&run, Format::Text, &PLAIN);
        let coloured = render(&run, Format::Text, &Style { color: true, ..PLAIN });
        assert_ne!(plain, coloured, "{name}");
        assert_eq!(plain, anstream::adapter::strip_str(&coloured).to_string(), "{name}");
    }
}

#[test]
fn plain_text_is_ascii_within_its_width_and_commands_are_not_wrapped() {
    for (name, run) in all() {
        for width in [60, 80, 100] {
            let shown = render(&run, Format::Text, &Style { width, ..PLAIN });
            assert!(shown.is_ascii(), "{name}");
            let commands: Vec<_> = run
                .images
                .iter()
                .flat_map(|checked| &checked.diagnoses)
                .flat_map(|diagnosis| &diagnosis.commands)
                .collect();
            for command in &commands {
                assert!(shown.lines().any(|line| line.trim_start() == command.as_str()), "{name}: {command}");
            }
            // A digest or host name wider than its column is not wrapped, so that it can be copied.
            let too_wide = shown.lines().find(|line| {
                let last = line.split(' ').next_back().unwrap_or_default();
                let is_command = commands.iter().any(|command| line.ends_with(command.as_str()));
                line.len() > width && last.len() < width / 3 && !is_command
            });
            // The words of the hostile sample fit no column.
            assert!(name == "hostile" || too_wide.is_none(), "{name} at {width}: {too_wide:?}");
        }
    }
}

#[test]
fn json_matches_its_goldens_and_schema_and_parses_back() {
    let schema = serde_json::from_str(acr_verifier::report::json::JSON_SCHEMA).expect("JSON");
    let schema = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema of draft 2020-12");
    for (name, run) in all() {
        let actual = render(&run, Format::Json, &PLAIN);
        expectorate::assert_contents(format!("tests/golden/report/{name}.json"), &actual);
        let value = serde_json::from_str(&actual).expect("JSON");
        let errors: Vec<_> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert!(!actual.contains(": null"), "{name}: optional objects are absent");
        assert_eq!(report_of(&run), Report::from(&run), "{name}");
    }
}

#[test]
fn the_schema_rejects_unknown_values_and_fields() {
    let schema = serde_json::from_str(acr_verifier::report::json::JSON_SCHEMA).expect("JSON");
    let schema = jsonschema::draft202012::new(&schema).expect("a schema");
    let valid = serde_json::to_value(Report::from(&run(vec![samples::zone_not_linked()]))).expect("JSON");
    assert!(schema.is_valid(&valid));
    for (pointer, value) in [
        ("/verdict", "green"),
        ("/schema", "acr-verifier/report/v2"),
        ("/images/0/stages/0/status", "fine"),
        ("/images/0/diagnoses/0/cause", "zone_not_linked"),
        ("/images/0/failedStage", "dig"),
    ] {
        let mut changed = valid.clone();
        *changed.pointer_mut(pointer).expect("a field") = value.into();
        assert!(!schema.is_valid(&changed), "{pointer} accepts {value}");
    }
    let mut extended = valid;
    extended["images"][0]["password"] = "secret".into();
    assert!(!schema.is_valid(&extended), "an unknown field is accepted");
}

#[test]
fn the_schema_lists_every_cause() {
    let schema: serde_json::Value =
        serde_json::from_str(acr_verifier::report::json::JSON_SCHEMA).expect("JSON");
    let codes = Cause::ALL.map(|cause| serde_json::Value::from(cause.to_string()));
    assert_eq!(
        schema.pointer("/$defs/cause/enum").expect("a list"),
        &serde_json::Value::from(codes.to_vec())
    );
}

#[test]
fn readers_accept_newer_fields_and_causes() {
    let mut value = serde_json::to_value(Report::from(&run(vec![samples::throttled()]))).expect("JSON");
    value["sequence"] = 7.into();
    value["images"][0]["diagnoses"][0]["cause"] = "something_new".into();
    let report: Report = serde_json::from_value(value).expect("still a report");
    assert_eq!(report.verdict.0, Verdict::Unknown);
}

#[test]
fn junit_matches_its_goldens_and_has_twelve_cases_per_image() {
    for (name, run) in all() {
        let actual = render(&run, Format::Junit, &PLAIN);
        expectorate::assert_contents(format!("tests/golden/report/{name}.xml"), &actual);
        let parsed = quick_junit::Report::deserialize_from_str(&actual).expect("JUnit");
        assert_eq!(parsed.test_suites.len(), run.images.len(), "{name}");
        for (suite, checked) in parsed.test_suites.iter().zip(&run.images) {
            assert_eq!(suite.test_cases.len(), 12, "{name}");
            let bad = suite.failures + suite.errors;
            let expected = matches!(checked.verdict(), Verdict::Fail | Verdict::Unknown);
            assert_eq!(bad > 0, expected, "{name}");
            assert_eq!(suite.errors > 0, checked.verdict() == Verdict::Unknown, "{name}");
        }
    }
}

#[test]
fn hostile_text_is_sanitised_in_every_format() {
    let hostile = run(vec![samples::hostile()]);
    let style = Style { color: false, unicode: true, width: 100 };
    for format in [Format::Text, Format::Json, Format::Junit] {
        let shown = render(&hostile, format, &style);
        let forbidden = |character: char| character.is_control() && character != '\n';
        assert!(!shown.contains(forbidden), "{format:?}");
        assert!(!shown.contains('\u{202e}'), "{format:?}");
        assert!(!shown.contains("owned"), "{format:?}");
        assert!(!shown.contains(&"x".repeat(1_001)), "{format:?}: not truncated");
        let forged =
            |line: &str| ["ok    forged", "✓  forged"].iter().any(|text| line.trim_start().starts_with(text));
        assert!(!shown.lines().any(forged), "{format:?}");
    }
    assert!(!render(&hostile, Format::Text, &Style { color: true, ..style }).contains("\u{1b}[2J"));
}

#[test]
fn the_verdict_line_of_a_pass_names_what_was_tested() {
    let text = text(samples::healthy()).replace("\n  ", " ");
    for part in [
        "pass: contoso.azurecr.io/apps/canary:1 can be pulled from",
        "2 nameservers agree on 10.60.4.4",
        "TLSv1.3 (issuer Microsoft Azure RSA TLS Issuing CA 03)",
        "manifest sha256:0d1b2f6a5c8e... (linux/amd64)",
        "blob 1469 bytes through contoso.westeurope.data.azurecr.io.",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(!text.contains("Not tested"));
}

#[test]
fn the_verdict_line_names_untested_stages_and_allowed_loopback() {
    let mut checked = samples::without_blob();
    checked.policy.allow_loopback = true;
    let report = report_of(&run(vec![checked.clone()]));
    assert_eq!(report.images[0].not_tested[0].0, Stage::Blob);
    assert!(report.images[0].loopback_allowed);
    let text = text(checked).replace("\n  ", " ");
    assert!(text.contains("Not tested:") && text.contains("(--no-blob)"), "{text}");
    assert!(text.contains("Loopback addresses were treated as private."), "{text}");
}

#[test]
fn the_correlation_id_of_the_failed_response_is_reported() {
    let checked = samples::credentials_rejected();
    assert_eq!(
        report_of(&run(vec![checked.clone()])).images[0].correlation_id.as_deref(),
        Some(CORRELATION_ID)
    );
    assert!(text(checked).contains(CORRELATION_ID));
}

#[test]
fn nothing_passes_before_it_was_checked() {
    assert_eq!(run(Vec::new()).verdict(), Verdict::Unknown);
    let mut checked = samples::healthy();
    checked.observation = Observation::default();
    assert_eq!(checked.verdict(), Verdict::Unknown);
    assert!(text(checked).contains(&format!("unknown: {IMAGE} could not be verified")));
}

#[test]
fn a_diagnosis_is_always_placed_at_an_existing_stage() {
    let mut checked = samples::credentials_rejected();
    checked.diagnoses[0].endpoint = Endpoint::Data;
    let report = report_of(&run(vec![checked]));
    assert_eq!(report.images[0].failed_endpoint.map(|word| word.0), Some(Endpoint::Login));
    assert!(
        report.images[0].stages.iter().any(|stage| stage.status.0 == acr_verifier::run::StageStatus::Failed)
    );
}
