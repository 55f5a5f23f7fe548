//! The report formats of `exposure`: goldens for the wording, the schema, and what a pipeline counts.

use std::collections::BTreeSet;

use acr_verifier::public_endpoint::outcome::GapKind;
use acr_verifier::public_endpoint::settings::{SETTINGS, settings_command};
use acr_verifier::public_endpoint::{Exposure, ExposureRun};
use acr_verifier::report::exposure::Format;
use acr_verifier::report::exposure::json::JSON_SCHEMA;
use acr_verifier::report::{Style, exposure};
use serde_json::Value;

use super::{assert_valid, samples};

const PLAIN: Style = Style { color: false, unicode: false, width: 100 };

fn render(run: &ExposureRun, format: Format, style: &Style) -> String {
    let mut out = Vec::new();
    exposure::write(&mut out, run, format, style).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}

fn all() -> [(&'static str, ExposureRun, Exposure); 4] {
    [
        ("refused", samples::refused(), Exposure::Refused),
        ("exposed", samples::exposed(), Exposure::Exposed),
        ("private", samples::private(), Exposure::NotTested),
        ("several", samples::several(), Exposure::Exposed),
    ]
}

#[test]
fn reports_match_their_goldens() {
    for (name, run, verdict) in all() {
        assert_eq!(run.verdict(), verdict, "{name}");
        for (format, extension) in [(Format::Text, "txt"), (Format::Json, "json"), (Format::Junit, "xml")] {
            let path = format!("tests/golden/exposure/{name}.{extension}");
            expectorate::assert_contents(path, &render(&run, format, &PLAIN));
        }
    }
    let narrow = Style { width: 60, ..PLAIN };
    let text = render(&samples::several(), Format::Text, &narrow);
    expectorate::assert_contents("tests/golden/exposure/several.narrow.txt", &text);
    let terminal = Style { unicode: true, ..PLAIN };
    let text = render(&samples::several(), Format::Text, &terminal);
    expectorate::assert_contents("tests/golden/exposure/several.terminal.txt", &text);
}

#[test]
fn json_matches_its_schema_and_has_no_null() {
    for (name, run, _) in all() {
        let actual = render(&run, Format::Json, &PLAIN);
        assert_valid(&serde_json::from_str(&actual).expect("JSON"));
        assert!(!actual.contains(": null"), "{name}: optional objects are absent");
    }
}

#[test]
fn the_schema_lists_every_verdict_and_reason_and_rejects_others() {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).expect("JSON");
    let words = |pointer: &str| -> BTreeSet<String> {
        let words = schema.pointer(pointer).and_then(Value::as_array).expect(pointer);
        words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let reasons = GapKind::ALL.into_iter().map(|kind| kind.as_str().to_owned()).collect();
    assert_eq!(words("/$defs/probe/properties/reason/enum"), reasons);
    let verdicts = Exposure::ALL.into_iter().map(|verdict| verdict.as_str().to_owned()).collect();
    assert_eq!(words("/$defs/probe/properties/verdict/enum"), verdicts);
    let schema = jsonschema::draft202012::new(&schema).expect("a schema");
    let valid: Value =
        serde_json::from_str(&render(&samples::private(), Format::Json, &PLAIN)).expect("JSON");
    assert!(schema.is_valid(&valid));
    for (pointer, value) in [
        ("/schema", "acr-verifier/exposure/v2"),
        ("/verdict", "closed"),
        ("/registries/0/probes/0/verdict", "refused"),
        ("/registries/0/probes/0/reason", "weather"),
        ("/registries/0/probes/0/family", "IPv5"),
    ] {
        let mut changed = valid.clone();
        *changed.pointer_mut(pointer).expect("a field") = value.into();
        assert!(!schema.is_valid(&changed), "{pointer} accepts {value}");
    }
}

#[test]
fn junit_passes_only_what_was_refused() {
    for (run, tests, failures, errors) in [
        (samples::refused(), 2, 0, 0),
        (samples::exposed(), 2, 1, 0),
        (samples::private(), 1, 0, 1),
        (samples::several(), 3, 1, 1),
    ] {
        let xml = render(&run, Format::Junit, &PLAIN);
        let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit");
        assert_eq!((report.tests, report.failures, report.errors), (tests, failures, errors), "{xml}");
    }
}

#[test]
fn verdicts_are_ordered_and_the_worst_counts() {
    assert!(Exposure::Refused < Exposure::NotTested && Exposure::NotTested < Exposure::Exposed);
    assert_eq!(samples::run(Vec::new()).verdict(), Exposure::NotTested);
}

#[test]
fn the_command_shows_every_setting() {
    let command = settings_command("contoso");
    for setting in SETTINGS {
        assert!(command.contains(&format!("{}: {}", setting.key, setting.property)), "{command}");
    }
    for (_, run, _) in all() {
        for registry in &run.registries {
            assert_eq!(registry.commands().last(), Some(&settings_command(&registry.name)));
        }
    }
}
