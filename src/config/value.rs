//! Parsers of single values: durations, ranges, addresses, names.
//!
//! Owns the accepted forms and the errors for all others. The command line and the configuration file share them, so a
//! value means the same in both. The caller adds the key or flag.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, fmt::friendly::SpanParser};

use crate::address::NameserverAddress;
use crate::image::{ImageReference, is_host_name};
use crate::text::quote::quote_value;

/// The longest duration of any setting: no setting needs more than a day.
pub const LONGEST: Duration = Duration::from_hours(24);
/// The shortest duration of a limit.
pub const SHORTEST_LIMIT: Duration = Duration::from_millis(1);
/// The shortest interval of the agent: a shorter one would only measure the registry's throttling.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Longest name of an image or a resolver: as long as a Kubernetes label value.
const MAX_NAME: usize = 63;

/// Why a value is invalid, and what is expected instead.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The value as written; absent if it has no text, or must not be shown.
    value: Option<String>,
    /// What is wrong with it; absent if `expected` says enough.
    reason: Option<String>,
    /// What is expected, to follow that word.
    pub(super) expected: String,
}

impl Refusal {
    /// Rejects a value that can be quoted.
    #[must_use]
    pub fn new(value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { value: Some(value.into()), reason: None, expected: expected.into() }
    }

    /// Rejects a value that is described rather than quoted, such as a list.
    #[must_use]
    pub fn unquoted(reason: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { value: None, reason: Some(reason.into()), expected: expected.into() }
    }

    /// Adds what is wrong with the value.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Adds the value, such as the path of the file whose content was described.
    #[must_use]
    pub fn of(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    /// Returns the value as written; `None` if it has no text, or must not be shown.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The message about the value of this key: `invalid value "5" for schedule.interval: expected …`.
    #[must_use]
    pub fn about(&self, key: &str) -> String {
        let value = self.value().map(|value| format!(" {}", quote_value(value))).unwrap_or_default();
        let key = if key.is_empty() { String::new() } else { format!(" for {key}") };
        format!("invalid value{value}{key}: {self}")
    }
}

/// Formats the part after the value: clap puts the value and the flag before it.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            write!(formatter, "{reason}; ")?;
        }
        write!(formatter, "expected {}", self.expected)
    }
}

/// Shows the message, which hides a password in the value.
impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Refusal").field(&self.about("")).finish()
    }
}

impl std::error::Error for Refusal {}

/// A duration such as `60s`, `1m30s` or `500ms`, from `shortest` to [`LONGEST`].
///
/// # Errors
/// The text is not a duration, has no unit, or is out of bounds.
pub fn duration(text: &str, shortest: Duration) -> Result<Duration, Refusal> {
    let refusal = || {
        let bound = |limit: Duration| format!("{:#}", SignedDuration::try_from(limit).unwrap_or_default());
        let expected = format!(
            "a duration from {} to {} with a unit, such as 60s, 1m30s or 500ms",
            bound(shortest),
            bound(LONGEST)
        );
        Refusal::new(text, expected)
    };
    let parsed = SpanParser::new().parse_duration(text).map_err(|_| refusal())?;
    let duration = Duration::try_from(parsed).map_err(|_| refusal())?;
    if (shortest..=LONGEST).contains(&duration) { Ok(duration) } else { Err(refusal()) }
}

/// A range of addresses, `10.60.4.0/24`. An address with bits beyond the prefix is rejected, because either the address
/// or the range may be meant.
///
/// # Errors
/// The text is not a range, or is an address inside one.
pub fn cidr(text: &str) -> Result<IpNet, Refusal> {
    const EXPECTED: &str = "a CIDR such as 10.60.4.0/24 or fd00:60::/64";
    if let Ok(range) = text.parse::<IpNet>() {
        if range.addr() == range.network() {
            return Ok(range);
        }
        let reason = format!("it is an address inside the range {}", range.trunc());
        return Err(Refusal::new(text, EXPECTED).because(reason));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let reason = format!("the prefix length is missing ({} is this address only)", IpNet::from(address));
        return Err(Refusal::new(text, EXPECTED).because(reason));
    }
    Err(Refusal::new(text, EXPECTED))
}

