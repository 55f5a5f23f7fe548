//! Messages and remedies at the data endpoint are about the data endpoint: the login server has already answered.

use acr_verifier::cause::Cause;
use acr_verifier::observation::Endpoint;

use super::Bench;
use lab::settings::View;

/// Words about the image's own name, which is correct if a check reaches the data endpoint.
const OF_THE_IMAGE: [&str; 3] = ["image reference", "recreate the registry", "Create a private endpoint"];

#[test]
fn no_advice_at_the_data_endpoint_is_about_the_name_in_the_image() {
    for cause in Cause::ALL {
        let at_data = cause.remedy_at(Endpoint::Data);
        assert_eq!(cause.remedy_at(Endpoint::Login), cause.info().remedy);
        let is_of_data = cause
            .stages()
            .iter()
            .any(|stage| acr_verifier::observation::Stage::of(Endpoint::Data).contains(stage));
        if is_of_data {
            for words in OF_THE_IMAGE {
                assert!(!at_data.contains(words), "{cause}: {at_data}");
            }
        }
    }
}

/// A fault at the data endpoint, with the expected message, remedy and commands.
#[test]
fn advice_at_the_data_endpoint_names_the_data_endpoint() {
    let login = "127.0.0.2".parse().expect("an address");
    let rows = [
        // A zone created by hand has only the login server's record.
        (
            View::NoSuchName,
            "fail data dns name_not_found",
            "contoso.westeurope.data.azurecr.io does not exist",
            "Add the data endpoint's A record",
            "--name contoso.westeurope.data",
        ),
        (
            View::NoPrivateEndpoint,
            "fail data address no_private_endpoint",
            "nothing points the data endpoint to the registry's private endpoint",
            "add the data endpoint's A record",
            "--name contoso.westeurope.data",
        ),
        // A wildcard record points every name to the login server.
        (
            View::Addresses(vec![login]),
            "fail data tls certificate_name_mismatch",
            "The login server contoso.azurecr.io has the same address",
            "Set the data endpoint's A record to its own address",
            "--name contoso.westeurope.data",
        ),
    ];
    for (view, expected, message, remedy, command) in rows {
        let bench = Bench::with(|settings| settings.nameservers[0].data = view.clone());
        let outcome = bench.check();
        outcome.expect(&[expected]);
        let diagnosis = &outcome.diagnoses[0];
        assert!(diagnosis.message.contains(message), "{}", diagnosis.message);
        assert!(diagnosis.remedy.contains(remedy), "{}", diagnosis.remedy);
        let commands = diagnosis.commands.join("\n");
        assert!(commands.contains(command), "{commands}");
        for words in ["--query loginServer", "private-endpoint create "] {
            assert!(!commands.contains(words), "{commands}");
        }
    }
}

/// The same causes at the login server keep their own advice.
#[test]
fn advice_at_the_login_server_names_the_login_server() {
    for (view, expected, remedy) in [
        (View::NoSuchName, "fail login dns name_not_found", "Correct the login server in the image"),
        (View::NoPrivateEndpoint, "fail login address no_private_endpoint", "Create a private endpoint"),
    ] {
        let bench = Bench::with(|settings| settings.nameservers[0].login = view.clone());
        let outcome = bench.check();
        outcome.expect(&[expected]);
        assert!(outcome.diagnoses[0].remedy.contains(remedy), "{}", outcome.diagnoses[0].remedy);
    }
}
