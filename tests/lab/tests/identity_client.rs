//! The requests of an identity, as raw clients send them: to IMDS, to Entra ID, and to the exchange.
//!
//! Owns the forms and the recorded order of their fields; `client.rs` owns the connection.

use std::io;

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::client::{Client, Reply};
use lab::answers::Step;
use lab::settings::{Identity, REGISTRY_AUDIENCE, Settings};
use lab::{Lab, REFRESH_TOKEN_USER};

pub(crate) const LOGIN: &str = "login.microsoftonline.com";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A lab with both services, and one thing changed.
pub(crate) fn lab_with(change: impl FnOnce(&mut Settings)) -> Lab {
    let mut settings = Settings { identity: Identity::on_loopback(), ..Settings::default() };
    change(&mut settings);
    Lab::start(settings)
}

/// The target of a token request at IMDS, with the parameters between version and audience.
pub(crate) fn imds_target(identity: &str) -> String {
    let audience = "https%3A%2F%2Fcontainerregistry.azure.net";
    format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{identity}resource={audience}")
}

/// Requests a token from IMDS.
pub(crate) async fn ask_imds(lab: &Lab, identity: &str) -> io::Result<Reply> {
    ask_imds_for(lab, &imds_target(identity), &[("Metadata", "true")]).await
}

pub(crate) async fn ask_imds_for(lab: &Lab, target: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    let mut client = Client::connect_plainly(lab.imds()).await?;
    client.get("169.254.169.254", target, headers).await
}

/// Sends a form over a new connection.
async fn post(mut client: Client, host: &str, target: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    let length = form.len().to_string();
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", &length)];
    client.send("POST", host, target, &headers, &form).await
}

pub(crate) async fn entra(lab: &Lab) -> io::Result<Client> {
    Client::connect_to(lab.entra(), LOGIN, lab.public_root_pem()).await
}

/// The fields of a token request for a workload identity.
pub(crate) fn workload_fields(lab: &Lab) -> Vec<(&'static str, String)> {
    let [(_, client_id), ..] = lab.workload_variables();
    vec![
        ("client_assertion", std::fs::read_to_string(lab.assertion_file()).expect("a token file")),
        ("client_assertion_type", ASSERTION_TYPE.into()),
        ("client_id", client_id),
        ("grant_type", "client_credentials".into()),
        ("scope", format!("{REGISTRY_AUDIENCE}/.default")),
    ]
}

/// Requests a token from Entra ID with the fields of a workload identity, one of them replaced.
pub(crate) async fn ask_entra(lab: &Lab, tenant: &str, replaced: (&str, &str)) -> io::Result<Reply> {
    let fields = workload_fields(lab);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, if *name == replaced.0 { replaced.1 } else { value.as_str() }))
        .collect();
    post(entra(lab).await?, LOGIN, &format!("/{tenant}/oauth2/v2.0/token"), &fields).await
}

/// The value of a JSON body.
pub(crate) fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

pub(crate) fn field(reply: &Reply, name: &str) -> String {
    json(reply)[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", reply.text())).to_owned()
}

/// The token that IMDS issues to the node's only identity.
pub(crate) async fn imds_token(lab: &Lab) -> String {
    field(&ask_imds(lab, "").await.expect("IMDS answers"), "access_token")
}

/// Exchanges a token as documented.
pub(crate) async fn exchange(lab: &Lab, token: &str) -> io::Result<Reply> {
    let (service, tenant) = (lab.registry(), Identity::default().tenant);
    let fields = [
        ("grant_type", "access_token"),
        ("service", service.as_str()),
        ("tenant", tenant.as_str()),
        ("access_token", token),
    ];
    exchange_fields(lab, &fields).await
}

pub(crate) async fn exchange_fields(lab: &Lab, fields: &[(&str, &str)]) -> io::Result<Reply> {
    let client = Client::connect(lab, Step::Exchange).await?;
    post(client, &lab.registry(), "/oauth2/exchange", fields).await
}

/// Requests an access token with a refresh token, as containerd does.
pub(crate) async fn ask_for_token(lab: &Lab, refresh: &str, repository: &str) -> io::Result<Reply> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{REFRESH_TOKEN_USER}:{refresh}"));
    let target = format!("/oauth2/token?scope=repository%3A{repository}%3Apull&service={}", lab.registry());
    let mut client = Client::connect(lab, Step::Token).await?;
    client.get(&lab.registry(), &target, &[("Authorization", &format!("Basic {pair}"))]).await
}

/// The statuses of token and manifest with a refresh token, and the error of the manifest's challenge.
pub(crate) async fn pull(lab: &Lab, refresh: &str) -> (u16, Option<u16>, Option<String>) {
    let reply = ask_for_token(lab, refresh, "apps/canary").await.expect("the registry answers");
    if reply.status != 200 {
        return (reply.status, None, None);
    }
    let bearer = format!("Bearer {}", field(&reply, "access_token"));
    let mut client = Client::connect(lab, Step::Manifest).await.expect("the registry accepts");
    let target = "/v2/apps/canary/manifests/1";
    let manifest =
        client.get(&lab.registry(), target, &[("Authorization", &bearer)]).await.expect("an answer");
    let challenge = manifest.header("WWW-Authenticate").map(str::to_owned);
    let error =
        challenge.and_then(|text| Some(text.split_once("error=\"")?.1.trim_end_matches('"').to_owned()));
    (200, Some(manifest.status), error)
}
