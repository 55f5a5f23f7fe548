//! The status page in a real browser: Chromium opens each state from the real server, and axe checks accessibility.
//!
//! The screenshots are in `target/browser`. Without Chromium, Node and npm, the test prints that it is skipped and passes;
//! `ACR_VERIFIER_REQUIRE_BROWSER=1` makes that a failure. `tests/browser/packages.txt` lists the Debian packages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use acr_verifier::server::{CheckAnswer, Limits};

use crate::report::samples;
use crate::server::bench::Server;
use crate::server::states;

const CHROMIUM: &str = "/usr/bin/chromium";

/// Returns the script after installing its packages.
fn script() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !Path::new(CHROMIUM).exists() {
        return Err(format!("{CHROMIUM} is not installed"));
    }
    if !folder.join("node_modules/axe-core").exists() {
        let installed = Command::new("npm").arg("ci").current_dir(&folder).output();
        let output = installed.map_err(|error| format!("cannot run npm: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm ci failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(folder.join("look.mjs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_opens_in_a_browser_and_is_accessible() {
    let script = match script() {
        Ok(script) => script,
        Err(missing) => {
            return support::skip("ACR_VERIFIER_REQUIRE_BROWSER", "browser", &missing);
        }
    };
    let mut servers = Vec::new();
    let mut pages = Vec::new();
    for (name, status) in states::all() {
        let mut server = Server::start(status, Limits::default());
        pages.push(serde_json::json!({ "name": name, "url": format!("http://{}/", server.address) }));
        let mut checks = std::mem::replace(&mut server.checks, tokio::sync::mpsc::channel(1).1);
        tokio::spawn(async move {
            while let Some(request) = checks.recv().await {
                let run = samples::run(vec![samples::healthy()]);
                request.reply.send(CheckAnswer::Report(run.into())).expect("the browser waits");
            }
        });
        servers.push(server);
    }
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("browser");
    std::fs::create_dir_all(&pictures).expect("a directory for screenshots");
    let looked = tokio::process::Command::new("node")
        .arg(script)
        .arg(CHROMIUM)
        .arg(&pictures)
        .arg(serde_json::Value::from(pages).to_string())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(300), looked).await;
    let output = output.expect("the browser finishes in time").expect("node runs");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    say(printed.trim_end());
}

/// Writes to standard error directly: the test runner hides the output of passing tests.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error is writable");
}
