//! One value each: a duration, a range, an address, a name, as text.
//!
//! Owns the forms that are allowed and the words for what is not. The command line and the configuration file share
//! them, so that a value means the same in both. Where a value stood is its caller's to say.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, fmt::friendly::SpanParser};

use crate::address::NameserverAddress;
use crate::image::{ImageReference, is_host_name};
use crate::quote::quote;

/// The longest duration of any setting: nothing here is meant to take more than a day.
pub const LONGEST: Duration = Duration::from_hours(24);
/// The shortest duration of a limit.
pub const SHORTEST_LIMIT: Duration = Duration::from_millis(1);
/// The shortest interval of the agent: less would only measure the registry's throttling.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Longest name of an image or a resolver: that of a Kubernetes label value.
const MAX_NAME: usize = 63;

/// Why a value is not taken: what was found, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}; allowed is {allowed}")]
pub struct Refusal {
    /// What was found, in words or between backticks.
    pub found: String,
    /// What is allowed, to follow the word "is".
    pub allowed: String,
}

impl Refusal {
    /// Refuses what was found.
    #[must_use]
    pub fn new(found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { found: found.into(), allowed: allowed.into() }
    }
}

/// A duration such as `60s`, `1m30s` or `500ms`, from `shortest` to [`LONGEST`].
///
/// # Errors
/// The text is no duration, has no unit, or lies outside the bounds.
pub fn duration(text: &str, shortest: Duration) -> Result<Duration, Refusal> {
    let refusal = || {
        let bound = |limit: Duration| format!("{:#}", SignedDuration::try_from(limit).unwrap_or_default());
        let allowed = format!(
            "a duration from {} to {} with its unit, such as 60s, 1m30s or 500ms",
            bound(shortest),
            bound(LONGEST)
        );
        Refusal::new(quote(text), allowed)
    };
    let parsed = SpanParser::new().parse_duration(text).map_err(|_| refusal())?;
    let duration = Duration::try_from(parsed).map_err(|_| refusal())?;
    if (shortest..=LONGEST).contains(&duration) { Ok(duration) } else { Err(refusal()) }
}

/// A range of addresses, `10.60.4.0/24`; an address with bits beyond the prefix is refused, because it is unclear which
/// of the two was meant.
///
/// # Errors
/// The text is no range, or is an address inside one.
pub fn cidr(text: &str) -> Result<IpNet, Refusal> {
    const ALLOWED: &str = "a CIDR such as 10.60.4.0/24 or fd00:60::/64";
    if let Ok(range) = text.parse::<IpNet>() {
        if range.addr() == range.network() {
            return Ok(range);
        }
        let found = format!("{}, an address inside the range {}", quote(text), range.trunc());
        return Err(Refusal::new(found, ALLOWED));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let found = format!(
            "{}, an address without a prefix (by itself it is {})",
            quote(text),
            IpNet::from(address)
        );
        return Err(Refusal::new(found, ALLOWED));
    }
    Err(Refusal::new(quote(text), ALLOWED))
}

/// The address of a nameserver, with port 53 where none is written.
///
/// # Errors
/// The text is no address, or its port is 0.
pub fn nameserver(text: &str) -> Result<NameserverAddress, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            quote(text),
            "an IP address with an optional port, such as 10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53",
        )
    })
}

/// A resolver to compare with, written `NAME=ADDRESS`.
///
/// # Errors
/// There is no `=`, or one of its sides is not allowed.
pub fn named_nameserver(text: &str) -> Result<(String, NameserverAddress), Refusal> {
    let Some((name, address)) = text.split_once('=') else {
        return Err(Refusal::new(quote(text), "NAME=ADDRESS, such as azure=168.63.129.16"));
    };
    Ok((resolver_name(name)?, nameserver(address)?))
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
    Err(Refusal::new(quote(text), "1 to 63 letters, digits, `_`, `.` and `-`"))
}

/// The operator's name for a resolver; `system` is taken by the node's own.
///
/// # Errors
/// As for [`name`], and the name is `system`.
pub fn resolver_name(text: &str) -> Result<String, Refusal> {
    if text == "system" {
        return Err(Refusal::new(
            "`system`, which stands for the node's own nameservers",
            "another name for a resolver to compare with",
        ));
    }
    name(text)
}

/// The reference of an image.
///
/// # Errors
/// As [`ImageReference`] says.
pub fn image(text: &str) -> Result<ImageReference, Refusal> {
    text.parse::<ImageReference>().map_err(|error| {
        Refusal::new(format!("{}: {error}", quote(text)), "LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]")
    })
}

/// A host name, in lower case.
///
/// # Errors
/// The text is no host name.
pub fn host(text: &str) -> Result<String, Refusal> {
    if is_host_name(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Refusal::new(
        quote(text),
        "a host name without scheme, port and path, such as contoso.westeurope.data.azurecr.io",
    ))
}

/// Where a server listens.
///
/// # Errors
/// The text is no address with a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(quote(text), "an IP address with a port, such as 0.0.0.0:9469 or [::]:9469")
    })
}

/// A time of RFC 3339.
///
/// # Errors
/// The text is no time, or has no offset from UTC.
pub fn timestamp(text: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| Refusal::new(quote(text), "a time of RFC 3339, such as 2027-05-01T00:00:00Z"))
}

/// A path that is not empty.
///
/// # Errors
/// The text is empty.
pub fn path(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("an empty text", "a path"));
    }
    Ok(PathBuf::from(text))
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
            assert!(refusal.allowed.starts_with("a duration from 1ms to 24h"), "{text}: {refusal}");
        }
    }

    #[test]
    fn ranges_with_host_bits_name_the_range_that_is_probably_meant() {
        assert!(cidr("10.60.4.0/24").is_ok());
        assert!(cidr("fd00:60::/64").is_ok());
        for (text, found) in [
            ("10.60.4.4/24", "`10.60.4.4/24`, an address inside the range 10.60.4.0/24"),
            ("10.60.4.4", "`10.60.4.4`, an address without a prefix (by itself it is 10.60.4.4/32)"),
            ("10.60.4.0/33", "`10.60.4.0/33`"),
            ("all", "`all`"),
        ] {
            assert_eq!(cidr(text).expect_err(text).found, found);
        }
    }

    #[test]
    fn nameservers_take_a_port_or_do_without() {
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
    fn names_hosts_times_and_images_say_what_is_allowed() {
        assert!(name("canary-1.x_y").is_ok());
        assert!(name("").is_err() && name("a b").is_err() && name(&"a".repeat(64)).is_err());
        assert_eq!(
            host("Contoso.WestEurope.data.azurecr.io").as_deref(),
            Ok("contoso.westeurope.data.azurecr.io")
        );
        assert!(host("https://contoso.azurecr.io").is_err() && host("10.0.0.1").is_err());
        assert!(timestamp("2027-05-01T00:00:00Z").is_ok() && timestamp("2027-05-01").is_err());
        assert_eq!(
            image("https://contoso.azurecr.io/app").expect_err("a scheme").to_string(),
            "found `https://contoso.azurecr.io/app`: an image reference cannot start with `https://`; allowed is \
             LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_a_value_panic(text in any::<String>()) {
            let _ = duration(&text, SHORTEST_LIMIT);
            let _ = (cidr(&text), named_nameserver(&text), host(&text), timestamp(&text), image(&text));
        }
    }
}
