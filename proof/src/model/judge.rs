//! The judge: what must hold at every scan. It goes by what stands on the interface and by what the operator really did, never
//! by the interlock's memory, and shares no code with it.

use safety::{Reach, State};
use signals::Stamp;
use signals::dcs::{ModeActual, MvMode};

use super::process::{Approval, Image, Message, Process, Scan, Stepped};
use super::setup::{CV_HIGH, HIGH, LATE_MAX, LOW, PERIOD, RATE_PER_S, SILENT_PERIODS, SPAN};
use super::world::World;

/// What of a set-point is rounding.
const ROUNDING: f64 = 1e-5 * SPAN;
/// The greatest bump at a change of mode, in percent of range.
const BUMP_MAX_PCT: f64 = 0.1 + 1e-9;
/// The DCS's watchdog, in control periods.
const WATCHDOG_PERIODS: u64 = 3;

fn is_set(bits: u32, bit: u32) -> bool {
    bits & bit != 0
}

fn is_clear(bits: u32, bit: u32) -> bool {
    !is_set(bits, bit)
}

macro_rules! named {
    ($(#[$meta:meta])* $kind:ident, $property:ident($holds:ident($mask:ident)): $($name:ident = $text:literal,)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant says what it is in the text beside it")]
        pub enum $kind { $($name),* }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// In words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            fn bit(self) -> u32 {
                1 << self as u8
            }

            /// One property of the checker for each.
            pub(super) fn properties() -> Vec<stateright::Property<super::check::Machine>> {
                vec![$(stateright::Property::$property($text, |_, node: &super::check::Node| {
                    $holds(node.world.truth.$mask, Self::$name.bit())
                })),*]
            }
        }
    };
}

named! {
    /// What must hold at every scan.
    Invariant, always(is_clear(broken)):
    Range = "I1: what is written lies inside the limits",
    Rate = "I2: no move exceeds its rate",
    BuiltOnLanded = "I2: a move is built on one that has landed",
    Reset = "I3: a latch is left only by an act of the operator, and one act leaves one",
    ResetRefused = "I4: it is not left without PERMIT, link and good data",
    LatchedWrites = "I5: Tripped and Shed write nothing and withdraw what waits",
    Hazard = "I6: a hazard that is known has its effect in the same scan",
    FirstOut = "I7: SHED_REASON stands until the reset, over a restart too",
    LeaseAtWrite = "I8: a move is written only under the lease and the permissives last heard",
    LeaseAtDcs = "I8: no move of another lease is in use at the DCS",
    SpentOnce = "I8: an approval is written once",
    Silent = "I9: without our heartbeat the DCS has its MVs back",
    AdvisoryWrites = "I11: advisory writes no set-point",
    Bumpless = "I12: an engagement begins with a zero move, and no change of mode bumps",
    NotRcas = "I12: only an MV in RCAS is moved",
    Armed = "SR-04: arming takes an act of the operator of its own, PERMIT and WD_OK",
    Engaged = "SR-04: engaging takes a new lease of its own",
    HandedOver = "SR-04: the DCS hands over only when its operator engages",
    Work = "I9: the heartbeat advances only after a usable solve",
    BootTripped = "I16: every start is tripped",
    StoodStill = "check 24: a process that stood still writes no set-point any more",
}

named! {
    /// What must happen in some life, or nothing was tried.
    Milestone, sometimes(is_set(seen)):
    Engages = "a loop engages",
    Moves = "a loop moves its MV",
    Holds = "a loop holds",
    Sheds = "a loop sheds",
    Trips = "a running loop trips",
    WatchdogSheds = "the DCS's watchdog sheds",
    EngagesAgain = "a loop engages again after a shed",
    LookStops = "the last look stops a move",
    LandsLate = "a write of before lands late",
    RefusesEdge = "a reset is refused",
    Restarts = "a process restarts beside MVs in RCAS",
    Recommends = "a recommendation is made",
}

