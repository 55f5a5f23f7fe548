//! A verdict as a word, a shape and a color; each of them is sufficient.

use maud::{Markup, html};

use crate::run::CheckRun;
use crate::verdict::Verdict;

/// The verdict in capitals.
pub(super) const fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "NOT CHECKED YET",
        Some(Verdict::Pass) => "PASS",
        Some(Verdict::Warn) => "WARN",
        Some(Verdict::Unknown) => "UNKNOWN",
        Some(Verdict::Fail) => "FAIL",
    }
}

/// The CSS class that sets the colors.
pub(super) const fn class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None | Some(Verdict::Unknown) => "unknown",
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Warn) => "warn",
        Some(Verdict::Fail) => "fail",
    }
}

/// The word with its color and shape.
pub(super) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (class(Some(verdict))) } { (icon(Some(verdict))) (word(Some(verdict))) } }
}

/// The result of the run in one line.
pub(super) fn headline(run: Option<&CheckRun>) -> String {
    let Some(run) = run else { return "Not checked yet".to_owned() };
    let total = run.images.len();
    let verdict = run.verdict();
    let such = run.images.iter().filter(|checked| checked.verdict() == verdict).count();
    match (verdict, total) {
        (Verdict::Unknown, 0) => "No image was checked".to_owned(),
        (Verdict::Pass, 1) => "The image can be pulled".to_owned(),
        (Verdict::Pass, _) => format!("All {total} images can be pulled"),
        (Verdict::Warn, 1) => "The image can be pulled, with warnings".to_owned(),
        (Verdict::Warn, _) => format!("All {total} images can be pulled, with warnings"),
        (Verdict::Unknown, 1) => "The check was inconclusive".to_owned(),
        (Verdict::Unknown, _) => format!("{such} of {total} image checks were inconclusive"),
        (Verdict::Fail, 1) => "The image cannot be pulled".to_owned(),
        (Verdict::Fail, _) => format!("{such} of {total} images cannot be pulled"),
    }
}

/// A tick in a circle, an exclamation mark in a triangle, a question mark in a diamond, a cross in an octagon.
pub(super) fn icon(verdict: Option<Verdict>) -> Markup {
    let (outline, sign) = match verdict {
        Some(Verdict::Pass) => ("M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M7 12.5l3.5 3.5l6.5-7.5"),
        Some(Verdict::Warn) => ("M12 2.5l10.5 18.5h-21z", "M12 9.5v5M12 17.6v.4"),
        None | Some(Verdict::Unknown) => {
            ("M12 2l10 10l-10 10l-10-10z", "M9.6 9.8a2.5 2.5 0 1 1 3.6 2.3q-1.2.6-1.2 1.8M12 16.8v.2")
        }
        Some(Verdict::Fail) => ("M8 2h8l6 6v8l-6 6h-8l-6-6v-8z", "M8.5 8.5l7 7M15.5 8.5l-7 7"),
    };
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            path.outline d=(outline) {}
            path.sign d=(sign) {}
        }
    }
}

/// The icon of the browser tab; its medium tones stand out on light and dark.
pub(super) const fn favicon(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Pass) => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Ccircle cx='12' \
             cy='12' r='11' fill='%23168a4c'/%3E%3Cpath d='M7 12.5l3.5 3.5 6.5-7.5' stroke='%23fff' stroke-width='3' \
             fill='none'/%3E%3C/svg%3E"
        }
        Some(Verdict::Warn) => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath d='M12 1l11 \
             21H1z' fill='%23d18a00'/%3E%3Cpath d='M12 8v7M12 17v3' stroke='%23000' stroke-width='3'/%3E%3C/svg%3E"
        }
        None | Some(Verdict::Unknown) => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath d='M12 1l11 \
             11-11 11L1 12z' fill='%237a5cd6'/%3E%3Cpath d='M12 6v8M12 16v3' stroke='%23fff' \
             stroke-width='3'/%3E%3C/svg%3E"
        }
        Some(Verdict::Fail) => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath d='M7 1h10l6 \
             6v10l-6 6H7l-6-6V7z' fill='%23d02a30'/%3E%3Cpath d='M8 8l8 8M16 8l-8 8' stroke='%23fff' \
             stroke-width='3'/%3E%3C/svg%3E"
        }
    }
}
