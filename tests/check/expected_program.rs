//! `--expect-address` and `--expect-file` of the binary against the lab.

use lab::settings::View;
use serde_json::json;

use super::Bench;
use super::program::{command, report, run, text};

/// What `az network nic show` prints for the lab's private endpoint.
fn interface(login: &str, data: &str) -> String {
    let configuration = |name: &str, address: &str| json!({"privateIPAddress": address, "privateLinkConnectionProperties": {"groupId": "registry", "fqdns": [name]}});
    let configurations = [
        configuration("contoso.westeurope.data.azurecr.io", data),
        configuration("contoso.azurecr.io", login),
    ];
    json!({"name": "endpoint.nic", "ipConfigurations": configurations}).to_string()
}

#[test]
fn a_pass_names_the_addresses_that_were_expected() {
    let bench = Bench::healthy();
    let file = bench.lab.folder().join("nic.json");
    std::fs::write(&file, format!("\u{feff}{}\r\n", interface("127.0.0.2", "127.0.0.3"))).expect("a file");
    let mut command = command(&bench.lab);
    let output = run(command.arg("--expect-file").arg(&file).arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    let both = "exactly the expected addresses of contoso.azurecr.io and contoso.westeurope.data.azurecr.io,";
    assert!(shown.contains(both) && shown.contains("127.0.0.2 is expected"), "{shown}");
}

#[test]
fn the_report_has_the_expected_addresses_next_to_those_found() {
    let bench = Bench::with(|settings| {
        settings.nameservers[0].login = View::Addresses(vec!["127.0.0.3".parse().expect("an address")]);
    });
    let login = format!("{}=127.0.0.2", bench.lab.login_server());
    let data = format!("{}=127.0.0.3", bench.lab.data_endpoint());
    let mut command = command(&bench.lab);
    command.args(["--expect-address", &login, "--expect-address", &data, "--output", "json"]);
    let output = run(command.arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let image = &report(&output)["images"][0];
    assert_eq!(image["diagnoses"][0]["cause"], "unexpected_address");
    assert_eq!(image["resolutions"][0]["addresses"], json!(["127.0.0.3"]));
    assert_eq!(image["resolutions"][0]["expectedAddresses"], json!(["127.0.0.2"]));
}

#[test]
fn arguments_that_cannot_be_right_are_rejected_before_anything_is_sent() {
    let bench = Bench::healthy();
    let folder = bench.lab.folder();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let rows = [
        ("--expect-address", "contoso.azurecr.io=10.60.4.0/24".to_owned(), "it is a range, not an address"),
        (
            "--expect-address",
            "fabrikam.azurecr.io=10.60.4.5".to_owned(),
            "is not a name of the registry contoso.",
        ),
        ("--expect-file", file("empty.json", "[]"), "it is an empty list"),
        ("--expect-file", file("table.txt", "Name  Address\n"), "not valid JSON"),
        ("--expect-file", folder.join("absent.json").display().to_string(), "cannot read it"),
        ("--expect-file", folder.display().to_string(), "it is not a regular file"),
        (
            "--expect-file",
            file("endpoints.json", r#"{"loginServer": "contoso.azurecr.io", "dataEndpoints": []}"#),
            "which has names but no addresses",
        ),
    ];
    for (flag, value, reason) in rows {
        let output = run(command(&bench.lab).args([flag, &value]).arg(bench.lab.image()));
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(reason) && error.contains(flag), "{reason}: {error}");
    }
    assert_eq!(bench.lab.queries().len(), 0);
}
