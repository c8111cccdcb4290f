//! Units made by `pythonfmu` (FMI 2) and `pythonfmu3` (FMI 3): units that we did not make.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Plant, assert_y, level, program};

/// The Python that has both, and its shared library, which their units expect to find loaded.
const FIND: &str = "import pythonfmu, pythonfmu3, sysconfig, ctypes
name = sysconfig.get_config_var('INSTSONAME')
ctypes.CDLL(name)
print(name)";

/// `None`, said aloud, where there is none and none is required.
fn python() -> Option<(PathBuf, String)> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv/bin/python");
    let python = std::env::var_os("OUTRIGGER_TEST_PYTHON").map_or(near, PathBuf::from);
    let why = match Command::new(&python).args(["-c", FIND]).output() {
        Ok(output) if output.status.success() => {
            return Some((python, String::from_utf8(output.stdout).unwrap().trim().to_owned()));
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    let required = std::env::var("OUTRIGGER_REQUIRE_PYTHON").is_ok_and(|v| v == "1");
    let place = python.display();
    assert!(!required, "OUTRIGGER_REQUIRE_PYTHON=1, and {place} lacks pythonfmu, pythonfmu3 or its library: {why}");
    eprintln!("left out: {place} lacks pythonfmu, pythonfmu3 or its shared library: {why}");
    None
}

fn python_unit(version: u8, maker: &str) {
    let Some((python, library)) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    // A copy, so that Python leaves no compiled file beside the source.
    let model = folder.path().join("model.py");
    std::fs::copy(common::source(&format!("tank_fmi{version}.py")), &model).unwrap();
    let made =
        Command::new(python).args(["-m", maker, "build", "-f"]).arg(&model).arg("-d").arg(folder.path()).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let words = "--input power --unit power=% --range power=0:100 --output T --unit T=degC --range T=0:120";
    let mut command = program(&folder.path().join("PythonTank.fmu"), &words.split(' ').collect::<Vec<_>>());
    command.env("LD_PRELOAD", library);
    let mut plant = Plant::of(command);
    assert_eq!(plant.hello()["name"], format!("PythonTank, FMI {version}.0"));
    for _ in 0..2 {
        assert_y(&plant.start(&[50.0], &[]), 20.0);
        let mut want = 20.0;
        for dt_s in [0.5, 1.0, 2.5] {
            want = level(want, 50.0, dt_s);
            assert_y(&plant.step(dt_s, &[50.0], &[]), want);
        }
        assert!(plant.refused(95.0).starts_with(&format!("fmi{version}DoStep ")), "above 90 it refuses");
    }
    assert!(plant.stop().success());
}

#[test]
fn a_python_unit_of_fmi_2_agrees_with_the_analytic_answer() {
    python_unit(2, "pythonfmu");
}

#[test]
fn a_python_unit_of_fmi_3_agrees_with_the_analytic_answer() {
    python_unit(3, "pythonfmu3");
}
