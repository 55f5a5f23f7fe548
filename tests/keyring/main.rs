//! Compares the credentials that are found with the kubelet's: a table of recorded results, and its own code on generated
//! configurations.
//!
//! The comparison needs the keyring as a program, which `tests/keyring/kubelet` builds with Go. Without it, the test prints
//! `SKIPPED keyring: …` and passes, or fails if `ACR_VERIFIER_REQUIRE_KEYRING=1` is set.

#![allow(clippy::disallowed_methods, reason = "a test may read the environment")]

mod generate;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use acr_verifier::credentials::CredentialFiles;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::generate::{Configuration, Form};

/// Number of configurations to compare, each with one image.
const COUNT: usize = 4_000;
/// Differences shown on failure.
const SHOWN: usize = 10;

/// The credentials for an image; `None` if the whole file is rejected. An entry without user name or password, with which
/// containerd pulls anonymously, is an inner `None`.
type Found = Option<Vec<Option<(String, String)>>>;

/// The credentials that this program finds.
fn ours(folder: &Path, file: &str, config: &[u8], image: &str) -> Found {
    std::fs::write(folder.join(file), config).expect("a file");
    let source = CredentialFiles { paths: vec![folder.to_owned()], expires_at: None };
    let found = source.read(&image.parse().expect("an image")).ok();
    std::fs::remove_file(folder.join(file)).expect("a file");
    let attempts = found?.attempts.into_iter().filter(|attempt| attempt.entry.is_some());
    let pair =
        |sent: acr_verifier::credentials::Credentials| (sent.username, sent.password.expose().to_owned());
    Some(attempts.map(|attempt| attempt.credentials.map(pair)).collect())
}

#[test]
fn recorded_results_of_the_keyring_are_reproduced() {
    let table: Vec<Value> = serde_json::from_str(include_str!("cases.json")).expect("a table");
    assert!(table.len() >= 60, "{} rows", table.len());
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for row in &table {
        let text = |key: &str| row[key].as_str().expect("a text");
        let found = ours(folder.path(), ".dockerconfigjson", text("config").as_bytes(), text("image"));
        let users = found.map(|found| {
            found.into_iter().map(|pair| pair.map_or_else(String::new, |(user, _)| user)).collect::<Vec<_>>()
        });
        let user = |user: &Value| user.as_str().expect("a user").replace("\\xff", "\u{fffd}");
        let kubelet = match row["kubelet"].as_str() {
            Some("refused") => None,
            Some("none") => Some(Vec::new()),
            Some(word) => panic!("{word}"),
            None => Some(row["kubelet"].as_array().expect("a list").iter().map(user).collect()),
        };
        if users != kubelet {
            wrong.push(format!("{} {}: kubelet {kubelet:?}, here {users:?}", text("image"), text("config")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

#[test]
fn the_kubelets_keyring_finds_the_same_credentials_in_the_same_order() {
    let program = match program() {
        Ok(program) => program,
        Err(reason) => {
            return support::skip("ACR_VERIFIER_REQUIRE_KEYRING", "keyring", &reason);
        }
    };
    let configurations = generate::configurations(COUNT);
    let folder = tempfile::tempdir().expect("a folder");
    let answers = kubelet(&program, &configurations);
    let (mut wrong, mut refused, mut several) = (Vec::new(), 0, 0);
    for (asked, kubelet) in configurations.iter().zip(&answers) {
        let file = match asked.form {
            Form::ConfigJson => ".dockerconfigjson",
            Form::Cfg => ".dockercfg",
        };
        let found = ours(folder.path(), file, asked.config.as_bytes(), asked.image);
        refused += usize::from(kubelet.is_none());
        several += usize::from(kubelet.as_ref().is_some_and(|pairs| pairs.len() > 1));
        if found != *kubelet {
            wrong.push(format!("{asked:?}: kubelet {kubelet:?}, here {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {COUNT}:\n{}", wrong.len(), wrong[..wrong.len().min(SHOWN)].join("\n"));
    // Make sure that the generator produces both: an empty comparison would also agree.
    assert!(refused > COUNT / 20 && several > COUNT / 20, "{refused} refused, {several} with several");
}

/// The kubelet's results for all configurations, in order.
fn kubelet(program: &Path, configurations: &[Configuration]) -> Vec<Found> {
    // It logs every ignored key; the log is shown on failure.
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.reopen().expect("the file"))
        .spawn()
        .expect("the keyring starts");
    let mut input = child.stdin.take().expect("it is piped");
    let output = child.stdout.take().expect("it is piped");
    let answers = std::thread::scope(|scope| {
        let reader = scope.spawn(move || read_answers(output));
        for asked in configurations {
            let kind = match asked.form {
                Form::ConfigJson => "kubernetes.io/dockerconfigjson",
                Form::Cfg => "kubernetes.io/dockercfg",
            };
            let config = STANDARD.encode(&asked.config);
            writeln!(input, "{}", json!({"image": asked.image, "type": kind, "config": config}))
                .expect("the keyring reads");
        }
        drop(input);
        reader.join().expect("the answers are JSON")
    });
    let status = child.wait().expect("the keyring ends");
    let log = std::fs::read_to_string(log.path()).expect("its log");
    let last = log.lines().last().unwrap_or_default();
    assert!(status.success(), "{status}: {last}");
    assert_eq!(answers.len(), configurations.len(), "{last}");
    answers
}

fn read_answers(output: ChildStdout) -> Vec<Found> {
    let text = |bytes: &Value| {
        let bytes = STANDARD.decode(bytes.as_str().unwrap_or_default()).expect("base64");
        bytes.utf8_chunks().fold(String::new(), |text, chunk| {
            text + chunk.valid() + &"\u{fffd}".repeat(chunk.invalid().len())
        })
    };
    let read = |line: String| {
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        if answer["refused"] == true {
            return None;
        }
        let pairs = answer["found"].as_array().expect("a list").iter();
        let pairs = pairs.map(|pair| (text(&pair["username"]), text(&pair["password"])));
        Some(
            pairs
                .map(|pair| Some(pair).filter(|(user, word)| !user.is_empty() && !word.is_empty()))
                .collect(),
        )
    };
    BufReader::new(output).lines().map(|line| read(line.expect("a line"))).collect()
}

/// The path of the keyring program, or why it is missing.
fn program() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keyring/kubelet");
    let output = Command::new(&script).arg("--find").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{} does not run: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}

#[test]
fn the_version_is_one_of_the_cluster_suite() {
    let line =
        include_str!("go/go.mod").lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    let own = line.and_then(|line| line.split(' ').next()).expect("a version");
    let versions = include_str!("../cluster/versions");
    assert!(
        versions.split_whitespace().any(|version| version == own),
        "{own} is not in tests/cluster/versions"
    );
}
