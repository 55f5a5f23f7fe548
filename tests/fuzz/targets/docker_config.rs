//! A docker config, read from a file as in each check.

#![no_main]

use std::fs;
use std::path::PathBuf;

use acr_verifier::credentials::CredentialFiles;
use acr_verifier::probe::fuzz::PLANTED;
use acr_verifier_fuzz::IMAGE;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    // In memory if possible: a disk would be slow, and worn out.
    static FOLDER: TempDir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
}

fuzz_target!(|bytes: &[u8]| {
    let path: PathBuf = FOLDER.with(|folder| folder.path().join("config.json"));
    fs::write(&path, bytes).expect("a file");
    let reported = match (CredentialFiles { paths: vec![path], expires_at: None }).read(&IMAGE) {
        Ok(found) => {
            assert!(!found.attempts.is_empty());
            let sent: Vec<_> =
                found.attempts.iter().filter_map(|attempt| attempt.credentials.as_ref()).collect();
            assert!(sent.iter().all(|sent| !sent.username.is_empty() && !sent.password.is_empty()));
            assert_eq!(sent.is_empty(), found.searched.is_some());
            let entry = found.attempts[0].entry.clone().unwrap_or_default();
            let password = sent.first().map(|sent| format!("{:?}", sent.password));
            format!("{entry} {} {}", found.searched.unwrap_or_default(), password.unwrap_or_default())
        }
        Err(error) => error.to_string(),
    };
    assert!(reported.len() < 8 * 1024, "{} bytes", reported.len());
    assert!(!reported.chars().any(char::is_control), "{reported:?}");
    // Keys of entries may be shown, values never.
    let text = String::from_utf8_lossy(bytes);
    let as_value = text.contains(&format!(":\"{PLANTED}\"")) && text.matches(PLANTED).count() == 1;
    assert!(!(as_value && reported.contains(PLANTED)), "a secret is shown: {reported}");
});
