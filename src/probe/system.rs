//! Operating system facts: the meaning of error numbers, the index of an interface.

use std::io;

use crate::observation::SystemError;

/// Converts a system error, with its symbolic name if known.
pub(super) fn error(error: &io::Error) -> SystemError {
    let number = error.raw_os_error();
    SystemError { number, name: number.and_then(name) }
}

/// Whether an error means exactly that there is no route to the network or host: no route exists, or it is an `unreachable`,
/// `blackhole` or `prohibit` route of ip-route(8).
pub(super) fn is_unreachable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable)
        || is_forbidding_route(error)
}

/// Linux returns `EINVAL` for a `blackhole` route and `EACCES` for a `prohibit` one.
#[cfg(target_os = "linux")]
fn is_forbidding_route(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error();
    [Errno::INVAL, Errno::ACCESS].into_iter().any(|errno| number == Some(errno.raw_os_error()))
}

#[cfg(not(target_os = "linux"))]
fn is_forbidding_route(_error: &io::Error) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn name(number: i32) -> Option<(&'static str, &'static str)> {
    use rustix::io::Errno;
    let known = [
        (Errno::PERM, "EPERM", "a packet filter on the node blocks it"),
        (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL", "no free local address or port"),
        (Errno::ADDRINUSE, "EADDRINUSE", "no free local port"),
        (Errno::MFILE, "EMFILE", "the process has no free file descriptors"),
        (Errno::NFILE, "ENFILE", "the system has no free file descriptors"),
        (Errno::NOBUFS, "ENOBUFS", "the system has no free buffers"),
        (Errno::NOMEM, "ENOMEM", "the system is out of memory"),
        (Errno::AGAIN, "EAGAIN", "a resource is temporarily unavailable"),
        (Errno::AFNOSUPPORT, "EAFNOSUPPORT", "the node does not support this address family"),
        (Errno::NETDOWN, "ENETDOWN", "the interface is down"),
        (Errno::NODEV, "ENODEV", "the interface does not exist"),
        (Errno::PROTO, "EPROTO", "a response violated the protocol"),
        (Errno::NOPROTOOPT, "ENOPROTOOPT", "the host does not support this protocol"),
    ];
    let found = known.into_iter().find(|(errno, ..)| errno.raw_os_error() == number);
    found.map(|(_, name, meaning)| (name, meaning))
}

#[cfg(not(target_os = "linux"))]
fn name(_number: i32) -> Option<(&'static str, &'static str)> {
    None
}

/// The index of an interface, found as Go does: by name, then by number; otherwise 0, which leaves the choice to the routing
/// table.
pub(super) fn interface(scope: &str) -> u32 {
    by_name(scope).or_else(|| scope.parse().ok()).unwrap_or(0)
}

#[cfg(target_os = "linux")]
fn by_name(name: &str) -> Option<u32> {
    // The kernel accepts any socket for this query.
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    rustix::net::netdevice::name_to_index(&socket, name).ok()
}

#[cfg(not(target_os = "linux"))]
fn by_name(_name: &str) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{error, interface, is_unreachable};

    #[test]
    fn errors_are_named_and_no_route_errors_are_recognized() {
        for (number, text, unreachable) in [
            (1, "EPERM, a packet filter on the node blocks it", false),
            (13, "errno 13", true),
            (22, "errno 22", true),
            (24, "EMFILE, the process has no free file descriptors", false),
            (71, "EPROTO, a response violated the protocol", false),
            (99, "EADDRNOTAVAIL, no free local address or port", false),
            (101, "errno 101", true),
            (113, "errno 113", true),
            (4095, "errno 4095", false),
        ] {
            let raw = io::Error::from_raw_os_error(number);
            assert_eq!((error(&raw).to_string().as_str(), is_unreachable(&raw)), (text, unreachable));
        }
        assert_eq!(error(&io::Error::other("x")).to_string(), "an error without a number");
    }

    #[test]
    fn an_interface_is_found_by_name_then_by_number() {
        assert_eq!(interface("lo"), 1);
        assert_eq!(interface("7"), 7);
        assert_eq!(interface("there-is-none"), 0);
    }
}
