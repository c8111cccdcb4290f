//! Judges what is written to the plant, by rules of its own: a second opinion on the interlock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use safety::ApprovedMove;
use signals::dcs::{DcsView, ModeRequest};

/// What is wrong with a move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Invalid {
    /// A set-point is no number.
    NotFinite {
        /// The MV, counted from 0.
        mv: usize,
    },
    /// A set-point lies outside the plant file's limits.
    Outside {
        /// The MV, counted from 0.
        mv: usize,
        /// The set-point, in the MV's unit.
        u: f64,
    },
    /// A set-point differs from the one in use, and nobody has asked for it, or the DCS does not permit it. Tracking, which
    /// writes back what is in use, needs no permission.
    NotPermitted {
        /// The MV, counted from 0.
        mv: usize,
    },
}

/// What was written so far. Clones share it.
#[derive(Clone, Debug)]
pub struct Outputs(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    limits: Vec<(f64, f64)>,
    moves: u64,
    /// The cycle of the newest move.
    cycle: u64,
    invalid: u64,
    first_invalid: Option<(u64, Invalid)>,
}

impl Outputs {
    /// Nothing written yet; `limits` are those of each MV, in its unit.
    pub fn within(limits: impl Iterator<Item = (f64, f64)>) -> Self {
        let book = Book { limits: limits.collect(), moves: 0, cycle: 0, invalid: 0, first_invalid: None };
        Self(Arc::new(Mutex::new(book)))
    }

    /// Judges a move that is being written to a DCS that says `dcs`.
    pub fn judge(&self, approved: &ApprovedMove, dcs: &DcsView) {
        let mut book = self.lock();
        book.moves += 1;
        book.cycle = approved.cycle();
        let set_points = (0..book.limits.len()).map(|mv| approved.set_point(mv));
        if let Some(why) = fault(set_points, &book.limits, dcs) {
            book.invalid += 1;
            book.first_invalid.get_or_insert((approved.cycle(), why));
        }
    }

    /// Moves that were written.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// The cycle of the newest move.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.lock().cycle
    }

    /// How many moves were invalid, and the first of them with its cycle.
    #[must_use]
    pub fn invalid(&self) -> (u64, Option<(u64, Invalid)>) {
        let book = self.lock();
        (book.invalid, book.first_invalid)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a tracked set-point may lie from the one in use, as a part of the MV's range.
const TRACKED: f64 = 1e-3;

/// What is wrong with set-points; `None` of an MV that is not moved.
fn fault(set_points: impl Iterator<Item = Option<f64>>, limits: &[(f64, f64)], dcs: &DcsView) -> Option<Invalid> {
    let asked = dcs.mode_req.good() == Some(ModeRequest::On);
    let permitted = asked && [dcs.permit.good(), dcs.wd_ok.good()] == [Some(true); 2];
    let moved = set_points.zip(limits).enumerate().filter_map(|(mv, (u, limits))| Some((mv, u?, *limits)));
    moved.into_iter().find_map(|(mv, u, (low, high))| {
        let in_use = dcs.mvs.get(mv).and_then(|mv| mv.sp_act.finite());
        let tracks = in_use.is_some_and(|sp| (u - sp).abs() <= TRACKED * (high - low));
        match u {
            u if !u.is_finite() => Some(Invalid::NotFinite { mv }),
            u if !(low..=high).contains(&u) => Some(Invalid::Outside { mv, u }),
            _ if !permitted && !tracks => Some(Invalid::NotPermitted { mv }),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use signals::Stamp;
    use signals::dcs::Reading;

    use super::*;

    #[test]
    fn every_fault_of_a_move_is_seen() {
        let mut dcs = DcsView::sized(2, 1, 0);
        dcs.permit = Reading::of(true, Stamp::ZERO);
        dcs.wd_ok = Reading::of(true, Stamp::ZERO);
        dcs.mode_req = Reading::of(ModeRequest::On, Stamp::ZERO);
        let limits = [(0.0, 1.0), (10.0, 20.0)];
        let seen = |u: [Option<f64>; 2], dcs: &DcsView| fault(u.into_iter(), &limits, dcs);
        assert_eq!(seen([Some(0.5), Some(20.0)], &dcs), None);
        assert_eq!(seen([None, Some(15.0)], &dcs), None, "one that is not moved");
        assert_eq!(seen([Some(0.5), Some(20.1)], &dcs), Some(Invalid::Outside { mv: 1, u: 20.1 }));
        assert_eq!(seen([Some(f64::NAN), Some(15.0)], &dcs), Some(Invalid::NotFinite { mv: 0 }));
        for withdraw in [
            |dcs: &mut DcsView| dcs.permit.value = false,
            |dcs: &mut DcsView| dcs.wd_ok.value = false,
            |dcs: &mut DcsView| dcs.mode_req.value = ModeRequest::Warm,
        ] {
            let mut dcs = dcs;
            withdraw(&mut dcs);
            assert_eq!(seen([Some(0.5), Some(15.0)], &dcs), Some(Invalid::NotPermitted { mv: 0 }));
            dcs.mvs[0].sp_act = Reading::of(0.5, Stamp::ZERO);
            assert_eq!(seen([Some(0.5), Some(15.0)], &dcs), Some(Invalid::NotPermitted { mv: 1 }));
            assert_eq!(seen([Some(0.5), None], &dcs), None, "tracked");
        }
    }
}
