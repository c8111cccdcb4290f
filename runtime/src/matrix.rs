//! The cause-and-effect matrix of a plant file, for people: as text, as a page, and as the tables `[[cell]]` of a file.

use std::fmt::Write as _;

use safety::{Cell, Effect, Subject};

use crate::config::Loaded;

/// The effects from mild to hard: the columns of the page.
const EFFECTS: [Effect; 7] =
    [Effect::Warn, Effect::Clamp, Effect::Hold, Effect::Ramp, Effect::StandDown, Effect::Shed, Effect::Trip];

/// That of the safety documents, in every form of the matrix.
const NOT_A_SIS: &str = "A supervisory (BPCS/APC) function: not a safety instrumented system, no SIL, not to be credited as a \
                         protection layer. The SIS is separate and cannot be written by it. The DCS enforces its own limits \
                         and its own watchdog.";

/// The matrix of a plant file.
#[derive(Debug)]
pub struct Matrix<'a> {
    loaded: &'a Loaded,
    cells: Vec<Cell>,
}

impl<'a> Matrix<'a> {
    /// The matrix by which the interlock of this file acts.
    #[must_use]
    pub fn of(loaded: &'a Loaded) -> Self {
        Self { loaded, cells: loaded.plant.interlock().matrix() }
    }

    /// Every cell, in the order of the interlock.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The plant's name of what a cell speaks of.
    fn name(&self, cell: &Cell) -> &str {
        let plant = &self.loaded.plant;
        let measured = || plant.cvs.iter().map(|cv| &cv.tag).chain(plant.dvs.iter().map(|dv| &dv.tag));
        let tag = match cell.subject {
            Subject::Tag(measured_tag) => measured().nth(usize::from(measured_tag.tag)),
            Subject::Mv(mv) => plant.mvs.get(usize::from(mv)).map(|mv| &mv.tag),
            Subject::Loop | Subject::Balance(_) => None,
        };
        tag.map_or("", |tag| tag.name.as_str())
    }

    fn title(&self) -> String {
        let Loaded { plant, revision, .. } = self.loaded;
        format!("{}: cause and effect, {} cells, configuration {revision}", plant.name, self.cells.len())
    }

    /// A line per cell.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n{NOT_A_SIS}\n\n", self.title());
        out.push_str(
            " #  cause               on        vote     delay  effect     latching priority  tag: what is looked at\n",
        );
        for cell in &self.cells {
            let (name, words) = (self.name(cell), cell.row.words());
            let what = if name.is_empty() { words.to_owned() } else { format!("{name}: {words}") };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{cell:<75} {what}", cell = cell.to_string());
        }
        out
    }

    /// The tables `[[cell]]` that a plant file could hold to say all this. What is fixed is a comment.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut out = format!("# {}\n# {NOT_A_SIS}\n", self.title());
        for cell in &self.cells {
            let fixed = if cell.fixed { "# " } else { "" };
            let latching = if cell.latches() { "latching" } else { "not latching" };
            let effect = cell.effect.to_string().replace(' ', "_");
            let _ = write!(
                out,
                "\n[[cell]]  # {words}; {vote}, {latching}\ncause = \"{row}\"\non = \"{on}\"  # {name}\n\
                 {fixed}effect = \"{effect}\"\n{fixed}delay_s = {delay_s:?}\npriority = \"{priority}\"\n",
                words = cell.row.words(),
                vote = cell.vote,
                row = cell.row,
                on = cell.subject,
                name = self.name(cell),
                delay_s = cell.delay.as_secs_f64(),
                priority = cell.priority,
            );
        }
        out
    }

    /// A page of its own: a row for each cause, a column for each effect.
    #[must_use]
    pub fn html(&self) -> String {
        let title = escaped(&self.title());
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style>\n\
             <h1>{title}</h1>\n<p>{NOT_A_SIS}</p>\n<table><thead><tr><th>check<th>cause<th>on<th>tag<th>vote<th>delay<th>priority"
        );
        for effect in EFFECTS {
            let _ = write!(out, "<th class=\"e\">{effect}");
        }
        out.push_str("<th>latching<tbody>\n");
        for cell in &self.cells {
            let check = cell.row.check().map_or_else(String::new, |check| check.number().to_string());
            let fixed = if cell.fixed { " class=\"fixed\"" } else { "" };
            let _ = write!(
                out,
                "<tr{fixed}><td>{check}<td>{words}<td>{on}<td>{name}<td>{vote}<td>{delay} s<td class=\"{priority}\">{priority}",
                words = cell.row.words(),
                on = cell.subject,
                name = escaped(self.name(cell)),
                vote = cell.vote,
                delay = cell.delay.as_secs_f64(),
                priority = cell.priority,
            );
            for effect in EFFECTS {
                out.push_str(if effect == cell.effect { "<td class=\"x\">X" } else { "<td>" });
            }
            let _ = writeln!(out, "<td>{}", if cell.latches() { "yes" } else { "no" });
        }
        out.push_str("</table>\n<p>Grey: fixed by the hand-shake or by other keys of the plant file.</p>\n</html>\n");
        out
    }
}

