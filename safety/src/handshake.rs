//! Our side of the hand-shake with the DCS: signs of life, the operator's edge, the lease, and which MVs are ours.
//!
//! # Invariants
//! - A reading that is not good is no news: it makes no edge and no sign of life.
//! - Only a change seen here counts. What stood on a tag before the start (a request, a counter, a lease) is nothing.

use std::time::Duration;

use signals::Stamp;
use signals::dcs::{DcsView, ModeRequest, MvMode, MvRead, Reading};

use crate::cause::Silence;
use crate::config::MvChecks;
use crate::limits::{Bounds, Range};

/// A counter of the DCS that must go on advancing.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    value: Option<u32>,
    advanced_at: Option<Stamp>,
}

impl Pulse {
    fn observe(&mut self, reading: &Reading<u32>, now: Stamp) {
        let Some(value) = reading.good() else { return };
        if self.value.is_some_and(|old| old != value) {
            self.advanced_at = Some(now);
        }
        self.value = Some(value);
    }

    fn is_silent(&self, timeout: Duration, now: Stamp) -> bool {
        self.advanced_at.is_none_or(|at| now.since(at) > timeout)
    }
}

/// The echo of our own heartbeat. It is behind from the first beat that it does not yet show; every advance of a
/// plausible echo grants it the time-out anew. While we do not beat, an echo that shows our last beat is in order.
#[derive(Clone, Copy, Debug, Default)]
struct Echo {
    value: Option<u32>,
    behind_since: Option<Stamp>,
}

impl Echo {
    fn beat(&mut self, now: Stamp) {
        self.behind_since.get_or_insert(now);
    }

    fn observe(&mut self, reading: &Reading<u32>, heartbeat: u32, window: u32, now: Stamp) {
        let Some(value) = reading.good() else { return };
        let lag = heartbeat.wrapping_sub(value);
        if lag == 0 {
            self.behind_since = None;
        } else if self.value != Some(value) && lag <= window && self.behind_since.is_some() {
            self.behind_since = Some(now);
        }
        self.value = Some(value);
    }
}

/// Check 16: the signs of life of the DCS.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DcsWatch {
    hb_dcs: Pulse,
    hb_echo: Echo,
    link_down_since: Option<Stamp>,
}

impl DcsWatch {
    /// Takes what was read. `heartbeat` is our newest beat, `window` the most beats by which a true echo may lag.
    pub(crate) fn observe(&mut self, dcs: &DcsView, link_up: bool, (heartbeat, window): (u32, u32), now: Stamp) {
        self.hb_dcs.observe(&dcs.hb_dcs, now);
        self.hb_echo.observe(&dcs.hb_echo, heartbeat, window, now);
        if link_up {
            self.link_down_since = None;
        } else {
            self.link_down_since.get_or_insert(now);
        }
    }

    /// Notes that we have beaten.
    pub(crate) fn beat(&mut self, now: Stamp) {
        self.hb_echo.beat(now);
    }

    /// Notes that we have stopped beating: an echo that never came is not waited for.
    pub(crate) fn rest(&mut self) {
        self.hb_echo.behind_since = None;
    }

    /// Which sign of life has been missing for longer than `timeout`.
    pub(crate) fn silence(&self, timeout: Duration, now: Stamp) -> Option<Silence> {
        let over = |since: Option<Stamp>| since.is_some_and(|at| now.since(at) > timeout);
        if over(self.link_down_since) {
            Some(Silence::Link)
        } else if self.hb_dcs.is_silent(timeout, now) {
            Some(Silence::HbDcs)
        } else if over(self.hb_echo.behind_since) {
            Some(Silence::HbEcho)
        } else {
            None
        }
    }
}

/// A change of the operator's request between two good readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: ModeRequest,
    pub(crate) to: ModeRequest,
}

/// The operator's request and its edges. A bad reading counts as OFF and makes no edge, neither going nor returning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OperatorWatch {
    last_good: Option<ModeRequest>,
}

