//! `cargo xtask test`: everything that must hold before a change is handed in, in one command.
//!
//! Each step is an ordinary command that a person could type; it is printed before it runs, and its own output,
//! summary included, passes through untouched.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::stopwatch::Stopwatch;

/// The foreign parts of the interop tests, as modules of Python with their versions: an OPC UA client, a Modbus master, and
/// what makes FMI units.
const FOREIGN: [(&str, &str); 4] =
    [("asyncua", "2.1.0"), ("pymodbus", "3.16.1"), ("pythonfmu", "0.7.0"), ("pythonfmu3", "0.3.4")];
/// The tests that need the client look for a Python here and skip without it.
const PYTHON_VARIABLE: &str = "OUTRIGGER_TEST_PYTHON";
/// Where this one is set, they fail instead.
const REQUIRE_VARIABLE: &str = "OUTRIGGER_REQUIRE_PYTHON";
/// Without nextest nothing gives a `wall_` test the machine to itself, so every test runs alone.
const WITHOUT_NEXTEST: [&str; 6] = ["test", "--workspace", "--all-targets", "--locked", "--", "--test-threads=1"];

/// Format, lints, house test, unit tests, scenarios, interop tests, loom, doctests and FMI units.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Leave out the slow steps: the Python client for interop, loom, the doctests and the FMI units.
    #[arg(long)]
    quick: bool,
    /// Run the steps that follow a failed one too.
    #[arg(long)]
    keep_going: bool,
}

/// How a step ended.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

struct Step {
    name: &'static str,
    slow: bool,
    run: fn(&Path) -> Result<Outcome>,
}

const STEPS: [Step; 8] = [
    Step { name: "format", slow: false, run: |root| cargo(root, &["fmt", "--all", "--", "--check"]) },
    Step { name: "house", slow: false, run: house },
    Step { name: "lints", slow: false, run: lints },
    Step { name: "interop client", slow: true, run: interop_client },
    Step { name: "tests", slow: false, run: tests },
    Step { name: "loom", slow: true, run: loom },
    Step { name: "doctests", slow: true, run: |root| cargo(root, &["test", "--doc", "--workspace"]) },
    Step { name: "fmu", slow: true, run: fmu },
];

/// Runs the steps in order; `false` if one failed.
pub(crate) fn run(args: &TestArgs) -> Result<bool> {
    let root = crate::root()?;
    let whole = Stopwatch::start();
    let steps: Vec<&Step> = STEPS.iter().filter(|step| !(args.quick && step.slow)).collect();
    let (mut passed, mut failed, mut skipped) = (0_u32, Vec::new(), 0_u32);
    for (number, step) in (1_usize..).zip(&steps) {
        eprintln!("\n==> [{number}/{}] {}", steps.len(), step.name);
        let watch = Stopwatch::start();
        let outcome = (step.run)(&root)?;
        let seconds = watch.seconds();
        match outcome {
            Outcome::Passed => {
                passed += 1;
                eprintln!("<== {}: passed in {seconds:.1} s", step.name);
            }
            Outcome::Skipped(why) => {
                skipped += 1;
                eprintln!("<== {}: skipped: {why}", step.name);
            }
            Outcome::Failed(why) => {
                failed.push(step.name);
                eprintln!("<== {}: FAILED after {seconds:.1} s: {why}", step.name);
                if !args.keep_going {
                    break;
                }
            }
        }
    }
    let seconds = whole.seconds();
    let left = steps.len().saturating_sub(failed.len()) - passed as usize - skipped as usize;
    let verdict = if failed.is_empty() { "passed".to_owned() } else { format!("FAILED at {}", failed.join(", ")) };
    eprintln!(
        "\nxtask test: {verdict}: {passed} passed, {} failed, {skipped} skipped, {left} not run, {seconds:.0} s",
        failed.len()
    );
    Ok(failed.is_empty())
}

/// Runs a command in the root with its output passing through.
fn command(root: &Path, program: &OsStr, args: &[&str], envs: &[(&str, &OsStr)]) -> Result<Outcome> {
    let shown = Path::new(program).file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    eprintln!("    {shown} {}", args.join(" "));
    let status = Command::new(program)
        .args(args)
        .envs(envs.iter().copied())
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{shown} cannot be started"))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(format!("{shown}: {status}")) })
}