impl Milestone {
    /// Whether a loop of this reach can come there at all.
    #[must_use]
    pub fn fits(self, reach: Reach) -> bool {
        match self {
            Self::Recommends => reach == Reach::Advisory,
            Self::Trips | Self::RefusesEdge => true,
            _ => reach == Reach::ClosedLoop,
        }
    }
}

/// What the judge knows: the operator's acts, what they were used for, and what went over the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Truth {
    /// [`Invariant`]s broken in the last scan.
    pub(super) broken: u32,
    /// [`Milestone`]s passed in the last scan.
    pub(super) seen: u32,
    /// The plant's measurement.
    pub(super) cv: f64,
    /// How often the operator raised his request from OFF, asked for ON, engaged.
    pub(super) raises: u32,
    pub(super) ons: u32,
    pub(super) grants: u32,
    used_raise: u32,
    used_on: u32,
    used_grant: u32,
    handed_over: u32,
    /// Whether the process has stepped, and whether it ever stood still.
    stepped: bool,
    pub(super) stood: bool,
    /// The lease of the engagement.
    lease: u32,
    /// `SHED_REASON` while latched, else 0.
    reason: u16,
    /// The heartbeat that the loop has earned, the one that this process sent last, and when it changed.
    earned: u32,
    heartbeat: Option<u32>,
    beaten: u64,
    rcas_since: u64,
    usable_cycle: u64,
    /// The last move of the engagement, and the last that is known to have landed.
    last: Option<f64>,
    landed: Option<f64>,
    last_id: u64,
    /// The echo heard last, and since when it has stood although it is not what we sent.
    echo: u32,
    echo_stands: Option<u64>,
}

/// What happened in one scan.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    pub(super) stepped: Option<Stepped>,
    pub(super) restarted: bool,
    /// The last look stopped a move.
    pub(super) stopped: bool,
    pub(super) landed_late: Option<Message>,
}

impl Truth {
    fn expect(&mut self, holds: bool, invariant: Invariant) {
        if !holds {
            self.broken |= invariant.bit();
        }
    }

    fn note(&mut self, happened: bool, milestone: Milestone) {
        if happened {
            self.seen |= milestone.bit();
        }
    }

    /// Another process starts: it has done nothing yet.
    pub(super) fn restart(&mut self) {
        (self.stepped, self.stood, self.last_id, self.heartbeat) = (false, false, 0, None);
    }

    /// Whether an invariant is broken.
    pub(super) fn is_broken(&self) -> bool {
        self.broken != 0
    }
}

fn latched(state: State) -> bool {
    matches!(state, State::Boot | State::Tripped | State::Shed)
}

impl World {
    /// After the DCS's scan, before anything else: it is the first to judge a scan.
    pub(super) fn judge_dcs(&mut self, was_rcas: bool, at: Scan<'_>) {
        let is_rcas = self.is_rcas();
        let truth = &mut self.truth;
        (truth.broken, truth.seen) = (0, 0);
        if is_rcas && !was_rcas {
            truth.handed_over += 1;
            truth.rcas_since = at.number;
        }
        truth.expect(truth.handed_over <= truth.grants, Invariant::HandedOver);
        let silent = at.number - truth.beaten.max(truth.rcas_since);
        truth.expect(!is_rcas || silent <= at.setup.scans_of(WATCHDOG_PERIODS) + LATE_MAX, Invariant::Silent);
        truth.expect(self.dcs.tally().bump_pct <= BUMP_MAX_PCT, Invariant::Bumpless);
    }

