//! What a person sees while the demo runs: charts in a terminal, or a line now and then.

use std::time::Duration;

use anyhow::Result;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};
use ratatui::{DefaultTerminal, Frame};

use super::axis;
use super::record::{Cycle, History, Status};

/// Wall time between two lines when there is no terminal.
const LINE_EVERY_S: f64 = 5.0;

/// What there is to show.
#[derive(Clone, Debug)]
pub(super) struct Scene<'a> {
    pub(super) elapsed_s: f64,
    pub(super) history: &'a History,
    pub(super) status: Option<Status>,
    pub(super) caption: &'static str,
}

/// Where it is shown. Dropping it gives the terminal back.
pub(super) struct Screen {
    terminal: Option<DefaultTerminal>,
    seconds: f64,
    next_line_s: f64,
}

impl Screen {
    /// A live view in the terminal, or lines on standard error; for a run of `seconds` wall time.
    pub(super) fn open(live: bool, seconds: f64) -> Result<Self> {
        let terminal = if live { Some(ratatui::try_init()?) } else { None };
        Ok(Self { terminal, seconds, next_line_s: 0.0 })
    }

    /// Shows the scene; `true` if the person at the terminal wants to stop.
    pub(super) fn show(&mut self, scene: &Scene<'_>) -> Result<bool> {
        if let Some(terminal) = &mut self.terminal {
            terminal.draw(|frame| draw(frame, scene, self.seconds))?;
            return wants_to_stop();
        }
        if scene.elapsed_s >= self.next_line_s {
            self.next_line_s += LINE_EVERY_S;
            eprintln!("{}", line(scene, self.seconds));
        }
        Ok(false)
    }

    /// Gives the terminal back; what follows is printed as usual.
    pub(super) fn close(&mut self) {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

fn wants_to_stop() -> Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()? {
            let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if ctrl_c || key.code == KeyCode::Char('q') {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// One line of progress.
fn line(scene: &Scene<'_>, seconds: f64) -> String {
    let mut text = format!("demo: {:>3.0}/{seconds:.0} s", scene.elapsed_s);
    if let Some(cycle) = scene.history.last() {
        text += &format!("  plant {:>5.1} min  {:<8}", cycle.t_s / 60.0, mode(cycle));
        if let Some(cv) = cycle.cv.first() {
            text += &format!("  {} {} (sp {})", cv.name, number(cv.pv), number(cv.sp));
        }
        text += &format!("  heartbeat {}", cycle.hb_apc);
    }
    text + "  " + scene.caption
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn mode(cycle: &Cycle) -> &str {
    cycle.mode_act.as_deref().unwrap_or("-")
}

fn mode_colour(mode: &str) -> Color {
    match mode {
        "ON" => Color::Green,
        "INIT" | "WARM" | "ADVISORY" => Color::Yellow,
        "SHED" | "FAULT" => Color::Red,
        _ => Color::Gray,
    }
}

fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, seconds: f64) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let title = format!(" Outrigger  {:.0}/{seconds:.0} s  {}  ", scene.elapsed_s, scene.caption);
    frame.render_widget(Line::from(vec![Span::from(title).bold(), "q stops".dark_gray()]), head);
    let [charts, side] = Layout::horizontal([Constraint::Min(40), Constraint::Length(40)]).areas(body);
    let Some(last) = scene.history.last() else { return };

    let rows = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2), Constraint::Fill(2)]).split(charts);
    let mvs =
        rows.get(2).map(|row| Layout::horizontal(vec![Constraint::Fill(1); last.mv.len().clamp(1, 4)]).split(*row));
    for (index, area) in rows.iter().take(2).enumerate() {
        draw_cv(frame, *area, scene.history, index);
    }
    for (index, area) in mvs.iter().flat_map(|areas| areas.iter()).enumerate() {
        draw_mv(frame, *area, scene.history, index);
    }
    draw_side(frame, side, scene, last);
}

type Points = Vec<(f64, f64)>;

/// A variable over plant time in minutes; cycles without a value leave a gap.
fn points(history: &History, value: impl Fn(&Cycle) -> Option<f64>) -> Points {
    history.cycles.iter().filter_map(|cycle| Some((cycle.t_s / 60.0, value(cycle)?))).collect()
}

fn draw_cv(frame: &mut Frame<'_>, area: Rect, history: &History, index: usize) {
    let Some(cv) = history.last().and_then(|cycle| cycle.cv.get(index)) else { return };
    let pv = points(history, |cycle| cycle.cv.get(index)?.pv);
    let sp = points(history, |cycle| cycle.cv.get(index)?.sp);
    let lo = points(history, |cycle| cycle.cv.get(index)?.lo);
    let hi = points(history, |cycle| cycle.cv.get(index)?.hi);
    let aim = match cv.sp {
        Some(_) => format!("set-point {}", number(cv.sp)),
        None => format!("limits {} to {}", number(cv.lo), number(cv.hi)),
    };
    let title = format!(" {} {} {}  {aim} ", cv.tag, cv.name, number(cv.pv));
    let lines = [(lo, Color::Red), (hi, Color::Red), (sp, Color::Yellow), (pv, Color::Cyan)];
    let limits = [cv.lo, cv.hi].map(|limit| limit.unwrap_or(f64::NAN));
    draw_chart(frame, area, (title, &cv.unit), &lines, &limits);
}

