//! The node's disk is full, or cannot be written, or nobody takes the log.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Agent, can_mount, cause, config, finds_out, goes_on, skip};
use crate::lab::Lab;
use crate::lab::settings::Settings;

/// Makes every file system of a mount namespace of its own one that cannot be written, but that of processes.
const READ_ONLY: &str = r#"
set -e
while read -r _ place _; do
    case $place in
        /proc* | /sys* | /dev*) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done </proc/self/mounts
# Under `set -e` a negated command never ends the script.
if (echo >"$1/written") 2>/dev/null; then exit 9; fi
shift
exec "$@"
"#;
/// Puts a small file system of its own into a folder, and fills it to the last byte: a file can be made there, and nothing
/// can be written into it. `report` was there before.
const FULL: &str = r#"
set -e
folder=$1
shift
mount -t tmpfs -o size=64k none "$folder"
echo 'an old report' >"$folder/report"
if head -c 1M /dev/zero >"$folder/filler" 2>/dev/null; then exit 9; fi
if (echo >"$folder/written") 2>/dev/null; then exit 9; fi
rm "$folder/written"
cd "$folder"
export TMPDIR=$folder HOME=$folder
"#;
/// Runs the command there, then shows what is in the folder.
const AND_LOOK: &str = r#"
code=0
"$@" || code=$?
echo '--- report'
cat report
echo '--- files'
ls -A
exit $code
"#;

/// Every line of the log is refused.
#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    let lab = Lab::start(Settings::default());
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    full.try_clone().expect("a descriptor").write_all(b"x").expect_err("it is full");
    let agent = Agent::start_unheard(&lab, &config(&lab, "1s"), full.into());
    goes_on(&agent, "full");
    finds_out(&lab, &agent);
}

#[test]
fn a_log_that_nobody_takes_any_more_stops_nothing() {
    let lab = Lab::start(Settings::default());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let agent = Agent::start_unheard(&lab, &config(&lab, "1s"), Stdio::from(writer));
    goes_on(&agent, "heard");
    drop(reader);
    goes_on(&agent, "unheard");
    finds_out(&lab, &agent);
}

#[test]
fn where_nothing_can_be_written_everything_works() {
    if !can_mount() {
        return skip("a file system that cannot be written needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(&lab, &config(&lab, "1s"), |command| {
        in_a_namespace(READ_ONLY, lab.folder(), &command)
    });
    // In the agent's own mounts, and not only in the script's.
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", agent.id())).expect("its mounts");
    let options = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/"));
    let options = options.and_then(|line| line.split(' ').nth(3)).expect("it has a root");
    assert!(options.split(',').any(|option| option == "ro"), "{options}");
    goes_on(&agent, "read-only");
    finds_out(&lab, &agent);
    // What others write is seen all the same.
    fs::write(lab.secret_folder().join("password"), "another").expect("a file");
    agent.wait_for("the rejection", |agent| cause(agent) == "credentials_rejected");
}

/// The agent writes no files: not where it works, not where temporary files go, and it can do without its log.
#[test]
fn a_disk_that_is_full_stops_nothing() {
    if !can_mount() {
        return skip("a file system that is full needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let folder = lab.folder().join("full");
    fs::create_dir(&folder).expect("a folder");
    let script = format!("{FULL}exec \"$@\" 2>log");
    let agent = Agent::start_unheard_as(&lab, &config(&lab, "1s"), Stdio::null(), |command| {
        in_a_namespace(&script, &folder, &command)
    });
    goes_on(&agent, "a full disk");
    finds_out(&lab, &agent);
    // As the agent sees it.
    let seen = format!("/proc/{}/root{}", agent.id(), folder.display());
    assert_eq!(fs::read(format!("{seen}/log")).expect("its log"), b"", "nothing of it could be written");
    let mut files: Vec<_> = fs::read_dir(seen).expect("the folder").filter_map(Result::ok).collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let files: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(files, ["filler", "log", "report"], "it has made no files");
}

/// An old report is better than half of a new one, and the new one is told where it can be.
#[test]
fn a_report_that_does_not_fit_the_disk_leaves_the_old_one_and_is_an_error() {
    if !can_mount() {
        return skip("a file system that is full needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let folder = lab.folder().join("full");
    fs::create_dir(&folder).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    command.args(["check", "--allow-loopback", "--nameserver", &lab.nameservers()[0].to_string()]);
    command.arg("--ca-file").arg(lab.ca_file()).arg("--credentials").arg(lab.secret_folder());
    command.args(["--report-file", "report"]).arg(lab.image());
    let script = format!("{FULL}{AND_LOOK}");
    let output = in_a_namespace(&script, &folder, &command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (shown, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{shown}\n{error}");
    let expected = "error: cannot write the report to report: No space left on device (os error 28)\n";
    assert_eq!(error, expected);
    let (report, rest) = shown.split_once("--- report\n").expect("the script goes on");
    assert!(report.contains("pass"), "what was found is told all the same: {report}");
    assert_eq!(rest, "an old report\n--- files\nfiller\nreport\n", "and no half of a report is left");
}

/// The command behind a script in a mount namespace, which gets a folder and then the command.
fn in_a_namespace(script: &str, folder: &Path, command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c", script, "sh"]).arg(folder);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.stdin(Stdio::null()).stdout(Stdio::null());
    wrapped
}
