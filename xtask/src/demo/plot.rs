//! The run as one picture: CVs with set-points and limits, MVs, cost, the mode, and what was done when.
//!
//! One column of panels over one axis of plant time. Grey bands: the DCS's server was away. Dashed lines: marks.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis;
use super::record::{Cycle, History, Mark};

const WIDTH: i32 = 1180;
const LEFT: i32 = 84;
const RIGHT: i32 = 24;
const HEAD: i32 = 96;
const CV_HEIGHT: i32 = 168;
const PANEL_HEIGHT: i32 = 128;
const TITLE_HEIGHT: i32 = 24;
const STRIP_HEIGHT: i32 = 46;
const FOOT: i32 = 54;

const INK: RGBColor = RGBColor(31, 41, 51);
const PALE: RGBColor = RGBColor(110, 122, 135);
const GRID: RGBColor = RGBColor(228, 232, 236);
const PV: RGBColor = RGBColor(11, 96, 166);
const SETPOINT: RGBColor = RGBColor(214, 119, 0);
const LIMIT: RGBColor = RGBColor(190, 30, 45);
const MV: RGBColor = RGBColor(108, 52, 150);
const COST: RGBColor = RGBColor(22, 128, 82);
const AWAY: RGBColor = RGBColor(238, 240, 243);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// One line of a panel.
struct Trace {
    name: &'static str,
    colour: RGBColor,
    dashed: bool,
    /// Plant time in minutes; `None` breaks the line.
    points: Vec<(f64, Option<f64>)>,
}

struct Panel {
    title: String,
    height: i32,
    range: (f64, f64),
    traces: Vec<Trace>,
}

/// Draws the run into an SVG file. A run without cycles gives no picture.
pub(super) fn draw(path: &Path, history: &History, speed: f64) -> Result<()> {
    let (Some(first), Some(last)) = (history.cycles.first(), history.cycles.last()) else { return Ok(()) };
    let minutes = (first.t_s / 60.0, last.t_s.max(first.t_s + 60.0) / 60.0);
    let panels = panels(history, last);
    let height = HEAD + panels.iter().map(|panel| panel.height).sum::<i32>() + STRIP_HEIGHT + FOOT;
    let text = |error: &dyn std::fmt::Display| anyhow!("{error}");
    let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(|e| text(&e))?;
    let picture = Picture { root: &root, history, minutes };
    picture.head(speed).map_err(|e| text(&e))?;
    let mut top = HEAD;
    for panel in &panels {
        picture.panel(panel, top).map_err(|e| text(&e))?;
        top += panel.height;
    }
    picture.strip(top).map_err(|e| text(&e))?;
    picture.foot(top + STRIP_HEIGHT).map_err(|e| text(&e))?;
    root.present().map_err(|e| text(&e))
}

/// A trace of every cycle.
fn trace(
    history: &History,
    name: &'static str,
    (colour, dashed): (RGBColor, bool),
    value: impl Fn(&Cycle) -> Option<f64>,
) -> Trace {
    Trace { name, colour, dashed, points: history.cycles.iter().map(|c| (c.t_s / 60.0, value(c))).collect() }
}

/// The same as steps: a value holds until the next one.
fn stepped(mut trace: Trace) -> Trace {
    let later = trace.points.iter().skip(1).map(|(t, _)| *t);
    let held: Vec<_> = trace.points.iter().zip(later).map(|((_, value), t)| (t, *value)).collect();
    let mut steps = Vec::with_capacity(trace.points.len() * 2);
    let mut held = held.into_iter();
    for point in &trace.points {
        steps.push(*point);
        steps.extend(held.next());
    }
    trace.points = steps;
    trace
}

fn titled(tag: &str, name: &str, unit: &str) -> String {
    if unit.is_empty() { format!("{tag}  {name}") } else { format!("{tag}  {name}, {unit}") }
}

