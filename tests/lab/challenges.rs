//! The 401 challenge that names the token service, and its faults.
//!
//! Owns `WWW-Authenticate`; `registry.rs` decides which requests are challenged.

use super::answers::{Answer, ChallengeFault};
use super::canned;
use super::registry::service;
use super::response::Response;
use super::settings::Settings;
use super::shared::Shared;

/// Longer than any header that a client must accept.
const OVER_LONG: usize = 64 << 10;
const CHALLENGE: &str = "WWW-Authenticate";
const BASIC: &str = "Basic realm=\"Azure Container Registry\"";

/// Challenges a request for a repository, or for none; `error` is the fault of the received token.
pub fn respond(
    shared: &Shared,
    settings: &Settings,
    repository: Option<&str>,
    error: Option<&str>,
) -> Response {
    let fault = if let Answer::Faulty(fault) = &settings.challenge.answer { Some(fault) } else { None };
    let parameters = Parameters::of(shared, repository, error);
    let headers = match fault {
        None => vec![parameters.bearer()],
        Some(ChallengeFault::NoChallenge) if repository.is_none() => {
            return Response::registry_json(200, &[], "{}".into());
        }
        Some(fault) => faulty(shared, fault, parameters),
    };
    let own: Vec<_> = headers.into_iter().map(|value| (CHALLENGE, value)).collect();
    let resource = repository.map(|name| ("repository", name, "pull"));
    let response = Response::registry_json(401, &own, canned::unauthorized_body(resource));
    if fault == Some(&ChallengeFault::VersionHeaderMissing) {
        return response.without("Docker-Distribution-Api-Version").without("X-Ms-Correlation-Request-Id");
    }
    response
}

/// ACR's response to Basic credentials at `/v2/`: no bearer challenge.
pub fn refuse_basic() -> Response {
    let own = [(CHALLENGE, BASIC.to_owned())];
    let mut response = Response::registry_json(401, &own, canned::unauthorized_body(None));
    // Only this header is exposed then, as recorded.
    response.headers.retain(|(name, value)| name != "Access-Control-Expose-Headers" || value == CHALLENGE);
    response
}

/// The parameters of a bearer challenge, in ACR's order.
struct Parameters {
    realm: Option<String>,
    service: Option<String>,
    rest: String,
}

impl Parameters {
    fn of(shared: &Shared, repository: Option<&str>, error: Option<&str>) -> Self {
        let mut rest = String::new();
        if let Some(name) = repository {
            rest.push_str(&format!(",scope=\"repository:{name}:pull\""));
        }
        if let Some(error) = error {
            rest.push_str(&format!(",error=\"{error}\""));
        }
        let service = service(shared);
        Self { realm: Some(format!("https://{service}/oauth2/token")), service: Some(service), rest }
    }

    fn bearer(&self) -> String {
        let known: Vec<_> = [("realm", &self.realm), ("service", &self.service)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value.as_ref()?)))
            .collect();
        format!("Bearer {}{}", known.join(","), self.rest)
    }

    fn with_realm(self, realm: String) -> Vec<String> {
        vec![Self { realm: Some(realm), ..self }.bearer()]
    }
}

fn faulty(shared: &Shared, fault: &ChallengeFault, parameters: Parameters) -> Vec<String> {
    let login = shared.place.login_server();
    let at = shared.authority(&login);
    let foreign = || format!("https://{}/oauth2/token", shared.authority("login.fabrikam.example"));
    match fault {
        ChallengeFault::NoChallenge | ChallengeFault::HeaderMissing => Vec::new(),
        ChallengeFault::VersionHeaderMissing => vec![parameters.bearer()],
        ChallengeFault::BasicOnly => vec![BASIC.to_owned()],
        ChallengeFault::BasicAndBearer => vec![BASIC.to_owned(), parameters.bearer()],
        ChallengeFault::Unparsable => vec![format!("Bearer realm=\"https://{at}/oauth2/token,service=")],
        ChallengeFault::Duplicate => {
            let first = parameters.bearer();
            [vec![first], parameters.with_realm(foreign())].concat()
        }
        ChallengeFault::DuplicateParameter => {
            vec![format!("{},realm=\"{}\"", parameters.bearer(), foreign())]
        }
        ChallengeFault::OverLong => {
            vec![format!("{},pad=\"{}\"", parameters.bearer(), "a".repeat(OVER_LONG))]
        }
        ChallengeFault::RealmMissing => vec![Parameters { realm: None, ..parameters }.bearer()],
        ChallengeFault::RealmUnparsable => parameters.with_realm("https://[oauth2/token".into()),
        ChallengeFault::RealmOtherHost => parameters.with_realm(foreign()),
        ChallengeFault::RealmLookalike => {
            let host = shared.authority(&format!("{login}.fabrikam.example"));
            parameters.with_realm(format!("https://{host}/oauth2/token"))
        }
        ChallengeFault::RealmOtherPort => {
            parameters.with_realm(format!("https://{login}:{}/oauth2/token", shared.port ^ 1))
        }
        ChallengeFault::RealmPlainHttp => parameters.with_realm(format!("http://{at}/oauth2/token")),
        ChallengeFault::RealmAddress => {
            let address = shared.authority(&shared.place.login_address.to_string());
            parameters.with_realm(format!("https://{address}/oauth2/token"))
        }
        ChallengeFault::RealmUserInfo => {
            parameters.with_realm(format!("https://contoso:secret@{at}/oauth2/token"))
        }
        ChallengeFault::RealmWithQuery => {
            parameters.with_realm(format!("https://{at}/oauth2/token?tenant=contoso"))
        }
        ChallengeFault::ServiceMissing => vec![Parameters { service: None, ..parameters }.bearer()],
        ChallengeFault::ServiceOther => {
            let other = shared.authority(&format!("fabrikam.{}", shared.place.suffix));
            vec![Parameters { service: Some(other), ..parameters }.bearer()]
        }
    }
}
