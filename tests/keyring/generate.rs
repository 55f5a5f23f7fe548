//! Generates docker configurations, valid and broken; every run generates the same ones.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The type of Secret that the kubelet reads a configuration from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    ConfigJson,
    Cfg,
}

/// A configuration and the image to find credentials for.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) image: &'static str,
    pub(crate) form: Form,
    pub(crate) config: String,
}

const IMAGES: &[&str] = &[
    "contoso.azurecr.io/apps/canary:1",
    "contoso.azurecr.io/apps/canary",
    "contoso.azurecr.io/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "contoso.azurecr.io:443/apps/canary:1",
    "contoso.azurecr.io:5000/apps/canary:1",
    "CONTOSO.azurecr.io/apps/canary:1",
    "Contoso.azurecr.io:443/apps/canary:1",
    "contoso-e7ggejfuhzhgedc8.azurecr.io/apps/canary:1",
    "contoso.azurecr.us/v2/canary:1",
    "localhost/apps/canary",
    "localhost:5000/apps/canary",
    "docker.io/canary",
    "docker.io/apps/canary",
    "index.docker.io/canary",
];
const SCHEMES: &[&str] =
    &["", "", "", "https://", "http://", "HTTPS://", "//", "ftp://", "https://https://", " "];
const USERS: &[&str] = &["", "", "", "", "", "", "", "user@", "user:word@", "us er@", "us%zzer@", "a@b@"];
const HOSTS: &[&str] = &[
    "contoso.azurecr.io",
    "contoso.azurecr.io",
    "contoso.azurecr.io",
    "*.azurecr.io",
    "*.azurecr.*",
    "*.*.*",
    "c*.azurecr.io",
    "*o.azurecr.io",
    "c*t*s*.azurecr.io",
    "**.azurecr.io",
    "co**so.azurecr.io",
    "*",
    "*.io",
    "*azurecr.io",
    "con[a-z]oso.azurecr.io",
    "contoso.azurecr.[i]o",
    "contoso.azurecr.i[o]",
    "contoso].azurecr.io",
    "c?ntoso.azurecr.io",
    "contoso\\\\.azurecr.io",
    "CONTOSO.azurecr.io",
    "Contoso.azurecr.io",
    "contoso.azurecr.io.",
    "contoso..azurecr.io",
    "contoso.azurecr.us",
    "contoso-*.azurecr.io",
    "%63ontoso.azurecr.io",
    "contoso%2eazurecr.io",
    "contoso%25.azurecr.io",
    "%zz.azurecr.io",
    "c\\u00f6ntoso.azurecr.io",
    "con toso.azurecr.io",
    "contoso.azurecr.io\\u0000",
    "contoso.azurecr.io\\n",
    "contoso<>.azurecr.io",
    "[::1]",
    "[::1",
    "localhost",
    "index.docker.io",
    "docker.io",
    "fabrikam.azurecr.io",
    "",
];
const PORTS: &[&str] =
    &["", "", "", "", "", "", ":443", ":443", ":5000", ":", ":0443", ":4a3", ":443:443", ":*"];
const PATHS: &[&str] = &[
    "",
    "",
    "",
    "",
    "/",
    "//",
    "/v1/",
    "/v2/",
    "/v2",
    "/v1/apps",
    "/v2/apps/",
    "/apps",
    "/apps/",
    "/app",
    "/apps/canary",
    "/apps/canary:1",
    "/apps/canary/x",
    "/other",
    "/*",
    "/%61pps",
    "/apps%2Fcanary",
    "/apps%23x",
    "/apps%3Fx",
    "/apps%2523",
    "/%zz",
    "/apps%",
    "/APPS",
    "/library",
    "/library/canary",
    "/apps/%63anary",
    "/apps\\u0001",
    "/\\ud800",
    "/v2/v2/apps",
];
const TAILS: &[&str] = &["", "", "", "", "", "", "", "", "?x=1", "?", "#x", "#", "#%", "#%41", "?#", "??"];

const NAMES: [(&str, &[&str]); 5] = [
    ("username", &["username", "username", "Username", "USERNAME", "u\\u017fername", "user_name"]),
    ("password", &["password", "password", "Password", "pa\\u017f\\u017fword", "PASSWORD", "passwort"]),
    ("auth", &["auth", "auth", "Auth", "AUTH", "aut\\u0068", "auths"]),
    ("email", &["email", "Email", "EMAIL", "e-mail"]),
    ("identitytoken", &["identitytoken", "registrytoken", "serveraddress", "x"]),
];
/// Values of any type; the first are strings.
const VALUES: &[&str] =
    &["\"x\"", "\"\"", "null", "5", "true", "[]", "{}", "[\"x\"]", "{\"a\": 1}", "1e999", "-0.5E+3"];

