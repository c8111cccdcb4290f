//! One picture per benchmark: the closed loop with the time of each step where there is a loop, else all solvers side by
//! side.

mod bars;
mod run;

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::rows::{Report, Row};

const INK: RGBColor = RGBColor(31, 41, 51);
const PALE: RGBColor = RGBColor(110, 122, 135);
const GRID: RGBColor = RGBColor(228, 232, 236);
const OURS: RGBColor = RGBColor(11, 96, 166);
const PEER: RGBColor = RGBColor(160, 170, 180);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws everything that the report holds; the number of pictures.
pub(super) fn all(folder: &Path, report: &Report) -> Result<usize> {
    let mut drawn = 0;
    for trace in report.traces.iter().filter(|trace| !trace.panels.is_empty()) {
        let row = report.rows.iter().find(|row| row.is_ours() && row.name == trace.name);
        canvas(&folder.join(file_name(&trace.name)), run::size(trace), &|area| run::draw(area, trace, row))?;
        drawn += 1;
    }
    let looped = |problem: &str| report.traces.iter().any(|t| !t.panels.is_empty() && t.name.starts_with(problem));
    let mut done: Vec<&str> = Vec::new();
    for problem in report.rows.iter().map(Row::problem) {
        if done.contains(&problem) || looped(problem) {
            continue;
        }
        done.push(problem);
        let mut rows: Vec<&Row> = report.rows.iter().filter(|row| row.problem() == problem).collect();
        rows.retain(|row| row.median_us.is_some_and(|us| us.is_finite() && us > 0.0));
        if rows.is_empty() {
            continue;
        }
        rows.sort_by(|a, b| a.median_us.unwrap_or(0.0).total_cmp(&b.median_us.unwrap_or(0.0)));
        let picture = bars::Bars { problem, rows: &rows, machine: &report.machine };
        canvas(&folder.join(file_name(problem)), picture.size(), &|area| picture.draw(area))?;
        drawn += 1;
    }
    Ok(drawn)
}

/// A row's name as a file's.
fn file_name(name: &str) -> String {
    format!("{}.svg", name.replace('/', "_"))
}

/// A white sheet, drawn on and written.
fn canvas(path: &Path, size: (i32, i32), draw: &dyn Fn(&Area<'_>) -> Drawn) -> Result<()> {
    let text = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let size = (u32::try_from(size.0)?, u32::try_from(size.1)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(|e| text(&e))?;
    draw(&root).map_err(|e| text(&e))?;
    root.present().map_err(|e| text(&e))
}

fn words(size: i32, colour: RGBColor, at: (HPos, VPos)) -> TextStyle<'static> {
    let font = ("DejaVu Sans, Verdana, sans-serif", size).into_font();
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(at.0, at.1) }
}

/// A time in the unit that a person would use.
fn time(us: f64) -> String {
    match us {
        us if us < 10.0 => format!("{us:.2} µs"),
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 10_000.0 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Line, OURS, Panel, Role, Trace};
    use super::*;

    fn row(name: &str, solver: &str, median_us: f64) -> Row {
        let times = (Some(median_us), Some(2.0 * median_us), Some(5.0 * median_us));
        Row {
            name: name.to_owned(),
            solver: solver.to_owned(),
            median_us: times.0,
            p99_us: times.1,
            max_us: times.2,
            ..Row::default()
        }
    }

    #[test]
    fn a_loop_is_drawn_as_a_run_and_a_programme_as_bars() {
        let line = |name: &str, role, values: Vec<f64>| Line { name: name.to_owned(), role, values };
        let steps = |f: &dyn Fn(f64) -> f64| (0..31).map(|k| f(f64::from(k))).collect::<Vec<f64>>();
        let panel = Panel {
            title: "CA, mol/L".to_owned(),
            lines: vec![
                line("limit", Role::Limit, vec![2.0; 31]),
                line("set-point", Role::Setpoint, steps(&|k| if k < 10.0 { 0.5 } else { 1.0 })),
                line("CA", Role::Cv, steps(&|k| (0.1 * k).sin())),
            ],
        };
        let trace = Trace {
            name: "nmpc/x_N20/rti".to_owned(),
            title: "a reactor".to_owned(),
            time_unit: "min".to_owned(),
            period: 0.1,
            panels: vec![panel],
            us: vec![10.0; 30],
            feedback_us: vec![4.0; 30],
        };
        let rows =
            vec![row("nmpc/x_N20/rti", OURS, 10.0), row("qp/y/ipm", OURS, 40.0), row("qp/y/osqp", "osqp", 300.0)];
        let report = Report { rows, traces: vec![trace], machine: "a machine".to_owned() };
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(all(folder.path(), &report).unwrap(), 2);
        let run = std::fs::read_to_string(folder.path().join("nmpc_x_N20_rti.svg")).unwrap();
        for text in ["a reactor", "CA, mol/L", "set-point", "time of each step", "min", "10.0 µs"] {
            assert!(run.contains(text), "{text} is not in the picture");
        }
        let bars = std::fs::read_to_string(folder.path().join("qp_y.svg")).unwrap();
        for text in ["qp/y", "osqp", "40.0 µs", "300 µs", "a machine"] {
            assert!(bars.contains(text), "{text} is not in the picture");
        }
    }

    #[test]
    fn a_report_without_times_gives_no_picture() {
        let rows = vec![Row { name: "qp/y/ipm".to_owned(), solver: OURS.to_owned(), ..Row::default() }];
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(all(folder.path(), &Report { rows, ..Report::default() }).unwrap(), 0);
    }
}
