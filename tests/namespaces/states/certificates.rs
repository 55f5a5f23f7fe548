//! Connections that succeed, but TLS fails or has problems, at both endpoints.

use super::{State, state};
use crate::node::Trusted;
use lab::settings::{Certificate, TlsVersions, Transport};

pub(crate) fn states() -> Vec<State> {
    vec![
        state("certificate for another name")
            .endpoints(|settings| settings.login.certificate = Certificate::WrongName)
            .expects(&["fail login tls certificate_name_mismatch"]),
        state("expired certificate")
            .endpoints(|settings| settings.login.certificate = Certificate::Expired)
            .expects(&["fail login tls certificate_expired"]),
        state("certificate that is not yet valid")
            .endpoints(|settings| settings.login.certificate = Certificate::NotYetValid)
            .expects(&["fail login tls certificate_not_yet_valid"]),
        state("expired certificate of the data endpoint")
            .endpoints(|settings| settings.data.certificate = Certificate::Expired)
            .expects(&["fail data tls certificate_expired"]),
        state("self-signed certificate")
            .endpoints(|settings| settings.login.certificate = Certificate::SelfSigned)
            .expects(&["fail login tls certificate_untrusted"]),
        State { trusted: Trusted::ByNode, ..state("CA trusted by the node, not by a file of the check") },
        State {
            trusted: Trusted::ByCheck,
            ..state("CA trusted by a file of the check, not by the node")
                .pulls_fail("x509: certificate signed by unknown authority")
                .differs("the operator trusts the CA; the report shows that only the file did")
        },
        state("TLS inspection in front of the data endpoint")
            .endpoints(|settings| settings.data.certificate = Certificate::Untrusted)
            .expects(&["fail data tls certificate_untrusted"]),
        state("intermediate certificate is missing")
            .endpoints(|settings| settings.login.certificate = Certificate::MissingIntermediate)
            .expects(&["fail login tls certificate_untrusted"]),
        state("certificate with 13 days left")
            .endpoints(|settings| settings.login.certificate = Certificate::ExpiresIn(13))
            .expects(&["warn login tls certificate_expiring"]),
        state("TLS 1.2 only").endpoints(|settings| {
            settings.login.tls = TlsVersions::Only12;
            settings.data.tls = TlsVersions::Only12;
        }),
        state("TLS 1.3 only").endpoints(|settings| {
            settings.login.tls = TlsVersions::Only13;
            settings.data.tls = TlsVersions::Only13;
        }),
        state("plain HTTP on the HTTPS port")
            .endpoints(|settings| settings.login.transport = Transport::PlainHttp)
            .expects(&["fail login tls tls_handshake_failed"]),
        state("connection closed immediately")
            .pulls_fail("EOF")
            .endpoints(|settings| settings.login.transport = Transport::CloseOnAccept)
            .expects(&["fail login tls connection_reset"]),
        state("reset during the TLS handshake of the data endpoint")
            .endpoints(|settings| settings.data.transport = Transport::ResetInHandshake)
            .expects(&["fail data tls connection_reset"]),
    ]
}
