//! One run over time: a panel per variable with set-point and limits, and below them the time of each step.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, Drawn, GRID, INK, OURS, PALE, Plane, time, words};
use crate::bench::rows::{Line, Panel, Role, Row, Trace};
use crate::demo::axis;

const WIDTH: i32 = 1000;
const LEFT: i32 = 84;
const RIGHT: i32 = 24;
const HEAD: i32 = 70;
const PANEL: i32 = 150;
const STRIP: i32 = 120;
const TITLE: i32 = 26;
const FOOT: i32 = 56;

const SETPOINT: RGBColor = RGBColor(214, 119, 0);
const LIMIT: RGBColor = RGBColor(190, 30, 45);
const MV: RGBColor = RGBColor(108, 52, 150);
const ESTIMATE: RGBColor = RGBColor(22, 128, 82);
const MEASURED: RGBColor = RGBColor(180, 190, 200);
const STEP: RGBColor = RGBColor(150, 185, 215);

fn colour(role: Role) -> RGBColor {
    match role {
        Role::Cv => OURS,
        Role::Setpoint => SETPOINT,
        Role::Limit => LIMIT,
        Role::Mv => MV,
        Role::Disturbance => PALE,
        Role::Estimate => ESTIMATE,
        Role::Measured => MEASURED,
    }
}

/// What holds over a step is drawn as steps.
fn is_held(role: Role) -> bool {
    matches!(role, Role::Setpoint | Role::Mv | Role::Disturbance)
}

pub(super) fn size(trace: &Trace) -> (i32, i32) {
    let panels = i32::try_from(trace.panels.len()).unwrap_or(0);
    (WIDTH, HEAD + PANEL * panels + STRIP + FOOT)
}

/// Draws the run; `row` has the numbers for the head.
pub(super) fn draw(area: &Area<'_>, trace: &Trace, row: Option<&Row>) -> Drawn {
    area.draw_text(&trace.title, &words(20, INK, (HPos::Left, VPos::Top)), (LEFT, 10))?;
    area.draw_text(&head(trace, row), &words(14, PALE, (HPos::Left, VPos::Top)), (LEFT, 38))?;
    let samples = trace.panels.iter().flat_map(|panel| &panel.lines).map(|line| line.values.len()).max().unwrap_or(1);
    let end = trace.period * (samples.max(2) - 1) as f64;
    let mut top = HEAD;
    for panel in &trace.panels {
        draw_panel(area, panel, (trace.period, end, top))?;
        top += PANEL;
    }
    strip(area, trace, (end, top))?;
    foot(area, trace, (end, top + STRIP))
}

fn head(trace: &Trace, row: Option<&Row>) -> String {
    let mut parts = vec![trace.name.clone()];
    if let Some(row) = row {
        let cost = if row.problem().starts_with("est/") { "rms error" } else { "cost" };
        parts.extend(row.cost.map(|value| format!("{cost} {value:.5}")));
        parts.extend(row.median_us.map(|us| format!("median {}", time(us))));
        parts.extend(row.p99_us.map(|us| format!("p99 {}", time(us))));
        parts.extend(row.failures.map(|failures| format!("{failures} failures")));
    }
    parts.join(" · ")
}

/// A chart over the whole width, without an axis of time.
fn plane<'a, 'b>(
    area: &'a Area<'b>,
    (end, (lo, hi)): (f64, (f64, f64)),
    (top, height): (i32, i32),
) -> Result<Plane<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
    let (width, inner) = (u32::try_from(WIDTH - RIGHT).unwrap_or(1), u32::try_from(height - TITLE).unwrap_or(1));
    let part = area.clone().shrink((0, top + TITLE), (width, inner));
    let mut builder = ChartBuilder::on(&part);
    let mut chart = builder.set_label_area_size(LabelAreaPosition::Left, LEFT).build_cartesian_2d(0.0..end, lo..hi)?;
    chart
        .configure_mesh()
        .disable_x_axis()
        .disable_x_mesh()
        .y_labels(5)
        .axis_style(PALE)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(words(13, PALE, (HPos::Right, VPos::Center)))
        .y_label_formatter(&|y| axis::label(*y, hi - lo))
        .draw()?;
    Ok(chart)
}

fn draw_panel(area: &Area<'_>, panel: &Panel, (period, end, top): (f64, f64, i32)) -> Drawn {
    let limits: Vec<f64> =
        panel.lines.iter().filter(|l| l.role == Role::Limit).filter_map(|l| l.values.first()).copied().collect();
    let seen = panel.lines.iter().filter(|l| l.role != Role::Limit).flat_map(|l| &l.values).copied();
    let (lo, hi) = axis::range(seen, &limits);
    let mut chart = plane(area, (end, (lo, hi)), (top, PANEL))?;
    for line in &panel.lines {
        let inside = |value: &f64| *value >= lo && *value <= hi;
        if line.values.iter().any(inside) {
            draw_line(&mut chart, line, period)?;
        }
    }
    let y = top + TITLE - 6;
    area.draw_text(&panel.title, &words(15, INK, (HPos::Left, VPos::Bottom)), (LEFT, y))?;
    legend(area, panel, (lo, hi), y)
}

