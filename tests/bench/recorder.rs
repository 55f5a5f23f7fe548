//! `event-recorder FOLDER`: a stub API server on loopback for the agent that `tests/bench/agent` measures. It records applied
//! Events. Prints its host, its port and the CA file in the folder, and stops when standard input is closed.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use clap::Parser;
use support::api_server::ApiServer;

/// Record the Events of an agent
#[derive(Parser)]
#[command(name = "event-recorder")]
struct Arguments {
    /// Folder for the CA certificate
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let server = ApiServer::start(&Arguments::parse().folder)?;
    let (address, ca_file) = (server.address, server.ca_file.display());
    writeln!(io::stdout(), "{} {} {ca_file}", address.ip(), address.port())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
