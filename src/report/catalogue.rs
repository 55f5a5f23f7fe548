//! The catalogue of causes: `acr-verifier causes`, and the source of the runbook.
//!
//! Owns three forms of the same list. The texts are in the records of `cause`; commands have capitals where a report has names.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::layout::{Page, Tone};
use super::{RUNBOOK, Style, runbook};
use crate::cause::{Cause, CauseInfo, DEBUG, Names};
use crate::observation::Stage;
use crate::verdict::Severity;
use crate::wire::Word;

/// One cause of the list, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The code in reports and labels.
    pub cause: String,
    /// The reason of the Kubernetes Event.
    pub reason: String,
    /// The severity unless the evidence changes it.
    pub severity: Word<Severity>,
    /// The stages in which it can occur.
    pub stages: Vec<Word<Stage>>,
    /// What it means for the node.
    pub meaning: String,
    /// How the check recognises it.
    pub recognised_by: String,
    /// What fixes it.
    pub remedy: String,
    /// Commands to paste into a shell, with capitals for names.
    pub commands: Vec<String>,
    /// The link to its section in the runbook.
    pub runbook: String,
}

impl From<Cause> for Entry {
    fn from(cause: Cause) -> Self {
        let info = cause.info();
        Self {
            cause: info.code.to_owned(),
            reason: cause.reason(),
            severity: Word(info.severity),
            stages: info.stages.iter().map(|&stage| Word(stage)).collect(),
            meaning: info.meaning.to_owned(),
            recognised_by: info.detection.to_owned(),
            remedy: info.remedy.to_owned(),
            commands: cause.commands(&Names::placeholders()),
            runbook: runbook(cause),
        }
    }
}

fn stage_list(cause: Cause) -> String {
    let words: Vec<&str> = cause.stages().iter().map(|stage| stage.as_str()).collect();
    words.join(", ")
}

/// The output format of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CatalogueFormat {
    /// Human-readable text.
    Text,
    /// JSON for programs.
    Json,
    /// Markdown for the runbook.
    Markdown,
}

/// Writes the catalogue.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, format: CatalogueFormat, style: &Style) -> io::Result<()> {
    match format {
        CatalogueFormat::Text => write_text(out, style),
        CatalogueFormat::Json => write_json(out),
        CatalogueFormat::Markdown => write_markdown(out),
    }
}

/// Every cause, in the order in which a pull meets them.
#[must_use]
pub fn entries() -> Vec<Entry> {
    Cause::ALL.into_iter().map(Entry::from).collect()
}

/// Writes the list for people.
///
/// # Errors
/// Returns the writer's error.
pub fn write_text(out: &mut impl Write, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    for cause in Cause::ALL {
        let CauseInfo { code, severity, meaning, detection, remedy, .. } = cause.info();
        let code = page.paint(Tone::Strong, code);
        page.paragraph(&format!("{code} "), 2, &format!("({severity}; {})", stage_list(cause)))?;
        page.paragraph("  ", 2, meaning)?;
        page.paragraph("  recognised by: ", 4, detection)?;
        page.paragraph("  fix: ", 4, remedy)?;
        for command in cause.commands(&Names::placeholders()) {
            page.command(6, &command)?;
        }
        page.paragraph("  more: ", 4, &runbook(cause))?;
        page.gap()?;
    }
    Ok(())
}

/// Writes the list for programs: an array.
///
/// # Errors
/// Returns the writer's error.
pub fn write_json(out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &entries())?;
    writeln!(out)
}

/// Writes the runbook: an introduction, a table of all causes, and a section for each. A heading with only the code has the
/// anchor that [`runbook`] links to.
///
/// # Errors
/// Returns the writer's error.
pub fn write_markdown(out: &mut impl Write) -> io::Result<()> {
    let introduction = INTRODUCTION.replace("RUNBOOK_URL", RUNBOOK).replace("CHECK_COMMAND", CHECK);
    writeln!(out, "{}", introduction.replace("DEBUG_COMMAND", DEBUG))?;
    writeln!(out, "| Cause | Stages | Severity | Symptoms |")?;
    writeln!(out, "| --- | --- | --- | --- |")?;
    for cause in Cause::ALL {
        let CauseInfo { code, severity, detection, .. } = cause.info();
        let detection = detection.replace('|', "\\|");
        writeln!(out, "| [`{code}`](#{code}) | {} | {severity} | {detection} |", stage_list(cause))?;
    }
    for cause in Cause::ALL {
        write_section(out, cause)?;
    }
    Ok(())
}

