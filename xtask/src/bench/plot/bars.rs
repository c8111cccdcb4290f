//! All solvers of one problem: median as a bar, 99th percentile and slowest step as whiskers, on a logarithmic axis.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, Drawn, GRID, INK, OURS, PALE, PEER, time, words};
use crate::bench::rows::Row;

const WIDTH: i32 = 900;
const LEFT: i32 = 210;
const RIGHT: i32 = 110;
const HEAD: i32 = 64;
const PITCH: i32 = 30;
const FOOT: i32 = 66;

/// The picture of one problem.
pub(super) struct Bars<'a> {
    pub(super) problem: &'a str,
    /// With a median each, fastest first.
    pub(super) rows: &'a [&'a Row],
    pub(super) machine: &'a str,
}

/// The decades that hold every value, as exponents of ten.
fn decades(values: impl Iterator<Item = f64>) -> (i32, i32) {
    let finite = values.filter(|value| value.is_finite() && *value > 0.0);
    let (lo, hi) = finite.fold((f64::INFINITY, 0.0_f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo > hi {
        return (0, 1);
    }
    let (lo, hi) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    (lo, hi.max(lo + 1))
}

impl Bars<'_> {
    pub(super) fn size(&self) -> (i32, i32) {
        (WIDTH, HEAD + PITCH * i32::try_from(self.rows.len()).unwrap_or(0) + FOOT)
    }

    fn range(&self) -> (i32, i32) {
        decades(self.rows.iter().flat_map(|row| [row.median_us, row.p99_us, row.max_us]).flatten())
    }

    /// Pixels of a time.
    fn x(&self, us: f64) -> i32 {
        let (lo, hi) = self.range();
        let share = (us.log10() - f64::from(lo)) / f64::from(hi - lo);
        LEFT + (share.clamp(0.0, 1.0) * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawn {
        let bottom = self.size().1 - FOOT;
        area.draw_text(self.problem, &words(20, INK, (HPos::Left, VPos::Top)), (16, 12))?;
        let note = "bar: median; thick to p99, thin to the slowest step";
        area.draw_text(note, &words(13, PALE, (HPos::Right, VPos::Top)), (WIDTH - 16, 17))?;
        let (lo, hi) = self.range();
        for exponent in lo..=hi {
            let us = 10_f64.powi(exponent);
            let x = self.x(us);
            area.draw(&PathElement::new([(x, HEAD - 8), (x, bottom)], GRID))?;
            let label = if us < 1.0 { format!("{us} µs") } else { time(us).replace(".00", "").replace(".0", "") };
            area.draw_text(&label, &words(13, PALE, (HPos::Center, VPos::Top)), (x, bottom + 8))?;
        }
        for (i, row) in (0_i32..).zip(self.rows) {
            self.bar(area, row, HEAD + PITCH * i)?;
        }
        area.draw_text(self.machine, &words(12, PALE, (HPos::Left, VPos::Bottom)), (16, self.size().1 - 10))
    }

    fn bar(&self, area: &Area<'_>, row: &Row, top: i32) -> Drawn {
        let Some(median) = row.median_us else { return Ok(()) };
        let colour = if row.is_ours() { OURS } else { PEER };
        let (middle, start, end) =
            (top + PITCH / 2 - 3, self.x(0.0_f64.max(10_f64.powi(self.range().0))), self.x(median));
        let failed = row.failures.is_some_and(|failures| failures > 0);
        let name = if row.method().is_empty() || row.method() == row.solver {
            row.solver.clone()
        } else {
            format!("{} {}", row.solver, row.method())
        };
        let name = if failed { format!("{name} (failed)") } else { name };
        let ink = if row.is_ours() { INK } else { PALE };
        area.draw_text(&name, &words(14, ink, (HPos::Right, VPos::Center)), (LEFT - 10, middle))?;
        area.draw(&Rectangle::new([(start, middle - 8), (end.max(start + 1), middle + 8)], colour.filled()))?;
        let mut label_at = end;
        for (to, width) in [(row.p99_us, 4), (row.max_us, 1)] {
            if let Some(to) = to.filter(|to| *to > median) {
                let to = self.x(to);
                area.draw(&PathElement::new([(end, middle), (to, middle)], INK.stroke_width(width)))?;
                label_at = label_at.max(to);
            }
        }
        area.draw_text(&time(median), &words(13, ink, (HPos::Left, VPos::Center)), (label_at + 8, middle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decades_hold_every_value_and_are_never_empty() {
        assert_eq!(decades([3.0, 450.0].into_iter()), (0, 3));
        assert_eq!(decades([0.2, 0.3].into_iter()), (-1, 0));
        assert_eq!(decades([10.0].into_iter()), (1, 2));
        assert_eq!(decades([f64::NAN].into_iter()), (0, 1));
    }
}
