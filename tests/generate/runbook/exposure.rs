//! The section about the public endpoint of a registry: what `acr-verifier exposure` reports, and what closes it.
//!
//! The settings and the gaps come from `src/public_endpoint/settings.rs`.

use std::fmt::Write as _;

use acr_verifier::public_endpoint::settings::{NOT_VISIBLE, SETTINGS, Setting, settings_command};

const TEXT: &str = "
# Public access

What `acr-verifier exposure` reports. It runs outside of the virtual network, never in the agent, and links to this section.

## exposure

- Verdicts: `refused` (exit code 0), `exposed` (1), `not_tested` (3)

**Meaning.** `exposed`: the public endpoint of the registry answers this client, so that any client with a credential can pull
from there. Either the endpoint is open to all networks, or the client's address is in the IP rules; the answer does not show
which. From a node of the cluster it means that the private path is not enforced. `not_tested`: the registry was not reached,
or something else answered in its place. It is never a refusal.

**Symptoms.** `exposed`: `GET /v2/` without credentials returns 401 with a challenge, or 200. `refused`: it returns 403 with
the code `DENIED` and `client with IP`, which names the address that the registry saw. Everything else is `not_tested`: a private
address (this client sees the private zone), a timeout, a reset, an untrusted certificate (TLS inspection), a redirect, HTML,
429, 5xx, or a 403 that is not from the registry's firewall.

**Confirm.** Run it where no pull should work. On a node, name a resolver that does not see the private zone:

```sh
acr-verifier exposure REGISTRY.azurecr.io
acr-verifier exposure --nameserver RESOLVER REGISTRY.azurecr.io
{settings}
```

The last command shows the settings, which no request from outside can see:

| Setting | Property | How it should read |
| --- | --- | --- |
{table}

The result does not cover:

{not_visible}

**Fix.** First run `acr-verifier smoke` in every cluster that pulls from this registry: nodes that still use the public endpoint
stop pulling at once. Then disable public network access, so that only private endpoints reach the registry:

```sh
az acr update --name REGISTRY --public-network-enabled false
```

Or keep it for selected networks, and allow only their addresses:

```sh
az acr update --name REGISTRY --default-action Deny
az acr network-rule list --name REGISTRY
az acr network-rule remove --name REGISTRY --ip-address CIDR
```

Both affect more than pulls. Outside of the allowed networks, `az acr login`, `az acr build` and hosted pipeline agents can no
longer push, and the Azure portal no longer lists repositories; push from an agent in the virtual network. Trusted services of
Azure still pass unless the bypass is `None` (`az acr update --name REGISTRY --allow-trusted-services false`). For `not_tested`, the report
names what answered and from where to run the command instead.

**Verify.** A rule takes minutes to apply:

```sh
acr-verifier exposure --wait 10m REGISTRY.azurecr.io
```
";

/// Adds the section.
pub(super) fn write(text: &mut String) {
    let row =
        |Setting { key, property, expected }: Setting| format!("| `{key}` | `{property}` | {expected} |");
    let table: Vec<String> = SETTINGS.into_iter().map(row).collect();
    let not_visible: Vec<String> = NOT_VISIBLE.iter().map(|sentence| format!("- {sentence}")).collect();
    let filled = TEXT
        .replace("{settings}", &settings_command("REGISTRY"))
        .replace("{table}", &table.join("\n"))
        .replace("{not_visible}", &not_visible.join("\n"));
    write!(text, "{filled}").expect("a string takes everything");
}
