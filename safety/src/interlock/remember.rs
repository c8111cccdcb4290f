//! What a step leaves for whoever asks later what came before a trip.

use signals::Fixed;

use super::Interlock;
use super::observe::Scan;
use crate::pre_trip::{Measurement, MvTrace, PreTripEntry};

impl Interlock {
    /// Records the step, the one of a first-out included. `frozen` says that something was latched before it: then nothing is
    /// recorded, and a reset begins anew.
    pub(super) fn remember(&mut self, frozen: bool, scan: &Scan<'_>) {
        if frozen {
            if self.first_out.is_none() {
                self.pre_trip.clear();
            }
            return;
        }
        let approved = self.spent_cycle.is_some();
        let tags = scan.inputs.samples.iter().take(self.tags.len()).map(|sample| {
            let value = sample.map_or(f64::NAN, |s| s.value);
            Measurement { value, quality: sample.map(|s| s.quality) }
        });
        let mvs = self
            .mvs
            .iter()
            .zip(&scan.inputs.dcs.mvs)
            .map(|(memory, read)| MvTrace { sp_act: read.sp_act.finite(), approved: approved.then_some(memory.last) });
        self.pre_trip.record(PreTripEntry {
            at: scan.now,
            cycle: scan.inputs.cycle,
            state: self.state,
            tags: Fixed::collect(tags),
            mvs: Fixed::collect(mvs),
        });
    }
}
