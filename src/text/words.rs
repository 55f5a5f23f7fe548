//! The forms of lists, counts and durations in sentences.
//!
//! Durations are rounded to what a reader needs, with SI units. jiff would print all units of a duration.

use std::time::Duration;

/// Joins a list for a sentence: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    joined(items, usize::MAX, "and")
}

/// Joins the first items of a list and counts the others: `a and b`, `a, b and 3 more`.
#[must_use]
pub fn some_of<T: AsRef<str>>(items: &[T], most: usize) -> String {
    joined(items, most, "and")
}

/// Joins the first alternatives and counts the others: `a or b`, `a, b or 3 more`.
#[must_use]
pub fn any_of<T: AsRef<str>>(items: &[T], most: usize) -> String {
    joined(items, most, "or")
}

fn joined<T: AsRef<str>>(items: &[T], most: usize, conjunction: &str) -> String {
    let commas = |items: &[T]| items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match items {
        [shown @ .., last] if items.len() <= most && !shown.is_empty() => {
            format!("{} {conjunction} {}", commas(shown), last.as_ref())
        }
        all if all.len() <= most => commas(all),
        all => format!("{} {conjunction} {} more", commas(&all[..most]), all.len() - most),
    }
}

/// Counts a noun: `1 node`, `2 nodes`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {}", noun_of(count, noun))
}

/// Returns a noun in the form for a count: `node`, `nodes`.
#[must_use]
pub fn noun_of(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// Returns a verb in the form for a count of subjects: `resolves`, `resolve`.
#[must_use]
pub fn verb_of(count: usize, verb: &str) -> String {
    if count == 1 { format!("{verb}s") } else { verb.to_owned() }
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

/// Formats a duration in whole seconds, rounded down: `5 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Formats a remaining time in whole hours or days: `less than an hour`, `5 hours`, `12 days`.
#[must_use]
pub fn left(duration: Duration) -> String {
    let hours = usize::try_from(duration.as_secs() / 3_600).unwrap_or(usize::MAX);
    match hours {
        0 => "less than an hour".to_owned(),
        1..=47 => plural(hours, "hour"),
        48.. => plural(hours / 24, "day"),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{any_of, left, list, noun_of, plural, some_of, verb_of};

    #[test]
    fn lists_have_a_conjunction_before_their_last_item() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(any_of(&["a", "b", "c"], 3), "a, b or c");
        assert_eq!(any_of(&["a", "b", "c"], 2), "a, b or 1 more");
        assert_eq!(some_of(&["a"], 3), "a");
        assert_eq!(some_of(&["a", "b", "c", "d"], 1), "a and 3 more");
    }

    #[test]
    fn nouns_and_verbs_agree_with_their_count() {
        assert_eq!((plural(1, "node"), plural(0, "node")), ("1 node".to_owned(), "0 nodes".to_owned()));
        assert_eq!((noun_of(1, "node"), verb_of(1, "resolve")), ("node".to_owned(), "resolves".to_owned()));
        assert_eq!((noun_of(2, "node"), verb_of(2, "resolve")), ("nodes".to_owned(), "resolve".to_owned()));
    }

    #[test]
    fn a_remaining_time_is_given_in_hours_or_days() {
        for (hours, words) in [(0, "less than an hour"), (1, "1 hour"), (47, "47 hours"), (48, "2 days")] {
            assert_eq!(left(Duration::from_secs(hours * 3_600 + 1)), words);
        }
    }
}
