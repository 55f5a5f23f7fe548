//! All renderers on arbitrary checks: documents stay valid and terminals safe, whatever the network returns.

use std::sync::Arc;

use acr_verifier::metrics::Metrics;
use acr_verifier::page::{self, Reload};
use acr_verifier::report::json::JSON_SCHEMA;
use acr_verifier::report::{Format, Style};
use acr_verifier::run::ImageResult;
use acr_verifier::verdict::Verdict;
use acr_verifier::wire::report::Report;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::run;
use super::{PLAIN, render};
use crate::observations::checked;
use crate::server::states;

/// Control characters, and characters that change the reading direction or have no width.
fn is_forbidden(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn visible(shown: &str) -> Result<(), TestCaseError> {
    let found = shown.chars().find(|character| is_forbidden(*character));
    prop_assert!(found.is_none(), "{:?} is in {:?}", found, shown);
    Ok(())
}

fn checks() -> impl Strategy<Value = Vec<ImageResult>> {
    vec(checked(), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_has_only_visible_characters_and_colours_do_not_change_it(
        images in checks(),
        width in 20_usize..120,
        unicode in any::<bool>(),
    ) {
        let run = run(images);
        let style = Style { color: false, unicode, width };
        let shown = render(&run, Format::Text, &style);
        visible(&shown)?;
        prop_assert!(unicode || shown.is_ascii());
        let coloured = render(&run, Format::Text, &Style { color: true, ..style });
        prop_assert_eq!(&shown, &anstream::adapter::strip_str(&coloured).to_string());
        let unmarked = shown.lines().map(|line| line.trim_start_matches(['✓', '!', '✗', '?', ' ']));
        let verdict = unmarked.filter(|line| Verdict::ALL.iter().any(|it| line.starts_with(&format!("{it}: "))));
        prop_assert!(run.images.len() <= verdict.count());
    }

    #[test]
    fn json_matches_its_schema_and_parses_back(images in checks()) {
        let run = run(images);
        let shown = render(&run, Format::Json, &PLAIN);
        visible(&shown)?;
        let value = serde_json::from_str(&shown).expect("JSON");
        let schema = serde_json::from_str(JSON_SCHEMA).expect("JSON");
        let schema = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).expect("a schema");
        let errors: Vec<String> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        prop_assert!(errors.is_empty(), "{:#?}", errors);
        prop_assert_eq!(serde_json::from_value::<Report>(value).expect("a report"), Report::from(&run));
    }

    #[test]
    fn junit_is_valid_with_twelve_cases_per_image(images in checks()) {
        let run = run(images);
        let shown = render(&run, Format::Junit, &PLAIN);
        visible(&shown)?;
        let parsed = quick_junit::Report::deserialize_from_str(&shown).expect("JUnit");
        prop_assert_eq!(parsed.test_suites.len(), run.images.len());
        for (suite, checked) in parsed.test_suites.iter().zip(&run.images) {
            prop_assert_eq!(suite.test_cases.len(), 12);
            let is_bad = matches!(checked.verdict(), Verdict::Fail | Verdict::Unknown);
            prop_assert!(suite.failures + suite.errors > 0 || !is_bad || checked.diagnoses.is_empty());
        }
    }

    #[test]
    fn page_and_metrics_stay_valid_for_any_observation(images in checks()) {
        let run = run(images);
        let metrics = Metrics::new(&crate::metrics::labels("node"), "0.1.0", "");
        metrics.record(&run);
        let samples = String::from_utf8(metrics.encode()).expect("UTF-8");
        visible(&samples)?;
        prop_assert!(samples.lines().all(|line| line.starts_with("# ") || line.starts_with("acr_verifier_") || line.starts_with("process_")));
        let mut status = states::before();
        status.record(Arc::new(run));
        let mut shown = Vec::new();
        let now: Timestamp = states::NOW.parse().expect("a moment");
        page::write(&mut shown, &status, now, Reload::Off).expect("memory takes everything");
        let shown = String::from_utf8(shown).expect("UTF-8");
        visible(&shown)?;
        prop_assert!(!shown.contains("<script"));
    }
}