    /// After a step of the interlock.
    pub(super) fn judge_step(&mut self, process: &Process, at: Scan<'_>, witness: &Witness) {
        let heard = process.heard.as_ref().zip(process.said);
        let Some((stepped, (image, said))) = witness.stepped.zip(heard) else { return };
        let (slot, truth) = (process.slot, &mut self.truth);
        if !self.standing.solver_fails && at.opens {
            truth.usable_cycle = at.cycle;
        }
        let before = stepped.before.filter(|_| truth.stepped).unwrap_or(State::Boot);
        let after = stepped.after;
        if std::mem::replace(&mut truth.stepped, true) {
            let worked = truth.usable_cycle + 1 >= at.cycle;
            truth.expect(said.heartbeat == truth.earned || worked, Invariant::Work);
        } else {
            truth.expect(after == State::Tripped && slot.is_none(), Invariant::BootTripped);
        }
        truth.earned = said.heartbeat;
        truth.expect(!latched(after) || slot.is_none(), Invariant::LatchedWrites);
        if latched(after) {
            truth.expect(said.shed_reason != 0, Invariant::FirstOut);
            truth.expect(truth.reason == 0 || truth.reason == said.shed_reason, Invariant::FirstOut);
        }
        truth.reason = if latched(after) { said.shed_reason } else { 0 };
        truth.acts(before, &stepped, image, self.standing.down);
        truth.hazards(before, &stepped, image);
        if let Some(approval) = slot.filter(|approval| approval.moves && approval.in_service) {
            let rcas = image.view.mvs.first().is_some_and(|mv| mv.mode.good() == Some(MvMode::Rcas));
            truth.expect(rcas && approval.lease == truth.lease, Invariant::NotRcas);
        }
        if !after.is_engaged() {
            (truth.last, truth.landed) = (None, None);
        }
        truth.note(after.is_engaged() && !before.is_engaged(), Milestone::Engages);
        truth.note(after == State::Hold, Milestone::Holds);
        truth.note(after == State::Shed && before != State::Shed, Milestone::Sheds);
        truth.note(after == State::Tripped && !latched(before), Milestone::Trips);
        truth.note(stepped.refused && latched(before), Milestone::RefusesEdge);
        truth.note(stepped.recommended, Milestone::Recommends);
        self.judge_signs_of_life(image, after, at);
    }

    /// An engaged loop knows of a DCS that it cannot hear, or that does not hear it.
    fn judge_signs_of_life(&mut self, image: &Image, after: State, at: Scan<'_>) {
        let (limit, echo) = (at.setup.scans_of(SILENT_PERIODS), image.view.hb_echo.value);
        let (standing, truth) = (&self.standing, &mut self.truth);
        if truth.heartbeat.is_none_or(|sent| sent == echo) {
            truth.echo_stands = None;
        } else if truth.echo != echo || truth.echo_stands.is_none() {
            truth.echo_stands = Some(at.number);
        }
        truth.echo = echo;
        let unheard = truth.echo_stands.is_some_and(|since| at.number - since > limit);
        let lost = standing.down && at.number - standing.down_since > limit;
        truth.expect(!after.is_engaged() || !(unheard || lost || at.number - image.scan > limit), Invariant::Hazard);
    }

    /// When something goes on the wire.
    pub(super) fn judge_sent(&mut self, process: &Process, message: &Message, at: Scan<'_>) {
        let (said, truth) = (message.said, &mut self.truth);
        truth.expect(said.heartbeat == truth.earned, Invariant::Work);
        if truth.heartbeat.replace(said.heartbeat) != Some(said.heartbeat) {
            truth.beaten = at.number;
        }
        let Some(approval) = message.points else { return };
        let Some(u) = approval.set_point else { return };
        truth.expect(at.setup.reach == Reach::ClosedLoop, Invariant::AdvisoryWrites);
        truth.expect(approval.id > truth.last_id, Invariant::SpentOnce);
        truth.last_id = approval.id;
        truth.expect((LOW - ROUNDING..=HIGH + ROUNDING).contains(&u), Invariant::Range);
        let silent = matches!(said.mode_act, ModeActual::Off | ModeActual::Shed | ModeActual::Fault);
        truth.expect(!silent, Invariant::LatchedWrites);
        truth.expect(!truth.stood, Invariant::StoodStill);
        if approval.moves {
            truth.move_sent(process, &approval, u, at.now);
        }
    }

    /// What the process is told of the fate of a set-point.
    pub(super) fn judge_landed(&mut self, approval: &Approval, landed: bool) {
        if approval.moves && landed {
            self.truth.landed = approval.set_point;
        }
    }

