//! The status page as text: well formed, self-contained, and correct in every state. `browser` checks how it looks.

use acr_verifier::page::{self, Reload};
use acr_verifier::status::AgentState;

use super::states::{self, NOW, POISON};

fn render(status: &AgentState) -> String {
    let mut out = Vec::new();
    page::write(&mut out, status, NOW.parse().expect("a moment"), Reload::Off)
        .expect("writing to memory cannot fail");
    String::from_utf8(out).expect("UTF-8")
}

fn state(name: &str) -> String {
    let (_, status) = states::all().into_iter().find(|(known, _)| *known == name).expect("a state");
    render(&status)
}

/// The text without its markup.
fn words(page: &str) -> String {
    let body = page.split_once("<body").expect("a body").1;
    let mut words = String::new();
    let mut inside = true;
    for character in body.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if inside => {}
            _ => words.push(character),
        }
    }
    words
}

/// Every element of the document in order: name and raw attributes.
fn elements(page: &str) -> Vec<(String, String)> {
    let (head, rest) = page.split_once("<style>").expect("a style");
    let (_, rest) = rest.split_once("</style>").expect("its end");
    let without_style = format!("{head}{rest}");
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = without_style.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|character| character.is_ascii_alphanumeric()), "{name:?}");
        if !["meta", "link", "br", "hr", "img"].contains(&name) {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), attributes.to_owned()));
    }
    assert!(open.is_empty(), "left open: {open:?}");
    found
}

#[test]
fn every_state_is_well_formed_and_self_contained() {
    for (name, status) in states::all() {
        let page = render(&status);
        let elements = elements(&page);
        for (element, attributes) in &elements {
            assert!(
                !["script", "img", "iframe", "object", "embed", "base"].contains(&element.as_str()),
                "{name}: {element}"
            );
            assert!(!attributes.contains("src="), "{name}: {attributes}");
            assert!(!attributes.contains(" on") && !attributes.starts_with("on"), "{name}: {attributes}");
            // The policy allows only the style of the one element.
            assert!(!attributes.contains("style="), "{name}: {attributes}");
            if element == "a" && attributes.contains("://") {
                assert!(attributes.contains("rel=\"noopener noreferrer\""), "{name}: {attributes}");
            }
        }
        let ids: Vec<_> =
            elements.iter().filter_map(|(_, attributes)| attributes.split("id=\"").nth(1)).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(ids.len(), unique.len(), "{name}: {ids:?}");
        assert!(page.len() < 100_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn hostile_text_is_escaped() {
    let page = state("hostile");
    for forbidden in ["<script", "<img", "--><", "\u{1b}", "\u{202e}", "<style>*"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(POISON.contains("<script>alert(1)</script>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{page}");
    assert!(page.contains("&amp;amp;"), "an entity in foreign text is escaped, too");
}

#[test]
fn each_state_shows_its_text() {
    for (name, texts) in [
        ("before-the-first-check", &["Not checked yet", "The first check is running"][..]),
        (
            "pass",
            &[
                "The image can be pulled",
                "PASS since 01:37:00 UTC, for 29 min",
                "12 s ago",
                "Checks run every 60 s",
            ],
        ),
        ("warn", &["can be pulled, with warnings", "Warning: certificate_expiring at login.tls"]),
        (
            "fail-login",
            &[
                "The image cannot be pulled",
                "Problem: private_zone_not_linked at login.address",
                "az network",
                "CNAME, ttl 60we.fe.azcr.io",
                "20.45.122.144public",
                "10.60.4.4private",
                "DNS answers of 2 nameservers",
            ],
        ),
        ("fail-data", &["Problem: private_record_missing at data.dns", "endsNXDOMAIN from zone"]),
        (
            "pass-expected",
            &[
                "exactly the expected addresses of contoso.azurecr.io, some of the expected addresses of",
                "10.60.4.4 is expected",
                "10.60.4.5expected",
            ],
        ),
        (
            "fail-expected",
            &[
                "Problem: unexpected_address at login.address",
                "10.60.4.4expected",
                "10.60.4.5unexpected (expected 10.60.4.4)",
                "10.60.4.5 belongs to contoso.westeurope.data.azurecr.io: the records may be swapped.",
                "az network private-dns record-set a add-record",
            ],
        ),
        ("unknown", &["The check was inconclusive", "Inconclusive: throttled at login.manifest"]),
        ("configuration-rejected", &["A newer configuration was rejected", "schedule.interval"]),
        ("several", &["1 of 3 images cannot be pulled", "Correlation id: 6a1f0a52"]),
        ("without-blob", &["not tested: --no-blob", "The image can be pulled"]),
        ("late", &["Stale data", "No check has completed for 31 min", "2026-11-22 22:04 UTC"]),
    ] {
        let page = state(name);
        let words = words(&page);
        for expected in texts {
            assert!(words.contains(expected), "{name} lacks {expected:?}: {words}");
        }
    }
    assert!(state("several").contains("<title>FAIL · aks-np1-12345678-vmss000000 · acr-verifier</title>"));
}

#[test]
fn the_page_reloads_only_on_request() {
    let status = states::healthy();
    assert!(!render(&status).contains("http-equiv"));
    let mut out = Vec::new();
    page::write(&mut out, &status, NOW.parse().expect("a moment"), Reload::On)
        .expect("writing to memory cannot fail");
    let page = String::from_utf8(out).expect("UTF-8");
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"20\">"));
    assert!(page.contains("Stop reloading"));
}

#[test]
fn a_clock_set_back_does_not_break_the_page() {
    let status = states::healthy();
    let mut out = Vec::new();
    let earlier = "2026-11-23T01:00:00Z".parse().expect("a moment");
    page::write(&mut out, &status, earlier, Reload::Off).expect("writing to memory cannot fail");
}

#[test]
fn the_longest_history_stays_small() {
    let mut status = states::healthy();
    status.interval = std::time::Duration::from_secs(5);
    let latest = status.history.back().expect("a check").clone();
    status.history.clear();
    for step in (0..720).rev() {
        let mut past = latest.clone();
        past.at -= std::time::Duration::from_secs(step * 5);
        past.cause = if step % 2 == 0 { None } else { Some("throttled") };
        status.history.push_back(past);
    }
    assert!(render(&status).len() < 150_000);
}
