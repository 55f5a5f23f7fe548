//! What shows on a node that a cause from the name to the handshake is there, and that it is gone.

use super::Proof;

const ADDRESSES: &str = "dig REGISTRY.azurecr.io A";
const HANDSHAKE: &str =
    "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null";
const CERTIFICATE: &str = "openssl s_client -connect REGISTRY.azurecr.io:443 -servername REGISTRY.azurecr.io </dev/null | \
                           openssl x509 -noout -subject -issuer -dates -ext subjectAltName";
const CONNECT: &str = "curl --connect-timeout 5 -sv https://REGISTRY.azurecr.io/v2/ -o /dev/null";
const ROUTE: &str = "ip route get \"$(dig +short REGISTRY.azurecr.io A | tail -1)\"";

const PROXY: &str = "tr '\\0' '\\n' </proc/$(pidof containerd)/environ | grep -i proxy";

pub(super) const PROXY_BYPASSED: Proof = Proof {
    confirm: &[PROXY],
    shows: "`HTTPS_PROXY` or `https_proxy` with a proxy, and no entry of `NO_PROXY` or `no_proxy` that covers the registry's \
            name: the name itself, a parent domain, or `*`.",
    mended: "`NO_PROXY` covers the login server and the data endpoint. A new proxy configuration reaches a node when its \
             image is upgraded.",
};
pub(super) const NO_NAMESERVER: Proof = Proof {
    confirm: &["cat /etc/resolv.conf"],
    shows: "No line `nameserver` with an address.",
    mended: "The file names the nameservers of the VNet.",
};
pub(super) const DNS_TIMEOUT: Proof = Proof {
    confirm: &["dig +time=2 +tries=1 @NAMESERVER REGISTRY.azurecr.io A"],
    shows: "`connection timed out` or `connection refused` for every nameserver of /etc/resolv.conf.",
    mended: "Every nameserver answers with `status: NOERROR` and the private endpoint's address.",
};
pub(super) const DNS_SERVER_FAILURE: Proof = Proof {
    confirm: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig +tcp @NAMESERVER REGISTRY.azurecr.io A"],
    shows: "`status: SERVFAIL` or `REFUSED`, a warning about a malformed message, or no answer over TCP.",
    mended: "`status: NOERROR` and the private endpoint's address.",
};
pub(super) const NAME_NOT_FOUND: Proof = Proof {
    confirm: &[ADDRESSES, "dig +trace REGISTRY.azurecr.io A"],
    shows: "`status: NXDOMAIN` or no address, and no name with `privatelink` in the answer.",
    mended: "A CNAME to `REGISTRY.privatelink.azurecr.io` and a private address.",
};
pub(super) const PRIVATE_RECORD_MISSING: Proof = Proof {
    confirm: &[ADDRESSES, "dig REGISTRY.privatelink.azurecr.io A"],
    shows: "A CNAME to a `privatelink` name, and no address for it.",
    mended: "The `privatelink` name has the private endpoint's address.",
};
pub(super) const PRIVATE_ZONE_NOT_LINKED: Proof = Proof {
    confirm: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig @168.63.129.16 REGISTRY.azurecr.io A"],
    shows: "A CNAME to a `privatelink` name, and then a public address. Azure's own resolver answers the same where the \
            node's VNet has no link, and a private address where only the custom server's VNet lacks one.",
    mended: "Both answer with the private endpoint's address.",
};
pub(super) const NO_PRIVATE_ENDPOINT: Proof = Proof {
    confirm: &[ADDRESSES],
    shows: "A public address, and no name with `privatelink` in the answer.",
    mended: "A CNAME to `REGISTRY.privatelink.azurecr.io` and a private address.",
};
pub(super) const MIXED_ADDRESSES: Proof = Proof {
    confirm: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig @NAMESERVER REGISTRY.azurecr.io AAAA"],
    shows: "Private and public addresses in the answers, taken together.",
    mended: "Private addresses alone.",
};
pub(super) const UNEXPECTED_ADDRESS: Proof = Proof {
    confirm: &[ADDRESSES, ROUTE],
    shows: "A private address outside the ranges that the configuration names under `privateEndpoint.cidrs`.",
    mended: "An address inside them.",
};
pub(super) const RESERVED_ADDRESS: Proof = Proof {
    confirm: &[ADDRESSES, "grep -i azurecr /etc/hosts"],
    shows: "An address in 127.0.0.0/8, 169.254.0.0/16, 0.0.0.0, a multicast one, or 168.63.129.16.",
    mended: "The private endpoint's address.",
};
pub(super) const CONNECT_TIMEOUT: Proof = Proof {
    confirm: &[CONNECT, ROUTE],
    shows: "`Connection timed out` after `Trying` the private address.",
    mended: "`Connected to REGISTRY.azurecr.io`, and an HTTP status of 401.",
};
pub(super) const CONNECT_REFUSED: Proof = Proof {
    confirm: &[CONNECT],
    shows: "`Connection refused` at the address that was tried.",
    mended: "`Connected to REGISTRY.azurecr.io`, and an HTTP status of 401.",
};
pub(super) const NETWORK_UNREACHABLE: Proof = Proof {
    confirm: &[ROUTE, "ip route"],
    shows: "`Network is unreachable`, or a route that is `unreachable` or `blackhole`.",
    mended: "A route by the node's gateway, and `curl` connects.",
};
pub(super) const CONNECTION_RESET: Proof = Proof {
    confirm: &[CONNECT, HANDSHAKE],
    shows: "`Connection reset by peer` or an unexpected end, after `Connected`.",
    mended: "A whole handshake and an HTTP status of 401, several times in a row.",
};
pub(super) const CERTIFICATE_UNTRUSTED: Proof = Proof {
    confirm: &[CERTIFICATE, CONNECT],
    shows: "An issuer that is not one of Azure's, such as the name of a firewall; `curl` says that it cannot verify it.",
    mended: "An issuer of Azure's, or one whose root the node has; `curl` says `SSL certificate verify ok`.",
};
pub(super) const CERTIFICATE_NAME_MISMATCH: Proof = Proof {
    confirm: &[CERTIFICATE, ADDRESSES],
    shows: "Subject and alternative names without `*.azurecr.io`: another server lives at the address.",
    mended: "An alternative name that covers the registry.",
};
pub(super) const CERTIFICATE_EXPIRED: Proof = Proof {
    confirm: &[CERTIFICATE, "date -u"],
    shows: "`notAfter` lies before the node's time.",
    mended: "`notAfter` lies after it, and the node's time is right.",
};
pub(super) const CERTIFICATE_NOT_YET_VALID: Proof = Proof {
    confirm: &[CERTIFICATE, "date -u"],
    shows: "`notBefore` lies after the node's time.",
    mended: "`notBefore` lies before it, and the node's time is right.",
};
pub(super) const TLS_HANDSHAKE_FAILED: Proof = Proof {
    confirm: &[HANDSHAKE],
    shows: "An alert, `wrong version number`, or `no peer certificate available`.",
    mended: "A chain of certificates and TLSv1.2 or TLSv1.3.",
};
pub(super) const RESOLVERS_DISAGREE: Proof = Proof {
    confirm: &["cat /etc/resolv.conf", "dig +short @NAMESERVER REGISTRY.azurecr.io A"],
    shows: "Different addresses from one nameserver and the next; ask each one in turn.",
    mended: "Each gives the private endpoint's address.",
};
pub(super) const NAMESERVER_FAILING: Proof = Proof {
    confirm: &["cat /etc/resolv.conf", "dig +time=2 +tries=1 @NAMESERVER REGISTRY.azurecr.io A"],
    shows: "One nameserver times out or answers with an error while another answers; ask each one in turn.",
    mended: "Each answers with `status: NOERROR`.",
};
pub(super) const CERTIFICATE_EXPIRING: Proof = Proof {
    confirm: &[CERTIFICATE],
    shows: "`notAfter` is less than 14 days away.",
    mended: "A later `notAfter`.",
};
