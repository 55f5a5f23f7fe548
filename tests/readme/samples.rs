//! The samples of output in the README are what the example prints, apart from times, ports and digests.

use acr_verifier::probe::Platform;
use acr_verifier::report::{self, Details, Format, Style};
use acr_verifier::run::{CheckRun, ImageResult, NetworkView};
use lab::settings::{Settings, View};

use super::README;
use crate::check::Bench;

#[test]
fn samples_match_the_example() {
    let samples = [
        ("healthy", Settings::default()),
        ("zone not linked", {
            let mut settings = Settings::default();
            settings.nameservers[0].login = View::NotLinked;
            settings.nameservers[0].data = View::NotLinked;
            settings
        }),
    ];
    for (name, settings) in samples {
        let opening = format!("<!-- sample: {name} -->\n```text\n");
        let start = README.find(&opening).unwrap_or_else(|| panic!("no sample `{name}`")) + opening.len();
        let sample = README[start..].split("\n```").next().unwrap_or_default();
        let mut bench = Bench::new(settings);
        bench.task.platform = Platform::linux("x86_64");
        let printed = print(&bench);
        // Line breaks depend on the length of a port; digests, ports and times differ in each run.
        assert_eq!(
            shape(sample),
            shape(&printed),
            "the sample `{name}` is out of date; it is now:\n{printed}"
        );
    }
}

/// Returns the text that the example prints for a lab.
pub(crate) fn print(bench: &Bench) -> String {
    let outcome = bench.check();
    let checked = ImageResult {
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
