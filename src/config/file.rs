//! The configuration file: the meaning of each key of the YAML.
//!
//! Owns the keys, their bounds and their conflicts. All problems of a file are reported at once. `yaml` reads the YAML,
//! [`value`] parses single values. Paths in the file are not opened here: an agent's Secret may be mounted later.

mod metrics;
mod private_endpoint;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use self::private_endpoint::PrivateEndpoint;
pub use super::section::ConfigErrors;
use super::section::{Field, Reader, Section};
use super::value::{self, Refusal};
use super::{Config, CredentialsConfig, ImageConfig, Resolvers, Schedule, SystemResolver};
use crate::address::NameserverAddress;
use crate::file::{self, FileError};
use crate::image::ImageReference;
use crate::text::quote::quote_value;
use crate::text::yaml::{self, Node, Position, Value};

/// Largest configuration file, in bytes: a thousand images need a tenth of that.
const MAX_BYTES: u64 = 1 << 20;
/// Most images of one agent: every check of an image is a complete pull.
const MAX_IMAGES: usize = 100;
/// Most resolvers to compare with.
const MAX_COMPARED: usize = 16;
/// Most failed checks in a row before a failure is confirmed.
const MAX_CONFIRM_AFTER: u32 = 100;
/// Largest fleet and budget: far more than one registry can serve.
const MAX_FLEET: u32 = 1_000_000;

/// Reads a configuration file.
///
/// # Errors
/// All problems of the file, or the reason why it cannot be read.
pub fn read(path: &Path) -> Result<Config, ConfigErrors> {
    parse(path, &text(path)?)
}

/// Reads the text of a configuration file.
///
/// # Errors
/// The reason why it cannot be read.
pub fn text(path: &Path) -> Result<String, ConfigErrors> {
    let unreadable = |message: String| ConfigErrors::unreadable(path, message);
    let bytes = file::read(path, MAX_BYTES).map_err(|error| {
        unreadable(match error {
            FileError::Read(error) => format!("cannot read the file: {error}"),
            FileError::Irregular => "not a regular file: expected a YAML file".to_owned(),
            FileError::TooLarge => format!("the file is too large: expected at most {MAX_BYTES} bytes"),
        })
    })?;
    String::from_utf8(bytes).map_err(|_| unreadable("the file is not UTF-8".to_owned()))
}

/// Parses the text of a configuration file; `path` is only for the messages.
///
/// # Errors
/// All problems of the text.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let tree = yaml::parse(text);
    let mut reader = Reader::from_faults(tree.faults);
    let empty = Node { position: Position::START, value: Value::Plain(String::new()) };
    // A text that is cut off has no tree; missing keys would not be the operator's mistake.
    if tree.root.is_none() && !reader.is_clean() {
        return reader.finish(path, None);
    }
    let root = Field { key: String::new(), node: tree.root.as_ref().unwrap_or(&empty) };
    let config = read_config(&mut reader, &root);
    let digest = Some(digest(text));
    reader.finish(path, config.map(|config| Config { digest, ..config }))
}

/// The digest of a configuration file: SHA-256 of its bytes as `sha256:…`, the same as `sha256sum FILE` prints.
#[must_use]
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |digest, byte| digest + &format!("{byte:02x}"))
}