    /// At the end of a scan.
    pub(super) fn judge(&mut self, witness: &Witness) {
        let (rcas, lease) = (self.is_rcas(), self.dcs.view().lease.value);
        let wd_ok = self.dcs.view().wd_ok.value;
        let truth = &mut self.truth;
        if let Some(late) = witness.landed_late.as_ref().and_then(|message| message.points) {
            let in_use = rcas && lease != 0 && late.moves && late.set_point.is_some();
            truth.expect(!in_use || late.lease == lease, Invariant::LeaseAtDcs);
            truth.note(true, Milestone::LandsLate);
        }
        truth.note(witness.stopped, Milestone::LookStops);
        truth.note(witness.restarted && rcas, Milestone::Restarts);
        truth.note(!wd_ok, Milestone::WatchdogSheds);
    }
}

impl Truth {
    /// What takes an act of the operator, and whether there was one that was not used for something else.
    fn acts(&mut self, before: State, stepped: &Stepped, image: &Image, down: bool) {
        let (view, after) = (&image.view, stepped.after);
        if latched(before) && !latched(after) {
            self.expect(image.raises > self.used_raise, Invariant::Reset);
            let data = view.cvs.first().is_some_and(|cv| cv.pv.finite().is_some());
            self.expect(view.permit.good() == Some(true) && data && !down, Invariant::ResetRefused);
        }
        if latched(before) && (stepped.refused || !latched(after)) {
            (self.used_raise, self.used_on) = (image.raises, image.ons);
        }
        if before != State::Armed && after == State::Armed {
            let permitted = view.permit.good() == Some(true) && view.wd_ok.good() == Some(true);
            self.expect(image.ons > self.used_on && permitted, Invariant::Armed);
        }
        if after == State::Armed || stepped.refused {
            self.used_on = image.ons;
        }
        if !before.is_engaged() && after.is_engaged() {
            self.expect(before == State::Armed && image.grants > self.used_grant, Invariant::Engaged);
            self.note(self.used_grant > 0, Milestone::EngagesAgain);
            (self.used_grant, self.lease) = (image.grants, view.lease.value);
        }
    }

    /// What must have its effect in the step that sees it.
    fn hazards(&mut self, before: State, stepped: &Stepped, image: &Image) {
        let (view, after) = (&image.view, stepped.after);
        let pv = view.cvs.first().map(|cv| cv.pv).unwrap_or_default();
        let out_of_range = pv.finite().is_some_and(|value| value > CV_HIGH);
        let trips = stepped.proposed_nan || out_of_range;
        self.expect(!trips || after == State::Tripped || before == State::Boot, Invariant::Hazard);
        self.expect(after != State::Active || pv.good().is_some(), Invariant::Hazard);
        let permitted = view.permit.good() == Some(true) && view.wd_ok.good() == Some(true);
        let granted = permitted && view.lease.good() == Some(self.lease);
        self.expect(granted || !after.is_engaged(), Invariant::Hazard);
    }

    fn move_sent(&mut self, process: &Process, approval: &Approval, u: f64, now: Stamp) {
        let Some(view) = process.heard.as_ref().map(|image| &image.view) else { return };
        let permitted = view.permit.good() == Some(true) && view.wd_ok.good() == Some(true);
        let leased = view.lease.good() == Some(approval.lease);
        self.expect(leased && permitted && now <= approval.valid_until, Invariant::LeaseAtWrite);
        let step = RATE_PER_S * PERIOD.as_secs_f64() + ROUNDING;
        self.expect(self.last.is_none_or(|last| (u - last).abs() <= step), Invariant::Rate);
        self.expect(self.landed.is_none_or(|landed| (u - landed).abs() <= step), Invariant::BuiltOnLanded);
        let in_use = view.mvs.first().map_or(u, |mv| mv.sp_act.value);
        self.expect(self.last.is_some() || (u - in_use).abs() <= ROUNDING, Invariant::Bumpless);
        self.note(self.last.is_some_and(|last| (u - last).abs() > ROUNDING), Milestone::Moves);
        self.last = Some(u);
    }
}