fn draw_line(chart: &mut Plane<'_, '_>, line: &Line, period: f64) -> Drawn {
    let mut points = line.values.iter().enumerate().map(|(k, value)| (k as f64 * period, *value));
    let points: Vec<(f64, f64)> = if is_held(line.role) {
        let next = line.values.iter().skip(1).enumerate().map(|(k, _)| (k + 1) as f64 * period);
        let corners = line.values.iter().zip(next).map(|(value, t)| (t, *value));
        points.clone().zip(corners).flat_map(|(point, corner)| [point, corner]).chain(points.next_back()).collect()
    } else {
        points.collect()
    };
    if line.role == Role::Measured {
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 2, colour(line.role).filled())))?;
    } else {
        chart.draw_series(LineSeries::new(points, colour(line.role).stroke_width(2)))?;
    }
    Ok(())
}

/// The names of the lines in their colours, right to left.
fn legend(area: &Area<'_>, panel: &Panel, (lo, hi): (f64, f64), y: i32) -> Drawn {
    let mut x = WIDTH - RIGHT;
    let mut named: Vec<&str> = Vec::new();
    for line in &panel.lines {
        let visible = line.values.iter().any(|value| *value >= lo && *value <= hi);
        if named.contains(&line.name.as_str()) || !visible {
            continue;
        }
        named.push(&line.name);
        area.draw_text(&line.name, &words(13, colour(line.role), (HPos::Right, VPos::Bottom)), (x, y))?;
        x -= 8 * i32::try_from(line.name.chars().count()).unwrap_or(0) + 14;
    }
    Ok(())
}

/// The time of each step as bars, its feedback part darker.
fn strip(area: &Area<'_>, trace: &Trace, (end, top): (f64, i32)) -> Drawn {
    let highest = trace.us.iter().copied().filter(|us| us.is_finite()).fold(1e-3, f64::max);
    let mut chart = plane(area, (end, (0.0, 1.08 * highest)), (top, STRIP))?;
    // Several runs in a row, of which the panels show the first: as many steps as fit.
    let steps = (end / trace.period).round() as usize;
    for (values, colour) in [(&trace.us, STEP), (&trace.feedback_us, OURS)] {
        let bars = values.iter().take(steps).enumerate().map(|(k, us)| {
            let t = k as f64 * trace.period;
            Rectangle::new([(t + 0.1 * trace.period, 0.0), (t + 0.9 * trace.period, *us)], colour.filled())
        });
        chart.draw_series(bars)?;
    }
    let y = top + TITLE - 6;
    area.draw_text("time of each step, µs", &words(15, INK, (HPos::Left, VPos::Bottom)), (LEFT, y))?;
    if !trace.feedback_us.is_empty() {
        area.draw_text("feedback", &words(13, OURS, (HPos::Right, VPos::Bottom)), (WIDTH - RIGHT, y))?;
        area.draw_text("preparation", &words(13, STEP, (HPos::Right, VPos::Bottom)), (WIDTH - RIGHT - 78, y))?;
    }
    Ok(())
}

fn foot(area: &Area<'_>, trace: &Trace, (end, top): (f64, i32)) -> Drawn {
    let style = words(13, PALE, (HPos::Center, VPos::Top));
    let step = tick(end);
    for k in 0..=(end / step + 1e-9).floor() as i32 {
        let t = f64::from(k) * step;
        let x = LEFT + (t / end * f64::from(WIDTH - LEFT - RIGHT)).round() as i32;
        area.draw(&PathElement::new([(x, top), (x, top + 5)], PALE))?;
        area.draw_text(&axis::label(t, end), &style, (x, top + 8))?;
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2;
    area.draw_text(
        &format!("time, {}", trace.time_unit),
        &words(14, INK, (HPos::Center, VPos::Top)),
        (middle, top + 28),
    )
}

/// A round step that divides `span` in at most twelve.
fn tick(span: f64) -> f64 {
    let decade = 10_f64.powf((span / 12.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|step| span / step <= 12.0).unwrap_or(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_at_most_twelve() {
        for (span, step) in [(15.0, 2.0), (0.75, 0.1), (20.0, 2.0), (12.0, 1.0), (100.0, 10.0)] {
            assert!((tick(span) - step).abs() < 1e-12, "{span}: {}", tick(span));
        }
    }
}
