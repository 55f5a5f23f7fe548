//! Only a signature that is the same in every byte is remembered.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

use super::{MAX_SIGNATURES, MAX_SIZE, Remembering};

/// Counts, and accepts the signature that consists of the key and the message.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if signature == [key, message].concat() { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[test]
fn a_valid_signature_is_verified_once_and_every_other_is_verified() {
    static COUNTING: Counting = Counting(AtomicUsize::new(0));
    let remembering = Remembering::new(&COUNTING);
    // Key, message, signature; whether it is valid; how often the algorithm has verified in all.
    for (key, message, signature, is_valid, verified) in [
        ("key", "message", "keymessage", true, 1),
        ("key", "message", "keymessage", true, 1),
        ("Key", "message", "keymessage", false, 2),
        ("key", "Message", "keymessage", false, 3),
        ("key", "message", "keyMessage", false, 4),
        ("keym", "essage", "keymessage", true, 5),
        ("key", "message", "keyMessage", false, 6),
        ("keym", "essage", "keymessage", true, 6),
        ("key", "message", "keymessage", true, 6),
    ] {
        let outcome = remembering.verify_signature(key.as_bytes(), message.as_bytes(), signature.as_bytes());
        assert_eq!(outcome.is_ok(), is_valid, "{key} {message} {signature}");
        assert_eq!(COUNTING.0.load(Ordering::Relaxed), verified, "{key} {message} {signature}");
    }
}

#[test]
fn the_memory_is_bounded_in_number_and_size() {
    static COUNTING: Counting = Counting(AtomicUsize::new(0));
    let remembering = Remembering::new(&COUNTING);
    let is_remembered = |message: &[u8]| {
        let before = COUNTING.0.load(Ordering::Relaxed);
        remembering.verify_signature(b"key", message, &[b"key", message].concat()).expect("it is valid");
        COUNTING.0.load(Ordering::Relaxed) == before
    };
    for number in 0..=u8::try_from(MAX_SIGNATURES).expect("few") {
        assert!(!is_remembered(&[number]));
    }
    assert!(is_remembered(&[1]));
    assert!(!is_remembered(&[0]), "the oldest was removed");
    let large = vec![b'm'; MAX_SIZE];
    assert!(!is_remembered(&large));
    assert!(!is_remembered(&large));
    assert!(is_remembered(&[0]));
}
