use std::ffi::OsString;

use super::completion;
use crate::cli::{NAME, command, parse};

const FILE: &str = "/home/operator/.krew/bin/kubectl-acr_verifier";

fn shown(program: &str, words: &[&str]) -> String {
    let words = std::iter::once(program).chain(words.iter().copied()).map(OsString::from);
    parse(words).expect_err("help or an error").to_string()
}

fn completed(words: &[&str]) -> String {
    let words = std::iter::once("kubectl_complete-acr_verifier").chain(words.iter().copied());
    let words: Vec<_> = words.map(OsString::from).collect();
    String::from_utf8(completion(&words).expect("kubectl's request")).expect("UTF-8")
}

#[test]
fn every_help_calls_the_plugin_by_its_name() {
    let command = command();
    let commands = command.get_subcommands().map(clap::Command::get_name);
    for name in std::iter::once("").chain(commands) {
        let words: Vec<_> = [name, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let help = shown(FILE, &words);
        let usage = ["Usage: kubectl acr-verifier", name].join(" ");
        assert!(help.contains(usage.trim_end()), "{help}");
        let typed = help.lines().map(str::trim_start).filter(|line| line.starts_with(NAME));
        assert_eq!(typed.collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
        let program = shown("/usr/bin/acr-verifier", &words);
        assert!(!program.contains("kubectl acr-verifier"), "{program}");
    }
}

#[test]
fn errors_name_the_plugin_in_their_usage() {
    for (words, expected) in [
        (vec!["smoke", "--nope"], "Usage: kubectl acr-verifier smoke"),
        (
            vec!["check"],
            "Usage: kubectl acr-verifier check [OPTIONS] <IMAGE>...\n       kubectl acr-verifier check",
        ),
        (vec!["chek"], "Usage: kubectl acr-verifier [OPTIONS] <COMMAND>"),
    ] {
        let error = shown("kubectl-acr_verifier", &words);
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[test]
fn words_of_the_plugin_are_completed_as_kubectl_reads_them() {
    for (words, expected) in [
        (
            vec!["exp"],
            "exposure\tVerify from outside that the public endpoint of a registry rejects this client\n:4\n",
        ),
        (vec!["smoke", "--out"], "--output\tFormat of the report on standard output\n:4\n"),
        (
            vec!["smoke", "--output", "j"],
            "json\tJSON for programs, with the schema acr-verifier/smoke/v1\njunit\tJUnit XML for the test results of a pipeline\n:4\n",
        ),
        (
            vec!["discover", "--cont"],
            "--context\tContext of the kubeconfig [default: its current context]\n:4\n",
        ),
        (vec!["discover", "--namespace", ""], ":4\n"),
        (vec!["nope", "--x"], ":4\n"),
    ] {
        assert_eq!(completed(&words), expected, "{words:?}");
    }
    assert!(completed(&[""]).starts_with("check\tVerify once that this machine can pull images\nagent\t"));
}

#[test]
fn hidden_flags_and_passwords_are_not_completed() {
    let flags = completed(&["check", "--"]);
    assert!(flags.contains("\n--credentials\t"), "{flags}");
    assert!(!flags.contains("--lab") && !flags.contains("--password"), "{flags}");
}

#[test]
fn files_are_completed_and_folders_continue() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("kube")).expect("a folder");
    let start = format!("{}/k", folder.path().display());
    assert_eq!(completed(&["smoke", "--kubeconfig", &start]), format!("{start}ube/\n:6\n"));
}

#[test]
fn other_names_complete_nothing() {
    for name in ["acr-verifier", "kubectl-acr_verifier", "kubectl_complete-other", ""] {
        assert_eq!(completion(&[OsString::from(name), OsString::from("smoke")]), None, "{name}");
    }
    assert_eq!(completion(&[]), None);
}
