//! Scenarios as tables. Each line is `changes | scans | state | expectations`: the changes are made, so many scans
//! pass, and then the state and what was seen on the way are compared.
//!
//! Changes: `mode=` OFF, WARM, ADVISORY, ON or bad · `permit=` `wd=` 1, 0, bad · `lease=` number, bad · `grant` ·
//! `hb_dcs=` `echo=` `confirm=` go, stop · `link=` up, down · `cv1=` `cv2=` `dv1=` number, nan, bad, uncertain, frozen, lost, skipped,
//! still, ok ·
//! `solver=` ok, fail, silent · `prop=` none or `u1,u2` · `late=` cycles · `valid=` seconds · `left=` 0, 1 · `fail1=` count ·
//! `mv1.mode=` `mv1.opr=` `mv1.sp=` `mv1.lim=` `mv1.clamp=` `mv1.roc=` `mv1.windup=` · `clock=back` · `cycle=back` ·
//! `takes_back=0` · `cv2b=` `cv2c=` the spares of CV2, like `cv2=` · `model=` what is expected of every tag, or none ·
//! `by=` mpc, policy · `ground=` the policy's distance, or none · `wall=jump` · `hash=` number · `dropped=1` · `late_scan=`
//! scans · `stuck=` 0, 1.
//!
//! Expectations: `act=` · `reason=` · `moves=` `tracks=` `beats=` `shown=` a count, or `+` for some · `refused` ·
//! `raised` · `clamped` · `acked` · `u1=` · `sts1=` · `ack1=`.

use signals::dcs::{ModeRequest, MvMode, MvRead, Reading, Windup};
use signals::{Proposer, Quality, SolveStatus, Values};

use super::world::{MVS, T, World};
use crate::config_hash::ConfigHash;
use crate::inputs::PolicyReport;
use crate::verdict::{Decision, Event, MoveKind, Verdict};

/// What was seen over some scans.
#[derive(Default)]
struct Seen {
    moves: usize,
    tracks: usize,
    shown: usize,
    beats: u32,
    refused: bool,
    raised: bool,
    clamped: bool,
    acked: bool,
    u: Option<Vec<f64>>,
}

impl Seen {
    fn take(&mut self, decision: &Decision) {
        match &decision.verdict {
            Verdict::Pass(approved) => {
                match approved.kind() {
                    MoveKind::Move => self.moves += 1,
                    MoveKind::Track => self.tracks += 1,
                }
                self.u = Some(approved.u().to_vec());
            }
            Verdict::Recommend(r) => {
                self.shown += 1;
                self.u = Some(r.u.to_vec());
            }
            Verdict::Withhold(_) | Verdict::Trip(_) => {}
        }
        self.clamped |= decision.clamped;
        self.acked |= decision.mv.iter().any(|mv| mv.init_ack);
        for event in &decision.events {
            self.refused |= matches!(event, Event::Refused { .. });
            self.raised |= matches!(event, Event::Raised { .. });
        }
    }

    fn check(&self, decision: &Decision, expectation: &str) {
        let (key, want) = expectation.split_once('=').unwrap_or((expectation, "1"));
        let count = |seen: usize| if want == "+" { (seen > 0).to_string() } else { seen.to_string() };
        let index = key.chars().last().and_then(|c| c.to_digit(10)).map_or(0, |n| n as usize - 1);
        let got = match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "act" => decision.mode_act.label(),
            "reason" => decision.shed_reason.to_string(),
            "moves" => count(self.moves),
            "tracks" => count(self.tracks),
            "shown" => count(self.shown),
            "beats" => count(self.beats as usize),
            "refused" => u8::from(self.refused).to_string(),
            "raised" => u8::from(self.raised).to_string(),
            "acked" => u8::from(self.acked).to_string(),
            "clamped" => u8::from(self.clamped).to_string(),
            "u" => self.u.as_ref().map_or("none".into(), |u| u[index].to_string()),
            "sts" => decision.mv[index].sts.label(),
            "ack" => u8::from(decision.mv[index].init_ack).to_string(),
            other => panic!("unknown expectation {other}"),
        };
        let want = if want == "+" { "true" } else { want };
        assert_eq!(got, want, "{expectation}");
    }
}

/// Plays a table against a world.
pub(super) fn play(world: &mut World, table: &str) {
    for line in table.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let &[changes, scans, state, expectations] = &columns[..] else { panic!("four columns: {line}") };
        changes.split_whitespace().for_each(|c| change(world, c));
        let mut seen = Seen::default();
        let mut decision = None;
        let mut before = world.heartbeat;
        for _ in 0..scans.parse::<usize>().unwrap() {
            let d = world.scan();
            seen.take(&d);
            seen.beats += d.heartbeat.wrapping_sub(before);
            before = d.heartbeat;
            decision = Some(d);
        }
        let decision = decision.expect("at least one scan");
        assert_eq!(format!("{:?}", decision.state), state, "{line}\n{decision:?}");
        for expectation in expectations.split_whitespace() {
            println!("{line}: {expectation}");
            seen.check(&decision, expectation);
        }
    }
}

fn reading<V>(reading: &mut Reading<V>, word: &str, parse: impl Fn(&str) -> V) {
    if word == "bad" {
        reading.quality = Quality::Bad;
    } else {
        reading.quality = Quality::Good;
        reading.value = parse(word);
    }
}

