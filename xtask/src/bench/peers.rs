//! The peers' Python scripts as children: set up, run, and their numbers taken as rows.
//!
//! `gen_qps.py` writes the sequences once, to target/bench-qps; `run_peers.py` prints one line `name {json}` per measurement
//! on standard error. A measurement that failed over there is told and gives no row. Times are those that a solver
//! reports of itself where it does, else those around the call from Python.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::rows::Row;

/// Where the scripts stand beside the repository.
pub(super) const BESIDE: &str = "../shared/bench";
/// What they need of PyPI, by the name to install.
const PACKAGES: [&str; 11] = [
    "numpy<2.4",
    "scipy",
    "casadi",
    "osqp",
    "piqp",
    "daqp",
    "proxsuite",
    "clarabel",
    "qpsolvers",
    "filterpy",
    "statsmodels",
];
/// The script, and one sequence that it needs.
const SCRIPT: &str = "run_peers.py";
const GENERATOR: &str = "gen_qps.py";
const LAST_SEQUENCE: &str = "mass_20_5_20.npz";

/// How the peers are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers<'a> {
    pub(super) root: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) python: Option<&'a Path>,
    pub(super) quick: bool,
}

fn venv_python(root: &Path) -> PathBuf {
    root.join("target/bench-venv/bin/python")
}

/// Sets up target/bench-venv.
pub(super) fn install(root: &Path) -> Result<()> {
    let python = venv_python(root);
    eprintln!("bench: python3 -m venv target/bench-venv; pip install {}", PACKAGES.join(" "));
    succeed(root, OsStr::new("python3"), &["-m", "venv", "--clear", "target/bench-venv"])?;
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(PACKAGES);
    succeed(root, python.as_os_str(), &args)
}

fn succeed(root: &Path, program: &OsStr, args: &[&str]) -> Result<()> {
    let status = Command::new(program).args(args).current_dir(root).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("{} cannot be started", program.display()))?;
    if !status.success() {
        bail!("{} {}: {status}", program.display(), args.join(" "));
    }
    Ok(())
}

impl Peers<'_> {
    /// Every row that the peers gave.
    pub(super) fn run(&self) -> Result<Vec<Row>> {
        let script = self.folder.join(SCRIPT);
        if !script.is_file() {
            bail!("{} is not there", script.display());
        }
        let python = self.interpreter()?;
        let sequences = self.root.join("target/bench-qps");
        std::fs::create_dir_all(&sequences).with_context(|| format!("{} cannot be made", sequences.display()))?;
        if !sequences.join(LAST_SEQUENCE).is_file() {
            eprintln!("bench: {GENERATOR}: the peers' sequences, once, some minutes");
            self.child(&python, GENERATOR, &sequences, &mut |_| {})?;
        }
        eprintln!("bench: {SCRIPT}: all peers, some minutes{}", if self.quick { "" } else { "; --quick for fewer" });
        let mut rows = Vec::new();
        self.child(&python, SCRIPT, &sequences, &mut |line| match measurement(line) {
            Some((name, Measurement::Values(values))) => {
                eprintln!("       {name}");
                rows.extend(rows_of(&name, &values));
            }
            Some((name, Measurement::Failed(why))) => eprintln!("       {name}: {why}"),
            None => {}
        })?;
        if rows.is_empty() {
            bail!("{SCRIPT} printed no measurement");
        }
        Ok(rows)
    }

    /// The Python to use; an error names the packages that it lacks.
    fn interpreter(&self) -> Result<PathBuf> {
        let own = venv_python(self.root);
        let python = match self.python {
            Some(python) => python.to_path_buf(),
            None if own.is_file() => own,
            None => PathBuf::from("python3"),
        };
        let imports = "import importlib.util as u, sys; m=[n for n in sys.argv[1:] if u.find_spec(n) is None]; print(*m); sys.exit(bool(m))";
        let modules = PACKAGES.map(|package| package.split('<').next().unwrap_or(package));
        let out = Command::new(&python).args(["-c", imports]).args(modules).stdin(Stdio::null()).output();
        let out = out.with_context(|| format!("{} cannot be started", python.display()))?;
        if !out.status.success() {
            let missing = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            bail!(
                "{} lacks {missing}: --install-peers sets up target/bench-venv, --python names another",
                python.display()
            );
        }
        Ok(python)
    }

    /// Runs one of the scripts; each line of its standard error goes to `heard`.
    fn child(&self, python: &Path, script: &str, sequences: &Path, heard: &mut dyn FnMut(&str)) -> Result<()> {
        let mut command = Command::new(python);
        command.arg(self.folder.join(script)).env("QPDIR", sequences).env("OMP_NUM_THREADS", "1");
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(sequences);
        if self.quick && script == SCRIPT {
            command.arg("--quick");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", python.display()))?;
        let pipe = child.stderr.take().context("no pipe to the script")?;
        let mut last = String::new();
        for line in BufReader::new(pipe).split(b'\n') {
            let line = line.with_context(|| format!("{script} cannot be listened to"))?;
            let line = String::from_utf8_lossy(&line);
            heard(&line);
            if !line.trim().is_empty() {
                last = line.trim().to_owned();
            }
        }
        let status = child.wait().with_context(|| format!("{script} cannot be waited for"))?;
        if !status.success() {
            bail!("{script}: {status}: {last}");
        }
        Ok(())
    }
}

