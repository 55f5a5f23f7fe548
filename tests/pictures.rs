//! The pictures of a terminal in the documents: the program checks the lab's registry, on a terminal of its own.
//!
//! Each picture has a network namespace with the registry's names and addresses, so the command and its output are those of a
//! node. Without root the test is skipped; `EXPECTORATE=overwrite cargo test --test suite pictures::` draws the pictures again.
//! Only times, digests, ids, dates and the platform are replaced, since they differ in each run.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use anstyle::RgbColor;
use anstyle_svg::{Palette, Term};
use lab::Lab;
use lab::answers::{RedirectFault, Target};
use lab::settings::{Nameserver, Settings, View};
use regex::{Captures, Regex};
use support::namespaces::network::{DATA, FORWARDER, LOGIN, Namespace};
use support::{can_mount, find, terminal};
use textwrap::core::display_width;

use crate::PROGRAM;

/// Columns of the terminal.
const COLUMNS: u16 = 100;
const LINES: u16 = 40;
const NODE: &str = "aks-np1-12345678-vmss000000";
/// What each stage takes, whatever it took.
const TIMES: [(&str, &str); 8] = [
    ("dns", "2.1 ms"),
    ("address", "<0.1 ms"),
    ("connect", "0.8 ms"),
    ("tls", "3.4 ms"),
    ("challenge", "4.0 ms"),
    ("token", "9.6 ms"),
    ("manifest", "7.2 ms"),
    ("blob", "12 ms"),
];
/// Digests instead of the real ones, in the order in which they appear.
const DIGESTS: [&str; 2] = [
    "0d1b2f6a5c8e4f7091a3b5c7d9e1f30425364758697a8b9cadbecfd0e1f20314",
    "7a2b9c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809",
];

/// Colors with enough contrast to the background (WCAG AA).
const PALETTE: Palette = Palette([
    RgbColor(0x48, 0x4f, 0x58),
    RgbColor(0xff, 0x7b, 0x72),
    RgbColor(0x3f, 0xb9, 0x50),
    RgbColor(0xd2, 0x99, 0x22),
    RgbColor(0x58, 0xa6, 0xff),
    RgbColor(0xbc, 0x8c, 0xff),
    RgbColor(0x39, 0xc5, 0xcf),
    RgbColor(0xb1, 0xba, 0xc4),
    RgbColor(0x6e, 0x76, 0x81),
    RgbColor(0xff, 0xa1, 0x98),
    RgbColor(0x56, 0xd3, 0x64),
    RgbColor(0xe3, 0xb3, 0x41),
    RgbColor(0x79, 0xc0, 0xff),
    RgbColor(0xd2, 0xa8, 0xff),
    RgbColor(0x56, 0xd4, 0xdd),
    RgbColor(0xff, 0xff, 0xff),
]);
const TEXT: RgbColor = RgbColor(0xe6, 0xed, 0xf3);
const BACKGROUND: RgbColor = RgbColor(0x0d, 0x11, 0x17);

/// A picture with the state of the registry that it shows.
type Picture = (&'static str, i32, fn(&mut Settings));

const PICTURES: [Picture; 3] = [
    ("check-pass", 0, |_| {}),
    ("check-fail-zone", 1, |settings| {
        settings.nameservers[0].login = View::NotLinked;
        settings.nameservers[0].data = View::NotLinked;
    }),
    ("check-fail-data-endpoint", 1, |settings| {
        settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into();
    }),
];

#[test]
fn pictures_of_the_terminal_are_current() {
    let missing = ["ip", "unshare", "mount"].into_iter().find(|program| find(program).is_none());
    if let Some(program) = missing {
        return support::skip("ACR_VERIFIER_REQUIRE_NAMESPACES", "pictures", &format!("needs {program}"));
    }
    if !rustix::process::geteuid().is_root() || !can_mount() {
        return support::skip("ACR_VERIFIER_REQUIRE_NAMESPACES", "pictures", "needs root");
    }
    for (name, code, change) in PICTURES {
        let shown = session(code, change);
        let term = Term::new().palette(PALETTE).fg_color(TEXT.into()).bg_color(BACKGROUND.into());
        let svg = term.render_svg(&wrapped(&repeatable(&shown), COLUMNS.into()));
        expectorate::assert_contents(format!("docs/images/{name}.svg"), &svg);
    }
}

/// Runs a check in a network of its own, and returns the command and its output.
fn session(code: i32, change: fn(&mut Settings)) -> String {
    let network = Namespace::new("node");
    network.ip("link set lo up\n");
    for address in [LOGIN, DATA, FORWARDER] {
        network.ip(&format!("address add {address}/32 dev lo\n"));
    }
    network.run(|| {
        let lab = Lab::start(settings(change));
        let resolv_conf = lab.folder().join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {FORWARDER}\n")).expect("a file");
        // Only this process sees its own resolv.conf.
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"",
            "sh",
        ]);
        command.arg(&resolv_conf).args([PROGRAM, "check", &lab.image()]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("NODE_NAME", NODE)]);
        command.env("DOCKER_CONFIG", lab.credentials_folder()).env("SSL_CERT_FILE", lab.ca_file());
        let (status, shown) = terminal::run(command, COLUMNS, LINES);
        assert_eq!(status.code(), Some(code), "{shown}");
        let style = anstyle::Style::new().bold();
        format!("{style}$ acr-verifier check {}{style:#}\n{shown}", lab.image())
    })
}

