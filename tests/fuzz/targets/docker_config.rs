//! A docker configuration, read from a file as each check reads it.

#![no_main]

use std::fs;
use std::path::PathBuf;

use acr_verifier::credentials::CredentialsSource;
use acr_verifier::probe::fuzz::PLANTED;
use acr_verifier_fuzz::IMAGE;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    // In memory where there is such a place: a disk would be worn, and slow.
    static FOLDER: TempDir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
}

fuzz_target!(|bytes: &[u8]| {
    let path: PathBuf = FOLDER.with(|folder| folder.path().join("config.json"));
    fs::write(&path, bytes).expect("a file");
    let told = match CredentialsSource::named(path, None).read(&IMAGE) {
        Ok(credentials) => {
            assert!(!credentials.username.is_empty() && !credentials.password.is_empty());
            format!("{:?}", credentials.password)
        }
        Err(error) => error.to_string(),
    };
    assert!(told.len() < 8 * 1024, "{} bytes", told.len());
    assert!(!told.chars().any(char::is_control), "{told:?}");
    // Keys of entries are named, values never.
    let text = String::from_utf8_lossy(bytes);
    let as_value = text.contains(&format!(":\"{PLANTED}\"")) && text.matches(PLANTED).count() == 1;
    assert!(!(as_value && told.contains(PLANTED)), "a secret shows: {told}");
});
