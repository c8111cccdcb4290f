//! Faults of the link between the DCS and the loop.
//!
//! Under virtual time they act on the images and writes that [`runtime::simulate::Plumbing`] carries; what each does to a
//! TCP stream on the wall clock is in [`crate::proxy`].

use std::time::Duration;

use rig::Random;

/// The stream of a scenario's seed for the link's chance.
pub const STREAM: u32 = 20;

/// In which direction something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the DCS to the loop.
    In,
    /// From the loop to the DCS.
    Out,
}

/// What is wrong with the link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkFault {
    /// Nothing passes, and nobody is told.
    Drop,
    /// Nothing passes one way.
    OneWay {
        /// Which.
        way: Way,
    },
    /// A share of what is sent is lost, each way by itself.
    Loss {
        /// From 0 to 1.
        share: f64,
    },
    /// What the DCS says comes late.
    Delay {
        /// By so much, in seconds of plant time.
        delay_s: f64,
    },
    /// Now and then an older image comes behind a newer one.
    Reorder {
        /// The share of images that an older one follows.
        share: f64,
        /// How many scans older it is.
        back: usize,
    },
    /// Now and then an image comes twice.
    Duplicate {
        /// The share of images that come twice.
        share: f64,
    },
    /// The connection goes and comes, and the loop is told; it begins with going.
    Flap {
        /// How long it is there, in seconds.
        up_s: f64,
        /// How long it is gone.
        down_s: f64,
    },
    /// One image passes now and then, and one status.
    NarrowBand {
        /// How far apart, in seconds.
        every_s: f64,
    },
    /// The connection is reset again and again; writes in between fail.
    ResetStorm {
        /// How far apart the resets are, in seconds.
        every_s: f64,
        /// How long it takes to connect again.
        down_s: f64,
    },
    /// The far side has gone without a word: silence, until the link gives the connection up and makes another.
    HalfOpen {
        /// How long our side believes in the old connection, in seconds.
        silent_s: f64,
        /// How long the new one takes.
        reconnect_s: f64,
    },
}

/// What passes in one scan. By default, everything, once and in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// The connection is down, and the loop is told.
    pub down: bool,
    /// Nothing comes in.
    pub deaf: bool,
    /// Nothing goes out.
    pub mute: bool,
    /// Writes fail, and the loop is told.
    pub failing: bool,
    /// Images come so much late.
    pub late: Duration,
    /// The image of so many scans ago comes once more.
    pub again: Option<usize>,
}

impl Passing {
    const DOWN: Self = Self { down: true, deaf: true, mute: true, failing: false, late: Duration::ZERO, again: None };

    /// What passes under both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            down: self.down || other.down,
            deaf: self.deaf || other.deaf,
            mute: self.mute || other.mute,
            failing: self.failing || other.failing,
            late: self.late.max(other.late),
            again: self.again.or(other.again),
        }
    }
}

