//! The smoke check for the summary of a pipeline's run: Markdown, as GitHub and Azure DevOps show it.
//!
//! Owns the escaping: nothing that came from the cluster or from an agent becomes markup, a link or a mention. It stays far
//! below the 1 MiB that GitHub takes for a step.

use std::io::{self, Write};

use super::{MAX_COMMANDS, MAX_GROUPS, headline, rows, sentence};
use crate::diagnosis::{Severity, Verdict};
use crate::fleet::Fleet;
use crate::fleet::difference::differences;
use crate::fleet::judgement::{Group, Judgement};
use crate::legible::printable;
use crate::legible::{MAX_TEXT, MAX_WORD, pasteable};

/// Nodes that are shown a line each: what is not well, the worst first.
const MAX_ROWS: usize = 100;
/// Bytes of all groups, and again of the table: an eighth of what GitHub takes, whatever agents say.
const MAX_BYTES: usize = 128 * 1_024;
/// Widest a cell gets, in characters: the names of AKS nodes have about 35.
const MAX_CELL: usize = 120;

/// Writes a smoke check.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, fleet: &Fleet, judgement: &Judgement) -> io::Result<()> {
    let sign = match judgement.verdict {
        Verdict::Pass => "✅",
        Verdict::Warn => "⚠️",
        Verdict::Unknown => "❔",
        Verdict::Fail => "❌",
    };
    writeln!(out, "## {sign} Registry smoke check: {}\n", judgement.verdict)?;
    writeln!(out, "{}\n", escaped(&sentence(fleet, judgement), MAX_TEXT))?;
    let mut left = MAX_BYTES;
    for (index, group) in judgement.groups.iter().enumerate() {
        let mut section = Vec::new();
        write_group(&mut section, fleet, judgement, group)?;
        if index == MAX_GROUPS || section.len() > left {
            let more = judgement.groups.len() - index;
            writeln!(out, "Groups left out: {more}; the JSON report has all of them.\n")?;
            break;
        }
        left -= section.len();
        out.write_all(&section)?;
    }
    write_table(out, fleet)
}

fn write_group(out: &mut impl Write, fleet: &Fleet, judgement: &Judgement, group: &Group) -> io::Result<()> {
    writeln!(out, "### {}\n", escaped(&headline(group, judgement), MAX_TEXT))?;
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
    // Our own address alone becomes a link.
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
            return writeln!(out, "\nLines left out: {more}; the JSON report has all of them.");
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

/// Longer than any row of backticks inside, so that no command ends it.
fn fence(commands: &[String]) -> String {
    let longest =
        commands.iter().flat_map(|command| command.split(|character| character != '`')).map(str::len);
    "`".repeat(longest.max().unwrap_or(0).max(2) + 1)
}

/// Text that shows as itself: every character that could be markup, in Markdown or HTML, is escaped, and names of
/// people and addresses are broken so that nobody is notified and nothing becomes a link by itself.
fn escaped(text: &str, limit: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text, limit).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // An entity alone is a mention again once it is decoded; a comment parts the text.
            '@' => escaped.push_str("@<!-- -->"),
            '.' if ends_with_www(&escaped) => escaped.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // `https://` and `www.` become links by themselves.
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
    fn nothing_becomes_markup() {
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
    fn a_fence_is_longer_than_what_it_holds() {
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
