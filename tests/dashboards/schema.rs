//! Validates the JSON against Grafana's published types, in Python: an unknown key or unit is a mistake.
//!
//! Grafana itself is not available as a package. Without Python or the network, the test prints that it is skipped and
//! passes; `ACR_VERIFIER_REQUIRE_PROMETHEUS=1` makes that a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

use generate::dashboards::NAMES;

/// Pinned to one build: pip would choose the one for Grafana 10.1, which has the highest version number.
const PACKAGE: &str = "grafana-foundation-sdk==1769699379!11.6.0";

/// Returns a Python with the package, installed on first use.
fn python() -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let folder = Path::new(&home).join(".cache/acr-verifier/grafana-foundation-sdk-11.6.0-1769699379");
    let python = folder.join("bin/python");
    let done = folder.join("complete");
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        std::fs::write(done, PACKAGE).map_err(|error| error.to_string())?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{command:?}: {said}")) }
}

#[test]
fn grafanas_types_accept_every_key_and_unit() {
    let python = match python() {
        Ok(python) => python,
        Err(missing) => {
            let first = missing.lines().next().unwrap_or_default();
            return support::skip("ACR_VERIFIER_REQUIRE_PROMETHEUS", "dashboards' schema", first);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/dashboards/schema.py");
    let check = |path: &Path| run(Command::new(&python).arg(&script).arg(path));
    for name in NAMES {
        let path = root.join(format!("dashboards/{name}.json"));
        assert_eq!(check(&path), Ok(String::new()));
    }
    // The validation detects mistakes.
    let folder = tempfile::tempdir().expect("a folder");
    let good = std::fs::read_to_string(root.join("dashboards/overview.json")).expect("the overview");
    for (right, wrong) in [
        ("mergeValues", "mergeValuez"),
        ("\"expr\"", "\"exprr\""),
        ("\"reqpm\"", "\"reqpmm\""),
        ("legendFormat", "legend"),
    ] {
        assert!(good.contains(right));
        let path = folder.path().join("wrong.json");
        std::fs::write(&path, good.replace(right, wrong)).expect("a file");
        let said = check(&path).expect_err(wrong);
        assert!(said.contains(wrong.trim_matches('"')), "{said}");
    }
}
