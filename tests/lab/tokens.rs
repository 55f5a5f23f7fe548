//! The token service: issues and verifies tokens.
//!
//! Owns the signing key, the claims in ACR's format, and the registry's verification. `registry.rs` owns the HTTP part. Another
//! registry can load `certificate_pem` and trust the same tokens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answers::TokenFault;
use super::certificates::token_signer;
use super::random;
use super::settings::{Credentials, Grant, KeyHint};

/// The issuer claim of ACR's tokens.
pub const ISSUER: &str = "Azure Container Registry";
/// ACR's access tokens are valid for 75 minutes.
const LIFE_SECONDS: u64 = 4_500;

/// Signs and verifies tokens.
pub struct TokenService {
    key: EcdsaKeyPair,
    certificate_pem: String,
    header: Value,
    /// The only valid access token that is not a JWT.
    opaque: String,
    /// Refresh tokens that are not JWTs, each with the token that it stands for.
    hidden: Mutex<HashMap<String, String>>,
}

/// A resource of a scope, as requested or granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub kind: String,
    pub name: String,
    pub actions: Vec<String>,
}

/// The registry's verdict on a bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    Good,
    /// Forged, expired, or for another registry.
    Invalid,
    /// Valid, but does not allow this.
    InsufficientScope,
}

impl TokenService {
    pub fn new(hint: KeyHint) -> Self {
        let (pair, certificate) = token_signer();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &pair.serialize_der(),
            &SystemRandom::new(),
        )
        .expect("rcgen writes keys that ring reads");
        let header = match hint {
            KeyHint::None => json!({"alg": "ES256", "typ": "JWT"}),
            KeyHint::KeyId => json!({"alg": "ES256", "kid": key_id(&pair), "typ": "JWT"}),
            KeyHint::Certificate => {
                json!({"alg": "ES256", "typ": "JWT", "x5c": [STANDARD.encode(certificate.der())]})
            }
        };
        Self {
            key,
            certificate_pem: certificate.pem(),
            header,
            opaque: random::url_safe(48),
            hidden: Mutex::default(),
        }
    }

    /// The certificate of the signing key, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Issues the token for a scope, according to scope map and fault.
    pub fn issue(
        &self,
        credentials: &Credentials,
        service: &str,
        asked: &[Access],
        fault: Option<TokenFault>,
    ) -> String {
        let mut access: Vec<_> =
            asked.iter().filter_map(|asked| granted(&credentials.grant, asked)).collect();
        let mut claims = Self::claims(credentials, service);
        match fault {
            Some(TokenFault::Opaque) => return self.opaque.clone(),
            Some(TokenFault::WithoutPull) => {
                for entry in &mut access {
                    entry.actions = vec!["metadata_read".to_owned()];
                }
            }
            Some(TokenFault::OtherRepository) => {
                for entry in &mut access {
                    "apps/other".clone_into(&mut entry.name);
                }
            }
            Some(TokenFault::Expired) => {
                for claim in ["nbf", "iat", "exp"] {
                    claims[claim] = json!(claims[claim].as_u64().unwrap_or_default() - 2 * LIFE_SECONDS);
                }
            }
            Some(TokenFault::OtherAudience) => claims["aud"] = json!("fabrikam.azurecr.io"),
            Some(
                TokenFault::NotJson
                | TokenFault::NoToken
                | TokenFault::Empty
                | TokenFault::OverLong
                | TokenFault::LineBreak
                | TokenFault::AccessMissing
                | TokenFault::BadSignature
                | TokenFault::TokenKey,
            )
            | None => {}
        }
        if fault != Some(TokenFault::AccessMissing) {
            claims["access"] = access
                .iter()
                .map(|entry| json!({"type": entry.kind, "name": entry.name, "actions": entry.actions}))
                .collect();
        }
        let mut token = self.sign(&claims);
        if fault == Some(TokenFault::BadSignature) {
            let kept = token.rfind('.').map_or(0, |dot| dot + 1);
            token.truncate(kept);
            token.push_str(&random::url_safe(64));
        }
        token
    }

    /// Whether a token permits this, by signature, audience, time and access claim.
    pub fn judge(&self, token: &str, service: &str, repository: &str, action: &str) -> TokenVerdict {
        if token == self.opaque {
            return TokenVerdict::Good;
        }
        let Some(claims) = self.verified_claims(token) else { return TokenVerdict::Invalid };
        let now = seconds_since_epoch();
        if claims["aud"] != service || claims["exp"].as_u64().is_none_or(|end| end <= now) {
            return TokenVerdict::Invalid;
        }
        let allowed = claims["access"].as_array().is_some_and(|access| {
            access.iter().any(|entry| {
                entry["type"] == "repository"
                    && entry["name"] == repository
                    && entry["actions"]
                        .as_array()
                        .is_some_and(|actions| actions.iter().any(|known| known == action))
            })
        });
        if allowed { TokenVerdict::Good } else { TokenVerdict::InsufficientScope }
    }

    fn claims(credentials: &Credentials, service: &str) -> Value {
        let now = seconds_since_epoch();
        json!({
            "jti": random::guid(), "sub": credentials.username, "nbf": now - 900, "exp": now + LIFE_SECONDS - 900,
            "iat": now - 900, "iss": ISSUER, "aud": service, "version": "1.0", "rid": random::hex(16).to_lowercase(),
            "grant_type": "access_token", "roles": [],
        })
    }

    /// Replaces a token by text without structure, which stands for it from now on.
    pub fn hide(&self, token: String) -> String {
        let shown = random::url_safe(48);
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner).insert(shown.clone(), token);
        shown
    }

    /// The claims of a token of this registry, hidden or not.
    pub fn revealed_claims(&self, token: &str) -> Option<Value> {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        self.verified_claims(hidden.as_deref().unwrap_or(token))
    }

    pub fn sign(&self, claims: &Value) -> String {
        let [header, claims] =
            [&self.header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string().as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("the system has randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verified_claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

/// Parses `repository:apps/canary:pull,push`; several scopes are separated by spaces.
pub fn parse_scope(scope: &str) -> Vec<Access> {
    scope
        .split(' ')
        .filter_map(|part| {
            let (kind, rest) = part.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(Access {
                kind: kind.to_owned(),
                name: name.to_owned(),
                actions: actions.split(',').map(str::to_owned).collect(),
            })
        })
        .collect()
}

fn granted(grant: &Grant, asked: &Access) -> Option<Access> {
    let known = match grant {
        Grant::Everything => true,
        Grant::Repositories(names) => names.contains(&asked.name),
    };
    let actions: Vec<_> = asked.actions.iter().filter(|action| *action == "pull").cloned().collect();
    (known && asked.kind == "repository" && !actions.is_empty()).then(|| Access { actions, ..asked.clone() })
}

/// The key ID of libtrust: SHA-256 of the public key, its first 240 bits in base32, in groups of four.
fn key_id(pair: &rcgen::KeyPair) -> String {
    use rcgen::PublicKeyData as _;
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(pair.subject_public_key_info());
    let letters: Vec<char> = digest[..30]
        .chunks(5)
        .flat_map(|five| {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8).rev().map(move |place| char::from(ALPHABET[(bits >> (place * 5) & 31) as usize]))
        })
        .collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs()
}