fn panels(history: &History, last: &Cycle) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (i, cv) in last.cv.iter().enumerate() {
        let traces = vec![
            stepped(trace(history, "limits", (LIMIT, false), |c| c.cv.get(i)?.lo)),
            stepped(trace(history, "", (LIMIT, false), |c| c.cv.get(i)?.hi)),
            stepped(trace(history, "set-point", (SETPOINT, false), |c| c.cv.get(i)?.sp)),
            trace(history, "measured", (PV, false), |c| c.cv.get(i)?.pv),
        ];
        let limits = [cv.lo, cv.hi].map(|limit| limit.unwrap_or(f64::NAN));
        let height = if cv.sp.is_some() { CV_HEIGHT } else { PANEL_HEIGHT };
        let range = range_of(&traces, LIMIT, &limits);
        panels.push(Panel { title: titled(&cv.tag, &cv.name, &cv.unit), height, range, traces });
    }
    for (i, mv) in last.mv.iter().enumerate() {
        let traces = vec![
            trace(history, "limits", (LIMIT, false), |c| c.mv.get(i)?.lo),
            trace(history, "", (LIMIT, false), |c| c.mv.get(i)?.hi),
            stepped(trace(history, "set-point in the DCS", (MV, false), |c| c.mv.get(i)?.sp_act)),
        ];
        let limits = [mv.lo, mv.hi].map(|limit| limit.unwrap_or(f64::NAN));
        let range = range_of(&traces, LIMIT, &limits);
        panels.push(Panel { title: titled(&mv.tag, &mv.name, &mv.unit), height: PANEL_HEIGHT, range, traces });
    }
    for (i, dv) in last.dv.iter().enumerate() {
        let traces = vec![stepped(trace(history, "measured", (PV, false), |c| c.dv.get(i)?.pv))];
        let range = range_of(&traces, LIMIT, &[]);
        let height = PANEL_HEIGHT - 26;
        panels.push(Panel { title: titled(&dv.tag, &dv.name, &dv.unit), height, range, traces });
    }
    let traces = vec![
        trace(history, "inputs left alone", (PALE, true), |c| Some(c.cost_open_loop)),
        trace(history, "this run", (COST, false), |c| Some(c.cost)),
    ];
    let range = range_of(&traces, LIMIT, &[]);
    panels.push(Panel { title: "Cost so far".to_owned(), height: PANEL_HEIGHT, range, traces });
    panels
}

/// The range over all traces but those of one colour, and over limits that are near.
fn range_of(traces: &[Trace], but: RGBColor, limits: &[f64]) -> (f64, f64) {
    let seen = traces.iter().filter(|trace| trace.colour != but);
    axis::range(seen.flat_map(|trace| &trace.points).filter_map(|(_, value)| *value), limits)
}

fn words(size: i32, colour: RGBColor, at: (HPos, VPos)) -> TextStyle<'static> {
    let font = ("DejaVu Sans, Verdana, sans-serif", size).into_font();
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(at.0, at.1) }
}

fn mode_colour(mode: &str) -> RGBColor {
    match mode {
        "ON" => RGBColor(46, 139, 87),
        "INIT" => RGBColor(240, 190, 60),
        "WARM" => RGBColor(250, 224, 150),
        "ADVISORY" => RGBColor(150, 190, 230),
        "SHED" | "FAULT" => RGBColor(205, 70, 70),
        _ => RGBColor(205, 211, 217),
    }
}