/// One line of the script.
#[derive(Clone, Debug, PartialEq)]
enum Measurement {
    Values(Value),
    Failed(String),
}

/// `name {json}` or `name "ERR …"`; `None` for anything else, such as a warning.
fn measurement(line: &str) -> Option<(String, Measurement)> {
    let (name, json) = line.trim().split_once(' ')?;
    if !["nmpc/", "qp/", "est/"].iter().any(|family| name.starts_with(family)) {
        return None;
    }
    match serde_json::from_str(json).ok()? {
        Value::String(why) => Some((name.to_owned(), Measurement::Failed(why))),
        values @ Value::Object(_) => Some((name.to_owned(), Measurement::Values(values))),
        _ => None,
    }
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key).and_then(Value::as_f64)
}

/// A row with the three times that stand in `times` under `med`, `p99` and `max` with `suffix`.
fn timed(name: &str, solver: &str, (times, suffix): (&Value, &str)) -> Row {
    let of = |key: &str| number(times, &format!("{key}{suffix}"));
    let (median_us, p99_us, max_us) = (of("med"), of("p99"), of("max"));
    Row { name: name.to_owned(), solver: solver.to_owned(), median_us, p99_us, max_us, ..Row::default() }
}

/// The rows in one measurement.
fn rows_of(name: &str, values: &Value) -> Vec<Row> {
    let method = name.rsplit('/').next().unwrap_or(name);
    let iterations = || Some([number(values, "iters_med")?, number(values, "iters_max")?]);
    if name.starts_with("nmpc/") {
        let row = timed(name, &format!("casadi {method}"), (values, "_us"));
        let failures = values.get("fail").and_then(Value::as_u64);
        return vec![Row { cost: number(values, "cost"), failures, iterations: iterations(), ..row }];
    }
    if name.starts_with("qp/") {
        let times = values.get("solver").or_else(|| values.get("wall")).unwrap_or(&Value::Null);
        let row = timed(name, method, (times, ""));
        return vec![Row { error: number(values, "rel_gap"), iterations: iterations(), ..row }];
    }
    match name {
        "est/timing" => kalman_rows(values),
        "est/accuracy_cstr" => {
            let peers = [
                ("EKF_filterpy", "est/ekf_cstr2", "filterpy"),
                ("UKF_filterpy", "est/ukf_cstr2", "filterpy"),
                ("MHE20_ipopt", "est/mhe_cstr_N20", "casadi ipopt"),
            ];
            let row = |(key, name, solver): (&str, &str, &str)| {
                let values = values.get(key)?;
                Some(Row { cost: number(values, "Ca"), ..timed(name, solver, (values, "_us")) })
            };
            peers.into_iter().filter_map(row).collect()
        }
        _ => Vec::new(),
    }
}