fn flag(word: &str) -> bool {
    matches!(word, "1" | "go" | "up")
}

fn number(word: &str) -> f64 {
    word.parse().unwrap()
}

fn pair(word: &str) -> (f64, f64) {
    let (a, b) = word.split_once(',').unwrap();
    (number(a), number(b))
}

fn mode_request(word: &str) -> ModeRequest {
    *ModeRequest::ALL.iter().find(|m| m.label() == word).unwrap()
}

/// Makes one change.
pub(super) fn change(world: &mut World, token: &str) {
    let (key, word) = token.split_once('=').unwrap_or((token, ""));
    match key {
        "mode" => reading(&mut world.dcs.mode_req, word, mode_request),
        "permit" => reading(&mut world.dcs.permit, word, flag),
        "wd" => reading(&mut world.dcs.wd_ok, word, flag),
        "lease" => reading(&mut world.dcs.lease, word, |w| w.parse().unwrap()),
        "grant" => world.grant(),
        "hb_dcs" => world.hb_dcs_runs = flag(word),
        "echo" => world.echo_runs = flag(word),
        "confirm" => world.confirms = flag(word),
        "takes_back" => world.takes_back = flag(word),
        "link" => world.link_up = flag(word),
        "cv1" => sample(world, 0, word),
        "cv2" => sample(world, 1, word),
        "dv1" => sample(world, 2, word),
        "cv2b" => sample(world, 3, word),
        "cv2c" => sample(world, 4, word),
        "model" => world.expected.fill(word.parse().ok()),
        "by" => world.proposer = if word == "policy" { Proposer::Policy } else { Proposer::Mpc },
        "ground" => {
            let reference = Values::collect(world.propose.unwrap_or_default());
            world.policy = word.parse().ok().map(|distance| PolicyReport { distance, reference, cycle: 0 });
        }
        "wall" => world.wall_ahead += T * 10,
        "hash" => world.config_hash = ConfigHash(word.parse().unwrap()),
        "dropped" => world.beats_dropped += 1,
        "late_scan" => world.now = world.now + T / 10 * word.parse().unwrap(),
        "stuck" => world.stuck = [flag(word); MVS],
        "solver" => {
            world.solver = match word {
                "ok" => Some(SolveStatus::Solved),
                "fail" => Some(SolveStatus::Infeasible),
                _ => None,
            }
        }
        "prop" => world.propose = (word != "none").then(|| pair(word).into()),
        "valid" => world.valid_ns = (number(word) * 1e9) as i64,
        "late" => world.propose_late = word.parse().unwrap(),
        "left" => world.no_proposal_left = word == "0",
        "fail1" => world.writes.failures[0] = word.parse().unwrap(),
        "fail2" => world.writes.failures[1] = word.parse().unwrap(),
        "clock" => world.now = signals::Stamp::from_nanos(world.now.nanos() - 2_000_000_000),
        "cycle" => world.cycle_offset = 2,
        _ => change_mv(world, key, word),
    }
}

fn change_mv(world: &mut World, key: &str, word: &str) {
    let (name, field) = key.split_once('.').unwrap_or_else(|| panic!("unknown change {key}"));
    let mv: &mut MvRead = &mut world.dcs.mvs[if name == "mv1" { 0 } else { 1 }];
    match field {
        "mode" => reading(&mut mv.mode, word, |w| *MvMode::ALL.iter().find(|m| m.label() == w).unwrap()),
        "opr" => reading(&mut mv.opr_on, word, flag),
        "init" => reading(&mut mv.init_req, word, flag),
        "sp" => reading(&mut mv.sp_act, word, number),
        "roc" => reading(&mut mv.roc_max, word, number),
        "windup" => reading(&mut mv.windup, word, |w| *Windup::ALL.iter().find(|m| m.label() == w).unwrap()),
        "lim" => {
            reading(&mut mv.lo_opr, word, |w| pair(w).0);
            reading(&mut mv.hi_opr, word, |w| pair(w).1);
        }
        "clamp" => {
            reading(&mut mv.clamp_lo, word, |w| pair(w).0);
            reading(&mut mv.clamp_hi, word, |w| pair(w).1);
        }
        other => panic!("unknown change {other}"),
    }
}

fn sample(world: &mut World, transmitter: usize, word: &str) {
    world.frozen[transmitter] = word == "frozen";
    if word == "lost" {
        world.samples[transmitter] = None;
        return;
    }
    let at = world.now;
    let s = world.samples[transmitter].get_or_insert(signals::Sample {
        tag: signals::TagId(transmitter as u16),
        value: world.base[transmitter],
        quality: Quality::Good,
        source_time: at,
        sequence: world.scans,
    });
    s.quality = match word {
        "bad" => Quality::Bad,
        "uncertain" => Quality::Uncertain,
        _ => Quality::Good,
    };
    match word {
        "nan" => world.measure(transmitter, f64::NAN),
        "bad" | "uncertain" | "frozen" => {}
        "skipped" => s.sequence += 9,
        "still" => world.swing[transmitter] = 0.0,
        "ok" => world.measure(transmitter, 50.0),
        value => world.measure(transmitter, number(value)),
    }
}
