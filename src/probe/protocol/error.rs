//! Parses error responses: who sent them, what they contain, and which reasons are recognized.
//!
//! Handles error bodies of registries, XML of Azure Storage and pages of proxies. Keeps a bounded quote of each, redacted
//! before anything is extracted or cut. `rules` interprets the response.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::observation::{Answer, Reason, Sender};
use crate::text::redact::Redactor;

/// Maximum number of error codes kept per body.
const MAX_CODES: usize = 8;

/// The parts of a response head that [`read_error`] needs.
#[derive(Debug, Default)]
pub(in crate::probe) struct Head<'answer> {
    pub(in crate::probe) status: u16,
    /// Whether it has a header that only registries send.
    pub(in crate::probe) is_registry: bool,
    pub(in crate::probe) content_type: Option<&'answer str>,
    pub(in crate::probe) correlation_id: Option<&'answer str>,
    pub(in crate::probe) retry_after: Option<&'answer str>,
    pub(in crate::probe) challenge_error: Option<String>,
}

/// Parses an error response.
pub(in crate::probe) fn read_error(
    head: &Head<'_>,
    body: &[u8],
    now: Timestamp,
    redactor: &Redactor,
) -> Answer {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<ErrorBody>,
    }
    #[derive(Deserialize)]
    struct ErrorBody {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: Option<String>,
    }
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let errors = envelope.as_ref().map(|envelope| envelope.errors.as_slice()).unwrap_or_default();
    let message = errors.iter().find_map(|error| error.message.as_deref());
    let message = message.map(|message| redactor.redact(message));
    let message = message.as_deref();
    let text = envelope.is_none().then(|| redactor.redact(&String::from_utf8_lossy(body)));
    let storage = text.as_deref().and_then(StorageError::read);
    let shown = |text: &str| redactor.show(text);
    let codes = errors.iter().map(|error| error.code.as_str());
    let codes: Vec<String> = match &storage {
        Some(error) => vec![shown(error.code)],
        None => codes.take(MAX_CODES).map(shown).collect(),
    };
    let words = match &storage {
        Some(error) => error.message.and_then(first_words),
        None => text.as_deref().and_then(first_words),
    };
    Answer {
        status: head.status,
        correlation_id: head.correlation_id.map(shown).as_deref().and_then(correlation_id).or_else(|| {
            message.and_then(|message| message.split("CorrelationId: ").nth(1)).and_then(correlation_id)
        }),
        retry_after: head.retry_after.and_then(|value| retry_after(value, now)),
        reason: reason_of(&codes, message.unwrap_or_default()),
        codes,
        message: message.map(shown).or(words).filter(|message| !message.is_empty()),
        challenge_error: head.challenge_error.as_deref().map(shown),
        seen_address: message.and_then(seen_address),
        get_status: None,
        sender: match text.as_deref().map(str::trim) {
            _ if storage.is_some() => Sender::Storage,
            None => Sender::Registry,
            Some(_) if head.is_registry => Sender::Registry,
            Some(text) if head.content_type.is_some_and(is_html) || text.starts_with('<') => Sender::Page,
            Some("") => Sender::Unknown,
            Some(_) if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => Sender::Unknown,
            Some(_) => Sender::Text,
        },
    }
}

/// The first words of a body, to append to a phrase, if it is a page. Other bodies are not quoted: one that should have been
/// a token response could contain a token.
pub(in crate::probe) fn words_of_page(body: &[u8], redactor: &Redactor) -> String {
    let text = redactor.redact(&String::from_utf8_lossy(body));
    let words = Some(text.trim_start()).filter(|text| text.starts_with('<')).and_then(first_words);
    words.map(|words| format!(" (\"{words}\")")).unwrap_or_default()
}

/// Whether a `Content-Type` is HTML.
pub(in crate::probe) fn is_html(content_type: &str) -> bool {
    content_type.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
}

/// Recognizes the reason in a registry's error. Codes and messages are ACR's; only the parts common to all known wordings are
/// matched.
fn reason_of(codes: &[String], message: &str) -> Reason {
    let message = message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if says("client with ip") && says("not allowed access") || says("aka.ms/acr/firewall") {
        Reason::Firewall
    } else if says("cache rule") || says("source registry") {
        Reason::CacheRule
    } else if codes.iter().any(|code| code.eq_ignore_ascii_case("IMAGE_QUARANTINED"))
        || says("image is quarantined")
    {
        Reason::Quarantine
    } else {
        Reason::Unstated
    }
}

/// The first words of an already redacted text of unknown format: the title of a page, otherwise the text between its tags.
fn first_words(text: &str) -> Option<String> {
    const LONGEST: usize = 120;
    // Compressed, encrypted or not UTF-8: no words.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let start = start + lower[start..].find('>')? + 1;
        Some(&text[start..start + lower[start..].find('<')?])
    });
    let spoken = match title.filter(|title| !title.trim().is_empty()) {
        Some(title) => title.to_owned(),
        None => without_tags(text),
    };
    let words: Vec<&str> = spoken.split_whitespace().collect();
    let words = words.join(" ");
    let mut shown: String = words.chars().take(LONGEST).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    (!shown.is_empty()).then_some(shown)
}

/// Strips tags, scripts and styles, roughly as a browser would.
fn without_tags(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        shown.push_str(before);
        shown.push(' ');
        let name = tag.get(..6).unwrap_or(tag).to_ascii_lowercase();
        let is_code = name.starts_with("script") || name.starts_with("style");
        let behind = if is_code { tag.split_once("</").map_or("", |(_, end)| end) } else { tag };
        rest = behind.split_once('>').map_or("", |(_, behind)| behind);
    }
    shown.push_str(rest);
    shown
}

/// Accepts only a GUID-shaped ID.
pub(in crate::probe) fn correlation_id(text: &str) -> Option<String> {
    let id: String =
        text.chars().take_while(|character| character.is_ascii_alphanumeric() || *character == '-').collect();
    (8..=64).contains(&id.len()).then_some(id)
}

/// Parses `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3), capped at one day.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default().min(LONGEST))
}

/// The address in `client with IP '203.0.113.7' is not allowed access`, the common part of the three known wordings.
fn seen_address(message: &str) -> Option<IpAddr> {
    let lower = message.to_ascii_lowercase();
    let rest = &lower[lower.find("client with ip")? + "client with ip".len()..];
    let rest = rest.trim_start_matches([' ', '\'', '"', ':']);
    let end = rest.find(|character: char| !character.is_ascii_hexdigit() && !".:".contains(character))?;
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

/// An XML error of Azure Storage, which sends an invisible byte order mark first.
struct StorageError<'text> {
    code: &'text str,
    message: Option<&'text str>,
}

impl<'text> StorageError<'text> {
    fn read(text: &'text str) -> Option<Self> {
        let text = text.trim_start();
        if !text.starts_with("<?xml") && !text.starts_with("<Error") {
            return None;
        }
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
        };
        Some(Self { code: element("Code")?, message: element("Message") })
    }
}
