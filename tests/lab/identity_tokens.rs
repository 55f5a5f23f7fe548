//! Tokens of the identities: assertions of the cluster, and tokens of Entra ID.
//!
//! Owns their keys, their claims, the cache of IMDS, and the defects of token responses. `imds.rs` and `entra.rs` decide who
//! gets one, `exchange.rs` what the registry accepts. Entra ID signs with RSA; nothing that reads these tokens knows its keys,
//! so the lab signs with the curve of its other tokens.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::log::Log;
use super::random;
use super::settings::{AUTHORITIES, Assertion, Identity, ManagedIdentity, TokenDefect, Validity};

/// A token of one megabyte: far above any reasonable limit of a client.
pub const OVER_LONG: usize = 1 << 20;
/// The audience of a token that no registry accepts.
const OTHER_AUDIENCE: &str = "https://graph.microsoft.com";
/// Entra ID backdates tokens by five minutes.
const BACKDATED: u64 = 300;
const HOUR: u64 = 3_600;

/// The services behind the identities of a running lab.
pub struct IdentityServices {
    /// The addresses of the running services.
    pub imds: Option<SocketAddr>,
    pub entra: Option<SocketAddr>,
    cluster: Signer,
    issuer: Signer,
    /// The tokens that IMDS has already issued, by identity and audience, with their expiry.
    issued: Mutex<HashMap<(String, String), Issued>>,
    /// The token requests at each service since the change with this number.
    counted: Mutex<(u64, [usize; 2])>,
    certificates: OnceLock<Certificates>,
}

/// A token with its times in seconds since the epoch.
#[derive(Clone, Debug)]
pub struct Issued {
    pub token: String,
    pub not_before: u64,
    pub expires: u64,
}

/// The principal of a token.
pub struct Principal<'a> {
    pub client_id: &'a str,
    pub object_id: &'a str,
    /// The path of a managed identity in Azure.
    pub resource: Option<&'a str>,
}

impl<'a> From<&'a ManagedIdentity> for Principal<'a> {
    fn from(identity: &'a ManagedIdentity) -> Self {
        Self {
            client_id: &identity.client_id,
            object_id: &identity.object_id,
            resource: Some(&identity.resource),
        }
    }
}

impl IdentityServices {
    pub fn new(imds: Option<SocketAddr>, entra: Option<SocketAddr>) -> Self {
        Self {
            imds,
            entra,
            cluster: Signer::new(),
            issuer: Signer::new(),
            issued: Mutex::default(),
            counted: Mutex::default(),
            certificates: OnceLock::new(),
        }
    }

    /// The authorities of the public internet, with a certificate for every name of Entra ID.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.get_or_init(|| Certificates::public(AUTHORITIES.map(str::to_owned).to_vec()))
    }

    /// Signs an assertion, as the cluster does for a projected service account token.
    pub fn assert(&self, assertion: &Assertion) -> String {
        let now = now();
        let from = match assertion.validity {
            Validity::Now => now,
            Validity::Expired => now - 2 * HOUR,
            Validity::NotYet => now + 2 * HOUR,
        };
        let mut parts = assertion.subject.split(':').skip(2);
        let (namespace, account) =
            (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        self.cluster.sign(&json!({
            "aud": [assertion.audience], "exp": from + HOUR, "iat": from, "iss": assertion.issuer,
            "jti": random::guid(), "nbf": from, "sub": assertion.subject,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": account, "uid": random::guid()},
            },
        }))
    }

    /// The claims of an assertion of this lab's cluster.
    pub fn assertion(&self, token: &str) -> Option<Value> {
        self.cluster.verified_claims(token)
    }

    /// The claims of a token of this lab's Entra ID.
    pub fn token(&self, token: &str) -> Option<Value> {
        self.issuer.verified_claims(token)
    }

    /// Issues a token of Entra ID with this defect, which is remembered as a secret.
    pub fn issue(
        &self,
        settings: &Identity,
        log: &Log,
        principal: &Principal<'_>,
        audience: &str,
        defect: Option<TokenDefect>,
    ) -> Issued {
        let now = now();
        let (from, until) = match defect {
            Some(TokenDefect::Expired) => (now - 2 * HOUR, now - HOUR),
            _ => (now - BACKDATED, now + settings.token_life.as_secs()),
        };
        let audience = if defect == Some(TokenDefect::OtherAudience) { OTHER_AUDIENCE } else { audience };
        let token = match defect {
            Some(TokenDefect::Opaque) => random::url_safe(48),
            _ => self.issuer.sign(&claims(settings, principal, audience, (from, until), defect)),
        };
        log.secrets.push(token.clone());
        Issued { token, not_before: from, expires: until }
    }

    /// The token that IMDS has for an identity and an audience, issued at first and after its expiry.
    pub fn cached(&self, key: (&str, &str), issue: impl FnOnce() -> Issued) -> Issued {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (key.0.to_owned(), key.1.to_owned());
        match issued.get(&key) {
            Some(known) if known.expires > now() => known.clone(),
            Some(_) | None => issued.entry(key).insert_entry(issue()).get().clone(),
        }
    }

    /// The number of this token request at a service, from 0, since the change with this number.
    pub fn count(&self, change: u64, service: usize) -> usize {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0 != change {
            *counted = (change, [0; 2]);
        }
        counted.1[service] += 1;
        counted.1[service] - 1
    }
}

/// The token of a response, as a defect spells it in JSON; `None` for the defects without a token.
pub fn spelled(token: &str, defect: Option<TokenDefect>) -> Option<String> {
    match defect {
        Some(TokenDefect::NotJson | TokenDefect::Missing) => None,
        Some(TokenDefect::Empty) => Some(String::new()),
        Some(TokenDefect::OverLong) => Some(format!("{token}{}", "A".repeat(OVER_LONG))),
        Some(TokenDefect::LineBreak) => Some(format!("{token}\\r\\nX-Injected: yes")),
        Some(
            TokenDefect::Opaque
            | TokenDefect::WithoutTenant
            | TokenDefect::OtherAudience
            | TokenDefect::Expired,
        )
        | None => Some(token.to_owned()),
    }
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs()
}

/// A moment in Entra ID's format.
pub fn moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).expect("the clock is before the year 9999");
    let moment = jiff::Timestamp::from_second(seconds).expect("the clock is before the year 9999");
    moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The claims of an application's token, version 1.0.
fn claims(
    settings: &Identity,
    principal: &Principal<'_>,
    audience: &str,
    (from, until): (u64, u64),
    defect: Option<TokenDefect>,
) -> Value {
    let issuer = format!("https://sts.windows.net/{}/", settings.tenant);
    let mut claims = json!({
        "aud": audience, "iss": issuer, "iat": from, "nbf": from, "exp": until, "aio": random::url_safe(24),
        "appid": principal.client_id, "appidacr": "2", "idp": issuer, "idtyp": "app",
        "oid": principal.object_id, "rh": random::url_safe(24), "sub": principal.object_id,
        "tid": settings.tenant, "uti": random::url_safe(16), "ver": "1.0",
    });
    if let Some(resource) = principal.resource {
        claims["xms_mirid"] = json!(resource);
    }
    if defect == Some(TokenDefect::WithoutTenant) {
        claims.as_object_mut().expect("claims are an object").remove("tid");
    }
    claims
}

/// A key that signs and verifies tokens.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .expect("the system has randomness");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random);
        Self(pair.expect("ring reads the keys that it writes"))
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": "lab", "typ": "JWT"});
        let [header, claims] =
            [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string().as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature =
            self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("the system has randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verified_claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}
