//! Three transmitters of one tag: they vote before the screening, so that it sees one value and nothing is lost with one
//! of them.

use signals::vote::{Standing, TRANSMITTERS, vote};
use signals::{Quality, Sample, Stamp};

use super::Screen;

impl Screen {
    /// The one sample that three transmitters make, by [`signals::vote`], which is the interlock's vote too.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `samples` | the newest of the tag's own transmitter, then of its two spares |
    /// | `tolerance` | the most by which one may differ from their median and still vote |
    /// | `now` | plant time |
    ///
    /// A transmitter whose sample is bad, stale or not finite has no vote. The value bears the newest time of those that
    /// voted, and a number that changes with each of the three. Where no two agree it is bad: nobody can say what it is
    /// worth. Where none is left, the first sample that there is comes out as it came, for the screening to say why.
    #[must_use]
    pub fn vote(&self, samples: [Option<Sample>; TRANSMITTERS], tolerance: f64, now: Stamp) -> Option<Sample> {
        let believed = |sample: &Sample| self.disbelief(sample, now.since(sample.source_time), now).is_none();
        let voted = vote(samples.map(|sample| sample.filter(believed).map(|sample| sample.value)), tolerance);
        let voters = samples.iter().zip(voted.votes).filter_map(|(sample, votes)| sample.filter(|_| votes));
        let Some(source_time) = voters.map(|sample| sample.source_time).max() else {
            let first = samples.into_iter().flatten().next()?;
            return Some(Sample { tag: self.tag, ..first });
        };
        let quality = if voted.standing == Standing::Disagree { Quality::Bad } else { Quality::Good };
        let sequence = samples.iter().flatten().fold(0, |sum: u64, sample| sum.wrapping_add(sample.sequence));
        Some(Sample { tag: self.tag, value: voted.value, quality, source_time, sequence })
    }
}