fn read_config(reader: &mut Reader, root: &Field<'_>) -> Option<Config> {
    const KEYS: [&str; 8] =
        ["images", "resolvers", "tls", "nodeFiles", "schedule", "metrics", "server", "events"];
    let section = reader.section(root, &KEYS)?;
    let images = section.require(reader, "images").cloned().and_then(|field| read_images(reader, &field));
    let defaults = Config::of(Vec::new());
    let resolvers =
        optional(&section, "resolvers", Resolvers::default(), |field| read_resolvers(reader, field));
    let ca_file = optional(&section, "tls", None, |field| {
        let tls = reader.section(field, &["caFile"])?;
        optional(&tls, "caFile", None, |field| reader.text(field, value::path).map(Some))
    });
    let node_root = optional(&section, "nodeFiles", None, |field| read_node_files(reader, field).map(Some));
    let schedule = optional(&section, "schedule", Schedule::default(), |field| read_schedule(reader, field));
    let stage_histograms =
        optional(&section, "metrics", defaults.stage_histograms, |field| metrics::read(reader, field));
    let server = optional(&section, "server", defaults.server, |field| server::read(reader, field));
    let events = optional(&section, "events", defaults.events, |field| read_events(reader, field));
    Some(Config {
        images: images?,
        resolvers: resolvers?,
        ca_file: ca_file?,
        node_root: node_root?,
        schedule: schedule?,
        stage_histograms: stage_histograms?,
        server: server?,
        events: events?,
        ..defaults
    })
}

/// The value of a key, or the default if the key is absent; `None` if the value is invalid.
fn optional<'tree, T>(
    section: &Section<'tree>,
    name: &str,
    default: T,
    read: impl FnOnce(&Field<'tree>) -> Option<T>,
) -> Option<T> {
    section.get(name).map_or(Some(default), read)
}