fn write_section(out: &mut impl Write, cause: Cause) -> io::Result<()> {
    let info = cause.info();
    writeln!(out, "\n## {cause}\n")?;
    writeln!(out, "- Event reason: `{}`", cause.reason())?;
    writeln!(out, "- Stages: {}", stage_list(cause))?;
    writeln!(out, "- Severity: {}\n", info.severity)?;
    writeln!(out, "**Meaning.** {}\n", info.meaning)?;
    writeln!(out, "**Symptoms.** {}\n", sentence(info.detection))?;
    writeln!(out, "**Confirm.** [Ask the agent](#ask-the-agent) on an affected node:\n")?;
    let (remote, local): (Vec<&str>, Vec<&str>) =
        info.confirm.commands.iter().partition(|command| runs_anywhere(command));
    write_commands(out, &[&[CHECK], remote.as_slice()].concat())?;
    if !local.is_empty() {
        writeln!(out, "\nOr in [a shell on the node](#a-shell-on-a-node):\n")?;
        write_commands(out, &local)?;
    }
    writeln!(out, "\n{}\n", info.confirm.shows)?;
    writeln!(out, "**Fix.** {}", info.remedy)?;
    for caution in info.cautions {
        writeln!(out, "\n{caution}")?;
    }
    write!(out, "{}", steps(&(info.commands)(&Names::placeholders())))?;
    if let Some(fix) = info.at_data {
        writeln!(out, "\nFor the data endpoint: {}", fix.remedy)?;
        write!(out, "{}", steps(&(fix.commands)(&Names::placeholders().at_data_endpoint())))?;
    }
    writeln!(out, "\n**Verify.** {}", info.verify)
}

/// What the sections share: the first steps and the placeholders.
const INTRODUCTION: &str = include_str!("runbook.md");
/// The first step of every section: a check in the agent's Pod.
pub const CHECK: &str =
    "kubectl exec --namespace acr-verifier POD -- /acr-verifier check --config /etc/acr-verifier/config.yaml";

/// Whether a command needs no shell on the node.
#[must_use]
pub fn runs_anywhere(command: &str) -> bool {
    ["kubectl ", "az ", "helm ", "acr-verifier ", "docker "]
        .iter()
        .any(|program| command.starts_with(program))
}

/// Whether a command changes something, by the verb of the program.
#[must_use]
pub fn changes(command: &str) -> bool {
    let is_verb = |word: &str| CHANGING.contains(&word);
    !command.starts_with("kubectl auth ") && command.split(' ').any(is_verb)
        || command.contains(" && ") && command.split(" && ").any(changes)
}

/// The verbs of `az`, `kubectl`, `helm` and `systemctl` in the runbook that change something.
const CHANGING: [&str; 18] = [
    "add-record",
    "approve",
    "cordon",
    "create",
    "delete",
    "delete-machines",
    "drain",
    "generate",
    "import",
    "remove",
    "remove-record",
    "replace",
    "reset",
    "restart",
    "rollback",
    "uncordon",
    "update",
    "upgrade",
];

/// Returns the commands of a fix in blocks: what to look at, on any machine and on the node, and then what changes something.
#[must_use]
pub fn steps(commands: &[String]) -> String {
    // A report names the image that was checked; an agent has the configuration.
    let commands = commands.iter().map(|command| command.replace(CHECK_IMAGE, CHECK));
    let (change, look): (Vec<String>, Vec<String>) = commands.partition(|command| changes(command));
    let (remote, local): (Vec<String>, Vec<String>) =
        look.into_iter().partition(|command| runs_anywhere(command));
    let mut text = String::new();
    let mut block = |heading: &str, commands: &[String]| {
        if !commands.is_empty() {
            text.push_str(&format!("\n{heading}```sh\n{}\n```\n", commands.join("\n")));
        }
    };
    block("", &remote);
    block("In [a shell on the node](#a-shell-on-a-node):\n\n", &local);
    let heading = if remote.is_empty() && local.is_empty() { "" } else { "Then change what is wrong:\n\n" };
    block(heading, &change);
    text
}

/// What a report suggests instead of a check in the agent's Pod.
const CHECK_IMAGE: &str = "acr-verifier check REGISTRY.azurecr.io/REPOSITORY:TAG";

/// Turns a phrase of the catalogue into a sentence.
fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

fn write_commands(out: &mut impl Write, commands: &[impl AsRef<str>]) -> io::Result<()> {
    writeln!(out, "```sh")?;
    for command in commands {
        writeln!(out, "{}", command.as_ref())?;
    }
    writeln!(out, "```")
}
