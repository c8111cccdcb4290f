//! Records in, steps out: what [`super::verify`] and [`super::what_if`] have in common.

use std::iter::Peekable;
use std::sync::Arc;

use actors::board::Beat;
use actors::kernel::Act;
use actors::{Playback, PlaybackError};
use signals::Stamp;

use super::capture::Capture;
use super::{ReplayError, recorded_plant};
use crate::config::PlantFile;
use crate::journal::{Header, Kind, Layout, Record};

/// One thing that was replayed.
#[derive(Debug)]
pub(super) enum Played {
    /// A beat, and the answer that was taken over with it.
    Beat { recorded: Vec<(Kind, Vec<u64>)>, replayed: Vec<(Kind, Vec<u64>)> },
    /// A step of the stage `child`.
    Step {
        child: u16,
        now: Stamp,
        recorded: Vec<(Kind, Vec<u64>)>,
        replayed: Vec<(Kind, Vec<u64>)>,
        /// Whether it panicked here; and whether its crash was recorded.
        panicked: (bool, bool),
    },
    /// A stage crashed, was restarted, or given up.
    Act(Act),
    /// From here on the run is not known.
    Missing(Missing),
    /// The last word.
    End,
}

/// Why a run is not known beyond some point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// So many blocks of records were lost.
    Blocks(u64),
    /// An answer of the solver was overwritten before it was taken over, so its later plans cannot be found again.
    Answer {
        /// The solver's number.
        solver: u32,
        /// The first answer that is missing.
        expected: u64,
    },
    /// There are no more records, and no last word: the reader knows why.
    LastWord,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blocks(lost) => write!(f, "{lost} blocks of records were lost"),
            Self::Answer { solver, expected } => {
                write!(f, "answer {expected} of solver {solver} was overwritten before it was taken over")
            }
            Self::LastWord => write!(f, "the records end without a last word"),
        }
    }
}

/// A loop that is being replayed.
pub(super) struct Player<I: Iterator<Item = Record>> {
    pub(super) records: Peekable<I>,
    pub(super) layout: Layout,
    pub(super) plant: PlantFile,
    pub(super) playback: Playback,
    pub(super) stages: Vec<String>,
    pub(super) beat: Beat,
    pub(super) now: Stamp,
    /// The image of the newest beat.
    pub(super) image: Vec<u64>,
    capture: Arc<Capture>,
}

impl<I: Iterator<Item = Record>> Player<I> {
    /// The loop of this header, at its beginning.
    pub(super) fn new(header: &Header, records: I) -> Result<Self, ReplayError> {
        let plant = recorded_plant(header)?;
        let layout = Layout::new(header.shape);
        let capture = Capture::new(layout.clone());
        let playback = Playback::new(plant.loop_config(), header.reach, header.latch, Arc::<Capture>::clone(&capture))?;
        let stages: Vec<String> = playback.names().map(str::to_owned).collect();
        if stages != header.stages {
            return Err(ReplayError::Stages { recorded: header.stages.clone(), ours: stages });
        }
        let (records, beat, now) = (records.peekable(), Beat::default(), Stamp::ZERO);
        let image = Vec::new();
        Ok(Self { records, layout, plant, playback, stages, beat, now, image, capture })
    }

    /// The name of a stage.
    pub(super) fn stage(&self, child: u16) -> String {
        self.stages.get(usize::from(child)).cloned().unwrap_or_default()
    }

    /// Replays the next record, and with a step all that was recorded within it.
    pub(super) fn next(&mut self) -> Result<Played, PlaybackError> {
        match self.play() {
            Err(PlaybackError::AnswerLost { solver, expected }) => {
                Ok(Played::Missing(Missing::Answer { solver, expected }))
            }
            played => played,
        }
    }

    /// Whether the records break off here: then those of the last step need not be all.
    pub(super) fn breaks_off(&mut self) -> bool {
        matches!(self.records.peek(), None | Some(Record::Gap { .. }))
    }

    fn play(&mut self) -> Result<Played, PlaybackError> {
        let Some(record) = self.records.next() else { return Ok(Played::Missing(Missing::LastWord)) };
        Ok(match record {
            Record::Beat { beat, now, dropped, image } => {
                (self.beat, self.now) = (beat, now);
                self.layout.restore(&image, self.playback.inlet());
                self.image = image;
                let recorded = self.rows()?;
                self.playback.beat(beat, now, dropped);
                Played::Beat { recorded, replayed: self.capture.take() }
            }
            Record::Act(Act::Step { child, now }) => self.step(child, now)?,
            Record::Act(act) => {
                match act {
                    Act::Crashed { child } => self.playback.crash(child)?,
                    Act::Restarted { child } => self.playback.restart(child)?,
                    Act::GivenUp { .. } | Act::Step { .. } => self.playback.give_up(),
                }
                Played::Act(act)
            }
            // Rows belong to beats and steps, which have taken theirs.
            Record::Row(..) => return self.play(),
            Record::Gap { lost } => Played::Missing(Missing::Blocks(lost)),
            Record::End { .. } => Played::End,
        })
    }

    fn step(&mut self, child: u16, now: Stamp) -> Result<Played, PlaybackError> {
        self.now = now;
        let recorded = self.rows()?;
        let through = self.playback.step(child, now)?;
        let crashed = matches!(self.records.peek(), Some(Record::Act(Act::Crashed { child: who })) if *who == child);
        Ok(Played::Step { child, now, recorded, replayed: self.capture.take(), panicked: (!through, crashed) })
    }

    /// The rows that were recorded next. An answer among them is solved for.
    fn rows(&mut self) -> Result<Vec<(Kind, Vec<u64>)>, PlaybackError> {
        let mut recorded = Vec::new();
        while let Some(Record::Row(kind, row)) = self.records.next_if(|r| matches!(r, Record::Row(..))) {
            if kind == Kind::Solved {
                self.playback.answer(&Layout::answer(&row))?;
            }
            recorded.push((kind, row));
        }
        Ok(recorded)
    }
}
