//! `cargo run --package generate`: writes every generated file and reports what has changed. With `--check` it writes nothing
//! and fails if a file is not current.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use generate::dashboards::picture;
use generate::{COMMAND, File, files, manifests};

/// Generate the shipped files that are not written by hand
#[derive(Parser)]
#[command(name = "generate")]
struct Arguments {
    /// Write nothing, and exit with 1 if a file is not current
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = io::stdout();
    let mut files = files();
    let mut without = Vec::new();
    match manifests::helm() {
        Ok(helm) => files.push(manifests::file(&helm)),
        Err(reason) => without.push(("deploy/manifests/acr-verifier.yaml", reason)),
    }
    match prometheus() {
        Ok(()) => files.push(picture::file()),
        Err(reason) => without.push((picture::PICTURE, reason)),
    }
    let outdated: Vec<&File> = files.iter().filter(|file| !file.is_current()).collect();
    for file in &outdated {
        if arguments.check {
            writeln!(out, "outdated   {}", file.path)?;
        } else {
            file.write()?;
            writeln!(out, "written    {}", file.path)?;
        }
    }
    for (path, reason) in without {
        writeln!(out, "skipped    {path}: {reason}")?;
    }
    writeln!(out, "{} of {} files are unchanged", files.len() - outdated.len(), files.len())?;
    if arguments.check && !outdated.is_empty() {
        writeln!(out, "Run `{COMMAND}`, and commit the files.")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a Prometheus can answer the queries of the picture.
fn prometheus() -> Result<(), String> {
    for program in ["promtool", "prometheus"] {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            return Err(format!("needs {program}: apt-get install prometheus"));
        }
    }
    Ok(())
}