/// The address of a nameserver; the default port is 53.
///
/// # Errors
/// The text is not an address, or its port is 0.
pub fn nameserver(text: &str) -> Result<NameserverAddress, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            text,
            "an IP address with an optional port, such as 10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53",
        )
    })
}

/// A resolver to compare with, written `NAME=ADDRESS`.
///
/// # Errors
/// There is no `=`, or one of its sides is invalid.
pub fn named_nameserver(text: &str) -> Result<(String, NameserverAddress), Refusal> {
    let Some((name, address)) = text.split_once('=') else {
        return Err(Refusal::new(text, "NAME=ADDRESS, such as azure=168.63.129.16"));
    };
    Ok((
        resolver_name(name).map_err(|refusal| of_side(refusal, "name", name))?,
        nameserver(address).map_err(|refusal| of_side(refusal, "address", address))?,
    ))
}

/// Names the side of `NAME=ADDRESS` that is invalid, unless the reason is enough.
pub(super) fn of_side(refusal: Refusal, side: &str, text: &str) -> Refusal {
    match refusal.reason {
        Some(_) => refusal,
        None => refusal.because(format!("invalid {side} {}", quote_value(text))),
    }
}

/// The operator's name for an image: a label value in metrics.
///
/// # Errors
/// The name is empty, too long, or has other characters.
pub fn name(text: &str) -> Result<String, Refusal> {
    let valid = (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if valid {
        return Ok(text.to_owned());
    }
    Err(Refusal::new(text, "1 to 63 letters, digits, `_`, `.` and `-`"))
}

/// The operator's name for a resolver; `system` is reserved for the node's own nameservers.
///
/// # Errors
/// As for [`name`], and the name is `system`.
pub fn resolver_name(text: &str) -> Result<String, Refusal> {
    if text == "system" {
        let refusal = Refusal::new(text, "another name for a resolver to compare with");
        return Err(refusal.because("the name is reserved for the node's own nameservers"));
    }
    name(text)
}

/// The reference of an image.
///
/// # Errors
/// As for [`ImageReference`].
pub fn image(text: &str) -> Result<ImageReference, Refusal> {
    text.parse::<ImageReference>().map_err(|error| {
        Refusal::new(text, "LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]").because(error.to_string())
    })
}

/// A host name, in lower case.
///
/// # Errors
/// The text is not a valid host name.
pub fn host(text: &str) -> Result<String, Refusal> {
    if is_host_name(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Refusal::new(
        text,
        "a host name without scheme, port or path, such as contoso.westeurope.data.azurecr.io",
    ))
}

/// A time as in RFC 3339.
///
/// # Errors
/// The text is not a time, or has no offset from UTC.
pub fn timestamp(text: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| Refusal::new(text, "an RFC 3339 time such as 2027-05-01T00:00:00Z"))
}

/// A path that is not empty.
///
/// # Errors
/// The text is empty.
pub fn path(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(text, "a path"));
    }
    Ok(PathBuf::from(text))
}

