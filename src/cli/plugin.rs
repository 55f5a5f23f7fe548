//! The program as a kubectl plugin: `kubectl acr-verifier`.
//!
//! kubectl finds a plugin by the name of its file and passes on the arguments after it, so the name that the program was started
//! with selects what its help and examples call it. For shell completion, kubectl runs a second file of its own name; both
//! can be links to this program. The plugin has the same commands, flags and exit codes as the program.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Command;
use clap_complete::CompletionCandidate;
use clap_complete::engine::complete;

use super::{NAME, command, help};

/// The file that kubectl runs for `kubectl acr-verifier`.
const PLUGIN_FILE: &str = "kubectl-acr_verifier";
/// The file that kubectl runs to complete `kubectl acr-verifier …`.
const COMPLETION_FILE: &str = "kubectl_complete-acr_verifier";
/// The plugin's name in help and errors.
const PLUGIN_NAME: &str = "kubectl acr-verifier";

/// Bits of the directive that kubectl (by cobra) reads in the last line: no space after the value, and no names of files.
const NO_SPACE: u8 = 2;
const NO_FILES: u8 = 4;

fn is_started_as(file: &str, program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == file)
}

/// Returns the command for parsing: the plugin's if the program was started as the plugin.
pub(super) fn command_for(program: Option<&OsString>) -> Command {
    if program.is_some_and(|program| is_started_as(PLUGIN_FILE, program)) { plugin() } else { command() }
}

/// Returns the command with the plugin's name in usage, help and examples.
fn plugin() -> Command {
    let command = command();
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let rename = |text: &str| {
        let mut text = text.replace(&format!("{NAME} COMMAND"), &format!("{PLUGIN_NAME} COMMAND"));
        for name in &names {
            text = text.replace(&format!("{NAME} {name}"), &format!("{PLUGIN_NAME} {name}"));
        }
        text
    };
    let rename_examples = |command: Command| match command.get_after_help().map(ToString::to_string) {
        Some(text) => command.after_help(rename(&text)),
        None => command,
    };
    rename_examples(command)
        .bin_name(PLUGIN_NAME)
        .mut_subcommands(rename_examples)
        .mut_subcommand("check", |check| check.override_usage(rename(help::CHECK_USAGE)))
        .mut_subcommand("completions", |completions| {
            completions.after_help(help::PLUGIN_COMPLETIONS_EXAMPLES)
        })
}

/// Returns what kubectl reads to complete `kubectl acr-verifier …`, if the program was started for that.
///
/// The last argument is the word to complete. The result has a line for each value, with its help after a tab, and a last line
/// with the directive.
#[must_use]
pub fn completion(words: &[OsString]) -> Option<Vec<u8>> {
    let (program, arguments) = words.split_first()?;
    if !is_started_as(COMPLETION_FILE, program) {
        return None;
    }
    let words = std::iter::once(OsString::from(PLUGIN_FILE)).chain(arguments.iter().cloned()).collect();
    // Without a list, the shell completes nothing: an error has no place to appear.
    let candidates = complete(&mut plugin(), words, arguments.len(), None).unwrap_or_default();
    let shown: Vec<_> = candidates.iter().filter(|candidate| !candidate.is_hide_set()).collect();
    let is_folder = |candidate: &&CompletionCandidate| candidate.get_value().to_string_lossy().ends_with('/');
    let directive = if shown.iter().any(is_folder) { NO_FILES | NO_SPACE } else { NO_FILES };
    let lines = shown.iter().map(|candidate| line(candidate));
    Some(lines.chain([format!(":{directive}\n")]).collect::<String>().into_bytes())
}

fn line(candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    match candidate.get_help().map(ToString::to_string) {
        Some(text) => format!("{value}\t{}\n", text.lines().next().unwrap_or_default()),
        None => format!("{value}\n"),
    }
}

#[cfg(test)]
mod tests;