fn cargo(root: &Path, args: &[&str]) -> Result<Outcome> {
    command(root, &crate::cargo(), args, &[])
}

fn lints(root: &Path) -> Result<Outcome> {
    cargo(root, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn house(_root: &Path) -> Result<Outcome> {
    let sound = crate::graph::run(&crate::graph::GraphArgs { check: true })?;
    Ok(if sound { Outcome::Passed } else { Outcome::Failed("see the lines above".to_owned()) })
}

/// The lock-free parts under every interleaving of few threads. `--cfg loom` is for the one crate that knows it.
fn loom(root: &Path) -> Result<Outcome> {
    let args = ["test", "-p", "slots", "--lib", "--release", "--locked", "--target-dir", "target/loom"];
    let envs = [("RUSTFLAGS", OsStr::new("--cfg loom")), ("RUST_BACKTRACE", OsStr::new("0"))];
    command(root, &crate::cargo(), &args, &envs)
}

/// Each test of the workspace. Those over the wire start the two programs, which cargo builds because their packages have
/// tests of their own; they come last, two at a time.
fn tests(root: &Path) -> Result<Outcome> {
    let python = venv_python(root);
    let mut envs: Vec<(&str, &OsStr)> = Vec::new();
    if has_client(&python) {
        envs.extend([(PYTHON_VARIABLE, python.as_os_str()), (REQUIRE_VARIABLE, OsStr::new("1"))]);
    } else {
        eprintln!(
            "    no {} in target/venv: the interop tests skip, or fail if {REQUIRE_VARIABLE} is set",
            pins().join(", ")
        );
    }
    let cargo = crate::cargo();
    if quiet(&cargo, &["nextest", "--version"]) {
        let nextest = |more: &[&str]| {
            let args: Vec<&str> = ["nextest", "run", "--workspace", "--locked"].iter().chain(more).copied().collect();
            command(root, &cargo, &args, &envs)
        };
        return match nextest(&["-E", "not binary(over_the_wire)"])? {
            Outcome::Passed => nextest(&["--profile", "wire", "-E", "binary(over_the_wire)"]),
            failed => Ok(failed),
        };
    }
    eprintln!("    cargo-nextest is missing: falling back to `cargo test` (cargo install cargo-nextest --locked)");
    command(root, &cargo, &WITHOUT_NEXTEST, &envs)
}

fn venv_python(root: &Path) -> PathBuf {
    root.join("target/venv/bin/python")
}

/// True if the command starts and succeeds; its output is dropped.
fn quiet(program: &OsStr, args: &[&str]) -> bool {
    let done =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// The foreign parts as pip is asked for them.
fn pins() -> [String; 4] {
    FOREIGN.map(|(name, version)| format!("{name}=={version}"))
}

/// True if this Python imports the pinned versions.
fn has_client(python: &Path) -> bool {
    let one = |(name, version)| format!("import {name}; assert m.version('{name}') == '{version}'");
    let script = format!("import importlib.metadata as m; {}", FOREIGN.map(one).join("; "));
    quiet(python.as_os_str(), &["-c", &script])
}

/// On a CI machine, and wherever a person says so, interop tests that skip would be a green light for nothing.
fn client_is_required(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("CI").is_some_and(|value| value == "true") || variable(REQUIRE_VARIABLE).is_some()
}

fn without_python(required: bool) -> Outcome {
    if required {
        Outcome::Failed("python3 is missing, and the interop tests must run here".to_owned())
    } else {
        Outcome::Skipped("python3 is missing, so the interop tests will skip".to_owned())
    }
}

/// Sets up `target/venv` with the pinned client, once.
fn interop_client(root: &Path) -> Result<Outcome> {
    let python = venv_python(root);
    if has_client(&python) {
        eprintln!("    {} are there already", pins().join(", "));
        return Ok(Outcome::Passed);
    }
    let system = OsString::from("python3");
    if !quiet(&system, &["--version"]) {
        return Ok(without_python(client_is_required(|name| std::env::var_os(name))));
    }
    let made = command(root, &system, &["-m", "venv", "--clear", "target/venv"], &[])?;
    if !matches!(made, Outcome::Passed) {
        return Ok(Outcome::Failed("python3 cannot make a virtual environment (Debian: python3-venv)".to_owned()));
    }
    let pins = pins();
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(pins.iter().map(String::as_str));
    command(root, python.as_os_str(), &args, &[])
}

/// The package `fmu`, which is not in the workspace. Clippy stands in for the compiler, so that one pass lints and
/// builds: two would compile its hundred and more foreign crates twice.
fn fmu(root: &Path) -> Result<Outcome> {
    let required = client_is_required(|name| std::env::var_os(name));
    if std::env::var_os("LIBCLANG_PATH").is_none() && !LIBRARIES.iter().any(|folder| has_libclang(Path::new(folder))) {
        return Ok(without_libclang(required));
    }
    let formatted = cargo(root, &["fmt", "--manifest-path", "fmu/Cargo.toml", "--", "--check"])?;
    if !matches!(formatted, Outcome::Passed) {
        return Ok(formatted);
    }
    let python = venv_python(root);
    let mut envs = vec![
        ("RUSTC_WORKSPACE_WRAPPER", OsStr::new("clippy-driver")),
        ("CLIPPY_ARGS", OsStr::new("-Dwarnings__CLIPPY_HACKERY__")),
        ("CARGO_INCREMENTAL", OsStr::new("0")),
        (PYTHON_VARIABLE, python.as_os_str()),
    ];
    if required {
        envs.push((REQUIRE_VARIABLE, OsStr::new("1")));
    }
    let args = ["test", "--manifest-path", "fmu/Cargo.toml", "--locked", "--target-dir", "target/fmu"];
    command(root, &crate::cargo(), &args, &envs)
}

/// Where Linux keeps libraries; below them, or below an `llvm…` in them, libclang is looked for.
const LIBRARIES: [&str; 6] =
    ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt"];

/// True if libclang lies in this folder, or in the `lib` of an LLVM there.
fn has_libclang(folder: &Path) -> bool {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let here = |folder: &Path| names(folder).iter().any(|name| is_libclang(name));
    let llvms = names(folder).into_iter().filter(|name| name.starts_with("llvm"));
    here(folder) || llvms.into_iter().any(|llvm| here(&folder.join(llvm).join("lib")))
}

/// `libclang.so`, or `libclang-14.so.1`; not `libclang-cpp.so.14`, which is another library.
fn is_libclang(name: &str) -> bool {
    let rest = name.strip_prefix("libclang").and_then(|rest| rest.split_once(".so"));
    rest.is_some_and(|(version, _)| version.is_empty() || version.starts_with('-') && !version.starts_with("-cpp"))
}

fn without_libclang(required: bool) -> Outcome {
    let lacks = "libclang is missing (Debian: libclang1-14 and libclang-common-14-dev, or another version)";
    if required {
        Outcome::Failed(format!("{lacks}, and the FMI units must be tested here"))
    } else {
        Outcome::Skipped(format!("{lacks}, so the FMI units are not tested"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_python_the_step_is_skipped_at_home_and_fails_on_ci() {
        for (set, required) in [
            (None, false),
            (Some(("CI", "")), false),
            (Some(("CI", "false")), false),
            (Some(("CI", "true")), true),
            (Some((REQUIRE_VARIABLE, "1")), true),
        ] {
            let found = client_is_required(|name| set.filter(|(n, _)| *n == name).map(|(_, value)| value.into()));
            assert_eq!(found, required, "{set:?}");
            assert_eq!(matches!(without_python(found), Outcome::Failed(_)), required, "{set:?}");
            assert_eq!(matches!(without_python(found), Outcome::Skipped(_)), !required, "{set:?}");
            assert_eq!(matches!(without_libclang(found), Outcome::Failed(_)), required, "{set:?}");
        }
    }

    #[test]
    fn the_fallback_gives_each_test_the_machine_to_itself() {
        let own = WITHOUT_NEXTEST.iter().position(|arg| *arg == "--").unwrap();
        assert_eq!(WITHOUT_NEXTEST[own + 1..], ["--test-threads=1"]);
    }

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        for name in ["libclang.so", "libclang.so.1", "libclang-14.so.1", "libclang-19.so.19.1.7"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclang_rt.so", "libclang.a", "libclangAST.so", "libc.so.6"] {
            assert!(!is_libclang(name), "{name}");
        }
    }
}
