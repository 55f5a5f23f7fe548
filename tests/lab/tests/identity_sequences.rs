//! Replays the recorded requests of AKS's credential provider and of MSAL, and checks that the lab answers as Azure does.
//!
//! `identity_faults.rs` tests the faults.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::client::{Client, ask, get};
use super::identity_client::{
    LOGIN, ask_entra, ask_imds, ask_imds_for, entra, exchange, exchange_fields, field, imds_target,
    imds_token, json, lab_with, pull,
};
use lab::answers::{RetryAfter, Step};
use lab::log::Listener;
use lab::settings::{
    AUTHORITIES, AuthorityNames, Identity, ImdsFault, ManagedIdentity, REGISTRY_AUDIENCE, Settings,
};
use lab::{Lab, PUBLIC_ENTRA};

const AUDIENCE: &str = "https%3A%2F%2Fcontainerregistry.azure.net";

/// The recorded headers of the provider's request at IMDS.
const PROVIDER: [(&str, &str); 3] = [
    ("Metadata", "true"),
    ("User-Agent", "azsdk-go-azidentity/v1.14.0"),
    ("X-Ms-Client-Request-Id", "0b5e6c3a-0b0b-4c4f-9f4e-8f9a7b6c5d4e"),
];

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).expect("a JWT has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64");
    serde_json::from_slice(&bytes).expect("claims are JSON")
}

