//! An agent in a process of this program, built from the library, whose runtime reports its number of live tasks.
//!
//! The release binary's agent does not expose its tasks, but they are the same.

use std::ffi::OsString;
use std::io::{self, BufRead as _, Write as _};

use acr_verifier::agent::{self, AgentContext};
use acr_verifier::cli::{self, Command, Environment};
use acr_verifier::events::event::Pod;
use acr_verifier::metrics::NodeLabels;
use acr_verifier::pass::NodeContext;
use acr_verifier::run::NetworkView;
use anyhow::{Context as _, bail};
use tokio::sync::oneshot;

/// First argument that selects this mode.
pub(crate) const WORD: &str = "host";

/// Runs the agent with these arguments until standard input is closed, and answers each input line with the number of tasks.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let arguments = cli::parse([OsString::from(cli::NAME)].into_iter().chain(words))?;
    let environment = Environment { in_cluster: true, ..Environment::default() };
    let invocation = match cli::resolve(arguments, &environment) {
        Ok(invocation) => invocation,
        Err(usage) => bail!("{usage}"),
    };
    let Command::Agent(options) = invocation.command else { bail!("only an agent is hosted") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let metrics = runtime.metrics();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        for _line in io::stdin().lock().lines().map_while(Result::ok) {
            let mut out = io::stdout().lock();
            if writeln!(out, "{}", metrics.num_alive_tasks()).and_then(|()| out.flush()).is_err() {
                break;
            }
        }
        drop(end);
    });
    let reported = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let pod = Pod { name: reported("POD_NAME")?, namespace: reported("POD_NAMESPACE")?, uid: None };
    let surroundings = NodeContext {
        node: reported("NODE_NAME")?,
        network_view: NetworkView::Node,
        now: jiff::Timestamp::now,
    };
    let place = AgentContext {
        labels: NodeLabels::new(&surroundings.node, surroundings.network_view, None, None),
        pass: surroundings,
        pod: Some(pod),
        node_ips: None,
        in_cluster: true,
        chance: fastrand::f64,
    };
    runtime.block_on(agent::run(options, place, async {
        // Dropping the sender stops the agent too.
        let _ = ended.await;
    }))
}
