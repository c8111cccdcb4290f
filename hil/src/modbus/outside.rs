//! A PLC as the slave loop of an MV: the rig is the Modbus master, the PLC computes the output.
//!
//! Place in the loop: in the place of the rig's own slave controller, between the set-point and the actuator. Once a scan the
//! rig writes what the PLC must know and reads its output. Registers hold one word; `Real32` takes two, the high word first:
//!
//! | holding register | value | who writes |
//! |---|---|---|
//! | base + 0 | set-point in use, `Real32`, engineering units | rig |
//! | base + 2 | measurement, `Real32`, engineering units | rig |
//! | base + 4 | output to the actuator, `Real32`, percent: to track in MAN | rig |
//! | base + 6 | mode: 0 MAN, 1 AUTO, 2 CAS, 3 RCAS | rig |
//! | base + 7 | beat, +1 each exchange | rig |
//! | base + 8 | output, `Real32`, percent | PLC |
//! | base + 10 | the beat that this output answers | PLC |
//!
//! # Invariant
//! A PLC that cannot be reached, gives no number, or has not answered a beat for [`BEATS_MAX`] exchanges is lost: its output
//! stays, and the DCS puts the loop in MAN, out of which a person alone takes it.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use rig::{Controller, SlaveView};
use signals::dcs::{WireType, WireValue};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Context, Reader, Writer, tcp};

use super::map::{decode, encode};
use crate::server::{SharedRig, lock};

/// How many exchanges a PLC may need for an answer.
pub const BEATS_MAX: u16 = 5;
/// How long an exchange may take, of the wall's time.
const PATIENCE: Duration = Duration::from_millis(500);
/// Words of what is written, and of what is read behind it.
const TOLD: u16 = 8;
const ANSWERED: u16 = 3;

/// Which MV has its slave loop where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The MV, counted from 0.
    pub mv: usize,
    /// The PLC.
    pub peer: SocketAddr,
    /// Its first register.
    pub base: u16,
}

impl FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("`{text}` is no slave loop: MV1=127.0.0.1:502, or MV1=127.0.0.1:502/100 for its first register");
        let (mv, place) = text.split_once('=').ok_or_else(wanted)?;
        let mv = mv.strip_prefix("MV").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
        let (peer, base) = place.split_once('/').unwrap_or((place, "0"));
        let base = base.parse::<u16>().ok().filter(|base| base.checked_add(TOLD + ANSWERED).is_some());
        match (mv, peer.parse(), base) {
            (Some(mv), Ok(peer), Some(base)) => Ok(Self { mv, peer, base }),
            _ => Err(wanted()),
        }
    }
}

/// The words for the PLC.
fn told(slave: &SlaveView, beat: u16) -> Vec<u16> {
    let real = |x: f64| encode(WireValue::Double(x));
    let words = [slave.sp, slave.pv, slave.output_pct].map(real).concat();
    words.into_iter().chain([slave.mode as u16, beat]).collect()
}

/// What the PLC's words say of the output, and of the beat that they answer.
fn answered(words: &[u16]) -> Option<(f64, u16)> {
    let (real, beat) = words.split_at_checked(2)?;
    match (decode(WireType::Double, real)?, beat) {
        (WireValue::Double(output), [beat]) if output.is_finite() => Some((output, *beat)),
        _ => None,
    }
}

/// A slave loop in a PLC, until it is dropped.
#[derive(Debug)]
pub struct OutsideLoop(JoinHandle<()>);

impl OutsideLoop {
    /// Exchanges with the PLC, each so long after the one before, of the wall's time. Call it inside a tokio runtime.
    #[must_use]
    pub fn start(rig: SharedRig, outside: Outside, every: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut line = Line { outside, context: None, beat: 0 };
            let mut was_lost = false;
            loop {
                sleep(every).await;
                let Some(slave) = lock(&rig).slave(outside.mv) else { return };
                let controller = line.exchange(&slave).await;
                lock(&rig).set_controller(outside.mv, controller);
                let lost = controller == Controller::Lost;
                if lost != was_lost {
                    tracing::warn!(mv = outside.mv + 1, peer = %outside.peer, lost, "the plc of a slave loop");
                    was_lost = lost;
                }
            }
        }))
    }
}

impl Drop for OutsideLoop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The connection to a PLC.
struct Line {
    outside: Outside,
    context: Option<Context>,
    beat: u16,
}

impl Line {
    /// One exchange. A PLC that is slow within its time goes on with the output that it gave last.
    async fn exchange(&mut self, slave: &SlaveView) -> Controller {
        self.beat = self.beat.wrapping_add(1);
        let words = timeout(PATIENCE, self.ask(slave)).await.ok().flatten();
        let Some((output, beat)) = words.as_deref().and_then(answered) else {
            self.context = None;
            return Controller::Lost;
        };
        let behind = self.beat.wrapping_sub(beat);
        if behind > BEATS_MAX { Controller::Lost } else { Controller::Outside(output) }
    }

    async fn ask(&mut self, slave: &SlaveView) -> Option<Vec<u16>> {
        let Outside { peer, base, .. } = self.outside;
        if self.context.is_none() {
            self.context = tcp::connect(peer).await.ok();
        }
        let context = self.context.as_mut()?;
        context.write_multiple_registers(base, &told(slave, self.beat)).await.ok()?.ok()?;
        context.read_holding_registers(base + TOLD, ANSWERED).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use signals::dcs::MvMode;

    use super::*;

    #[test]
    fn a_place_is_an_mv_a_peer_and_a_register() {
        let outside: Outside = "MV2=127.0.0.1:1502/100".parse().unwrap();
        assert_eq!((outside.mv, outside.peer.port(), outside.base), (1, 1502, 100));
        assert_eq!("MV1=127.0.0.1:502".parse::<Outside>().unwrap().base, 0);
        for bad in ["MV1", "MV0=127.0.0.1:502", "CV1=127.0.0.1:502", "MV1=plc", "MV1=127.0.0.1:502/65530"] {
            assert!(bad.parse::<Outside>().unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn words_go_there_and_come_back() {
        let slave = SlaveView { mode: MvMode::Rcas, sp: 14.2, pv: -3.5, output_pct: 55.0 };
        let words = told(&slave, 77);
        assert_eq!(words.len(), usize::from(TOLD));
        assert_eq!((words[6], words[7]), (3, 77));
        assert_eq!(decode(WireType::Double, &words[2..4]), Some(WireValue::Double(-3.5)));
        let answer: Vec<u16> = encode(WireValue::Double(61.0)).into_iter().chain([76]).collect();
        assert_eq!(answered(&answer), Some((61.0, 76)));
        let no_number: Vec<u16> = encode(WireValue::Double(f64::NAN)).into_iter().chain([76]).collect();
        assert_eq!((answered(&no_number), answered(&answer[..2])), (None, None));
    }
}