#[tokio::test]
async fn services_are_off_unless_configured() {
    let lab = Lab::start(Settings::default());
    assert!(lab.all_connections().is_empty() && !lab.assertion_file().exists());
    let answer = ask(lab.nameservers()[0], LOGIN, RecordType::A).await.expect("an answer");
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn provider_pulls_with_the_kubelets_identity() {
    let lab = lab_with(|settings| settings.identity.assign_another());
    let identity = Identity::default();
    let target = imds_target(&format!("client_id={}&", identity.kubelet_client_id()));
    let reply = ask_imds_for(&lab, &target, &PROVIDER).await.expect("IMDS answers");
    assert!(reply.header("Server").is_some_and(|server| server.starts_with("IMDS/")));
    let body = json(&reply);
    let names: Vec<&String> = body.as_object().expect("an object").keys().collect();
    let mut expected = [
        "access_token",
        "client_id",
        "expires_in",
        "expires_on",
        "ext_expires_in",
        "not_before",
        "resource",
        "token_type",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(body.as_object().expect("an object").values().all(Value::is_string), "{body}");
    assert_eq!(body["resource"], REGISTRY_AUDIENCE);
    let token = field(&reply, "access_token");
    let (kubelet, granted) = (&identity.assigned[0], claims(&token));
    assert_eq!(granted["aud"], REGISTRY_AUDIENCE);
    assert_eq!(
        (&granted["tid"], &granted["appid"]),
        (&Value::from(identity.tenant.clone()), &body["client_id"])
    );
    assert_eq!(granted["xms_mirid"], kubelet.resource.as_str());
    assert_eq!(granted["exp"].to_string(), body["expires_on"].as_str().expect("text"));

    assert_eq!(get(&lab, Step::Challenge, "/v2/", &[]).await.expect("an answer").status, 401);
    let service = lab.registry();
    let reply = exchange_fields(
        &lab,
        &[
            ("access_token", &token),
            ("grant_type", "access_token_refresh_token"),
            ("refresh_token", &token),
            ("service", &service),
            ("tenant", &identity.tenant),
        ],
    )
    .await
    .expect("the exchange answers");
    let refresh = field(&reply, "refresh_token");
    let granted = claims(&refresh);
    assert_eq!((&granted["aud"], &granted["grant_type"]), (&service.into(), &"refresh_token".into()));
    assert_eq!(granted["permissions"]["actions"][0], "read");
    assert_eq!(
        granted["exp"].as_u64().zip(granted["iat"].as_u64()).map(|(end, start)| end - start),
        Some(11_700)
    );
    assert_eq!(pull(&lab, &refresh).await, (200, Some(200), None));

    let sequence: Vec<_> =
        lab.requests().iter().map(|it| (it.listener, it.step, it.method.clone(), it.status)).collect();
    let at = |listener, step, method: &str, status| (listener, step, method.to_owned(), status);
    assert_eq!(
        sequence,
        [
            at(Listener::Imds, None, "GET", 200),
            at(Listener::Login, Some(Step::Challenge), "GET", 401),
            at(Listener::Login, Some(Step::Exchange), "POST", 200),
            at(Listener::Login, Some(Step::Token), "GET", 200),
            at(Listener::Login, Some(Step::Manifest), "GET", 200),
        ]
    );
    let fields: Vec<_> = lab.exchanges()[0].form.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(fields, ["access_token", "grant_type", "refresh_token", "service", "tenant"]);
    assert_eq!(lab.requests_at(Listener::Imds)[0].target, target);
    assert_eq!(lab.requests_at(Listener::Imds)[0].header("Metadata"), Some("true"));
    let access = claims(&refresh)["jti"].clone();
    assert!(access.is_string() && lab.secrets().contains(&token) && lab.secrets().contains(&refresh));
}

#[tokio::test]
async fn documented_exchange_and_the_arm_audience_are_accepted() {
    let lab = lab_with(|_| {});
    let token = imds_token(&lab).await;
    assert_eq!(exchange(&lab, &token).await.expect("an answer").status, 200);
    let target = imds_target("").replace(AUDIENCE, "https%3A%2F%2Fmanagement.azure.com%2F");
    let reply = ask_imds_for(&lab, &target, &[("Metadata", "true")]).await.expect("IMDS answers");
    let arm = field(&reply, "access_token");
    assert_ne!(arm, token);
    assert_eq!(exchange(&lab, &arm).await.expect("an answer").status, 200);
    lab.change(|settings| settings.identity.arm_tokens = false);
    assert_eq!(exchange(&lab, &arm).await.expect("an answer").status, 401);
    assert_eq!(exchange(&lab, &token).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn every_way_to_name_an_identity_finds_it() {
    let system = ManagedIdentity {
        client_id: "d0d1d2d3-0000-4000-8000-000000000001".into(),
        object_id: "d0d1d2d3-0000-4000-8000-000000000002".into(),
        resource: "/subscriptions/0/resourcegroups/node/providers/Microsoft.Compute/virtualMachines/0".into(),
    };
    let own = system.client_id.clone();
    let lab = lab_with(|settings| {
        settings.identity.assign_another();
        settings.identity.system_assigned = Some(system);
    });
    let ManagedIdentity { client_id, object_id, resource } = &Identity::default().assigned[0];
    for (parameter, expected) in [
        (String::new(), &own),
        (format!("client_id={client_id}&"), client_id),
        (format!("client_id={}&", client_id.to_uppercase()), client_id),
        (format!("object_id={object_id}&"), client_id),
        (format!("msi_res_id={resource}&"), client_id),
    ] {
        let reply = ask_imds(&lab, &parameter).await.expect("IMDS answers");
        assert_eq!(field(&reply, "client_id"), *expected, "{parameter}");
    }
}

#[tokio::test]
async fn imds_keeps_a_token_until_it_expires() {
    let lab = lab_with(|_| {});
    let first = imds_token(&lab).await;
    assert_eq!(imds_token(&lab).await, first);
    let lab = lab_with(|settings| settings.identity.token_life = Duration::ZERO);
    let first = imds_token(&lab).await;
    assert_ne!(imds_token(&lab).await, first);
    assert_eq!(exchange(&lab, &first).await.expect("an answer").status, 401);
}

#[tokio::test]
async fn throttled_imds_answers_the_third_request() {
    let lab = lab_with(|settings| {
        settings.identity.imds.first = vec![ImdsFault::Throttled(RetryAfter::Seconds(2)); 2];
    });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let reply = ask_imds(&lab, "").await.expect("IMDS answers");
        statuses.push((reply.status, reply.header("Retry-After").map(str::to_owned)));
    }
    assert_eq!(statuses, [(429, Some("2".into())), (429, Some("2".into())), (200, None)]);
}

#[tokio::test]
async fn msal_exchanges_a_service_account_token() {
    let lab = lab_with(|_| {});
    let tenant = Identity::default().tenant;
    let mut client = entra(&lab).await.expect("Entra ID accepts");
    let authorize = format!("https%3A%2F%2F{LOGIN}%2F{tenant}%2Foauth2%2Fv2.0%2Fauthorize");
    let target = format!("/common/discovery/instance?api-version=1.1&authorization_endpoint={authorize}");
    let reply = client.get(LOGIN, &target, &[]).await.expect("an answer");
    assert_eq!(json(&reply)["metadata"][0]["preferred_network"], LOGIN);
    let target = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let reply = client.get(LOGIN, &target, &[]).await.expect("an answer");
    let endpoint = format!("https://{LOGIN}/{tenant}/oauth2/v2.0/token");
    assert_eq!(json(&reply)["token_endpoint"], endpoint.as_str());
    let scope = format!("{REGISTRY_AUDIENCE}/.default openid offline_access profile");
    for replaced in [("", ""), ("scope", scope.as_str())] {
        let reply = ask_entra(&lab, &tenant, replaced).await.expect("Entra ID answers");
        let body = json(&reply);
        assert!(body["expires_in"].is_u64() && body["token_type"] == "Bearer", "{body}");
        let token = field(&reply, "access_token");
        assert_eq!(claims(&token)["tid"], tenant.as_str());
        let refresh = field(&exchange(&lab, &token).await.expect("an answer"), "refresh_token");
        assert_eq!(pull(&lab, &refresh).await, (200, Some(200), None));
    }
    let sent = &lab.requests_at(Listener::Entra)[2];
    assert_eq!((sent.method.as_str(), sent.server_name.as_deref()), ("POST", Some(LOGIN)));
    let assertion = std::fs::read_to_string(lab.assertion_file()).expect("a token file");
    assert_eq!(sent.field("client_assertion"), Some(assertion.as_str()));
    assert!(lab.secrets().contains(&assertion));
}

#[tokio::test]
async fn renewed_assertions_replace_the_file() {
    let lab = lab_with(|_| {});
    let before = std::fs::read_to_string(lab.assertion_file()).expect("a token file");
    let after = lab.project(&lab.accepted_assertion());
    assert_ne!(before, after);
    assert_eq!(std::fs::read_to_string(lab.assertion_file()).expect("a token file"), after);
}

#[tokio::test]
async fn every_authority_has_a_public_chain_and_a_certificate() {
    let lab = lab_with(|_| {});
    for name in AUTHORITIES {
        let answer = ask(lab.nameservers()[0], name, RecordType::A).await.expect("an answer");
        let lines: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
        assert!(lines.len() == 4 && lines[1].starts_with("ak.privatelink."), "{lines:?}");
        assert_eq!(lines.last(), Some(&PUBLIC_ENTRA.to_string()));
        Client::connect_to(lab.entra(), name, lab.public_root_pem()).await.expect("a certificate for it");
        Client::connect_to(lab.entra(), name, lab.ca_pem())
            .await
            .err()
            .expect("the registry's root is not its");
    }
    assert_eq!(std::fs::read_to_string(lab.public_roots()).expect("a file"), lab.public_root_pem());
    for (names, code) in [
        (AuthorityNames::NotFound, ResponseCode::NXDomain),
        (AuthorityNames::ServFail, ResponseCode::ServFail),
    ] {
        lab.change(|settings| settings.identity.authority_names = names);
        let answer = ask(lab.nameservers()[0], LOGIN, RecordType::A).await.expect("an answer");
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0));
    }
    lab.change(|settings| settings.identity.authority_names = AuthorityNames::Silent);
    ask(lab.nameservers()[0], LOGIN, RecordType::A).await.expect_err("silence");
    ask(lab.nameservers()[0], &lab.login_server(), RecordType::A).await.expect("the registry has a name");
}
