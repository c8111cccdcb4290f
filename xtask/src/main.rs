//! `cargo xtask`: the project's own commands.
//!
//! Stands outside the loop: it builds, checks and drives the binaries as a person would, through their command line,
//! their standard streams and the files they write. It links none of our crates, so a fault here can never be a
//! fault of the product.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: printing is its job")]

mod bench;
mod demo;
mod graph;
mod hil;
mod prove;
mod stopwatch;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Build, check and show Outrigger.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::BenchArgs),
    Demo(demo::DemoArgs),
    Test(test::TestArgs),
    Graph(graph::GraphArgs),
    Hil(hil::HilArgs),
    Prove(prove::ProveArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Test(args) => test::run(args),
        Command::Graph(args) => graph::run(args),
        Command::Hil(args) => hil::run(args),
        Command::Prove(args) => prove::run(args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("the folder of xtask has no parent")
}

/// The cargo that started us, or the one on the path.
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
