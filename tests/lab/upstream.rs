//! An upstream registry behind the endpoints: forwards requests and responses.
//!
//! Owns the forwarding, and what ACR's front end adds to a registry: the redirect of blobs to the data endpoint, and the
//! correlation ID. The token service is the lab's own, and steps with a fault or a canned answer are not forwarded.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answers::{Answer, Canned, Step, Target};
use super::canned;
use super::http::Incoming;
use super::links::{self, Subject};
use super::log::Listener;
use super::oddities;
use super::random;
use super::registry::{self, Route, route, service};
use super::response::Response;
use super::settings::{Credentials, Settings};
use super::shared::Shared;
use super::tokens::Access;

const MOST_HEADERS: usize = 100;
/// Longer than a client of a test waits.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
/// Headers of the connection or its framing, which are regenerated for the client.
const PER_CONNECTION: [&str; 3] = ["Connection", "Content-Length", "Transfer-Encoding"];

/// Answers a request from the upstream registry; `None` without one, or if the lab answers itself.
pub async fn respond(
    shared: &Shared,
    settings: &Settings,
    listener: Listener,
    request: &Incoming,
) -> Option<Response> {
    let upstream = shared.place.upstream?;
    // docker-registry parses what it serves, and would reject some of the odd images.
    let linked = || shared.links.resolve(request.query()).map(|(repository, _)| repository);
    if registry::names(request).0 == oddities::ODD || linked().as_deref() == Some(oddities::ODD) {
        return None;
    }
    match listener {
        Listener::Login => login(upstream, shared, settings, request).await,
        Listener::Data if settings.blob.answer == Answer::Normal => data(upstream, shared, request).await,
        Listener::Data | Listener::Decoy(_) | Listener::Imds | Listener::Entra => None,
    }
}

async fn login(
    upstream: SocketAddr,
    shared: &Shared,
    settings: &Settings,
    request: &Incoming,
) -> Option<Response> {
    let step = registry::step(request)?;
    let normal = match step {
        Step::Challenge => settings.challenge.answer == Answer::Normal,
        Step::Manifest => settings.manifest.answer == Answer::Normal,
        Step::BlobRedirect => settings.blob_redirect.answer == Answer::Normal,
        Step::Exchange | Step::Token | Step::Blob => return None,
    };
    // A faulty challenge applies to every step that requires a token.
    let challenged =
        request.all("Authorization").next().is_none() && settings.challenge.answer != Answer::Normal;
    if !normal || challenged {
        return None;
    }
    let asked = registry::asked(shared, request);
    let passed_on = ["Accept", "Authorization", "User-Agent"]
        .into_iter()
        .flat_map(|name| request.all(name).map(move |value| (name, value)))
        .collect::<Vec<_>>();
    let answer = fetch(upstream, &service(shared), &request.method, &request.target, &passed_on).await;
    let response = match (answer, route(request.path())) {
        (Ok(response), Route::Blob { repository, digest }) if response.status == 200 => {
            let subject = Subject { repository, digest, asked: &asked };
            canned::redirect(307, &links::locate(shared, &Target::DataEndpoint, &subject))
        }
        (Ok(response), _) => response,
        (Err(_), _) => bad_gateway(shared, step, &asked),
    };
    Some(response)
}

async fn data(upstream: SocketAddr, shared: &Shared, request: &Incoming) -> Option<Response> {
    let (repository, digest) = shared.links.resolve(request.query())?;
    // The data endpoint may read whatever the login endpoint has signed a link for.
    let access = Access { kind: "repository".into(), name: repository.clone(), actions: vec!["pull".into()] };
    let token = shared.tokens.issue(&Credentials::default(), &service(shared), &[access], None);
    let authorization = format!("Bearer {token}");
    let target = format!("/v2/{repository}/blobs/{digest}");
    let answer =
        fetch(upstream, &service(shared), "GET", &target, &[("Authorization", &authorization)]).await;
    let response = match answer {
        Ok(found) if found.status == 200 => Response::data(200, "application/octet-stream", &[], found.body),
        Ok(found) if found.status == 404 => {
            canned::storage_error(404, "BlobNotFound", "The specified blob does not exist.")
        }
        Ok(_) | Err(_) => bad_gateway(shared, Step::Blob, &target),
    };
    Some(response)
}

fn bad_gateway(shared: &Shared, step: Step, asked: &str) -> Response {
    let subject = Subject { repository: "", digest: "", asked };
    canned::respond(shared, step, &Canned::BadGateway, &subject)
}

/// Sends one request over a new connection as HTTP/1.0: the body then ends with the connection.
async fn fetch(
    upstream: SocketAddr,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    let mut head = format!("{method} {target} HTTP/1.0\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = Vec::new();
    let exchange = async {
        let mut stream = TcpStream::connect(upstream).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.read_to_end(&mut bytes).await
    };
    timeout(LONGEST_ANSWER, exchange).await??;
    parse(&bytes, method == "HEAD")
}

fn parse(bytes: &[u8], head_only: bool) -> io::Result<Response> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = answer.parse(bytes).map_err(io::Error::other)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let body = bytes[length..].to_vec();
    let mut kept: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let announced = kept.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"));
    let length = announced.filter(|_| head_only).map_or_else(|| body.len().to_string(), |(_, it)| it.clone());
    kept.retain(|(name, _)| PER_CONNECTION.iter().all(|other| !name.eq_ignore_ascii_case(other)));
    kept.push(("Content-Length".into(), length));
    kept.push(("Connection".into(), "keep-alive".into()));
    kept.push(("X-Ms-Correlation-Request-Id".into(), random::guid()));
    Ok(Response { status: answer.code.unwrap_or_default(), headers: kept, body, chunked: false })
}
