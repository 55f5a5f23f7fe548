//! The Markdown report of a smoke check, for job summaries in GitHub and Azure DevOps.
//!
//! Owns the escaping: text from the cluster or an agent never becomes markup, a link or a mention. The output stays far below
//! GitHub's limit of 1 MiB per step. Libraries parse Markdown; none of them escapes text for both systems.

use std::io::{self, Write};

use super::{MAX_COMMANDS, MAX_GROUPS, headline, rows, sentence};
use crate::fleet::Fleet;
use crate::fleet::difference::differences;
use crate::fleet::evaluation::{Evaluation, Group};
use crate::text::sanitize::printable;
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, pasteable};
use crate::verdict::{Severity, Verdict};

/// Table rows: only nodes with problems, the worst first.
const MAX_ROWS: usize = 100;
/// Bytes of all groups, and also of the table: an eighth of GitHub's limit, whatever agents report.
const MAX_BYTES: usize = 128 * 1_024;
/// Maximum width of a cell in characters: names of AKS nodes have about 35.
const MAX_CELL: usize = 120;

/// Writes a smoke check as Markdown.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, fleet: &Fleet, evaluation: &Evaluation) -> io::Result<()> {
    let sign = match evaluation.verdict {
        Verdict::Pass => "✅",
        Verdict::Warn => "⚠️",
        Verdict::Unknown => "❔",
        Verdict::Fail => "❌",
    };
    writeln!(out, "## {sign} Registry smoke check: {}\n", evaluation.verdict)?;
    writeln!(out, "{}\n", escaped(&sentence(fleet, evaluation), MAX_TEXT))?;
    let mut left = MAX_BYTES;
    for (index, group) in evaluation.groups.iter().enumerate() {
        let mut section = Vec::new();
        write_group(&mut section, fleet, evaluation, group)?;
        if index == MAX_GROUPS || section.len() > left {
            let more = evaluation.groups.len() - index;
            writeln!(out, "Groups not shown: {more}; the JSON report has all of them.\n")?;
            break;
        }
        left -= section.len();
        out.write_all(&section)?;
    }
    write_table(out, fleet)
}

fn write_group(
    out: &mut impl Write,
    fleet: &Fleet,
    evaluation: &Evaluation,
    group: &Group,
) -> io::Result<()> {
    writeln!(out, "### {}\n", escaped(&headline(group, evaluation), MAX_TEXT))?;
    let label = match group.severity {
        Severity::Fail | Severity::Unknown => "Problem",
        Severity::Warn => "Warning",
    };
    let of = group.example_of.as_ref().map(|node| format!(" ({})", escaped(node, MAX_WORD)));
    let message = escaped(&group.example.message, MAX_TEXT);
    writeln!(out, "**{label}{}:** {message}\n", of.unwrap_or_default())?;
    writeln!(out, "**Fix:** {}\n", escaped(&group.example.remedy, MAX_TEXT))?;
    if !group.example.commands.is_empty() {
        let commands: Vec<String> =
            group.example.commands.iter().take(MAX_COMMANDS).map(|command| pasteable(command)).collect();
        let fence = fence(&commands);
        writeln!(out, "{fence}sh\n{}\n{fence}\n", commands.join("\n"))?;
    }
    for difference in differences(fleet, group) {
        writeln!(out, "**Differs:** {}\n", escaped(&difference.sentence(), MAX_TEXT))?;
    }
    // Only our own URL becomes a link.
    if let Some(runbook) = group.example.runbook.as_deref().filter(|link| is_ours(link)) {
        writeln!(out, "[Runbook]({runbook})\n")?;
    }
    Ok(())
}

fn write_table(out: &mut impl Write, fleet: &Fleet) -> io::Result<()> {
    let rows = rows(fleet);
    let shown: Vec<_> = rows.iter().filter(|row| row.rank != 3).collect();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "| pool | node | verdict | stage | cause |\n| --- | --- | --- | --- | --- |")?;
    let mut left = MAX_BYTES;
    for (index, row) in shown.iter().enumerate() {
        let cells = [&row.pool, &row.node, &row.verdict, &row.stage, &row.cause];
        let cells: Vec<String> = cells.into_iter().map(|cell| escaped(cell, MAX_CELL)).collect();
        let line = cells.join(" | ");
        if index == MAX_ROWS || line.len() > left {
            let more = shown.len() - index;
            return writeln!(out, "\nLines not shown: {more}; the JSON report has all of them.");
        }
        left -= line.len();
        writeln!(out, "| {line} |")?;
    }
    Ok(())
}

fn is_ours(link: &str) -> bool {
    let rest = link.strip_prefix(super::super::RUNBOOK).and_then(|rest| rest.strip_prefix('#'));
    rest.is_some_and(|anchor| {
        anchor.chars().all(|character| matches!(character, 'a'..='z' | '_' | '0'..='9'))
    })
}

/// Returns a fence longer than any run of backticks in the commands, so that none of them closes it.
fn fence(commands: &[String]) -> String {
    let longest =
        commands.iter().flat_map(|command| command.split(|character| character != '`')).map(str::len);
    "`".repeat(longest.max().unwrap_or(0).max(2) + 1)
}

/// Escapes every character that could be markup in Markdown or HTML. Mentions and URLs are broken up, so that no user is
/// notified and nothing becomes a link.
fn escaped(text: &str, limit: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text, limit).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // An entity becomes a mention again once it is decoded; a comment breaks up the text.
            '@' => escaped.push_str("@<!-- -->"),
            '.' if ends_with_www(&escaped) => escaped.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // `https://` and `www.` become links automatically.
            ':' => escaped.push_str("&#58;"),
            character => escaped.push(character),
        }
    }
    escaped
}

fn ends_with_www(text: &str) -> bool {
    text.as_bytes().last_chunk::<3>().is_some_and(|last| last.eq_ignore_ascii_case(b"www"))
}

#[cfg(test)]
mod tests {
    use super::{escaped, fence, is_ours};

    #[test]
    fn text_never_becomes_markup() {
        for (text, shown) in [
            ("private_zone_not_linked", "private\\_zone\\_not\\_linked"),
            ("a|b", "a\\|b"),
            ("<script>", "&lt;script&gt;"),
            ("@everyone [x](http://evil)", "@<!-- -->everyone \\[x\\]\\(http&#58;//evil\\)"),
            ("www.evil Www.evil", "www&#46;evil Www&#46;evil"),
            ("line\nbreak", "line break"),
        ] {
            assert_eq!(escaped(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_run_of_backticks_inside() {
        assert_eq!(fence(&["echo".to_owned()]), "```");
        assert_eq!(fence(&["echo ```` x".to_owned()]), "`````");
    }

    #[test]
    fn only_the_runbook_is_linked() {
        assert!(is_ours(&format!("{}#private_zone_not_linked", super::super::super::RUNBOOK)));
        assert!(!is_ours(&format!("{}#x)[y](http://evil", super::super::super::RUNBOOK)));
        assert!(!is_ours("https://evil/#x"));
    }
}
