//! Trends and histograms as inline SVG.

use std::fmt::Write as _;

use super::escaped;
use crate::record::Record;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 78.0;
const LEFT: f64 = 92.0;
/// The most points of one line.
const POINTS: usize = 400;

/// Where a value lies.
#[derive(Clone, Copy)]
struct Frame {
    end_s: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, t_s: f64) -> f64 {
        LEFT + (WIDTH - LEFT - 6.0) * t_s / self.end_s.max(1e-9)
    }

    fn y(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low).max(1e-12)).clamp(-0.05, 1.05);
        4.0 + (HEIGHT - 18.0) * (1.0 - share)
    }

    fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = (f64, Option<f64>)>) {
        let (mut path, mut pen) = (String::new(), 'M');
        for (t, value) in points {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    // A string takes what is written to it, here and below.
                    let _ = write!(path, "{pen}{:.1} {:.1}", self.x(t), self.y(value));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    }
}

/// What lies between these values, with a little room.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if low > high { (0.0, 1.0) } else { (low - 0.05 * (high - low).max(1e-6), high + 0.05 * (high - low).max(1e-6)) }
}

/// The trend of a run: a strip for each CV and MV, `MODE_ACT` below, the faults as shades.
pub(super) fn trend(record: &Record, faults: &[(f64, Option<f64>, String, String)]) -> String {
    let t_s = &record.trend.t_s;
    let step = (t_s.len() / POINTS).max(1);
    let mut out = String::new();
    for cv in &record.trend.cvs {
        let values = cv.truth.iter().copied().chain(cv.sp.iter().flatten().copied());
        let (low, high) = span(values);
        let frame = Frame { end_s: record.t_s, low, high };
        open(&mut out, &frame, &format!("{} {}", cv.tag, cv.name), faults);
        let limit = |of: fn(&(f64, f64)) -> f64| {
            t_s.iter()
                .copied()
                .zip(cv.limits.iter().map(of))
                .map(|(t, v)| (t, Some(v).filter(|v| (low..=high).contains(v))))
        };
        frame.line(&mut out, "limit", limit(|l| l.0).step_by(step));
        frame.line(&mut out, "limit", limit(|l| l.1).step_by(step));
        frame.line(&mut out, "pv", t_s.iter().copied().zip(cv.pv.iter().copied()).step_by(step));
        frame.line(&mut out, "sp", t_s.iter().copied().zip(cv.sp.iter().copied()).step_by(step));
        frame.line(&mut out, "truth", t_s.iter().copied().zip(cv.truth.iter().map(|v| Some(*v))).step_by(step));
        out.push_str("</svg>");
    }
    for mv in &record.trend.mvs {
        let (low, high) = span(mv.sp_act.iter().copied());
        let frame = Frame { end_s: record.t_s, low, high };
        open(&mut out, &frame, &format!("{} {}", mv.tag, mv.name), faults);
        frame.line(&mut out, "mv", t_s.iter().copied().zip(mv.sp_act.iter().map(|v| Some(*v))).step_by(step));
        out.push_str("</svg>");
    }
    modes(&mut out, record);
    out
}

fn open(out: &mut String, frame: &Frame, title: &str, faults: &[(f64, Option<f64>, String, String)]) {
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>", escaped(title));
    for (at, until, kind, on) in faults {
        let (x, end) = (frame.x(*at), frame.x(until.unwrap_or(frame.end_s)));
        let _ = write!(
            out,
            "<rect class=\"fault\" x=\"{x:.1}\" y=\"2\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
            (end - x).max(1.0),
            HEIGHT - 14.0,
            escaped(&format!("{kind} {on}")),
        );
    }
    let _ = write!(
        out,
        "<text x=\"2\" y=\"14\">{}</text><text class=\"n\" x=\"2\" y=\"28\">{:.4}</text><text class=\"n\" x=\"2\" y=\"58\">{:.4}</text>\
         <text class=\"n\" x=\"{LEFT}\" y=\"{}\">0 s</text><text class=\"n\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{:.0} s</text>",
        escaped(title),
        frame.high,
        frame.low,
        HEIGHT - 2.0,
        WIDTH - 4.0,
        HEIGHT - 2.0,
        frame.end_s,
    );
}

/// `MODE_ACT` as a bar.
fn modes(out: &mut String, record: &Record) {
    let frame = Frame { end_s: record.t_s, low: 0.0, high: 1.0 };
    let _ = write!(
        out,
        "<svg class=\"modes\" viewBox=\"0 0 {WIDTH} 20\" role=\"img\"><text x=\"2\" y=\"14\">MODE_ACT</text>"
    );
    let ends = record.modes.iter().skip(1).map(|stay| stay.t_s).chain([record.t_s]);
    for (stay, end) in record.modes.iter().zip(ends) {
        let (x, width) = (frame.x(stay.t_s), frame.x(end) - frame.x(stay.t_s));
        let class = stay.mode.to_lowercase();
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"2\" width=\"{width:.1}\" height=\"16\"><title>{} from {:.1} s</title></rect>",
            stay.mode, stay.t_s
        );
        if width > 30.0 {
            let _ = write!(out, "<text class=\"n\" x=\"{:.1}\" y=\"14\">{}</text>", x + 3.0, stay.mode);
        }
    }
    out.push_str("</svg>");
}

/// A histogram of counts by class, each a tenth of a period wide.
pub(super) fn histogram(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>intervals between heartbeats</title>");
    let width = (WIDTH - 12.0) / counts.len().max(1) as f64;
    for (class, count) in counts.iter().enumerate() {
        // By the logarithm, so that a single late one is seen beside thousands.
        let height = (HEIGHT - 18.0) * (1.0 + *count as f64).ln() / (1.0 + most).ln();
        let x = 6.0 + width * class as f64;
        let _ = write!(
            out,
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{:.1} T: {count}</title></rect>",
            HEIGHT - 14.0 - height,
            width - 1.0,
            class as f64 / 10.0
        );
        if class.is_multiple_of(5) {
            let _ = write!(
                out,
                "<text class=\"n\" x=\"{x:.1}\" y=\"{}\">{:.1} T</text>",
                HEIGHT - 2.0,
                class as f64 / 10.0
            );
        }
    }
    out.push_str("</svg>");
    out
}