impl OperatorWatch {
    /// The request, and the edge if there is one at this step. An edge is seen once: what is not granted is spent.
    pub(crate) fn observe(&mut self, reading: &Reading<ModeRequest>) -> (ModeRequest, Option<Edge>) {
        let Some(to) = reading.good() else { return (ModeRequest::Off, None) };
        let from = self.last_good.replace(to);
        (to, from.filter(|from| *from != to).map(|from| Edge { from, to }))
    }
}

/// The epoch under which we may write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lease {
    at_arming: Option<u32>,
    granted: Option<u32>,
    /// The lease of the last engagement: never good for another.
    spent: Option<u32>,
}

impl Lease {
    /// Starts to wait for a lease other than `present`.
    pub(crate) fn arm(&mut self, present: u32) {
        *self = Self { at_arming: Some(present), granted: None, spent: self.spent };
    }

    /// While armed: takes what was read; a bad reading grants nothing.
    pub(crate) fn observe(&mut self, seen: Option<u32>) {
        self.granted = seen.filter(|s| self.at_arming.is_some_and(|old| old != *s) && self.spent != Some(*s));
    }

    /// The new lease, once the DCS has given it.
    pub(crate) fn granted(&self) -> Option<u32> {
        self.granted
    }

    /// Engages under the granted lease, which is thereby spent.
    pub(crate) fn engage(&mut self) {
        self.spent = self.granted;
    }
}

/// What the DCS allows us to do with an MV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Service {
    /// The operator has switched it off, or it is not commissioned.
    #[default]
    Off,
    /// A signal that we need is bad, its set-point lies outside its limits, or its writes fail.
    Faulty,
    /// In order, and its slave loop does not take our set-point.
    NotRcas,
    /// Ours.
    In,
}

impl Service {
    /// Whether the MV takes part in an engagement.
    pub(crate) fn takes_part(self) -> bool {
        matches!(self, Self::NotRcas | Self::In)
    }
}

/// What one step knows of one MV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MvScan {
    pub(crate) service: Service,
    /// `SP_ACT`, if good and finite.
    pub(crate) sp_act: Option<f64>,
    /// `SP_ACT`, if it also lies inside the plant file's limits: what may be tracked.
    pub(crate) track: Option<f64>,
    pub(crate) bounds: Option<Bounds>,
    pub(crate) init_req: bool,
}