/// A small random number generator (xorshift64*) with a fixed seed, so every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % limit
    }

    fn pick<'list>(&mut self, list: &[&'list str]) -> &'list str {
        list[self.below(list.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

pub(crate) fn configurations(count: usize) -> Vec<Configuration> {
    let mut random = Random(0x1234_5678_9abc_def1);
    (0..count)
        .map(|_| {
            let image = random.pick(IMAGES);
            let form = if random.one_in(5) { Form::Cfg } else { Form::ConfigJson };
            let entries = entries(&mut random, image);
            let config = match form {
                Form::Cfg => entries,
                Form::ConfigJson => document(&mut random, &entries, image),
            };
            let config = if random.one_in(40) { broken(&mut random, &config) } else { config };
            Configuration { image, form, config }
        })
        .collect()
}

/// A `config.json` with the given entries.
fn document(random: &mut Random, entries: &str, image: &str) -> String {
    let mut fields = vec![format!(
        "\"{}\": {entries}",
        random.pick(&["auths", "auths", "auths", "Auths", "AUTHS", "auth\\u017f"])
    )];
    if random.one_in(8) {
        let again = self::entries(random, image);
        fields.push(format!("\"{}\": {again}", random.pick(&["auths", "aUths"])));
    }
    if random.one_in(20) {
        let value = random.pick(&["null", "null", "{}", "{}", "[]", "5", "\"x\""]);
        let place = random.below(fields.len() + 1);
        fields.insert(place, format!("\"auths\": {value}"));
    }
    if random.one_in(6) {
        let name = random.pick(&["HttpHeaders", "httpheaders", "HTTPHEADERS", "HttpHeader\\u017f"]);
        let value = random.pick(VALUES);
        let value = if random.one_in(2) { value.to_owned() } else { format!("{{\"a\": {value}}}") };
        fields.push(format!("\"{name}\": {value}"));
    }
    if random.one_in(6) {
        let name = random.pick(&["credsStore", "credHelpers", "plugins", "experimental", ""]);
        fields.push(format!("\"{name}\": {}", random.pick(VALUES)));
    }
    format!(
        "{{{}}}{}",
        fields.join(random.pick(&[", ", ",\r\n\t", ","])),
        random.pick(&["", "", "\n", " \n\n"])
    )
}

/// An object of entries, most of which are related to the image.
fn entries(random: &mut Random, image: &str) -> String {
    let mut entries = Vec::new();
    for _ in 0..random.below(6) {
        let key = key(random, image);
        entries.push(format!("\"{key}\": {}", entry(random)));
    }
    if random.one_in(10) && !entries.is_empty() {
        let again = entries[0].split_once(": ").map_or("\"\"", |(key, _)| key).to_owned();
        entries.push(format!("{again}: {}", entry(random)));
    }
    format!("{{{}}}", entries.join(", "))
}

fn key(random: &mut Random, image: &str) -> String {
    let host = image.split('/').next().unwrap_or_default();
    if !random.one_in(3) {
        // The image's own registry, or a wildcard for it.
        let scheme = random.pick(&["", "", "https://", "http://"]);
        let labels = host.split('.').skip(1).map(|label| format!(".{label}")).collect::<String>();
        let host = if random.one_in(3) { format!("*{labels}") } else { host.to_owned() };
        let path = if random.one_in(2) { "" } else { random.pick(PATHS) };
        return format!("{scheme}{host}{path}");
    }
    let parts = [SCHEMES, USERS, HOSTS, PORTS, PATHS, TAILS].map(|list| random.pick(list));
    if random.one_in(3) { parts[2..5].concat() } else { parts.concat() }
}

fn entry(random: &mut Random) -> String {
    if random.one_in(100) {
        return random.pick(VALUES).to_owned();
    }
    let mut number = random.below(1_000_000);
    let mut fields = Vec::new();
    for (field, names) in NAMES {
        let times = match field {
            "email" | "identitytoken" => usize::from(random.one_in(5)),
            _ if random.one_in(12) => 2,
            _ => usize::from(!random.one_in(3)),
        };
        for _ in 0..times {
            number += 1;
            let name = if random.one_in(4) { random.pick(names) } else { names[0] };
            fields.push(format!("\"{name}\": {}", value(random, field, number)));
        }
    }
    format!("{{{}}}", fields.join(", "))
}

fn value(random: &mut Random, field: &str, number: usize) -> String {
    if random.one_in(200) || field == "identitytoken" {
        return random.pick(VALUES).to_owned();
    }
    if field != "auth" {
        return format!(
            "\"{field}{number}{}\"",
            random.pick(&["", "", "", "\\n", " ", "\\u00e9", "\\ud83d\\ude00", "\\udc00", ":"])
        );
    }
    let pair = format!("user{number}:word{number}");
    let encoded = match random.below(16) {
        0 => STANDARD_NO_PAD.encode(&pair),
        1 => STANDARD.encode(format!("{pair}\n")),
        2 => STANDARD.encode(format!("{pair}:more")),
        3 => STANDARD.encode([pair.as_bytes(), b"\xff\xe9"].concat()),
        4 => format!("{}\\n", STANDARD.encode(&pair)),
        5 => STANDARD.encode(&pair).replacen('d', "d\\r\\n", 1),
        6 if random.one_in(12) => format!(" {}", STANDARD.encode(&pair)),
        7 if random.one_in(12) => format!("{}=", STANDARD.encode(&pair)),
        8 if random.one_in(12) => STANDARD.encode(pair.replace(':', "")),
        9 if random.one_in(12) => format!("{} ", STANDARD.encode(&pair)),
        10 => STANDARD.encode(format!("{}:", pair.replace(':', ""))),
        11 => STANDARD.encode(format!(":{pair}")),
        12 if random.one_in(12) => format!("{}=\\n=", STANDARD_NO_PAD.encode(&pair)),
        _ => STANDARD.encode(&pair),
    };
    format!("\"{encoded}\"")
}

/// A document that is truncated, or has extra text before or after it.
fn broken(random: &mut Random, config: &str) -> String {
    let mut text = config.to_owned();
    match random.below(6) {
        0 => text
            .truncate(config.char_indices().nth(random.below(config.len())).map_or(0, |(at, _)| at).max(1)),
        1 => text.push_str(" x"),
        2 => text.insert(0, '\u{feff}'),
        3 => "null".clone_into(&mut text),
        4 => write!(text, "{}", random.pick(&["{}", "null", ",", "\u{0}"])).expect("a text"),
        _ => random.pick(&["[]", "\"x\"", "5", "true", "{\"auths\": {}}", " {} "]).clone_into(&mut text),
    }
    text
}
