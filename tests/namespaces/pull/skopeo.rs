//! skopeo: a pull into a directory.

use std::path::Path;

use super::{Fate, Order, on_the_node, outcome};
use support::namespaces::network::Namespace;

/// Pulls, and removes the result.
pub(super) fn pull(node: &Namespace, folder: &Path, order: &Order<'_>) -> Fate {
    let target = folder.join("pulled");
    let mut program = on_the_node(folder, "skopeo", order.limit);
    program.args(["--insecure-policy", "copy", "--src-cert-dir"]);
    program.arg(folder.join(if order.trusted { "trusted" } else { "untrusted" }));
    program.arg("--src-authfile").arg(order.credentials);
    program.arg(format!("docker://{}", order.image)).arg(format!("dir:{}", target.display()));
    order.node.equip(&mut program);
    let output = node.run(|| program.output().expect("unshare is installed"));
    // The directory is missing if nothing was pulled.
    let _ = std::fs::remove_dir_all(target);
    outcome(&output)
}
