//! The summary at the end of `tests/run`, for a sample output of libtest.

use std::process::Command;

/// Output of cargo and libtest, with colours, a line in the middle of another one, and a repeated reason.
const LOG: &str = "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m unittests src/lib.rs (target/debug/deps/acr_verifier-1)

running 3 tests
test result: \u{1b}[32mok\u{1b}[m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s

     Running tests/suite.rs (target/debug/deps/suite-1)

SKIPPED prometheus: needs prometheus
test alerts::names ... SKIPPED: no recordings at recordings
ok

SKIPPED prometheus: needs prometheus
test result: FAILED. 10 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.00s

     Running unittests lib.rs (target/debug/deps/lab-1)
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests acr_verifier
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

const SUMMARY: &str = "  unittests src/lib.rs     3 passed; 0 failed; 0 skipped
  tests/suite.rs           7 passed; 1 failed; 5 skipped
  unittests of lab         2 passed; 0 failed; 0 skipped
  documentation            1 passed; 0 failed; 0 skipped
13 passed, 1 failed, 5 skipped
SKIPPED prometheus: needs prometheus (2 tests)
SKIPPED: no recordings at recordings
";

#[test]
fn skipped_tests_are_not_counted_as_passed() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, LOG).expect("a file");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/summarize");
    let output = Command::new(script).arg(log).output().expect("the script runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), SUMMARY);
    assert!(output.status.success());
}