impl LinkFault {
    /// What passes in the scan of length `scan` that lies `since` after the fault came.
    #[must_use]
    pub fn at(&self, since: Duration, scan: Duration, chance: &mut Random) -> Passing {
        let (now_s, all) = (since.as_secs_f64(), Passing::default());
        let mut one_in = |share: f64| chance.between(0.0, 1.0) < share;
        match *self {
            Self::Drop => Passing { deaf: true, mute: true, ..all },
            Self::OneWay { way } => Passing { deaf: way == Way::In, mute: way == Way::Out, ..all },
            Self::Loss { share } => Passing { deaf: one_in(share), mute: one_in(share), ..all },
            Self::Delay { delay_s } => Passing { late: Duration::from_secs_f64(delay_s), ..all },
            Self::Reorder { share, back } => Passing { again: one_in(share).then_some(back), ..all },
            Self::Duplicate { share } => Passing { again: one_in(share).then_some(0), ..all },
            Self::Flap { up_s, down_s } if now_s % (up_s + down_s) < down_s => Passing::DOWN,
            Self::Flap { .. } => all,
            Self::NarrowBand { every_s } => {
                let passes = now_s % every_s < scan.as_secs_f64();
                Passing { deaf: !passes, mute: !passes, ..all }
            }
            Self::ResetStorm { every_s, down_s } if now_s % every_s < down_s => Passing::DOWN,
            Self::ResetStorm { .. } => Passing { failing: true, ..all },
            Self::HalfOpen { silent_s, .. } if now_s < silent_s => Passing { deaf: true, mute: true, ..all },
            Self::HalfOpen { silent_s, reconnect_s } if now_s < silent_s + reconnect_s => Passing::DOWN,
            Self::HalfOpen { .. } => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: Duration = Duration::from_millis(500);

    /// What passes in each scan of the first `n`.
    fn passing(fault: LinkFault, n: u32) -> Vec<Passing> {
        let mut chance = Random::seeded(1);
        (0..n).map(|k| fault.at(SCAN * k, SCAN, &mut chance)).collect()
    }

    fn share(all: &[Passing], of: impl Fn(&Passing) -> bool) -> f64 {
        all.iter().filter(|p| of(p)).count() as f64 / all.len() as f64
    }

    #[test]
    fn a_dropped_link_is_silent_and_up() {
        assert!(passing(LinkFault::Drop, 4).iter().all(|p| p.deaf && p.mute && !p.down));
    }

    #[test]
    fn one_way_is_lost_and_the_other_is_not() {
        for (way, deaf) in [(Way::In, true), (Way::Out, false)] {
            assert!(passing(LinkFault::OneWay { way }, 4).iter().all(|p| p.deaf == deaf && p.mute != deaf));
        }
    }

    #[test]
    fn a_fifth_is_lost_each_way_by_itself() {
        let all = passing(LinkFault::Loss { share: 0.2 }, 10_000);
        // Four standard deviations of a share of 0.2 in 10,000: 0.016.
        assert!((share(&all, |p| p.deaf) - 0.2).abs() < 0.016 && (share(&all, |p| p.mute) - 0.2).abs() < 0.016);
        assert!((share(&all, |p| p.deaf && p.mute) - 0.04).abs() < 0.008);
    }

    #[test]
    fn a_delay_is_told_in_plant_time() {
        assert_eq!(passing(LinkFault::Delay { delay_s: 1.5 }, 1)[0].late, Duration::from_millis(1500));
    }

    #[test]
    fn an_older_image_follows_and_a_duplicate_is_the_same_one() {
        let all = passing(LinkFault::Reorder { share: 0.3, back: 2 }, 1000);
        assert!(all.iter().all(|p| p.again.is_none_or(|back| back == 2)) && share(&all, |p| p.again.is_some()) > 0.2);
        let all = passing(LinkFault::Duplicate { share: 1.0 }, 3);
        assert!(all.iter().all(|p| p.again == Some(0)));
    }

    #[test]
    fn a_flapping_link_is_down_and_up_in_turn_and_a_storm_fails_writes_in_between() {
        let downs = |fault, n| passing(fault, n).iter().map(|p| p.down).collect::<Vec<_>>();
        assert_eq!(downs(LinkFault::Flap { up_s: 1.0, down_s: 0.5 }, 6), [true, false, false, true, false, false]);
        let storm = passing(LinkFault::ResetStorm { every_s: 1.0, down_s: 0.5 }, 4);
        assert!(storm.iter().all(|p| p.down != p.failing));
    }

    #[test]
    fn a_narrow_band_lets_one_scan_in_six_through() {
        let all = passing(LinkFault::NarrowBand { every_s: 3.0 }, 12);
        assert_eq!(all.iter().filter(|p| !p.deaf).count(), 2);
    }

    #[test]
    fn a_half_open_connection_is_silent_then_down_then_anew() {
        let all = passing(LinkFault::HalfOpen { silent_s: 1.0, reconnect_s: 0.5 }, 4);
        assert_eq!(
            all.iter().map(|p| (p.deaf, p.down)).collect::<Vec<_>>(),
            [(true, false), (true, false), (true, true), (false, false)]
        );
    }
}
