//! Fuzzing of `Interlock::step`: bytes are read as the life of an interlock, with its configuration, its DCS, its
//! controller and its clock, sane and insane ([`live`]), and an [`Oracle`] judges every set-point that comes out.
//!
//! One entry, two drivers: `proof/fuzz` is a target of `cargo fuzz` (coverage-guided), and [`campaign`] mutates by itself,
//! guided only by which changes of state an input brings about.

mod life;
mod oracle;

use std::collections::BTreeSet;

use rig::Random;
use serde::Serialize;

pub use life::{Lived, Passage, live, live_under};
pub use oracle::{Oracle, Unsafe};

/// The longest input, in bytes.
const LONGEST: usize = 2048;
/// Of so many inputs one is drawn afresh; the others are mutations of inputs that brought something new.
const FRESH: usize = 4;

/// What came of a campaign.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Campaign {
    /// Inputs lived.
    pub lives: u64,
    /// Steps of the interlock.
    pub steps: u64,
    /// Engagements.
    pub engagements: u64,
    /// Moves that were approved.
    pub moves: u64,
    /// Changes of state that were seen, of those that there are.
    pub passages: usize,
    /// Writes that the oracle forbids.
    pub unsafe_writes: u64,
    /// The first of them, and the input that brought it about, in hexadecimal.
    pub first: Option<String>,
}

/// Lives inputs by seed until `steps` steps are done; `told` hears of the progress.
pub fn campaign(seed: u64, steps: u64, told: &mut dyn FnMut(&Campaign)) -> Campaign {
    let (mut chance, mut all) = (Random::seeded(seed), Campaign::default());
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    let mut known: BTreeSet<Passage> = BTreeSet::new();
    while all.steps < steps {
        let data = match corpus.len() {
            0 => fresh(&mut chance),
            _ if chance.below(FRESH) == 0 => fresh(&mut chance),
            n => corpus.get(chance.below(n)).map(|data| mutated(data, &mut chance)).unwrap_or_default(),
        };
        let lived = live(&data);
        all.lives += 1;
        all.steps += lived.steps;
        all.engagements += lived.engagements;
        all.moves += lived.moves;
        all.unsafe_writes += lived.wrong.len() as u64;
        if let Some(wrong) = lived.wrong.first().filter(|_| all.first.is_none()) {
            let bytes: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            all.first = Some(format!("{wrong:?}: {bytes}"));
        }
        let before = known.len();
        known.extend(lived.passages);
        all.passages = known.len();
        if known.len() > before {
            corpus.push(data);
        }
        if all.lives.is_multiple_of(10_000) {
            told(&all);
        }
    }
    all
}

fn byte(chance: &mut Random) -> u8 {
    u8::try_from(chance.below(256)).unwrap_or(0)
}

fn fresh(chance: &mut Random) -> Vec<u8> {
    let length = 64 + chance.below(LONGEST - 64);
    (0..length).map(|_| byte(chance)).collect()
}

/// A few bytes changed, dropped, doubled or put in.
fn mutated(data: &[u8], chance: &mut Random) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..1 + chance.below(8) {
        let at = chance.below(data.len().max(1));
        let new = byte(chance);
        match chance.below(4) {
            0 if data.len() > 1 => drop(data.drain(at..(at + 1 + chance.below(8)).min(data.len()))),
            1 if data.len() < LONGEST => data.insert(at.min(data.len()), new),
            2 if data.len() < LONGEST => {
                let until = (at + 1 + chance.below(32)).min(data.len());
                let copy = data.get(at..until).map(<[u8]>::to_vec).unwrap_or_default();
                data.extend(copy);
            }
            _ => data.iter_mut().skip(at).take(1).for_each(|old| *old = new),
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_engages_moves_and_writes_nothing_unsafe_and_the_same_seed_gives_the_same() {
        let run = || campaign(1, 200_000, &mut |_| ());
        let (all, again) = (run(), run());
        assert_eq!(all.unsafe_writes, 0, "{all:?}");
        assert!(all.engagements > 50 && all.moves > 200 && all.passages > 15, "too tame: {all:?}");
        assert_eq!((all.steps, all.moves, all.lives), (again.steps, again.moves, again.lives));
    }

    /// Found by coverage: `SP_ACT` of an MV in RCAS is infinite for one scan between two moves, and then is elsewhere.
    #[test]
    fn an_mv_that_was_not_ours_between_two_moves_begins_where_the_dcs_has_it() {
        let hex = "0a316cf26c16161eff6c16161eff830a32ff316cf21616ff0a32ff316cf26c256c258e8e8e868e8e8e8e256c258e8e8e868e\
            8e8eff0a32ff316cf216161e0a32ff316cf26c256c258e8e8e868e00bb76320ad31ed14fff4c00d205002c003204008e8e8e\
            256c258e8e8e868e8e8e8e258e";
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let life = hex.as_bytes().chunks(2).map(byte).collect::<Vec<_>>();
        assert_eq!(live(&life).wrong, []);
        assert_eq!(live_under(&life, Oracle { anew: false, ..Oracle::default() }).wrong, [Unsafe::Rate], "the control");
    }

    /// The unsafe writes of many lives under an oracle.
    fn wrong_under(oracle: Oracle) -> Vec<Unsafe> {
        let mut chance = Random::seeded(2);
        (0..400).flat_map(|_| live_under(&fresh(&mut chance), oracle).wrong).collect()
    }

    #[test]
    fn an_oracle_with_narrower_limits_or_rates_or_a_stricter_mode_finds_unsafe_writes() {
        let right = Oracle::default();
        assert!(wrong_under(right).is_empty(), "the negative control of the others");
        assert!(wrong_under(Oracle { high: 55.0, ..right }).contains(&Unsafe::Range));
        assert!(wrong_under(Oracle { rate_per_s: 0.5, ..right }).contains(&Unsafe::Rate));
        assert!(wrong_under(Oracle { jump_max: -1.0, ..right }).contains(&Unsafe::Jump));
        assert!(wrong_under(Oracle { leases: false, ..right }).contains(&Unsafe::Lease));
        assert!(wrong_under(Oracle { writes: false, ..right }).contains(&Unsafe::Latched));
    }
}
