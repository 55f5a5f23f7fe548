//! The node's disk is full or read-only, or the log cannot be written.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::PROGRAM;
use support::can_mount;

use super::{Agent, cause, config, finds_out, keeps_checking, skip};
use lab::Lab;
use lab::settings::Settings;

/// Remounts every file system of a new mount namespace read-only, except `/proc`.
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
/// Mounts a small file system on a directory and fills it to the last byte: files can be created, but not written. `report`
/// already exists.
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
/// Runs the command there, then prints the contents of the directory.
const AND_LOOK: &str = r#"
code=0
"$@" || code=$?
echo '--- report'
cat report
echo '--- files'
ls -A
exit $code
"#;

/// Every write to the log fails.
#[test]
fn checks_continue_with_a_full_log_disk() {
    let lab = Lab::start(Settings::default());
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    full.try_clone().expect("a descriptor").write_all(b"x").expect_err("it is full");
    let agent = Agent::start_unheard(PROGRAM, &lab, &config(&lab, "1s"), full.into());
    keeps_checking(&agent, "full");
    finds_out(&lab, &agent);
}

#[test]
fn checks_continue_after_the_log_pipe_is_closed() {
    let lab = Lab::start(Settings::default());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let agent = Agent::start_unheard(PROGRAM, &lab, &config(&lab, "1s"), Stdio::from(writer));
    keeps_checking(&agent, "with an open log pipe");
    drop(reader);
    keeps_checking(&agent, "with a closed log pipe");
    finds_out(&lab, &agent);
}

#[test]
fn the_agent_works_on_read_only_file_systems() {
    if !can_mount() {
        return skip("a file system that cannot be written needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(PROGRAM, &lab, &config(&lab, "1s"), |command| {
        in_a_namespace(READ_ONLY, lab.folder(), &command)
    });
    // In the agent's mount namespace, not only in that of the script.
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", agent.id())).expect("its mounts");
    let options = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/"));
    let options = options.and_then(|line| line.split(' ').nth(3)).expect("it has a root");
    assert!(options.split(',').any(|option| option == "ro"), "{options}");
    keeps_checking(&agent, "read-only");
    finds_out(&lab, &agent);
    // Changes by others are still detected.
    fs::write(lab.secret_folder().join("password"), "another").expect("a file");
    agent.wait_for("the rejection", |agent| cause(agent) == "credentials_rejected");
}

/// The agent writes no files, neither in its working directory nor temporary ones, and works without its log.
#[test]
fn the_agent_works_on_a_full_disk() {
    if !can_mount() {
        return skip("a file system that is full needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let folder = lab.folder().join("full");
    fs::create_dir(&folder).expect("a folder");
    let script = format!("{FULL}exec \"$@\" 2>log");
    let agent = Agent::start_unheard_as(PROGRAM, &lab, &config(&lab, "1s"), Stdio::null(), |command| {
        in_a_namespace(&script, &folder, &command)
    });
    keeps_checking(&agent, "a full disk");
    finds_out(&lab, &agent);
    // As the agent sees it.
    let seen = format!("/proc/{}/root{}", agent.id(), folder.display());
    assert_eq!(fs::read(format!("{seen}/log")).expect("its log"), b"", "nothing could be written");
    let mut files: Vec<_> = fs::read_dir(seen).expect("the folder").filter_map(Result::ok).collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let files: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(files, ["filler", "log", "report"], "it created no files");
}

/// An old report is better than half a new one, and the new one is still printed.
#[test]
fn a_report_that_does_not_fit_on_the_disk_is_an_error_and_keeps_the_old_one() {
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
    let (report, rest) = shown.split_once("--- report\n").expect("the script continues");
    assert!(report.contains("pass"), "the result is still printed: {report}");
    assert_eq!(rest, "an old report\n--- files\nfiller\nreport\n", "no partial report is left");
}

/// Wraps the command in a script that runs in a mount namespace and receives the directory and the command.
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