/// Neighbouring cycles that agree in something, as (value, from, to) in minutes.
fn runs<T: PartialEq>(history: &History, value: impl Fn(&Cycle) -> T) -> Vec<(T, f64, f64)> {
    let mut runs: Vec<(T, f64, f64)> = Vec::new();
    for cycle in &history.cycles {
        let (now, t) = (value(cycle), cycle.t_s / 60.0);
        if let Some(run) = runs.last_mut() {
            run.2 = t;
            if run.0 == now {
                continue;
            }
        }
        runs.push((now, t, t));
    }
    runs
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

struct Picture<'a, 'b> {
    root: &'a Area<'b>,
    history: &'a History,
    minutes: (f64, f64),
}

impl Picture<'_, '_> {
    /// Pixels of a time.
    fn x(&self, minute: f64) -> i32 {
        let share = (minute - self.minutes.0) / (self.minutes.1 - self.minutes.0);
        LEFT + (share * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    }

    fn write(&self, text: &str, style: &TextStyle<'_>, at: (i32, i32)) -> Drawn {
        self.root.draw_text(text, style, at)
    }

    fn head(&self, speed: f64) -> Drawn {
        self.write("Outrigger beside a DCS", &words(24, INK, (HPos::Left, VPos::Top)), (LEFT, 12))?;
        let note = format!("emulated plant and DCS, real OPC UA between; {speed} plant seconds per wall second");
        self.write(&note, &words(15, PALE, (HPos::Right, VPos::Top)), (WIDTH - RIGHT, 18))?;
        let style = words(14, INK, (HPos::Left, VPos::Bottom));
        for (mark, row) in self.history.marks.iter().zip(label_rows(&self.history.marks, |m| self.x(m.t_s / 60.0))) {
            self.write(&mark.label, &style, (self.x(mark.t_s / 60.0) + 4, HEAD - 6 - 17 * row))?;
        }
        Ok(())
    }

    fn panel(&self, panel: &Panel, top: i32) -> Drawn {
        let (x_range, (lo, hi)) = (self.minutes.0..self.minutes.1, panel.range);
        let height = u32::try_from(panel.height - TITLE_HEIGHT).unwrap_or(1);
        let width = u32::try_from(WIDTH - RIGHT).unwrap_or(1);
        let area = self.root.clone().shrink((0, top + TITLE_HEIGHT), (width, height));
        let mut builder = ChartBuilder::on(&area);
        let mut chart =
            builder.set_label_area_size(LabelAreaPosition::Left, LEFT).build_cartesian_2d(x_range, lo..hi)?;
        for (away, from, to) in runs(self.history, |cycle| !cycle.server_up) {
            if away {
                chart.draw_series([Rectangle::new([(from, lo), (to, hi)], AWAY.filled())])?;
            }
        }
        chart
            .configure_mesh()
            .disable_x_axis()
            .disable_x_mesh()
            .y_labels(5)
            .axis_style(PALE)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(words(14, PALE, (HPos::Right, VPos::Center)))
            .y_label_formatter(&|y| axis::label(*y, hi - lo))
            .draw()?;
        for mark in &self.history.marks {
            let t = mark.t_s / 60.0;
            chart.draw_series(DashedLineSeries::new([(t, lo), (t, hi)], 3, 4, PALE.stroke_width(1)))?;
        }
        for trace in &panel.traces {
            draw_trace(&mut chart, trace, panel.range)?;
        }
        self.legend(panel, top)
    }

    /// The title of a panel and the names of its lines in their colours, right to left.
    fn legend(&self, panel: &Panel, top: i32) -> Drawn {
        let y = top + TITLE_HEIGHT - 5;
        self.write(&panel.title, &words(17, INK, (HPos::Left, VPos::Bottom)), (LEFT, y))?;
        let mut x = WIDTH - RIGHT;
        let (lo, hi) = panel.range;
        let visible = |trace: &&Trace| trace.points.iter().any(|(_, v)| v.is_some_and(|v| v >= lo && v <= hi));
        let mut named: Vec<(&str, RGBColor)> = Vec::new();
        for trace in panel.traces.iter().filter(visible) {
            let name = if trace.name.is_empty() { "limits" } else { trace.name };
            if !named.contains(&(name, trace.colour)) {
                named.push((name, trace.colour));
            }
        }
        for (name, colour) in named {
            self.write(name, &words(14, colour, (HPos::Right, VPos::Bottom)), (x, y))?;
            x -= 8 * i32::try_from(name.len()).unwrap_or(0) + 14;
        }
        Ok(())
    }

    /// The mode over time as a coloured strip with names where they fit. While the server is away the last mode that
    /// was written is stale, so none is shown.
    fn strip(&self, top: i32) -> Drawn {
        let (y0, y1) = (top + 16, top + STRIP_HEIGHT - 4);
        self.write("MODE_ACT", &words(14, INK, (HPos::Right, VPos::Center)), (LEFT - 8, (y0 + y1) / 2))?;
        for (mode, from, to) in runs(self.history, |cycle| cycle.mode_act.clone().filter(|_| cycle.server_up)) {
            let mode = mode.unwrap_or_else(|| "unknown".to_owned());
            let (x0, x1) = (self.x(from), self.x(to));
            self.root.draw(&Rectangle::new([(x0, y0), (x1, y1)], mode_colour(&mode).filled()))?;
            if x1 - x0 > 10 * i32::try_from(mode.len()).unwrap_or(0) {
                let ink = if ["ON", "SHED", "FAULT"].contains(&mode.as_str()) { WHITE } else { INK };
                self.write(&mode, &words(14, ink, (HPos::Center, VPos::Center)), ((x0 + x1) / 2, (y0 + y1) / 2))?;
            }
        }
        Ok(())
    }

    fn foot(&self, top: i32) -> Drawn {
        let style = words(14, PALE, (HPos::Center, VPos::Top));
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0];
        let span = self.minutes.1 - self.minutes.0;
        let step = step.into_iter().find(|step| span / step <= 14.0).unwrap_or(600.0);
        let mut tick = (self.minutes.0 / step).ceil() * step;
        while tick <= self.minutes.1 {
            let x = self.x(tick);
            self.root.draw(&PathElement::new([(x, top), (x, top + 5)], PALE))?;
            self.write(&format!("{tick:.0}"), &style, (x, top + 9))?;
            tick += step;
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2;
        self.write("plant time, min", &words(15, INK, (HPos::Center, VPos::Top)), (middle, top + 28))
    }
}

fn draw_trace(chart: &mut Plane<'_, '_>, trace: &Trace, (lo, hi): (f64, f64)) -> Drawn {
    // A line outside the range, such as a far limit, would be drawn on the frame.
    let inside = |value: &Option<f64>| value.is_some_and(|v| v >= lo && v <= hi);
    for piece in trace.points.split(|(_, value)| !inside(value)) {
        let points = piece.iter().filter_map(|(t, value)| Some((*t, (*value)?)));
        if trace.dashed {
            chart.draw_series(DashedLineSeries::new(points, 6, 4, trace.colour.stroke_width(2)))?;
        } else {
            chart.draw_series(LineSeries::new(points, trace.colour.stroke_width(2)))?;
        }
    }
    Ok(())
}

/// A row for each mark's label, the lowest in which it does not run into the one before.
fn label_rows(marks: &[Mark], x: impl Fn(&Mark) -> i32) -> Vec<i32> {
    let mut ends = [i32::MIN; 3];
    let mut rows = Vec::with_capacity(marks.len());
    for mark in marks {
        let start = x(mark);
        let row = ends.iter().position(|end| *end <= start).unwrap_or(ends.len() - 1);
        if let Some(end) = ends.get_mut(row) {
            *end = start + 8 * i32::try_from(mark.label.len()).unwrap_or(0) + 12;
        }
        rows.push(i32::try_from(row).unwrap_or(0));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::record::{CvState, MvState};
    use super::*;

    fn history() -> History {
        let cycle = |i: u32| {
            let cv =
                CvState { name: "CB".to_owned(), pv: (i != 5).then_some(0.8), sp: Some(0.8), ..CvState::default() };
            let mv = MvState { name: "QDOT".to_owned(), sp_act: Some(f64::from(i)), ..MvState::default() };
            let mode = if i < 10 { "WARM" } else { "ON" };
            let mode_act = Some(mode.to_owned());
            Cycle {
                t_s: 18.0 * f64::from(i),
                mode_act,
                cv: vec![cv],
                mv: vec![mv],
                server_up: i != 15,
                ..Cycle::default()
            }
        };
        let mark = |t_s, label: &str| Mark { t_s, label: label.to_owned() };
        History { cycles: (0..30).map(cycle).collect(), marks: vec![mark(90.0, "engage"), mark(99.0, "set-point")] }
    }

    #[test]
    fn the_picture_names_what_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.svg");
        draw(&path, &history(), 36.0).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        for words in ["CB", "QDOT", "engage", "set-point", "WARM", "ON", "plant time, min", "36 plant seconds"] {
            assert!(svg.contains(words), "{words}");
        }
    }

    #[test]
    fn a_run_without_cycles_leaves_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.svg");
        draw(&path, &History::default(), 36.0).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn labels_that_would_collide_go_to_different_rows() {
        let marks = history().marks;
        assert_eq!(label_rows(&marks, |mark| mark.t_s as i32), [0, 1]);
        assert_eq!(label_rows(&marks, |mark| mark.t_s as i32 * 20), [0, 0]);
    }

    #[test]
    fn a_held_value_makes_a_step() {
        let points = vec![(0.0, Some(1.0)), (1.0, Some(2.0))];
        let trace = stepped(Trace { name: "", colour: MV, dashed: false, points });
        assert_eq!(trace.points, [(0.0, Some(1.0)), (1.0, Some(1.0)), (1.0, Some(2.0))]);
    }
}
