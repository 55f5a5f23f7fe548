//! The forms of lists, counts and durations in sentences.
//!
//! Durations are rounded to what a reader needs, with SI units. jiff would print all units of a duration.

use std::time::Duration;

/// Joins a list for a sentence: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Counts a noun: `1 node`, `2 nodes`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

/// Formats a configured duration: `5 s`, `250 ms`.
#[must_use]
pub fn limit(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// Formats a measured duration in at most seven columns: `<0.1 ms`, `0.4 ms`, `84 ms`, `1.23 s`.
#[must_use]
pub fn taken(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    if millis < 0.05 {
        "<0.1 ms".to_owned()
    } else if millis < 9.95 {
        format!("{millis:.1} ms")
    } else if millis < 999.5 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// Formats an age or interval, as exactly as a reader needs: `12 s`, `4 min`, `3 h 20 min`, `2 days`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        172_800.. => format!("{days} days"),
    }
}