impl MvScan {
    /// Judges one MV. `failed` says that its writes fail.
    pub(crate) fn of(checks: &MvChecks, read: &MvRead, bounds: Option<Bounds>, failed: bool) -> Self {
        let plant = Range { lo: checks.lo, hi: checks.hi };
        let sp_act = read.sp_act.finite();
        let track =
            sp_act.filter(|sp| checks.commissioned && plant.holds(*sp, checks.tolerance())).map(|sp| plant.nearest(sp));
        let inside = |b: &Bounds| sp_act.is_some_and(|sp| b.hard.holds(sp, b.tolerance));
        let service = if !checks.commissioned || read.opr_on.good() != Some(true) {
            Service::Off
        } else if failed || !bounds.as_ref().is_some_and(inside) || read.mode.good().is_none() {
            Service::Faulty
        } else if read.mode.good() == Some(MvMode::Rcas) {
            Service::In
        } else {
            Service::NotRcas
        };
        Self { service, sp_act, track, bounds, init_req: read.init_req.good() == Some(true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signals::Quality;

    const T: Duration = Duration::from_secs(1);

    fn good<V: Copy>(value: V) -> Reading<V> {
        Reading::of(value, Stamp::ZERO)
    }

    fn at(seconds: f64) -> Stamp {
        Stamp::from_secs_f64(seconds)
    }

    #[test]
    fn a_counter_that_stood_there_at_the_start_is_no_sign_of_life() {
        let mut pulse = Pulse::default();
        pulse.observe(&good(7), at(0.0));
        assert!(pulse.is_silent(T, at(0.0)));
        pulse.observe(&good(8), at(0.5));
        assert!(!pulse.is_silent(T, at(1.5)));
        pulse.observe(&Reading { quality: Quality::Bad, ..good(9) }, at(1.0));
        assert!(pulse.is_silent(T, at(1.6)), "a bad reading is no advance");
    }

    #[test]
    fn an_echo_is_late_only_while_we_beat() {
        let mut echo = Echo::default();
        echo.observe(&good(123), 0, 5, at(0.0));
        assert_eq!(echo.behind_since, None, "the echo of an earlier run");
        echo.beat(at(1.0));
        echo.observe(&good(124), 1, 5, at(2.0));
        assert_eq!(echo.behind_since, Some(at(1.0)), "an advance of a foreign echo does not help");
        echo.observe(&good(1), 1, 5, at(3.0));
        assert_eq!(echo.behind_since, None);
        echo.beat(at(4.0));
        echo.beat(at(5.0));
        echo.observe(&good(2), 3, 5, at(6.0));
        assert_eq!(echo.behind_since, Some(at(6.0)), "it advances and is not there yet");
    }

    #[test]
    fn a_silence_of_exactly_the_time_out_is_none_yet() {
        let (mut link, mut echo) = (DcsWatch::default(), DcsWatch::default());
        let mut dcs = DcsView::default();
        for (hb, seconds) in [(1, 0.0), (2, 1.0), (3, 2.0)] {
            dcs.hb_dcs = good(hb);
            link.observe(&dcs, seconds < 1.0, (0, 5), at(seconds));
            echo.observe(&dcs, true, (0, 5), at(seconds));
        }
        echo.beat(at(1.0));
        assert_eq!((link.silence(T, at(2.0)), echo.silence(T, at(2.0))), (None, None));
        let over = at(2.0) + Duration::from_nanos(1);
        assert_eq!((link.silence(T, over), echo.silence(T, over)), (Some(Silence::Link), Some(Silence::HbEcho)));
    }

    #[test]
    fn an_echo_follows_across_the_wrap_of_the_counter() {
        let mut echo = Echo { value: Some(u32::MAX), behind_since: Some(at(1.0)) };
        echo.observe(&good(0), 1, 5, at(2.0));
        assert_eq!(echo.behind_since, Some(at(2.0)));
    }

    #[test]
    fn a_request_that_stood_there_or_came_back_from_bad_is_no_edge() {
        let mut operator = OperatorWatch::default();
        let bad = Reading { quality: Quality::Bad, ..good(ModeRequest::Warm) };
        assert_eq!(operator.observe(&good(ModeRequest::Warm)), (ModeRequest::Warm, None));
        assert_eq!(operator.observe(&bad), (ModeRequest::Off, None));
        assert_eq!(operator.observe(&good(ModeRequest::Warm)), (ModeRequest::Warm, None));
        operator.observe(&good(ModeRequest::Off));
        let edge = Edge { from: ModeRequest::Off, to: ModeRequest::Warm };
        assert_eq!(operator.observe(&good(ModeRequest::Warm)), (ModeRequest::Warm, Some(edge)));
        assert_eq!(operator.observe(&good(ModeRequest::Warm)).1, None, "spent");
    }

    #[test]
    fn a_lease_is_new_and_good_for_one_engagement() {
        let mut lease = Lease::default();
        lease.observe(Some(3));
        assert_eq!(lease.granted(), None, "not armed");
        lease.arm(3);
        lease.observe(Some(3));
        assert_eq!(lease.granted(), None);
        lease.observe(Some(4));
        assert_eq!(lease.granted(), Some(4));
        lease.engage();
        lease.arm(5);
        lease.observe(Some(4));
        assert_eq!(lease.granted(), None, "spent by the last engagement");
        lease.observe(None);
        assert_eq!(lease.granted(), None);
    }
}
