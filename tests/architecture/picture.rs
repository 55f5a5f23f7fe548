//! Draws the modules and their dependencies from the imports, layer by layer: `tests/golden/layers.mmd`.

use std::collections::{BTreeMap, BTreeSet};

use super::{LAYERS, all, module_of};

const HEAD: &str = "\
%% The layers, drawn from the imports of `src` by `EXPECTORATE=overwrite cargo test --test suite architecture::picture`.
%% A module depends only on modules of lower layers. An arrow is left out if the modules between imply it.
graph TD
";

#[test]
fn the_picture_of_the_layers_is_current() {
    let direct = dependencies();
    let mut picture = HEAD.to_owned();
    for (number, layer) in LAYERS.iter().enumerate().rev() {
        picture.push_str(&format!(
            "  subgraph layer{} [\" \"]\n    {}\n  end\n",
            number + 1,
            layer.join("\n    ")
        ));
    }
    for (module, targets) in &direct {
        let implied: BTreeSet<&String> = targets.iter().flat_map(|target| below(&direct, target)).collect();
        for target in targets.iter().filter(|target| !implied.contains(target)) {
            picture.push_str(&format!("  {module} --> {target}\n"));
        }
    }
    expectorate::assert_contents("tests/golden/layers.mmd", &picture);
}

/// Returns the top-level modules that each one imports.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, paths) in all() {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let targets = paths.iter().filter_map(|path| path.strip_prefix("crate::")?.split("::").next());
        let others = targets.filter(|target| *target != module).map(str::to_owned);
        direct.entry(module.to_owned()).or_default().extend(others);
    }
    direct
}

/// Returns everything that a module depends on, directly or not. There is no circle, so it ends.
fn below<'graph>(
    direct: &'graph BTreeMap<String, BTreeSet<String>>,
    module: &str,
) -> BTreeSet<&'graph String> {
    let targets = direct.get(module).into_iter().flatten();
    targets.flat_map(|target| below(direct, target).into_iter().chain([target])).collect()
}
