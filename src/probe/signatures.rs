//! TLS arithmetic: ring's, with the preferences of Go's client, and a memory of the valid signatures of certificates.
//!
//! Whether a signature belongs to a message and a key never changes, and each check gets the same certificates again. Their
//! signatures are remembered, byte for byte with message and key, and nothing else: names, dates, purposes and the chain up to a
//! root are evaluated at every handshake. The signature of the handshake itself is never remembered: it proves that the server
//! has the key of its certificate.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

/// Maximum number of remembered signatures per algorithm. A registry's chains have three or four: one for each of the two
/// leaves, and those of the authorities.
const MAX_SIGNATURES: usize = 16;
/// Maximum size of a remembered signature in bytes, with its key and message. A certificate has some two thousand.
const MAX_SIZE: usize = 8 * 1024;

/// One memory for the process, since it depends on nothing but its arguments.
static ALGORITHMS: LazyLock<Vec<Remembering>> = LazyLock::new(|| {
    let algorithms = default_provider().signature_verification_algorithms.all;
    algorithms.iter().map(|algorithm| Remembering::new(*algorithm)).collect()
});
static REFERENCES: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> =
    LazyLock::new(|| ALGORITHMS.iter().map(|algorithm| algorithm as _).collect());

/// The order of Go's client, and so of containerd, on processors with instructions for AES. 128 bits take less time than 256: their
/// key schedule hashes with SHA-256, for which processors have instructions.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The library's arithmetic. Only chains are verified with the memory: `mapping`, which verifies handshakes, is unchanged.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = default_provider();
    provider.cipher_suites = CIPHER_SUITES.to_vec();
    provider.signature_verification_algorithms.all = &REFERENCES;
    provider
}

/// A signature algorithm with a memory.
#[derive(Debug)]
struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    valid: Mutex<VecDeque<Valid>>,
}

/// A valid signature.
#[derive(Debug)]
struct Valid {
    public_key: Box<[u8]>,
    message: Box<[u8]>,
    signature: Box<[u8]>,
}

impl Remembering {
    const fn new(algorithm: &'static dyn SignatureVerificationAlgorithm) -> Self {
        Self { algorithm, valid: Mutex::new(VecDeque::new()) }
    }
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = valid.iter().any(|known| {
            *known.signature == *signature && *known.message == *message && *known.public_key == *public_key
        });
        if is_known {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        if public_key.len() + message.len() + signature.len() <= MAX_SIZE {
            if valid.len() == MAX_SIGNATURES {
                valid.pop_front();
            }
            let [public_key, message, signature] = [public_key, message, signature].map(Box::from);
            valid.push_back(Valid { public_key, message, signature });
        }
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

#[cfg(test)]
mod tests;
