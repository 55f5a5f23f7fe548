//! Connections that come up, and TLS that does not, or not well: at both endpoints.

use super::{State, state};
use crate::lab::settings::{Certificate, TlsVersions, Transport};
use crate::node::Trusted;

pub(crate) fn states() -> Vec<State> {
    vec![
        state("certificate of another name")
            .endpoints(|settings| settings.login.certificate = Certificate::WrongName)
            .tells(&["fail login tls certificate_name_mismatch"]),
        state("certificate that has ended")
            .endpoints(|settings| settings.login.certificate = Certificate::Expired)
            .tells(&["fail login tls certificate_expired"]),
        state("certificate that has not begun")
            .endpoints(|settings| settings.login.certificate = Certificate::NotYetValid)
            .tells(&["fail login tls certificate_not_yet_valid"]),
        state("certificate of the data endpoint that has ended")
            .endpoints(|settings| settings.data.certificate = Certificate::Expired)
            .tells(&["fail data tls certificate_expired"]),
        state("certificate that nobody vouches for")
            .endpoints(|settings| settings.login.certificate = Certificate::SelfSigned)
            .tells(&["fail login tls certificate_untrusted"]),
        State {
            trusted: Trusted::ByNode,
            ..state("authority that the node knows and no file of the check names")
        },
        State {
            trusted: Trusted::ByCheck,
            ..state("authority that a file of the check names and the node does not know")
                .pulls_fail("x509: certificate signed by unknown authority")
                .differs("the operator vouches for the authority; the report says that only the file did")
        },
        state("TLS is inspected on the way to the data endpoint")
            .endpoints(|settings| settings.data.certificate = Certificate::Untrusted)
            .tells(&["fail data tls certificate_untrusted"]),
        state("issuing authority is not sent along")
            .endpoints(|settings| settings.login.certificate = Certificate::MissingIntermediate)
            .tells(&["fail login tls certificate_untrusted"]),
        state("certificate with 13 days left")
            .endpoints(|settings| settings.login.certificate = Certificate::ExpiresIn(13))
            .tells(&["warn login tls certificate_expiring"]),
        state("TLS 1.2 only").endpoints(|settings| {
            settings.login.tls = TlsVersions::Only12;
            settings.data.tls = TlsVersions::Only12;
        }),
        state("TLS 1.3 only").endpoints(|settings| {
            settings.login.tls = TlsVersions::Only13;
            settings.data.tls = TlsVersions::Only13;
        }),
        state("plain HTTP at the port of HTTPS")
            .endpoints(|settings| settings.login.transport = Transport::PlainHttp)
            .tells(&["fail login tls tls_handshake_failed"]),
        state("closed as soon as it is connected")
            .pulls_fail("EOF")
            .endpoints(|settings| settings.login.transport = Transport::CloseOnAccept)
            .tells(&["fail login tls connection_reset"]),
        state("reset in the handshake of the data endpoint")
            .endpoints(|settings| settings.data.transport = Transport::ResetInHandshake)
            .tells(&["fail data tls connection_reset"]),
    ]
}