fn settings(change: fn(&mut Settings)) -> Settings {
    let address = |address: Ipv4Addr| IpAddr::V4(address);
    let mut settings = Settings::on_azures_port(address(LOGIN), address(DATA));
    let nameserver = SocketAddr::new(address(FORWARDER), 53);
    settings.nameservers = vec![Nameserver { address: Some(nameserver), ..Nameserver::default() }];
    change(&mut settings);
    settings
}

/// Replaces what differs in each run.
fn repeatable(shown: &str) -> String {
    let pattern = |text: &str| Regex::new(text).expect("a pattern");
    let stages = TIMES.map(|(stage, _)| stage).join("|");
    let times = pattern(&format!(r"({stages})( +)<?[0-9.]+ m?s  "));
    let shown = times.replace_all(shown, |found: &Captures<'_>| {
        let time = TIMES.iter().find(|(stage, _)| *stage == &found[1]).map_or("", |(_, time)| time);
        format!("{:<9} {time:>7}  ", &found[1])
    });
    let shown = pattern(r"until \d{4}-\d\d-\d\d").replace_all(&shown, "until 2027-03-11");
    let shown = pattern(r"linux/(amd64|arm64)").replace_all(&shown, "linux/amd64");
    let id = pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
    let shown = id.replace_all(&shown, "6a1f0a52-3f0e-4d0b-9d0e-0c4a7c1f2b11");
    let mut known: Vec<String> = Vec::new();
    let digests = pattern(r"sha256:([0-9a-f]+)").replace_all(&shown, |found: &Captures<'_>| {
        let digest = &found[1];
        let is_same = |one: &String| one.starts_with(digest) || digest.starts_with(one.as_str());
        let index = known.iter().position(is_same).unwrap_or_else(|| {
            known.push(digest.to_owned());
            known.len() - 1
        });
        format!("sha256:{}", &DIGESTS[index][..digest.len()])
    });
    digests.into_owned()
}

/// Breaks lines as a terminal does: in the last column. Escape sequences take no column.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let (mut width, mut is_escape) = (0, false);
        for letter in line.chars() {
            is_escape = is_escape || letter == '\u{1b}';
            let taken = if is_escape { 0 } else { display_width(letter.encode_utf8(&mut [0; 4])) };
            if width + taken > columns {
                lines.push('\n');
                width = 0;
            }
            width += taken;
            lines.push(letter);
            is_escape = is_escape && letter != 'm';
        }
        lines.push('\n');
    }
    lines
}

#[test]
fn lines_break_in_the_last_column_as_on_a_terminal() {
    for (text, expected) in [
        ("abcdef", "abcd\nef\n"),
        ("abcd\nef", "abcd\nef\n"),
        ("\u{1b}[1mabcde\u{1b}[0m", "\u{1b}[1mabcd\ne\u{1b}[0m\n"),
        ("✓✗✓✗✓", "✓✗✓✗\n✓\n"),
    ] {
        assert_eq!(wrapped(text, 4), expected, "{text:?}");
    }
}

#[test]
fn what_differs_in_each_run_is_replaced() {
    let shown = "    ok  dns        11 ms  a, until 2026-01-02\n    ok  manifest  1.23 s  sha256:aa11 (linux/arm64)\nmanifest sha256:aa… in 3 ms.";
    let expected = "    ok  dns        2.1 ms  a, until 2027-03-11\n    ok  manifest   7.2 ms  sha256:0d1b (linux/amd64)\nmanifest sha256:0d… in 3 ms.";
    assert_eq!(repeatable(shown), expected);
}
