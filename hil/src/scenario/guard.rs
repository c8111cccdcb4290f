//! The guard that a negative control switches off.

use runtime::config::reader::Section;
use safety::{CellChange, CheckId, Effect, Row};

use super::set::Changes;

/// A mechanism that stands between a fault and the plant, other than a check of the interlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// The interlock as a whole: what is proposed goes to the DCS as it is.
    Interlock,
    /// The link's last look before it writes.
    LastLook,
    /// The DCS's watchdog: somebody holds it re-armed.
    DcsWatchdog,
    /// Supervision: the first crash of a stage is its last.
    Supervision,
    /// The controller: it proposes the set-points in use.
    Controller,
    /// The thread for the disk: the loop writes itself, and dies of what the disk does not take.
    DiskThread,
    /// The operator's hand: whatever he does to help is left out.
    Operator,
    /// The hand-shake's latch: somebody acknowledges and engages at once, again and again.
    Latch,
}

/// A guard.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    /// A check of the interlock, on everything that it looks at.
    Check(CheckId),
    /// One cell of the cause-and-effect matrix: it only warns.
    Cell(CellChange),
    /// Another mechanism.
    Other(Off),
    /// What keys of the plant file and of the rig's file say; these are their values without it.
    Keys {
        /// Of the plant file.
        plant: Changes,
        /// Of the rig's file.
        rig: Changes,
    },
}

impl Guard {
    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Check(check) => format!("check {} ({check:?}) off", check.number()),
            Self::Cell(cell) => format!("{} on {}: warns only", cell.cause, cell.on),
            Self::Other(off) => format!("{off:?} off"),
            Self::Keys { plant, rig } => {
                let keys = plant.0.iter().chain(&rig.0).map(|(key, value)| format!("{key} = {value}"));
                keys.collect::<Vec<_>>().join(", ")
            }
        }
    }

    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let checks: Vec<(String, CheckId)> = CheckId::ALL
            .into_iter()
            .filter(|check| !CheckId::ALWAYS_ON.contains(check))
            .map(|check| (Row::all().find(|r| r.check() == Some(check)).map_or("", Row::key).to_owned(), check))
            .collect();
        let checks: Vec<(&str, CheckId)> = checks.iter().map(|(name, check)| (name.as_str(), *check)).collect();
        let check = s.optional_choice("check", &checks);
        let off = s.optional_choice(
            "guard",
            &[
                ("interlock", Off::Interlock),
                ("last_look", Off::LastLook),
                ("dcs_watchdog", Off::DcsWatchdog),
                ("supervision", Off::Supervision),
                ("controller", Off::Controller),
                ("disk_thread", Off::DiskThread),
                ("operator", Off::Operator),
                ("latch", Off::Latch),
            ],
        );
        let cell = if s.has("cell") { s.section("cell", read_cell).map(Some) } else { Some(None) };
        let keys = "a table of keys and values, such as { \"cv.1.frozen_samples\" = 0 }";
        let plant = s.optional("plant", keys, Changes::read);
        let rig = s.optional("rig", keys, Changes::read);
        let (check, off, cell, plant, rig) = (check?, off?, cell?, plant?, rig?);
        let many = [check.is_some(), off.is_some(), cell.is_some(), plant.is_some() || rig.is_some()];
        if many.into_iter().filter(|is| *is).count() != 1 {
            s.fault("guard", "one of `check`, `cell`, `guard`, and `plant` or `rig`, and no two");
            return None;
        }
        let keys = || Self::Keys { plant: plant.unwrap_or_default(), rig: rig.unwrap_or_default() };
        let made = check.map(Self::Check).or_else(|| cell.map(Self::Cell)).or_else(|| off.map(Self::Other));
        Some(made.unwrap_or_else(keys))
    }
}

fn read_cell(s: &Section<'_, '_>) -> Option<CellChange> {
    let rows: Vec<_> = Row::all().map(|row| (row.key(), row)).collect();
    let cause = s.choice("cause", &rows);
    let on = s.text("on", "what the cell speaks of: loop, CV1, DV1, MV1 or balance1");
    Some(CellChange { cause: cause?, on: on?, effect: Some(Effect::Warn), delay_s: None, priority: None })
}
