//! The two `Authorization` headers of a pull (RFC 7617, RFC 6750).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use crate::credentials::Credentials;
use crate::observation::Fault;
use crate::secret::Secret;

/// The `user:password` pair of Basic authentication, before base64.
pub(super) fn pair(credentials: &Credentials) -> Secret {
    Secret::new(format!("{}:{}", credentials.username, credentials.password.expose()))
}

/// The header for the token service.
pub(super) fn basic(credentials: &Credentials) -> Result<HeaderValue, Fault> {
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair(credentials).expose())));
    value
        .map_err(|_| Fault::CredentialsInvalid { reason: "they cannot be sent in an HTTP header".to_owned() })
}

/// The header for the registry.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        let reason = "its token contains invalid characters".to_owned();
        Fault::NotARegistry { status: Some(200), reason }
    })
}
