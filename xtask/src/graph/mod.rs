//! `cargo xtask graph`: the house test and the drawing of the house.
//!
//! Reads `cargo metadata`, the sources' `use` paths and `xtask/house.toml`, and fails on an arrow that points up, a
//! crate or a foreign library that is not listed or away from home, a library reached that must not be, and modules of
//! one crate that use each other in a ring, and on a permission that nobody uses. Every fault is printed at once, with the file to mend and the key. Then
//! `docs/crate-graph.svg` is drawn from the same facts.

mod facts;
mod modules;
mod rules;
mod svg;

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

/// Hold the crates against the plan in xtask/house.toml and draw docs/crate-graph.svg.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Draw nothing; fail if the committed drawing is not the one that would be drawn.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Runs the command; `false` if the house has a fault.
pub(crate) fn run(args: &GraphArgs) -> Result<bool> {
    let root = crate::root()?;
    let plan_path = root.join("xtask/house.toml");
    let text = fs::read_to_string(&plan_path).context("xtask/house.toml cannot be read")?;
    let plan: rules::Plan = toml::from_str(&text).context("xtask/house.toml")?;
    let house = facts::read(&root)?;

    let mut faults = rules::check(&plan, &house);
    for krate in &house.crates {
        let sources = modules::read(&root.join(&krate.folder).join("src"))?;
        faults.extend(modules::rings(&sources).into_iter().map(|ring| format!("{}/src: {ring}", krate.folder)));
    }
    for fault in &faults {
        eprintln!("graph: {fault}");
    }

    let drawing = svg::draw(&plan, &house);
    let drawing_path = root.join("docs/crate-graph.svg");
    let committed = fs::read_to_string(&drawing_path).unwrap_or_default();
    let mut stale = false;
    if committed != drawing {
        if args.check {
            stale = true;
            eprintln!("graph: docs/crate-graph.svg: not the drawing of this house: run `cargo xtask graph`, commit it");
        } else {
            fs::write(&drawing_path, &drawing).context("docs/crate-graph.svg cannot be written")?;
            println!("graph: drew docs/crate-graph.svg");
        }
    }
    let arrows: usize = house.crates.iter().map(|krate| krate.uses.iter().filter(|u| u.ours).count()).sum();
    if faults.is_empty() && !stale {
        println!("graph: {} crates, {arrows} arrows, none points up, every library at home", house.crates.len());
    } else {
        eprintln!("graph: {} fault(s)", faults.len() + usize::from(stale));
    }
    Ok(faults.is_empty() && !stale)
}
