//! Tests that each fault of IMDS, Entra ID and the exchange is the one that its setting names.
//!
//! `identity_sequences.rs` tests the healthy answers.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{PATIENCE, Reply};
use super::identity_client::{
    ask_entra, ask_imds, ask_imds_for, entra, exchange, exchange_fields, field, imds_target, imds_token,
    json, lab_with, pull,
};
use lab::answers::{Canned, Delivery, FirewallWording, RetryAfter, Step};
use lab::log::Listener;
use lab::settings::{
    AbacRefusal, Assertion, Certificate, EntraFault, ExchangeFault, Identity, ImdsFault, Rights, TokenDefect,
    Transport, Validity,
};

/// The error of a reply, as `status error: start of the description`.
fn error(reply: &Reply) -> String {
    let body = json(reply);
    let text = body["error_description"].as_str().unwrap_or_default();
    let text: String = text.chars().take(30).collect();
    format!("{} {}: {text}", reply.status, body["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn imds_rejects_wrong_requests() {
    let lab = lab_with(|settings| settings.identity.assign_another());
    let other = format!("client_id={}&", Identity::default().federated.client_id);
    let known = format!("client_id={}&", Identity::default().kubelet_client_id());
    for (parameter, expected) in [
        ("", "400 invalid_request: Multiple user assigned identit"),
        (other.as_str(), "400 invalid_request: Identity not found"),
        (&format!("{known}{known}"), "400 invalid_request: More than one identity is spec"),
    ] {
        assert_eq!(error(&ask_imds(&lab, parameter).await.expect("an answer")), expected);
    }
    let target = imds_target(&known);
    for (target, headers, expected) in [
        (target.clone(), vec![], "400 bad_request_102: Required metadata header not s"),
        (target.clone(), vec![("Metadata", "false")], "400 bad_request_102: Required metadata header not s"),
        (
            target.clone(),
            vec![("Metadata", "true"), ("X-Forwarded-For", "10.0.0.1")],
            "400 bad_request_101: Proxied requests are not suppo",
        ),
        (
            target.replace("2018-02-01", "2017-01-01"),
            vec![("Metadata", "true")],
            "400 Bad request. api-version was invalid or not specified in the request. For more information refer to \
             aka.ms/azureimds: ",
        ),
        (
            target.replace("resource=", "audience="),
            vec![("Metadata", "true")],
            "400 invalid_request: Required audience parameter no",
        ),
        (
            target.replace("containerregistry", "keyvault"),
            vec![("Metadata", "true")],
            "400 invalid_resource: AADSTS50001: The application n",
        ),
        (
            "/metadata/instance".into(),
            vec![("Metadata", "true")],
            "404 not_found: The requested resource was not",
        ),
    ] {
        assert_eq!(error(&ask_imds_for(&lab, &target, &headers).await.expect("an answer")), expected);
    }
}

#[tokio::test]
async fn imds_fails_as_named() {
    let lab = lab_with(|_| {});
    for (fault, status, start) in [
        (
            ImdsFault::IdentityNotFound,
            400,
            r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
        ),
        (ImdsFault::InvalidResource, 400, r#"{"error":"invalid_resource","error_description":"AADSTS50001:"#),
        (ImdsFault::Status(403), 403, r#"{"error":"forbidden""#),
        (ImdsFault::Status(404), 404, r#"{"error":"not_found""#),
        (ImdsFault::Status(410), 410, r#"{"error":"gone""#),
        (ImdsFault::Status(500), 500, r#"{"error":"unknown""#),
        (ImdsFault::Throttled(RetryAfter::None), 429, r#"{"error":"invalid_request""#),
        (ImdsFault::Html(502), 502, "<!DOCTYPE html>"),
        (ImdsFault::Html(504), 504, "<!DOCTYPE html>"),
        (ImdsFault::Html(200), 200, "<!DOCTYPE html>"),
        (ImdsFault::Redirect, 302, ""),
        (ImdsFault::Token(TokenDefect::NotJson), 200, "token granted"),
        (ImdsFault::Token(TokenDefect::Missing), 200, r#"{"client_id":""#),
        (ImdsFault::Token(TokenDefect::Empty), 200, r#"{"access_token":"","#),
        (ImdsFault::Echo, 400, r#"{"error":"invalid_request","error_description":"Cannot issue"#),
    ] {
        lab.change(|settings| settings.identity.imds.answer = Some(fault.clone()));
        let reply = ask_imds(&lab, "").await.expect("an answer");
        assert!(reply.status == status && reply.text().starts_with(start), "{fault:?}: {reply:?}");
    }
    lab.change(|settings| {
        settings.identity.imds.answer = None;
        settings.identity.imds.first = vec![ImdsFault::Status(410); 2];
    });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask_imds(&lab, "").await.expect("an answer").status);
    }
    assert_eq!(statuses, [410, 410, 200]);
}

#[tokio::test]
async fn token_defects_are_rejected_by_the_exchange() {
    let lab = lab_with(|_| {});
    for (defect, status) in [
        (TokenDefect::Opaque, 401),
        (TokenDefect::OtherAudience, 401),
        (TokenDefect::Expired, 401),
        (TokenDefect::WithoutTenant, 200),
    ] {
        lab.change(|settings| settings.identity.imds.answer = Some(ImdsFault::Token(defect)));
        let token = imds_token(&lab).await;
        assert_eq!(token.contains('.'), defect != TokenDefect::Opaque);
        assert_eq!(exchange(&lab, &token).await.expect("an answer").status, status, "{defect:?}");
    }
    lab.change(|settings| settings.identity.imds.answer = Some(ImdsFault::Token(TokenDefect::OverLong)));
    assert!(imds_token(&lab).await.len() > 1 << 20);
    lab.change(|settings| settings.identity.imds.answer = Some(ImdsFault::Token(TokenDefect::LineBreak)));
    assert!(imds_token(&lab).await.contains("\r\n"));
}

#[tokio::test]
async fn services_are_unreachable_as_named() {
    let lab = lab_with(|_| {});
    for listener in [Listener::Imds, Listener::Entra] {
        let address = if listener == Listener::Imds { lab.imds() } else { lab.entra() };
        let reach = |transport| {
            lab.change(|settings| {
                settings.identity.imds.endpoint.transport = transport;
                settings.identity.entra.endpoint.transport = transport;
            });
        };
        reach(Transport::Closed);
        let refused = TcpStream::connect(address).await.expect_err("a closed port");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        reach(Transport::AcceptQueueFull);
        assert!(timeout(PATIENCE, TcpStream::connect(address)).await.is_err(), "{listener:?}");
        for (transport, expected) in [
            (Transport::CloseOnAccept, ErrorKind::UnexpectedEof),
            (Transport::ResetOnAccept, ErrorKind::ConnectionReset),
        ] {
            reach(transport);
            let failed = if listener == Listener::Imds {
                ask_imds(&lab, "").await.map(|_| ())
            } else {
                entra(&lab).await.map(|_| ())
            };
            assert_eq!(failed.expect_err("no answer").kind(), expected, "{transport:?} at {listener:?}");
        }
        reach(Transport::Serve);
    }
    for delivery in
        [Delivery::SilentAfterRequest, Delivery::BodyDripping(Duration::from_secs(1)), Delivery::EndlessBody]
    {
        lab.change(|settings| {
            settings.identity.imds.delivery = delivery;
            settings.identity.entra.delivery = delivery;
        });
        assert!(timeout(PATIENCE, ask_imds(&lab, "")).await.is_err(), "{delivery:?}");
        let tenant = Identity::default().tenant;
        assert!(timeout(PATIENCE, ask_entra(&lab, &tenant, ("", ""))).await.is_err(), "{delivery:?}");
    }
}

#[tokio::test]
async fn certificates_of_entra_id_are_faulty_as_named() {
    let lab = lab_with(|_| {});
    for (certificate, expected) in [
        (Certificate::Untrusted, "UnknownIssuer"),
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "not valid for name"),
    ] {
        lab.change(|settings| settings.identity.entra.endpoint.certificate = certificate);
        let failed = entra(&lab).await.err().expect("a broken certificate").to_string();
        assert!(failed.contains(expected), "{certificate:?}: {failed}");
    }
}

#[tokio::test]
async fn entra_id_rejects_wrong_assertions() {
    let lab = lab_with(|_| {});
    let tenant = Identity::default().tenant;
    let right = Assertion::default();
    for (assertion, status, number) in [
        (Assertion { issuer: "https://oidc.fabrikam.example/".into(), ..right.clone() }, 401, 700_211),
        (
            Assertion { subject: "system:serviceaccount:default:default".into(), ..right.clone() },
            401,
            700_213,
        ),
        (Assertion { subject: right.subject.to_uppercase(), ..right.clone() }, 401, 7_002_138),
        (Assertion { audience: "api://AKSIdentityBinding".into(), ..right.clone() }, 401, 700_212),
        (Assertion { validity: Validity::Expired, ..right.clone() }, 401, 700_024),
        (Assertion { validity: Validity::NotYet, ..right.clone() }, 401, 700_024),
    ] {
        lab.project(&assertion);
        let reply = ask_entra(&lab, &tenant, ("", "")).await.expect("an answer");
        let body = json(&reply);
        assert_eq!((reply.status, &body["error_codes"][0]), (status, &number.into()), "{assertion:?}");
        let text = body["error_description"].as_str().expect("a text");
        assert!(text.starts_with(&format!("AADSTS{number}: ")) && text.contains(" Trace ID: "), "{text}");
        assert!(body["trace_id"].is_string() && body["correlation_id"].is_string());
    }
    lab.project(&right);
    let forged = lab.assertion(&right).replace('.', "A.");
    for (tenant, replaced, number) in [
        (tenant.as_str(), ("client_id", "00000000-0000-4000-8000-000000000000"), 700_016),
        (&tenant, ("scope", "https://vault.example/.default"), 500_011),
        (&tenant, ("client_assertion", forged.as_str()), 50_027),
        (&tenant, ("client_assertion", ""), 900_144),
        (&tenant, ("grant_type", "password"), 70_003),
        ("00000000-0000-4000-8000-000000000000", ("", ""), 90_002),
        ("contoso", ("", ""), 900_023),
    ] {
        let reply = ask_entra(&lab, tenant, replaced).await.expect("an answer");
        assert_eq!(json(&reply)["error_codes"][0], number, "{replaced:?}");
    }
}

#[tokio::test]
async fn entra_id_fails_as_named() {
    let lab = lab_with(|_| {});
    let tenant = Identity::default().tenant;
    for (fault, status, start) in [
        (EntraFault::Refused(70_021), 400, r#"{"correlation_id""#),
        (EntraFault::Refused(1_234_567), 400, r#"{"correlation_id""#),
        (EntraFault::Throttled(RetryAfter::Seconds(3)), 429, r#"{"correlation_id""#),
        (EntraFault::Status(503), 503, r#"{"correlation_id""#),
        (EntraFault::Html(502), 502, "<!DOCTYPE html>"),
        (EntraFault::Html(200), 200, "<!DOCTYPE html>"),
        (EntraFault::Redirect, 302, ""),
        (EntraFault::Token(TokenDefect::Missing), 200, r#"{"token_type":"Bearer""#),
        (EntraFault::Token(TokenDefect::NotJson), 200, "token granted"),
        (EntraFault::Echo, 401, r#"{"correlation_id""#),
    ] {
        lab.change(|settings| settings.identity.entra.answer = Some(fault.clone()));
        let reply = ask_entra(&lab, &tenant, ("", "")).await.expect("an answer");
        assert!(reply.status == status && reply.text().starts_with(start), "{fault:?}: {reply:?}");
    }
}

#[tokio::test]
async fn exchange_rejects_wrong_requests() {
    let lab = lab_with(|_| {});
    let (token, service, tenant) = (imds_token(&lab).await, lab.registry(), Identity::default().tenant);
    let right = [
        ("grant_type", "access_token"),
        ("service", service.as_str()),
        ("tenant", tenant.as_str()),
        ("access_token", token.as_str()),
    ];
    for wrong in [
        ("grant_type", "password"),
        ("grant_type", "access_token_refresh_token"),
        ("service", "fabrikam.azurecr.io"),
        ("tenant", "00000000-0000-4000-8000-000000000000"),
        ("access_token", "eyJ0eXAiOiJKV1QifQ.e30.AA"),
    ] {
        let fields = right.map(|pair| if pair.0 == wrong.0 { wrong } else { pair });
        let reply = exchange_fields(&lab, &fields).await.expect("an answer");
        assert_eq!(reply.status, 401, "{wrong:?}");
        assert!(
            reply.text().starts_with(r#"{"errors":[{"code":"UNAUTHORIZED","message":"#),
            "{}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn exchange_fails_as_named() {
    let lab = lab_with(|_| {});
    let token = imds_token(&lab).await;
    for (fault, status, start) in [
        (ExchangeFault::NotJson, 200, "token granted"),
        (ExchangeFault::Missing, 200, "{}"),
        (ExchangeFault::Empty, 200, r#"{"refresh_token":""}"#),
        (ExchangeFault::RedirectEcho, 307, "<a href=\"https://ey"),
    ] {
        lab.change(|settings| settings.exchange.answer = fault.into());
        let reply = exchange(&lab, &token).await.expect("an answer");
        assert!(reply.status == status && reply.text().starts_with(start), "{fault:?}: {reply:?}");
    }
    for (fault, statuses) in [
        (ExchangeFault::Opaque, (200, Some(200), None)),
        (ExchangeFault::Expired, (401, None, None)),
        (ExchangeFault::OtherAudience, (401, None, None)),
        (ExchangeFault::LineBreak, (401, None, None)),
    ] {
        lab.change(|settings| settings.exchange.answer = fault.into());
        let refresh = field(&exchange(&lab, &token).await.expect("an answer"), "refresh_token");
        assert_eq!(refresh.contains('.'), fault != ExchangeFault::Opaque);
        assert_eq!(pull(&lab, refresh.split("\r\n").last().expect("text")).await, statuses, "{fault:?}");
    }
    lab.change(|settings| settings.echoing = Some(Step::Exchange));
    let reply = exchange(&lab, &token).await.expect("an answer");
    assert!(reply.status == 401 && reply.text().contains(&token), "{reply:?}");
    lab.change(|settings| settings.echoing = None);
    for (canned, status) in [
        (Canned::Firewall(FirewallWording::Refer), 403),
        (Canned::Throttled(RetryAfter::Seconds(5)), 429),
        (Canned::BadGateway, 502),
    ] {
        lab.change(|settings| settings.exchange.answer = canned.into());
        assert_eq!(exchange(&lab, &token).await.expect("an answer").status, status);
    }
    lab.change(|settings| {
        settings.exchange.answer = lab::answers::Answer::Normal;
        settings.exchange.first = vec![Canned::ServerError(503)];
    });
    assert_eq!(exchange(&lab, &token).await.expect("an answer").status, 503);
    assert_eq!(exchange(&lab, &token).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn rights_apply_where_the_setting_says() {
    let lab = lab_with(|_| {});
    let token = imds_token(&lab).await;
    let abac = |repository: &str, refusal| Rights::Abac { readable: vec![repository.to_owned()], refusal };
    let scope = Some("insufficient_scope".to_owned());
    lab.change(|settings| settings.identity.rights = Rights::None);
    assert_eq!(exchange(&lab, &token).await.expect("an answer").status, 401);
    for (rights, expected) in [
        (Rights::Pull, (200, Some(200), None)),
        (Rights::PullAsActions, (200, Some(200), None)),
        (Rights::WithoutRead, (200, Some(401), scope.clone())),
        (Rights::RemovedAfterExchange, (401, None, None)),
        (abac("apps/canary", AbacRefusal::AtToken), (200, Some(200), None)),
        (abac("apps/canary", AbacRefusal::EmptyAccess), (200, Some(200), None)),
        (abac("apps/canary", AbacRefusal::AtManifest), (200, Some(200), None)),
        (abac("apps/other", AbacRefusal::AtToken), (401, None, None)),
        (abac("apps/other", AbacRefusal::EmptyAccess), (200, Some(401), scope.clone())),
        (abac("apps/other", AbacRefusal::AtManifest), (200, Some(401), scope)),
    ] {
        lab.change(|settings| settings.identity.rights = rights.clone());
        let refresh = field(&exchange(&lab, &token).await.expect("an answer"), "refresh_token");
        assert_eq!(pull(&lab, &refresh).await, expected, "{rights:?}");
    }
}
