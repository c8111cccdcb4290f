//! Both loops' proposals over time, as an SVG: a panel per CV for the plant that both saw, a panel per MV for what they
//! made of it. In the units of the plant file's tags.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::what_if::{Compared, Proposals};
use crate::config::Tag;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

const WIDTH: u32 = 1000;
const HEAD: u32 = 64;
const PANEL: u32 = 190;

const INK: RGBColor = RGBColor(40, 48, 56);
const PALE: RGBColor = RGBColor(120, 130, 140);
const GRID: RGBColor = RGBColor(228, 232, 236);
const IN_USE: RGBColor = RGBColor(170, 178, 186);
const RECORDED: RGBColor = RGBColor(24, 90, 157);
const OTHER: RGBColor = RGBColor(214, 119, 0);

/// One line of a panel.
struct Line<'a> {
    name: &'a str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws `compared` into `file`; `title` stands above it.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(compared: &Compared, title: &str, file: &Path) -> anyhow::Result<()> {
    let panels = u32::try_from(compared.plant.cvs.len() + compared.plant.mvs.len()).unwrap_or(0);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEAD + PANEL * panels + 20)).into_drawing_area();
        all(&area, compared, title).map_err(|e| anyhow::anyhow!("{e}"))?;
    }
    std::fs::write(file, svg)?;
    Ok(())
}

fn all(area: &Area<'_>, compared: &Compared, title: &str) -> Drawn {
    area.fill(&WHITE)?;
    area.draw_text(title, &words(20, INK, HPos::Left), (20, 10))?;
    let (cycles, differing) = (compared.cycles.len(), compared.differing());
    let legend = format!("{differing} of {cycles} cycles differ · minutes of plant time");
    area.draw_text(&legend, &words(14, PALE, HPos::Left), (20, 38))?;
    let (_, below) = area.split_vertically(HEAD);
    let plant = &compared.plant;
    let parts = below.split_evenly((plant.cvs.len() + plant.mvs.len(), 1));
    let cvs = plant.cvs.iter().enumerate().map(|(i, cv)| (&cv.tag, cv_lines(compared, &cv.tag, i)));
    let mvs = plant.mvs.iter().enumerate().map(|(i, mv)| (&mv.tag, mv_lines(compared, &mv.tag, i)));
    for (part, (tag, lines)) in parts.iter().zip(cvs.chain(mvs)) {
        panel(part, tag, &lines)?;
    }
    area.present()
}

fn words(size: i32, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    let font = ("DejaVu Sans, Verdana, sans-serif", size).into_font();
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(side, VPos::Top) }
}

fn minutes(cycle: &Proposals) -> f64 {
    cycle.at.secs_f64() / 60.0
}

fn line<'a>(
    (name, colour): (&'a str, RGBColor),
    compared: &Compared,
    tag: &Tag,
    value: impl Fn(&Proposals) -> Option<f64>,
) -> Line<'a> {
    let points = compared.cycles.iter().filter_map(|c| Some((minutes(c), tag.to_model.to_tag(value(c)?))));
    Line { name, colour, points: points.filter(|(_, y)| y.is_finite()).collect() }
}

fn cv_lines(compared: &Compared, tag: &Tag, i: usize) -> Vec<Line<'static>> {
    vec![line(("measured", INK), compared, tag, |c| c.cvs.get(i).copied())]
}

fn mv_lines(compared: &Compared, tag: &Tag, i: usize) -> Vec<Line<'static>> {
    vec![
        line(("in use", IN_USE), compared, tag, |c| c.in_use?.get(i).copied()),
        line(("the run proposed", RECORDED), compared, tag, |c| c.recorded?.1.get(i).copied()),
        line(("the other proposes", OTHER), compared, tag, |c| c.other?.1.get(i).copied()),
    ]
}

fn range(lines: &[Line<'_>], axis: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| &line.points).map(axis);
    let (lo, hi) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo < hi {
        (lo, hi)
    } else if lo.is_finite() {
        (lo - 1.0, lo + 1.0)
    } else {
        (0.0, 1.0)
    }
}

fn panel(area: &Area<'_>, tag: &Tag, lines: &[Line<'_>]) -> Drawn {
    let ((left, right), (lo, hi)) = (range(lines, |p| p.0), range(lines, |p| p.1));
    let margin = 0.06 * (hi - lo);
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(24)
        .margin_top(26)
        .set_label_area_size(LabelAreaPosition::Left, 78)
        .set_label_area_size(LabelAreaPosition::Bottom, 26)
        .build_cartesian_2d(left..right, lo - margin..hi + margin)?;
    chart
        .configure_mesh()
        .axis_style(PALE)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .x_labels(12)
        .y_labels(5)
        .label_style(("DejaVu Sans, Verdana, sans-serif", 13).into_font().color(&PALE))
        .draw()?;
    area.draw_text(&format!("{}, {}", tag.name, tag.unit), &words(15, INK, HPos::Left), (20, 4))?;
    let mut x = i32::try_from(WIDTH).unwrap_or(0) - 24;
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        steps(&mut chart, line)?;
        area.draw_text(line.name, &words(13, line.colour, HPos::Right), (x, 5))?;
        x -= 8 * i32::try_from(line.name.chars().count()).unwrap_or(0) + 14;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What is proposed or measured in a cycle holds until the next.
fn steps(chart: &mut Chart<'_, '_>, line: &Line<'_>) -> Drawn {
    let next = line.points.iter().skip(1).map(|(x, _)| *x);
    let corners = line.points.iter().zip(next).flat_map(|((x, y), next)| [(*x, *y), (next, *y)]);
    let points = corners.chain(line.points.last().copied());
    chart.draw_series(LineSeries::new(points, line.colour.stroke_width(2)))?;
    Ok(())
}
