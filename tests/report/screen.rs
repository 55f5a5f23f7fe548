//! The text report on a terminal: marks, and what the first screen shows for one image and for several.

use std::time::Duration;

use acr_verifier::observation::{Lookup, RecordData};
use acr_verifier::report::{self, Details, Format, Style};
use acr_verifier::run::{CheckRun, ImageResult};
use acr_verifier::verdict::Verdict;
use textwrap::core::display_width;

use super::samples::{self, run};
use super::{PLAIN, render};

const TERMINAL: Style = Style { color: false, unicode: true, width: 80 };
/// Whether a line is the one that is looked for.
type Wanted<'run> = &'run dyn Fn(&str) -> bool;

/// Lines of the smallest usual terminal.
const SCREEN: usize = 24;

/// The same result for another image.
fn of(mut checked: ImageResult, image: &str) -> ImageResult {
    checked.image = image.parse().expect("an image");
    checked
}

/// The same result for the registry fabrikam.
fn of_fabrikam(checked: ImageResult, repository: &str) -> ImageResult {
    let rename = |text: &mut String| *text = text.replace("contoso", "fabrikam");
    let mut checked = of(checked, &format!("fabrikam.azurecr.io/{repository}"));
    for resolution in &mut checked.observation.resolutions {
        rename(&mut resolution.host);
        for lookup in [&mut resolution.a, &mut resolution.aaaa] {
            let Lookup::Answered(answer) = lookup else { continue };
            for record in &mut answer.chain {
                rename(&mut record.name);
                if let RecordData::Cname(target) = &mut record.data {
                    rename(target);
                }
            }
        }
    }
    checked.observation.blob.iter_mut().for_each(|blob| rename(&mut blob.host));
    checked
}

/// Three images with the same problem, and two of another registry that pass.
pub(super) fn five() -> CheckRun {
    let mut named = of(samples::zone_not_linked(), "contoso.azurecr.io/shop/payment-service:2026.11.3");
    named.name = Some("payment".to_owned());
    run(vec![
        of_fabrikam(samples::healthy(), "base/nginx:1.27"),
        samples::zone_not_linked(),
        of(samples::zone_not_linked(), "contoso.azurecr.io/apps/web:2"),
        of_fabrikam(samples::healthy(), "base/redis:8"),
        named,
    ])
}

fn show(run: &CheckRun, details: Details, style: &Style) -> String {
    let mut out = Vec::new();
    report::write(&mut out, run, Format::Text, details, style).expect("memory takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn text_on_a_terminal_matches_its_goldens() {
    for (name, run) in [
        ("healthy", run(vec![samples::healthy()])),
        ("zone-not-linked", run(vec![samples::zone_not_linked()])),
        ("throttled", run(vec![samples::throttled()])),
        ("five", five()),
    ] {
        let shown = show(&run, Details::Problems, &TERMINAL);
        expectorate::assert_contents(format!("tests/golden/report/{name}.terminal.txt"), &shown);
    }
    let shown = show(&five(), Details::All, &PLAIN);
    expectorate::assert_contents("tests/golden/report/five.details.txt", &shown);
}

/// Returns the number of the screen's line on which a text ends, counted from 1. A terminal breaks a command that is too long.
fn line_of(shown: &str, is_wanted: impl Fn(&str) -> bool) -> Option<usize> {
    let mut last = 0;
    for line in shown.lines() {
        last += display_width(line).div_ceil(TERMINAL.width).max(1);
        if is_wanted(line) {
            return Some(last);
        }
    }
    None
}

#[test]
fn the_first_screen_has_verdict_cause_fix_and_first_command() {
    let failing =
        super::all().into_iter().filter(|(name, run)| *name != "hostile" && run.verdict() == Verdict::Fail);
    for (name, run) in failing.chain([("five", five())]) {
        for style in [TERMINAL, Style { unicode: false, ..TERMINAL }] {
            let shown = show(&run, Details::Problems, &style);
            let first = run.images.iter().find_map(ImageResult::decisive).expect("a cause");
            let parts: [(&str, Wanted<'_>); 5] = [
                ("verdict", &|line| line.starts_with("✗ fail: ") || line.starts_with("fail: ")),
                ("cause", &|line| line.contains(first.cause.code())),
                ("problem", &|line| line.starts_with("  problem: ")),
                ("fix", &|line| line.starts_with("  fix: ")),
                ("command", &|line| line.trim_start() == first.commands[0]),
            ];
            for (part, is_wanted) in parts {
                let line = line_of(&shown, is_wanted).unwrap_or(usize::MAX);
                assert!(line <= SCREEN, "{name}: {part} on line {line} of\n{shown}");
            }
        }
    }
}

#[test]
fn equal_problems_of_a_registry_are_shown_once() {
    let shown = show(&five(), Details::Problems, &PLAIN);
    assert_eq!(shown.matches("  problem: ").count(), 1, "{shown}");
    let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for heading in ["private_zone_not_linked at login.address:", "resolvers_disagree at login.dns:"] {
        let heading = format!(
            "{heading} apps/canary:1, apps/web:2 and shop/payment-service:2026.11.3 (payment) of contoso.azurecr.io"
        );
        assert_eq!(joined.matches(&heading).count(), 1, "{shown}");
    }
    // The same cause with other evidence, or of another registry, is another problem.
    let mut other = five();
    other.images[1].diagnoses[0].message.push_str(" Since yesterday.");
    other.images[2].image = "fabrikam.azurecr.io/apps/web:2".parse().expect("an image");
    assert_eq!(show(&other, Details::Problems, &PLAIN).matches("  problem: ").count(), 3);
}

#[test]
fn only_images_with_problems_show_their_stages_unless_all_are_requested() {
    let stages = |details| show(&five(), details, &PLAIN).matches("\n  login  ").count();
    assert_eq!((stages(Details::Problems), stages(Details::All)), (3, 5));
    let passes =
        show(&five(), Details::Problems, &PLAIN).matches("\npass: fabrikam.azurecr.io/base/").count();
    assert_eq!(passes, 2, "a pass always states what was tested");
}

#[test]
fn many_images_do_not_push_the_problems_off_the_first_screen() {
    let mut images: Vec<ImageResult> =
        (0..60).map(|index| of_fabrikam(samples::healthy(), &format!("base/app{index}:1"))).collect();
    images.push(samples::zone_not_linked());
    let mut many = run(images);
    many.duration = Duration::from_secs(3);
    let shown = show(&many, Details::Problems, &TERMINAL);
    assert!(
        line_of(&shown, |line| line.trim_start().starts_with("dig @")).is_some_and(|line| line <= SCREEN),
        "{shown}"
    );
    assert!(shown.contains("\n  ✗ fail  contoso.azurecr.io/apps/canary:1"), "{shown}");
    assert!(shown.contains("\n  and 52 more: 52 passed\n"), "{shown}");
    let rows = show(&many, Details::All, &TERMINAL).matches("\n  ✓ pass  fabrikam").count();
    assert_eq!(rows, 60);
}

#[test]
fn marks_do_not_change_the_words() {
    for (name, run) in super::all() {
        let words = |style: &Style| -> Vec<String> {
            let shown = render(&run, Format::Text, style);
            let marks = ["✓", "!", "✗", "?", "-", "ok", "warn", "FAIL"];
            let words = shown.split_whitespace().filter(|word| !marks.contains(word));
            words.map(|word| word.replace('→', "->").replace('…', "...")).collect()
        };
        if name != "hostile" {
            assert_eq!(words(&TERMINAL), words(&PLAIN), "{name}");
        }
    }
}