const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\
    th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left}th{background:#eee;position:sticky;top:0}\
    th.e{writing-mode:vertical-rl}td.x{text-align:center;font-weight:bold}tr.fixed{color:#777}\
    td.critical{background:#f4b6b6}td.high{background:#f8d9a8}td.medium{background:#f7f3b0}\
    @media print{th{position:static}body{margin:0;font-size:10px}}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{load, parse};

    fn shipped() -> Loaded {
        load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml")).unwrap()
    }

    #[test]
    fn every_cell_stands_in_every_form() {
        let loaded = shipped();
        let matrix = Matrix::of(&loaded);
        let (text, html, toml) = (matrix.text(), matrix.html(), matrix.toml());
        assert!(matrix.cells().len() > 50, "{}", matrix.cells().len());
        assert_eq!(toml.matches("[[cell]]").count(), matrix.cells().len());
        assert_eq!(html.matches("<td class=\"x\">X").count(), matrix.cells().len(), "one effect per cause");
        assert_eq!(text.lines().count(), matrix.cells().len() + 4);
        assert!(text.contains("AI101: out of range") && html.contains("<td>AI101"), "{text}");
    }

    /// What is printed as TOML is understood, and changes nothing.
    #[test]
    fn the_tables_can_be_put_back_into_the_file() {
        let loaded = shipped();
        let file = format!("{}\n{}", loaded.text, Matrix::of(&loaded).toml());
        let plant = parse(Path::new("plant.toml"), &file).unwrap();
        assert_eq!(plant.interlock().matrix(), loaded.plant.interlock().matrix());
    }

    #[test]
    fn a_cell_is_changed_by_the_file_and_a_fault_in_it_is_told_with_its_line() {
        let loaded = shipped();
        let with = |cell: &str| parse(Path::new("plant.toml"), &format!("{}\n[[cell]]\n{cell}\n", loaded.text));
        let plant = with("cause = \"rate\"\non = \"CV1\"\neffect = \"trip\"\ndelay_s = 0.5").unwrap();
        let lines = loaded.text.lines().count();
        let changed: Vec<_> =
            plant.interlock().matrix().into_iter().filter(|c| c.effect == Effect::Trip && !c.fixed).collect();
        assert_eq!(
            changed.len(),
            1 + Matrix::of(&loaded).cells().iter().filter(|c| c.effect == Effect::Trip && !c.fixed).count()
        );
        for (cell, key, line) in [
            ("cause = \"rate\"\non = \"CV9\"", "cell[1].on", 3),
            ("cause = \"permit\"\non = \"loop\"\neffect = \"warn\"", "cell[1].effect", 4),
            ("cause = \"not_finite\"\non = \"CV1\"\neffect = \"warn\"", "cell[1].effect", 4),
            ("cause = \"raet\"\non = \"CV1\"", "cell[1].cause", 2),
        ] {
            let told = with(cell).unwrap_err().to_string();
            let expected = format!("plant.toml:{}: `{key}`", lines + 1 + line);
            assert!(told.contains(&expected), "{told}, expected {expected}");
        }
    }
}