fn read_images(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<ImageConfig>> {
    let items = reader.items(field, "images")?;
    if items.is_empty() || items.len() > MAX_IMAGES {
        let found =
            if items.is_empty() { EMPTY_LIST.to_owned() } else { format!("found {} items", items.len()) };
        reader.refuse(field, &Refusal::unquoted(found, format!("a list of 1 to {MAX_IMAGES} images")));
        return None;
    }
    let images: Vec<_> = items.iter().map(|item| read_image(reader, item)).collect();
    for (index, image) in images.iter().enumerate() {
        let Some(image) = image else { continue };
        let earlier = || images[..index].iter().flatten();
        let Field { key, node } = &items[index];
        if let Some(name) = &image.name
            && earlier().any(|other| other.name == image.name)
        {
            reader.refuse_at(node.position, duplicate(name, &format!("{key}.name")));
        }
        if image.name.is_none() && earlier().any(|other| other.name.is_none() && other.image == image.image) {
            let duplicate = duplicate(&image.image.to_string(), &format!("{key}.image"));
            reader.refuse_at(
                node.position,
                format!("{duplicate}: expected each image once, or a name for each"),
            );
        }
    }
    images.into_iter().collect()
}

fn read_image(reader: &mut Reader, field: &Field<'_>) -> Option<ImageConfig> {
    const KEYS: [&str; 5] = ["image", "name", "credentials", "privateEndpoint", "dataEndpoints"];
    let section = reader.section(field, &KEYS)?;
    let image = section.require(reader, "image").cloned().and_then(|field| reader.text(&field, value::image));
    let name = optional(&section, "name", None, |field| reader.text(field, value::name).map(Some));
    let credentials =
        optional(&section, "credentials", None, |field| read_credentials(reader, field).map(Some));
    let private_endpoint = optional(&section, "privateEndpoint", PrivateEndpoint::default(), |field| {
        private_endpoint::read(reader, field)
    });
    let data_endpoints = optional(&section, "dataEndpoints", Vec::new(), |field| {
        read_list(reader, field, "host names", value::host)
    });
    if let (Some(image), Some(Some(credentials))) = (&image, &credentials) {
        check_identity(reader, &section, image, credentials);
    }
    if let (Some(image), Some(private_endpoint), Some(data_endpoints)) =
        (&image, &private_endpoint, &data_endpoints)
    {
        private_endpoint::check_names(reader, image, data_endpoints, private_endpoint);
    }
    let private_endpoint = private_endpoint?;
    Some(ImageConfig {
        image: image?,
        name: name?,
        credentials: credentials?,
        expected: private_endpoint.ranges,
        expected_addresses: private_endpoint.addresses,
        data_endpoints: data_endpoints?,
    })
}

fn read_credentials(reader: &mut Reader, field: &Field<'_>) -> Option<CredentialsConfig> {
    const SOURCES: [&str; 3] = ["path", "managedIdentity", "workloadIdentity"];
    let section = reader.section(field, &["path", "expiresAt", "managedIdentity", "workloadIdentity"])?;
    let given: Vec<_> =
        SOURCES.iter().filter_map(|name| section.get(name).map(|field| (*name, field))).collect();
    let [(source, inner)] = given.as_slice() else {
        let found =
            if given.is_empty() { "found none of them".to_owned() } else { format!("found {}", given.len()) };
        let expected =
            "one of path, managedIdentity and workloadIdentity (omit `credentials` for docker's usual files)";
        reader.refuse(field, &Refusal::unquoted(found, expected));
        return None;
    };
    let expires_at =
        optional(&section, "expiresAt", None, |field| reader.text(field, value::timestamp).map(Some));
    if let (Some(field), true) = (section.get("expiresAt"), *source != "path") {
        let message =
            format!("{} requires credentials.path: the token of an identity is renewed by itself", field.key);
        reader.refuse_at(field.node.position, message);
    }
    match *source {
        "path" => {
            let path = reader.text(inner, value::path);
            Some(CredentialsConfig::Path { path: path?, expires_at: expires_at? })
        }
        "managedIdentity" => {
            let identity = reader.section(inner, &["clientId"])?;
            let client_id =
                optional(&identity, "clientId", None, |field| reader.text(field, value::client_id).map(Some));
            Some(CredentialsConfig::ManagedIdentity { client_id: client_id? })
        }
        _ => {
            reader.section(inner, &[])?;
            Some(CredentialsConfig::WorkloadIdentity)
        }
    }
}

/// Rejects an identity for a registry that knows none.
fn check_identity(
    reader: &mut Reader,
    section: &Section<'_>,
    image: &ImageReference,
    credentials: &CredentialsConfig,
) {
    match credentials {
        CredentialsConfig::Path { .. } => {}
        CredentialsConfig::ManagedIdentity { .. } | CredentialsConfig::WorkloadIdentity => {
            if let (Some(field), false) = (section.get("credentials"), image.is_acr()) {
                reader.refuse(field, &value::identity_elsewhere(image));
            }
        }
    }
}

/// A list of strings without duplicates.
fn read_list<T: PartialEq>(
    reader: &mut Reader,
    field: &Field<'_>,
    of: &str,
    parse: impl Fn(&str) -> Result<T, Refusal>,
) -> Option<Vec<T>> {
    let items = reader.items(field, of)?;
    let values: Vec<_> = items.iter().map(|item| reader.text(item, &parse)).collect();
    for (index, item) in items.iter().enumerate() {
        if let Value::Plain(text) | Value::Quoted(text) = &item.node.value
            && values[index].is_some()
            && values[..index].contains(&values[index])
        {
            reader.refuse_at(item.node.position, duplicate(text, &item.key));
        }
    }
    values.into_iter().collect()
}

/// Why an empty list is invalid.
const EMPTY_LIST: &str = "found an empty list";

fn duplicate(value: &str, key: &str) -> String {
    format!("duplicate value {} for {key}", quote_value(value))
}

fn read_resolvers(reader: &mut Reader, field: &Field<'_>) -> Option<Resolvers> {
    let section = reader.section(field, &["system", "compare"])?;
    let defaults = Resolvers::default();
    let system = optional(&section, "system", defaults.system.clone(), |field| {
        reader.text(field, value::path).map(SystemResolver::File)
    });
    let compare = optional(&section, "compare", Vec::new(), |field| read_compared(reader, field));
    let compares_node_cache = section.get("compare").is_none();
    Some(Resolvers { system: system?, compare: compare?, compares_node_cache, ..defaults })
}

fn read_compared(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<(String, NameserverAddress)>> {
    let entries = reader.entries(field, &["NAME: ADDRESS"])?;
    if entries.len() > MAX_COMPARED {
        let found = format!("found {} resolvers", entries.len());
        reader.refuse(field, &Refusal::unquoted(found, format!("at most {MAX_COMPARED}")));
    }
    let mut compared = Vec::new();
    for (name, position, field) in entries {
        let name = value::resolver_name(name)
            .map_err(|refusal| reader.refuse_at(position, refusal.about(&field.key)));
        let address = reader.text(&field, value::nameserver);
        if let (Ok(name), Some(address)) = (name, address) {
            compared.push((name, address));
        }
    }
    Some(compared)
}

fn read_node_files(reader: &mut Reader, field: &Field<'_>) -> Option<PathBuf> {
    let section = reader.section(field, &["root"])?;
    let root = section.require(reader, "root")?.clone();
    reader.text(&root, value::path)
}

fn read_events(reader: &mut Reader, field: &Field<'_>) -> Option<bool> {
    let section = reader.section(field, &["enabled"])?;
    optional(&section, "enabled", true, |field| reader.plain(field, "true or false", boolean))
}

/// The words for a boolean in YAML's core schema.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn read_schedule(reader: &mut Reader, field: &Field<'_>) -> Option<Schedule> {
    const KEYS: [&str; 8] = [
        "interval",
        "jitter",
        "timeout",
        "stageTimeout",
        "confirmAfter",
        "fleetSize",
        "budgetPerMinute",
        "pathInterval",
    ];
    let section = reader.section(field, &KEYS)?;
    let defaults = Schedule::default();
    let mut duration = |name, shortest: Duration| {
        optional(&section, name, None, |field| {
            reader.text(field, |text| value::duration(text, shortest)).map(Some)
        })
    };
    let interval = duration("interval", value::SHORTEST_INTERVAL);
    let path_interval = duration("pathInterval", value::SHORTEST_INTERVAL);
    let timeout = duration("timeout", value::SHORTEST_LIMIT);
    let stage_timeout = duration("stageTimeout", value::SHORTEST_LIMIT);
    let jitter = optional(&section, "jitter", defaults.jitter, |field| {
        reader.plain(field, "a number from 0 to 1", |text| {
            text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))
        })
    });
    let mut count = |name, most: u32| {
        optional(&section, name, None, |field| {
            reader
                .plain(field, &format!("a whole number from 1 to {most}"), |text| {
                    text.parse::<u32>().ok().filter(|number| (1..=most).contains(number))
                })
                .map(Some)
        })
    };
    let confirm_after = count("confirmAfter", MAX_CONFIRM_AFTER);
    let fleet_size = count("fleetSize", MAX_FLEET);
    let budget = count("budgetPerMinute", MAX_FLEET);
    if let (Some(field), None) = (section.get("budgetPerMinute"), section.get("fleetSize")) {
        let message = format!("{} requires schedule.fleetSize", field.key);
        reader.refuse_at(field.node.position, message);
    }
    let mut schedule = Schedule {
        interval: interval?.unwrap_or(defaults.interval),
        jitter: jitter?,
        confirm_after: confirm_after?.unwrap_or(defaults.confirm_after),
        fleet_size: fleet_size?,
        budget_per_minute: None,
        path_interval: path_interval?.unwrap_or(defaults.path_interval),
        ..defaults
    };
    schedule.budget_per_minute = match schedule.fleet_size {
        Some(_) => Some(budget?.unwrap_or(Schedule::DEFAULT_BUDGET_PER_MINUTE)),
        None => budget?,
    };
    if let Err(refusal) = schedule.limit(timeout?, stage_timeout?) {
        let field = section.get("stageTimeout").unwrap_or(field);
        reader.refuse(field, &refusal);
    }
    Some(schedule)
}

#[cfg(test)]
mod tests;
