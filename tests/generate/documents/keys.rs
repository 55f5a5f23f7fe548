//! The table of configuration keys.
//!
//! Names, defaults and meanings are declared in `config::reference`. What a value may be is what the parser itself expects: it is
//! taken from the error about a value of another kind.

use std::fmt::Write as _;
use std::path::Path;

use acr_verifier::config::file;
use acr_verifier::config::reference::{KEYS, Key, with_value};

/// Returns the table, in the order of the declarations.
pub(super) fn table() -> String {
    let mut table =
        String::from("| key | value | default | used by | meaning |\n| --- | --- | --- | --- | --- |\n");
    for key in &KEYS {
        let Key { path, default, user, meaning } = key;
        let default = default.map_or_else(String::new, |default| format!("`{default}`"));
        writeln!(table, "| `{path}` | {} | {default} | {} | {meaning} |", expected(key), user.as_str())
            .expect("a string takes everything");
    }
    table
}

/// What the parser expects, from its errors about values of another kind.
fn expected(key: &Key) -> String {
    let path = key.path.replace("[]", "[0]");
    let about = |value: &str, path: &str| {
        let errors = file::parse(Path::new("c"), &with_value(key.path, value)).err()?.lines();
        let place = format!(" for {path}: ");
        let line = errors.into_iter().find(|line| line.contains(&place))?;
        line.split_once("expected ").map(|(_, expected)| expected.to_owned())
    };
    let found = about("[{}]", &path).or_else(|| about("x", &path));
    found.unwrap_or_else(|| panic!("{} accepts everything", key.path)).replace('|', "\\|")
}
