//! The status page in a real browser: Chromium opens each state from the real server, and axe checks accessibility.
//!
//! The screenshots are in `target/browser`; two of them are in the documents. Without Chromium, Node and npm, the test prints that it is skipped and passes;
//! `ACR_VERIFIER_REQUIRE_BROWSER=1` makes that a failure. `tests/browser/packages.txt` lists the Debian packages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use acr_verifier::page::{self, Reload};
use acr_verifier::server::{CheckAnswer, Limits};

use crate::report::samples;
use crate::server::bench::Server;
use crate::server::states;

const CHROMIUM: &str = "/usr/bin/chromium";
/// The state that the documents show: one cause, which is on the data path.
const PICTURED: &str = "fail-blob";
/// Maximum size of a picture in a document in bytes.
const MAX_PICTURE: usize = 150_000;

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
        .arg(PICTURED)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(600), looked).await;
    let output = output.expect("the browser finishes in time").expect("node runs");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    say(printed.trim_end());
    keep(&pictures);
}

/// Compares the pictures in the documents with the page that they show, which `EXPECTORATE=overwrite` replaces with the
/// pictures. Their pixels depend on the browser, so only their size is compared.
fn keep(taken: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = format!("tests/golden/page/{PICTURED}.html");
    let status = states::all().into_iter().find(|(name, _)| *name == PICTURED).expect("the state").1;
    let mut page = Vec::new();
    page::write(&mut page, &status, states::NOW.parse().expect("a moment"), Reload::Off)
        .expect("memory takes everything");
    let page = String::from_utf8(page).expect("UTF-8").replace("><", ">\n<") + "\n";
    std::fs::create_dir_all(root.join("tests/golden/page")).expect("a directory");
    let is_current = std::fs::read_to_string(root.join(&golden)).is_ok_and(|known| known == page);
    expectorate::assert_contents(&golden, &page);
    for look in ["light", "dark"] {
        let picture = std::fs::read(taken.join(format!("{PICTURED}.{look}.top.png"))).expect("a screenshot");
        let path = root.join(format!("docs/images/status-{look}.png"));
        let is_absent = !path.exists() && std::env::var_os("EXPECTORATE").is_some();
        if !is_current || is_absent {
            std::fs::write(&path, &picture).expect("a picture");
        }
        let kept = std::fs::read(&path).expect("the picture is in the documents");
        assert_eq!(size(&kept), size(&picture), "{look}: width and height");
        assert!(kept.len() < MAX_PICTURE, "{look}: {} bytes", kept.len());
    }
}

/// Returns width and height of a PNG, which follow the name of its first chunk.
fn size(png: &[u8]) -> [u32; 2] {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes")))
}

/// Writes to standard error directly: the test runner hides the output of passing tests.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error is writable");
}
