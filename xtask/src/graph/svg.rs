//! The drawing of the house: one row for each floor, a box for each crate, arrows that point down.
//!
//! Laid out by hand through `column` in the plan, so that the same house gives the same bytes. An arrow that a chain
//! of others implies is not drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::facts::{Crate, House, Kind};
use super::rules::{Plan, Room};

const LEFT: f64 = 64.0;
const TOP: f64 = 72.0;
const PITCH_X: f64 = 244.0;
const PITCH_Y: f64 = 104.0;
const BOX_WIDTH: f64 = 208.0;
const BOX_HEIGHT: f64 = 66.0;

/// Draws the crates that have a place in the plan.
pub(super) fn draw(plan: &Plan, house: &House) -> String {
    let top_floor = plan.crates.values().map(|room| room.floor).max().unwrap_or(1);
    let columns = plan.crates.values().map(|room| room.column).fold(0.0, f64::max);
    let width = LEFT + columns * PITCH_X + BOX_WIDTH + 32.0;
    let height = TOP + f64::from(top_floor) * PITCH_Y + 22.0;
    let mut svg = String::new();
    header(&mut svg, width, height);
    for floor in 1..=top_floor {
        let y = row_top(floor, top_floor) - (PITCH_Y - BOX_HEIGHT) / 2.0;
        let shade = if floor % 2 == 0 { "#ffffff" } else { "#f4f6f8" };
        line(&mut svg, &format!(r#"<rect x="0" y="{y:.0}" width="{width:.0}" height="{PITCH_Y:.0}" fill="{shade}"/>"#));
        let middle = y + PITCH_Y / 2.0 + 7.0;
        line(&mut svg, &format!(r#"<text class="floor" x="30" y="{middle:.0}">{floor}</text>"#));
    }
    let placed: Vec<(&Crate, &Room)> =
        house.crates.iter().filter_map(|krate| Some((krate, plan.crates.get(&krate.name)?))).collect();
    let arrows = arrows(house);
    for (krate, room) in &placed {
        for used in arrows.get(krate.name.as_str()).into_iter().flatten() {
            if let Some(other) = plan.crates.get(*used) {
                line(&mut svg, &arrow(room, other, top_floor, &placed));
            }
        }
    }
    for (krate, room) in &placed {
        draw_box(&mut svg, plan, krate, room, top_floor);
    }
    line(&mut svg, "</svg>");
    svg
}

fn line(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

fn header(svg: &mut String, width: f64, height: f64) {
    let _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img">
<title>The crates of Outrigger by floor</title>
<style>
text {{ font-family: "DejaVu Sans", Verdana, sans-serif; fill: #1f2933 }}
.head {{ font-size: 17px; font-weight: bold }}
.note {{ font-size: 12px; fill: #5b6875 }}
.floor {{ font-size: 20px; fill: #9aa5b1; text-anchor: middle }}
.name {{ font-size: 15px; font-weight: bold; text-anchor: middle }}
.holds {{ font-size: 11px; text-anchor: middle; fill: #3b4754 }}
.home {{ font-size: 10px; text-anchor: middle; fill: #0b6e6e }}
.box {{ fill: #ffffff; stroke: #34495e; stroke-width: 1.4 }}
.arrow {{ fill: none; stroke: #34495e; stroke-width: 1.6; stroke-linejoin: round; marker-end: url(#tip) }}
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#34495e"/></marker></defs>
<rect width="{width:.0}" height="{height:.0}" fill="#ffffff"/>
<text class="head" x="20" y="26">The crates of Outrigger</text>
<text class="note" x="20" y="44">An arrow reads "depends on"; those that a chain of others implies are left out. Green: foreign libraries at home there.</text>"##
    );
}

fn row_top(floor: u32, top_floor: u32) -> f64 {
    TOP + f64::from(top_floor - floor) * PITCH_Y
}

fn box_left(room: &Room) -> f64 {
    LEFT + room.column * PITCH_X
}

/// For each crate the crates it uses directly and not also through another.
fn arrows(house: &House) -> BTreeMap<&str, Vec<&str>> {
    let direct: BTreeMap<&str, BTreeSet<&str>> = house
        .crates
        .iter()
        .map(|krate| {
            let uses = krate.uses.iter().filter(|used| used.ours && used.kind != Kind::Dev && used.name != krate.name);
            (krate.name.as_str(), uses.map(|used| used.name.as_str()).collect())
        })
        .collect();
    let implied = |from: &str, to: &str| {
        let mut waiting: Vec<&str> = direct.get(from).into_iter().flatten().copied().filter(|n| *n != to).collect();
        let mut seen = BTreeSet::new();
        while let Some(at) = waiting.pop() {
            let next = direct.get(at).into_iter().flatten().copied();
            if at == to {
                return true;
            }
            waiting.extend(next.filter(|n| seen.insert(*n)));
        }
        false
    };
    let kept = direct.iter().map(|(from, to)| (*from, to.iter().copied().filter(|t| !implied(from, t)).collect()));
    kept.collect()
}

/// A polyline from the foot of one box to the head of a lower one. Where a box stands in the way in the column of
/// the upper box, the line runs down the column of the lower one.
fn arrow(from: &Room, to: &Room, top_floor: u32, placed: &[(&Crate, &Room)]) -> String {
    let middle = |room: &Room| box_left(room) + BOX_WIDTH / 2.0;
    if from.floor == to.floor {
        let y = row_top(from.floor, top_floor) + BOX_HEIGHT / 2.0;
        let (start, end) = if from.column < to.column {
            (box_left(from) + BOX_WIDTH, box_left(to) - 2.0)
        } else {
            (box_left(from), box_left(to) + BOX_WIDTH + 2.0)
        };
        return format!(r#"<path class="arrow" d="M{start:.0} {y:.0} L{end:.0} {y:.0}"/>"#);
    }
    // Arrows that change column start and end off the middle, so that they do not run into those that do not.
    let shift = (to.column - from.column).clamp(-1.0, 1.0) * BOX_WIDTH * 0.3;
    let (x1, x2) = (middle(from) + shift, middle(to) - shift);
    let (y1, y2) = (row_top(from.floor, top_floor) + BOX_HEIGHT, row_top(to.floor, top_floor) - 2.0);
    let half_gap = (PITCH_Y - BOX_HEIGHT) / 2.0;
    let blocked = placed
        .iter()
        .any(|(_, room)| (room.column - from.column).abs() < 0.5 && room.floor < from.floor && room.floor > to.floor);
    let turn = if blocked { y1 + half_gap } else { y2 + 2.0 - half_gap };
    let bend = if shift.abs() < 1.0 { String::new() } else { format!(" L{x1:.0} {turn:.0} L{x2:.0} {turn:.0}") };
    format!(r#"<path class="arrow" d="M{x1:.0} {y1:.0}{bend} L{x2:.0} {y2:.0}"/>"#)
}

fn draw_box(svg: &mut String, plan: &Plan, krate: &Crate, room: &Room, top_floor: u32) {
    let (x, y) = (box_left(room), row_top(room.floor, top_floor));
    let middle = x + BOX_WIDTH / 2.0;
    let libraries: Vec<&str> = krate
        .uses
        .iter()
        .filter(|used| used.kind == Kind::Normal && plan.home.contains_key(&used.name))
        .map(|used| used.name.as_str())
        .collect();
    let _ = writeln!(
        svg,
        r#"<rect class="box" x="{x:.0}" y="{y:.0}" width="{BOX_WIDTH:.0}" height="{BOX_HEIGHT:.0}" rx="6"/>
<text class="name" x="{middle:.0}" y="{:.0}">{}</text>
<text class="holds" x="{middle:.0}" y="{:.0}">{}</text>"#,
        y + 20.0,
        escape(&krate.name),
        y + 36.0,
        escape(&room.holds)
    );
    // Two lines of libraries at most: what does not fit in the first goes to the second.
    let mut rows = vec![String::new()];
    for library in libraries {
        let row = rows.last_mut().filter(|row| row.len() + library.len() < 36);
        match row {
            Some(row) if row.is_empty() => row.push_str(library),
            Some(row) => {
                row.push_str(" · ");
                row.push_str(library);
            }
            None => rows.push(library.to_owned()),
        }
    }
    for (row, baseline) in rows.iter().filter(|row| !row.is_empty()).zip([y + 49.5, y + 61.0]) {
        line(svg, &format!(r#"<text class="home" x="{middle:.0}" y="{baseline:.1}">{}</text>"#, escape(row)));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::facts::Use;
    use super::*;

    fn house(uses: &[(&str, &[&str])]) -> House {
        let krate = |(name, used): &(&str, &[&str])| Crate {
            name: (*name).to_owned(),
            folder: (*name).to_owned(),
            uses: used.iter().map(|u| Use { name: (*u).to_owned(), kind: Kind::Normal, ours: true }).collect(),
            reaches: BTreeMap::new(),
        };
        House { crates: uses.iter().map(krate).collect() }
    }

    #[test]
    fn an_arrow_that_others_imply_is_left_out() {
        let house =
            house(&[("control", &["plant-models", "signals"]), ("plant-models", &["signals"]), ("signals", &[])]);
        let arrows = arrows(&house);
        assert_eq!(arrows["control"], ["plant-models"]);
        assert_eq!(arrows["plant-models"], ["signals"]);
    }

    #[test]
    fn the_same_house_gives_the_same_bytes_and_another_house_gives_others() {
        let plan: Plan = toml::from_str(include_str!("../../house.toml")).unwrap();
        let one = house(&[("control", &["signals"]), ("signals", &[])]);
        let other = house(&[("control", &[]), ("signals", &[])]);
        assert_eq!(draw(&plan, &one), draw(&plan, &one));
        assert_ne!(draw(&plan, &one), draw(&plan, &other));
    }

    #[test]
    fn every_crate_of_the_plan_gets_a_box_and_no_two_boxes_meet() {
        let plan: Plan = toml::from_str(include_str!("../../house.toml")).unwrap();
        let rooms: Vec<&Room> = plan.crates.values().collect();
        for (i, a) in rooms.iter().enumerate() {
            for b in &rooms[i + 1..] {
                assert!(a.floor != b.floor || (a.column - b.column).abs() >= 1.0, "{a:?} and {b:?}");
            }
        }
    }
}
