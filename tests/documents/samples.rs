//! The samples of output in the documents are what the example prints, apart from times, ports and digests.
//!
//! A sample follows a comment with its name. `EXPECTORATE=overwrite` writes those that are out of date.

use std::collections::BTreeMap;

use acr_verifier::probe::Platform;
use acr_verifier::report::{self, Details, Format, Style};
use acr_verifier::run::{CheckRun, Extent, ImageResult, NetworkView};
use lab::settings::{Settings, View};
use support::markdown::{Page, pages, root};

use crate::check::Bench;

/// Begins a sample; the name and the block follow.
const OPENING: &str = "<!-- sample: ";
/// Between the name of a sample and its text.
const FENCE: &str = " -->\n```text\n";

#[test]
fn samples_match_the_example() {
    let samples = BTreeMap::from([("healthy", Settings::default()), ("zone not linked", not_linked())])
        .into_iter()
        .map(|(name, settings)| {
            let mut bench = Bench::new(settings);
            bench.task.platform = Platform::linux("x86_64");
            (name.to_owned(), print(&bench))
        })
        .collect::<BTreeMap<_, _>>();

    let overwrite = std::env::var("EXPECTORATE").is_ok_and(|value| value == "overwrite");
    let mut shown = Vec::new();
    // `azure::steps` compares those of the walkthrough.
    let pages = pages().into_iter().filter(|page| page.path == "README.md" || page.path.starts_with("docs/"));
    for Page { path, mut text } in pages {
        let mut outdated = false;
        let found: Vec<(String, String)> = text
            .split(OPENING)
            .skip(1)
            .map(|rest| {
                let (name, rest) = rest.split_once(FENCE).expect("a block");
                (name.to_owned(), rest.split("\n```").next().unwrap_or_default().to_owned())
            })
            .collect();
        for (name, sample) in found {
            let printed =
                samples.get(&name).unwrap_or_else(|| panic!("{path}: unknown sample `{name}`")).trim_end();
            shown.push(name.clone());
            // Line breaks depend on the length of a port; digests, ports and times differ in each run.
            if shape(&sample) == shape(printed) {
                continue;
            }
            assert!(overwrite, "{path}: the sample `{name}` is out of date; it is now:\n{printed}");
            let block = |content: &str| format!("{OPENING}{name}{FENCE}{content}\n```");
            text = text.replacen(&block(&sample), &block(printed), 1);
            outdated = true;
        }
        if outdated {
            std::fs::write(root().join(&path), text).expect("our own file");
        }
    }
    shown.sort();
    assert_eq!(shown, samples.into_keys().collect::<Vec<_>>());
}

fn not_linked() -> Settings {
    let mut settings = Settings::default();
    settings.nameservers[0].login = View::NotLinked;
    settings.nameservers[0].data = View::NotLinked;
    settings
}

/// Returns the text that the example prints for a lab.
pub(crate) fn print(bench: &Bench) -> String {
    let outcome = bench.check();
    let checked = ImageResult {
        started_at: bench.task.now,
        is_kept: false,
        extent: Extent::Whole,
        image: bench.task.image.clone(),
        name: None,
        blob_requested: true,
        policy: bench.task.policy.clone(),
        observation: outcome.observation,
        comparisons: outcome.comparisons,
        diagnoses: outcome.diagnoses,
    };
    let run = CheckRun {
        node: "this machine".into(),
        network_view: NetworkView::Node,
        node_files: None,
        started_at: bench.task.now,
        duration: checked.observation.duration,
        configuration: None,
        images: vec![checked],
    };
    let mut text = Vec::new();
    let style = Style { color: false, unicode: false, width: 100 };
    report::write(&mut text, &run, Format::Text, Details::Problems, &style).expect("memory takes everything");
    String::from_utf8(text).expect("UTF-8")
}

/// Returns the words of a text without times, and with `0` for every number and digest.
pub(crate) fn shape(text: &str) -> String {
    let mut shapes: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_number =
            |shape: &mut String| shape.trim_start_matches('<').chars().all(|letter| "0.".contains(letter));
        if ["ms", "s"].contains(&word) && shapes.pop_if(is_number).is_some() {
            continue;
        }
        shapes.push(match word.strip_prefix("sha256:") {
            Some(digest) => {
                format!("sha256:{}", digest.trim_start_matches(|letter: char| letter.is_ascii_hexdigit()))
            }
            None => without_numbers(word),
        });
    }
    shapes.join(" ")
}

fn without_numbers(word: &str) -> String {
    let mut shape = String::new();
    for letter in word.chars() {
        match letter {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            _ => shape.push(letter),
        }
    }
    shape
}

#[test]
fn samples_are_compared_without_times_ports_and_digests() {
    assert_eq!(shape("ok tls   <0.1 ms  127.0.0.1:43"), shape("ok  tls 11 ms 127.0.0.3:40771"));
    assert_eq!(shape("dns 1.2 s  sha256:2a62..."), shape("dns 0.1 ms sha256:0045..."));
    assert_ne!(shape("dns 1.2 ms public"), shape("dns 1.2 ms private"));
}