/// Parses the client id of an identity.
///
/// # Errors
/// It is not a GUID.
pub fn client_id(text: &str) -> Result<String, Refusal> {
    if is_guid(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let expected = "a client id such as 3fa85f64-5717-4562-b3fc-2c963f66afa6, from `az aks show --query \
                    identityProfile.kubeletidentity.clientId`";
    Err(Refusal::new(text, expected))
}

/// The error about an identity for a registry that cannot exchange its token.
#[must_use]
pub fn identity_elsewhere(image: &ImageReference) -> Refusal {
    let found =
        format!("an identity pulls only from an Azure Container Registry, and {} is none", image.host());
    Refusal::unquoted(found, "an image of *.azurecr.io, *.azurecr.us or *.azurecr.cn")
}

/// Whether a text is a GUID: 8-4-4-4-12 hexadecimal digits.
#[must_use]
pub fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::{SHORTEST_LIMIT, cidr, duration, host, image, name, named_nameserver, nameserver, timestamp};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, milliseconds) in
            [("60s", 60_000), ("1m30s", 90_000), ("500ms", 500), ("24h", 86_400_000), ("1.5s", 1_500)]
        {
            assert_eq!(duration(text, SHORTEST_LIMIT), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "60",
            "0s",
            "-5s",
            "5s ago",
            "25h",
            "1d",
            "1y",
            "abc",
            "60 seconds please",
            "999999999999999999999s",
        ] {
            let refusal = duration(text, SHORTEST_LIMIT).expect_err(text);
            assert!(refusal.expected.starts_with("a duration from 1ms to 24h"), "{text}: {refusal:?}");
        }
    }

    #[test]
    fn an_address_instead_of_a_range_is_rejected_with_its_range() {
        assert!(cidr("10.60.4.0/24").is_ok());
        assert!(cidr("fd00:60::/64").is_ok());
        for (text, reason) in [
            ("10.60.4.4/24", "it is an address inside the range 10.60.4.0/24; "),
            ("10.60.4.4", "the prefix length is missing (10.60.4.4/32 is this address only); "),
            ("10.60.4.0/33", ""),
            ("all", ""),
        ] {
            let expected = format!("invalid value \"{text}\" for k: {reason}expected a CIDR such as");
            let message = cidr(text).expect_err(text).about("k");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn the_port_of_a_nameserver_is_optional() {
        for (text, address) in [
            ("10.0.0.10", "10.0.0.10:53"),
            ("10.0.0.10:5353", "10.0.0.10:5353"),
            ("fd00::10", "[fd00::10]:53"),
            ("[fd00::10]", "[fd00::10]:53"),
            ("[fd00::10]:5353", "[fd00::10]:5353"),
        ] {
            assert_eq!(nameserver(text).expect(text).to_string(), address);
        }
        for text in ["", "dns.example", "10.0.0.10:0", "10.0.0.10:99999", "[10.0.0.10", "10.0.0.256"] {
            assert!(nameserver(text).is_err(), "{text}");
        }
        assert!(named_nameserver("azure=168.63.129.16").is_ok());
        for text in ["168.63.129.16", "system=10.0.0.10", "=10.0.0.10", "a b=10.0.0.10", "azure="] {
            assert!(named_nameserver(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_hosts_times_and_images_are_validated() {
        assert!(name("canary-1.x_y").is_ok());
        assert!(name("").is_err() && name("a b").is_err() && name(&"a".repeat(64)).is_err());
        assert_eq!(
            host("Contoso.WestEurope.data.azurecr.io").as_deref(),
            Ok("contoso.westeurope.data.azurecr.io")
        );
        assert!(host("https://contoso.azurecr.io").is_err() && host("10.0.0.1").is_err());
        assert!(timestamp("2027-05-01T00:00:00Z").is_ok() && timestamp("2027-05-01").is_err());
        assert_eq!(
            image("https://contoso.azurecr.io/app").expect_err("a scheme").about("IMAGE"),
            "invalid value \"https://contoso.azurecr.io/app\" for IMAGE: an image reference cannot start with \
             `https://`; expected LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]"
        );
    }

    #[test]
    fn debug_output_hides_a_password() {
        let refusal = image("https://user:hunter2@contoso.azurecr.io/app").expect_err("a scheme");
        let printed = format!("{refusal:?}");
        assert!(
            printed.contains("[redacted]@contoso.azurecr.io") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = duration(&text, SHORTEST_LIMIT);
            let _ = (cidr(&text), named_nameserver(&text), host(&text), timestamp(&text), image(&text));
        }
    }
}