fn draw_mv(frame: &mut Frame<'_>, area: Rect, history: &History, index: usize) {
    let Some(mv) = history.last().and_then(|cycle| cycle.mv.get(index)) else { return };
    let sp = points(history, |cycle| cycle.mv.get(index)?.sp_act);
    let title = format!(" {} {} {} {} ", mv.tag, mv.name, number(mv.sp_act), mv.mode);
    draw_chart(frame, area, (title, &mv.unit), &[(sp, Color::Magenta)], &[]);
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, words: (String, &str), lines: &[(Points, Color)], limits: &[f64]) {
    let times = || lines.iter().flat_map(|(points, _)| points.iter().map(|(t, _)| *t));
    let (from, to) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    // Limits come with `lines` to be drawn, and with `limits` so as not to stretch the axis by force.
    let seen = lines.iter().filter(|(_, colour)| *colour != Color::Red).flat_map(|(points, _)| points);
    let (lo, hi) = axis::range(seen.map(|(_, y)| *y), limits);
    let datasets = lines.iter().map(|(points, colour)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(*colour))
            .data(points)
    });
    let (title, unit) = words;
    let y_labels = [lo, (lo + hi) / 2.0, hi].map(|y| axis::label(y, hi - lo));
    let x_labels = [format!("{from:.0} min"), format!("{to:.0} min")];
    let chart = Chart::new(datasets.collect())
        .block(Block::bordered().title(title))
        .x_axis(Axis::default().bounds([from, to.max(from + 0.1)]).labels(x_labels).dark_gray())
        .y_axis(Axis::default().title(unit.to_owned()).bounds([lo, hi]).labels(y_labels).dark_gray());
    frame.render_widget(chart, area);
}

fn draw_side(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, last: &Cycle) {
    let row = |name: &str, value: Span<'static>| Line::from(vec![Span::from(format!(" {name:<12}")), value]);
    let flag = |ok: bool, yes: &'static str, no: &'static str| if ok { yes.green() } else { no.red().bold() };
    let mut lines = vec![
        row("MODE_ACT", Span::from(mode(last).to_owned()).fg(mode_colour(mode(last))).bold()),
        row("MODE_REQ", last.mode_req.clone().into()),
        row("interlock", scene.status.as_ref().map_or_else(|| "-".to_owned(), |s| s.state.clone()).into()),
        row("heartbeat", last.hb_apc.to_string().into()),
        row("lease", last.lease.to_string().into()),
        row("watchdog", flag(last.wd_ok, "ok", "TRIPPED")),
        row("DCS server", flag(last.server_up, "up", "DOWN")),
        row("cost", format!("{:.3}", last.cost).into()),
        row("left alone", format!("{:.3}", last.cost_open_loop).into()),
        Line::default(),
    ];
    if let Some(status) = &scene.status {
        lines.push(row("cycle", format!("{}, {} overruns", status.cycle, status.overruns).into()));
        lines.push(Line::from(format!(" {:<12}{:>8}{:>8}{:>8}", "stage, µs", "p50", "p99", "p99.9")).bold());
        for stage in &status.stages {
            let numbers = format!("{:>8.0}{:>8.0}{:>8.0}", stage.p50_us, stage.p99_us, stage.p999_us);
            lines.push(row(&stage.name, numbers.into()));
        }
        lines.push(Line::default());
    }
    for mark in scene.history.marks.iter().rev().take(8) {
        lines.push(Line::from(format!(" {:>6.1} min  {}", mark.t_s / 60.0, mark.label)));
    }
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" state ")), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::record::{CvState, Mark, MvState, Stage};
    use super::*;

    fn history() -> History {
        let cycle = |i: u32| {
            let t = f64::from(i);
            let cv = CvState {
                tag: "CV1".to_owned(),
                name: "CB".to_owned(),
                pv: (i != 7).then_some(0.8 + 0.001 * t),
                sp: Some(0.85),
                hi: Some(1.0),
                ..CvState::default()
            };
            let mv = MvState { tag: "MV1".to_owned(), name: "F".to_owned(), sp_act: Some(t), ..MvState::default() };
            Cycle { t_s: 18.0 * t, mode_act: Some("ON".to_owned()), cv: vec![cv], mv: vec![mv], ..Cycle::default() }
        };
        let marks = vec![Mark { t_s: 90.0, label: "set-point".to_owned() }];
        History { cycles: (0..40).map(cycle).collect(), marks }
    }

    fn screen(scene: &Scene<'_>, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, scene, 60.0)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_screen_shows_state_latency_and_marks() {
        let stage = Stage { name: "solve".to_owned(), p50_us: 812.0, p99_us: 1300.0, p999_us: 1400.0 };
        let status = Status { state: "Active".to_owned(), stages: vec![stage], ..Status::default() };
        let history = history();
        let scene = Scene { elapsed_s: 12.0, history: &history, status: Some(status), caption: "closed loop" };
        let text = screen(&scene, 130, 44);
        for words in ["CV1 CB 0.839", "MV1 F 39.000", "Active", "solve", "812", "TRIPPED", "set-point", "12/60 s"] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
    }

    #[test]
    fn an_empty_history_and_a_tiny_terminal_are_drawn() {
        let history = History::default();
        let scene = Scene { elapsed_s: 0.0, history: &history, status: None, caption: "the runtime starts, tripped" };
        assert!(screen(&scene, 80, 10).contains("starts, tripped"));
        let history = self::history();
        screen(&Scene { history: &history, ..scene }, 12, 3);
    }

    #[test]
    fn the_line_says_where_the_run_stands() {
        let history = history();
        let scene = Scene { elapsed_s: 12.0, history: &history, status: None, caption: "closed loop" };
        assert!(line(&scene, 60.0).starts_with("demo:  12/60 s  plant  11.7 min  ON "), "{}", line(&scene, 60.0));
    }
}
