//! Scalar types of the JSON report: enumerated words, seconds and timestamps.
//!
//! Owns their serialisation, so that the domain types need none.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::observation::{CredentialsUsed, Endpoint, Stage, TrustedBy};
use crate::run::{Extent, NetworkView, StageStatus};
use crate::text::quote::quote;
use crate::verdict::{Severity, Verdict};

/// A value of a closed list, serialised as its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<T>(pub T);

/// A closed list whose values have words.
pub trait Listed: Copy + 'static {
    /// Name of the list, for the error about an invalid word.
    const OF: &'static str;

    /// Every value.
    fn all() -> &'static [Self];

    /// Returns the word used in reports.
    fn word(self) -> &'static str;
}

macro_rules! listed {
    ($type:ty, $of:literal, $all:expr) => {
        impl Listed for $type {
            const OF: &'static str = $of;

            fn all() -> &'static [Self] {
                $all
            }

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

listed!(Verdict, "verdict", &Self::ALL);
listed!(Severity, "severity", &[Self::Fail, Self::Unknown, Self::Warn]);
listed!(StageStatus, "status", &Self::ALL);
listed!(Extent, "extent", &Self::ALL);
listed!(NetworkView, "network view", &Self::ALL);
listed!(TrustedBy, "trust store", &Self::ALL);
listed!(Endpoint, "endpoint", &Self::ALL);
listed!(CredentialsUsed, "credentials source", &Self::ALL);
listed!(Stage, "stage", &Self::ALL);

impl<T: Listed> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Listed> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        T::all()
            .iter()
            .find(|value| value.word() == text)
            .map(|&value| Self(value))
            .ok_or_else(|| D::Error::custom(format_args!("{} is not a valid {}", quote(&text), T::OF)))
    }
}

/// A duration, written as a number of seconds with at most six decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// Returns the duration in microsecond precision.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        let micros = duration.saturating_add(Duration::from_nanos(500)).as_micros();
        Self(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(Self::from).map_err(D::Error::custom)
    }
}

/// A point in time, serialised as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
