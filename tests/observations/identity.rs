//! Identities and the ways in which they fail.

use acr_verifier::observation::{
    ConnectFailure, EntraError, Identity, IdentityFault, IdentityKind, IdentityService, ServiceFault,
    TlsFailure,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{duration, words};

const GUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

pub(super) fn identity() -> impl Strategy<Value = Identity> {
    let kind = select(vec![IdentityKind::Managed, IdentityKind::Workload]);
    let resource = "/subscriptions/[a-z0-9]{1,9}/[a-z]{1,9}";
    (kind, option::of(GUID), option::of(resource), any::<bool>(), option::of(any::<bool>())).prop_map(
        |(kind, client_id, resource_id, exchanged, abac)| Identity {
            kind,
            client_id,
            resource_id,
            exchanged,
            abac,
        },
    )
}

pub(super) fn fault() -> impl Strategy<Value = IdentityFault> {
    let service = select(vec![IdentityService::Imds, IdentityService::Entra]);
    let entra = (words(), vec(any::<u32>(), 0..3), option::of(words()), option::of(GUID)).prop_map(
        |(error, numbers, message, correlation_id)| EntraError { error, numbers, message, correlation_id },
    );
    prop_oneof![
        words().prop_map(|reason| IdentityFault::NotInjected { reason }),
        (service, words(), service_fault()).prop_map(|(service, host, fault)| IdentityFault::NoToken {
            service,
            host,
            fault
        }),
        option::of(words()).prop_map(|message| IdentityFault::NotFound { message }),
        entra.prop_map(IdentityFault::Rejected),
        vec(words(), 0..3).prop_map(|actions| IdentityFault::WithoutRead { actions }),
    ]
}

fn service_fault() -> impl Strategy<Value = ServiceFault> {
    let failure = select(vec![ConnectFailure::Timeout, ConnectFailure::Refused, ConnectFailure::Unreachable]);
    let tls = select(vec![TlsFailure::Untrusted, TlsFailure::NameMismatch, TlsFailure::Expired]);
    let answer = (any::<u16>(), any::<bool>(), option::of(words()))
        .prop_map(|(status, is_page, error)| ServiceFault::Answer { status, is_page, error });
    prop_oneof![
        words().prop_map(|reason| ServiceFault::NotResolved { reason }),
        failure.prop_map(ServiceFault::NotConnected),
        tls.prop_map(ServiceFault::Tls),
        duration().prop_map(|limit| ServiceFault::NoResponse { limit }),
        Just(ServiceFault::Closed),
        answer,
        Just(ServiceFault::Unusable { reason: "its token names no tenant" }),
    ]
}