/// The linear filters: `nx20_ny10` has one entry per peer.
fn kalman_rows(values: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, peers) in values.as_object().into_iter().flatten() {
        let Some(nx) = size.strip_prefix("nx").and_then(|rest| rest.split('_').next()) else { continue };
        let name = format!("est/kf_{nx}");
        for (key, solver) in [("filterpy_KF", "filterpy"), ("numpy_joseph", "numpy")] {
            rows.extend(peers.get(key).map(|times| timed(&name, solver, (times, "_us"))));
        }
        let median_us = number(peers, "statsmodels_KF_cython_us_per_step");
        if median_us.is_some() {
            rows.push(Row { name, solver: "statsmodels".to_owned(), median_us, ..Row::default() });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Row {
        match measurement(line) {
            Some((name, Measurement::Values(values))) => rows_of(&name, &values).remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_controllers_line_gives_a_row() {
        let row = one(
            r#"nmpc/cstr2_N20/ipopt {"cost": 234.2086, "ise": 0.18, "n": 150, "med_us": 1874.0, "p99_us": 5060.0, "max_us": 8654.0, "min_us": 1500.0, "iters_med": 8.0, "iters_max": 40, "fail": 1}"#,
        );
        assert_eq!((row.problem(), row.solver.as_str()), ("nmpc/cstr2_N20", "casadi ipopt"));
        assert_eq!((row.median_us, row.max_us, row.cost), (Some(1874.0), Some(8654.0), Some(234.2086)));
        assert_eq!((row.failures, row.iterations), (Some(1), Some([8.0, 40.0])));
    }

    /// The solver's own time where it tells it, else that around the call.
    #[test]
    fn a_programmes_line_gives_a_row_with_the_solvers_own_time() {
        let wall = r#""wall": {"med": 30.0, "p99": 40.0, "max": 50.0, "min": 20.0}, "iters_med": 3.0, "iters_max": 9, "rel_gap": 1e-7"#;
        let own = one(&format!(r#"qp/wb_2x2/daqp {{{wall}, "solver": {{"med": 2.9, "p99": 44.0, "max": 47.0}}}}"#));
        assert_eq!((own.median_us, own.p99_us, own.max_us, own.error), (Some(2.9), Some(44.0), Some(47.0), Some(1e-7)));
        let around = one(&format!("qp/wb_2x2/daqp {{{wall}}}"));
        assert_eq!(around.median_us, Some(30.0));
    }

    #[test]
    fn the_filters_line_gives_rows_under_our_names() {
        let line = r#"est/timing {"nx20_ny10": {"filterpy_KF": {"min_us": 1.0, "med_us": 60.0, "p99_us": 70.0}, "statsmodels_KF_cython_us_per_step": 12.8}}"#;
        let Some((name, Measurement::Values(values))) = measurement(line) else { panic!() };
        let rows = rows_of(&name, &values);
        let seen: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.solver.as_str(), row.median_us)).collect();
        assert_eq!(seen, [("est/kf_20", "filterpy", Some(60.0)), ("est/kf_20", "statsmodels", Some(12.8))]);
    }

    #[test]
    fn a_failure_over_there_is_told_and_a_warning_is_nothing() {
        assert_eq!(
            measurement("qp/hof_7x5/daqp \"ERR ImportError('daqp')\""),
            Some(("qp/hof_7x5/daqp".to_owned(), Measurement::Failed("ERR ImportError('daqp')".to_owned())))
        );
        for noise in ["", "UserWarning: x", "qp/x", "qp/x 3", "qp/x {\"wall\": ", "other/x {}"] {
            assert_eq!(measurement(noise), None, "{noise}");
        }
    }

    #[test]
    fn absent_scripts_and_an_absent_python_are_errors_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let peers = |python| Peers { root: folder.path(), folder: folder.path(), python, quick: true };
        let said = format!("{:#}", peers(None).run().unwrap_err());
        assert!(said.contains("run_peers.py is not there"), "{said}");
        std::fs::write(folder.path().join(SCRIPT), "").unwrap();
        let said = format!("{:#}", peers(Some(Path::new("no-such-python"))).run().unwrap_err());
        assert!(said.contains("no-such-python cannot be started"), "{said}");
    }
}
