//! The environment that systemd sets for a service, from its unit, drop-ins and environment files.
//!
//! Owns the precedence and quoting of systemd.unit(5), systemd.exec(5) and systemd-system.conf(5), as far as they affect
//! variables. Values may contain passwords: they only leave this module in an environment, which no report prints.

mod words;

use std::collections::BTreeMap;

use crate::node::tree::{Lost, Reading};
use crate::observation::Fact;
use crate::proxy::Environment;

/// Unit directories, in order of precedence (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The manager's own settings; drop-in directories have the suffix `.d`.
const MANAGER: [&str; 4] = [
    "/etc/systemd/system.conf",
    "/run/systemd/system.conf",
    "/usr/local/lib/systemd/system.conf",
    "/usr/lib/systemd/system.conf",
];
/// Directories that are never mounted as a whole, but contain mounted ones.
const HOLDERS: [&str; 5] = ["", "/etc", "/run", "/usr", "/usr/lib"];
/// Maximum size of a unit, drop-in or environment file in bytes: real ones have some KiB, a `NO_PROXY` of a thousand names 64.
const MAX_FILE: u64 = 256 * 1024;
/// Maximum number of environment files per service.
const MAX_ENVIRONMENT_FILES: usize = 32;

/// The environment settings in the files of a service.
#[derive(Debug, Default)]
struct Settings {
    variables: Environment,
    /// Paths, and whether they are optional.
    files: Vec<(String, bool)>,
    unset: Vec<String>,
}

/// The environment of a service, as set by the files below the root. Unknown if the node's own units are missing or a relevant
/// file cannot be read.
pub(super) fn environment(reading: &Reading, unit: &str) -> Fact<Environment> {
    match read(reading, unit) {
        Ok(environment) => Fact::Known(environment),
        Err(Lost::Absent) => Fact::Unknown(format!("{} is missing", FOLDERS[0])),
        Err(Lost::Unreadable(why)) => Fact::Unknown(why),
    }
}

fn read(reading: &Reading, unit: &str) -> Result<Environment, Lost> {
    // Without the node's unit directory nothing is mounted, so a missing file proves nothing.
    reading.list(FOLDERS[0])?;
    let mut environment = manager(reading)?;
    let mut settings = Settings::default();
    for text in unit_texts(reading, unit)? {
        settings.read(&text, "Service", "Environment");
    }
    environment.extend(std::mem::take(&mut settings.variables));
    for (path, optional) in settings.files.iter().take(MAX_ENVIRONMENT_FILES) {
        match reading.text(path, MAX_FILE) {
            Ok(text) => environment.extend(words::file(&text)),
            // An unmounted file looks like a missing one; only its directory could distinguish them.
            Err(Lost::Absent) if *optional && is_mounted(reading, path) => {}
            Err(Lost::Absent) => return Err(Lost::Unreadable(format!("{path} is missing"))),
            Err(lost) => return Err(lost),
        }
    }
    environment.retain(|name, value| {
        !settings.unset.iter().any(|unset| unset == name || *unset == format!("{name}={value}"))
    });
    Ok(environment)
}

/// Whether the directory of a file is mounted, so that its absence is conclusive. A directory that only contains mounted ones is
/// created by the container runtime, and lacks the node's other files.
fn is_mounted(reading: &Reading, path: &str) -> bool {
    path.rsplit_once('/')
        .is_some_and(|(folder, _)| !HOLDERS.contains(&folder) && reading.list(folder).is_ok())
}

/// `DefaultEnvironment=` of the manager, inherited by every service: AKS sets its proxy there.
fn manager(reading: &Reading) -> Result<Environment, Lost> {
    let mut settings = Settings::default();
    for path in MANAGER {
        if let Some(text) = optional(reading.text(path, MAX_FILE))? {
            settings.read(&text, "Manager", "DefaultEnvironment");
            break;
        }
    }
    let folders: Vec<String> = MANAGER.iter().map(|path| format!("{path}.d")).collect();
    for path in drop_ins(reading, &folders)? {
        if let Some(text) = optional(reading.text(&path, MAX_FILE))? {
            settings.read(&text, "Manager", "DefaultEnvironment");
        }
    }
    Ok(settings.variables)
}

/// The texts of a unit in systemd's order: the unit, then its drop-ins by name.
fn unit_texts(reading: &Reading, unit: &str) -> Result<Vec<String>, Lost> {
    let mut texts = Vec::new();
    for folder in FOLDERS {
        if let Some(text) = optional(reading.text(&format!("{folder}/{unit}"), MAX_FILE))? {
            texts.push(text);
            break;
        }
    }
    // Drop-ins of the service override those of all services with the same name.
    let own = FOLDERS.iter().map(|folder| format!("{folder}/{unit}.d"));
    let all = FOLDERS.iter().map(|folder| format!("{folder}/service.d"));
    for path in drop_ins(reading, &own.chain(all).collect::<Vec<_>>())? {
        texts.extend(optional(reading.text(&path, MAX_FILE))?);
    }
    Ok(texts)
}

/// The drop-ins of several directories by name; the first directory wins.
fn drop_ins(reading: &Reading, folders: &[String]) -> Result<Vec<String>, Lost> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for folder in folders {
        for entry in optional(reading.list(folder))?.unwrap_or_default() {
            let name = entry.name.to_string_lossy().into_owned();
            if name.strip_suffix(".conf").is_some_and(|stem| !stem.starts_with('.')) {
                found.entry(name.clone()).or_insert_with(|| format!("{folder}/{name}"));
            }
        }
    }
    // A link to /dev/null masks the others with its name.
    let is_masked = |path: &String| {
        reading.tree.link_target(path).is_some_and(|target| target.as_os_str() == "/dev/null")
    };
    Ok(found.into_values().filter(|path| !is_masked(path)).collect())
}

fn optional<T>(result: Result<T, Lost>) -> Result<Option<T>, Lost> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Lost::Absent) => Ok(None),
        Err(lost) => Err(lost),
    }
}

impl Settings {
    /// Applies the settings of one file; an empty assignment clears earlier values.
    fn read(&mut self, text: &str, section: &str, environment: &str) {
        for (found, key, value) in words::assignments(text) {
            if found != section {
                continue;
            }
            if key == environment {
                if value.is_empty() {
                    self.variables.clear();
                }
                self.variables.extend(words::split(&value).iter().filter_map(|word| words::variable(word)));
            } else if key == "EnvironmentFile" {
                if value.is_empty() {
                    self.files.clear();
                } else {
                    let optional = value.starts_with('-');
                    self.files.push((value.trim_start_matches('-').to_owned(), optional));
                }
            } else if key == "UnsetEnvironment" {
                if value.is_empty() {
                    self.unset.clear();
                }
                self.unset.extend(words::split(&value));
            }
        }
    }
}

#[cfg(test)]
mod tests;
