//! The DCS against a scripted application that does its side of the hand-shake, or fails to.

use signals::dcs::{CvTag, DcsTag, MvTag, RecStatus, ShedOption, Text, Wire, WireType, WireValue};

use super::*;
use crate::command::Answer;
use crate::config::RigConfig;
use crate::test_plant;

const TS: usize = 18;

/// A DCS with one scan a second, and an application's hand at its tags.
struct Bench {
    dcs: Dcs,
    now: Stamp,
    heartbeat: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(test_plant())
    }

    fn with(config: RigConfig) -> Self {
        Self { dcs: Dcs::new(&config), now: Stamp::ZERO, heartbeat: 0 }
    }

    fn scan(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            self.dcs.scan(self.now, 1.0);
            self.dcs.image(self.now);
        }
    }

    /// Scans with a living heartbeat.
    fn alive(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.heartbeat += 1;
            self.write(DcsTag::HbApc, WireValue::UInt32(self.heartbeat)).unwrap();
            self.scan(1);
        }
    }

    fn write(&mut self, tag: DcsTag, value: WireValue) -> Result<(), WriteRefusal> {
        self.dcs.write(self.now, tag, value, Quality::Good)
    }

    fn say(&mut self, mode: ModeActual) {
        self.write(DcsTag::ModeAct, mode.encode()).unwrap();
    }

    fn request(&mut self, mv: u8, sp: f64) -> Result<(), WriteRefusal> {
        self.write(DcsTag::Mv(mv, MvTag::SpReq), WireValue::Double(sp))
    }

    fn track_and_acknowledge(&mut self) {
        for mv in 0..2 {
            let sp = self.sp(usize::from(mv));
            self.request(mv, sp).unwrap();
            self.write(DcsTag::Mv(mv, MvTag::InitAck), WireValue::Boolean(true)).unwrap();
        }
    }

    fn sp(&self, mv: usize) -> f64 {
        self.dcs.view().mvs[mv].sp_act.value
    }

    fn modes(&self) -> [MvMode; 2] {
        [self.dcs.view().mvs[0].mode.value, self.dcs.view().mvs[1].mode.value]
    }

    fn lease(&self) -> u32 {
        self.dcs.view().lease.value
    }

    fn armed() -> Self {
        Self::armed_with(test_plant())
    }

    fn armed_with(config: RigConfig) -> Self {
        let mut b = Self::with(config);
        b.alive(5);
        b.dcs.request_mode(b.now, ModeRequest::On);
        b.say(ModeActual::Init);
        b
    }

    /// In closed loop, both MVs in RCAS.
    fn on() -> Self {
        Self::on_with(test_plant())
    }

    fn on_with(config: RigConfig) -> Self {
        let mut b = Self::armed_with(config);
        b.dcs.engage(b.now).unwrap();
        b.alive(1);
        b.track_and_acknowledge();
        b.alive(1);
        b.say(ModeActual::On);
        b.alive(1);
        assert_eq!(b.modes(), [MvMode::Rcas; 2]);
        b
    }
}

#[test]
fn the_hand_shake_reaches_rcas_without_a_bump_under_a_new_lease() {
    let b = Bench::on();
    assert_eq!((b.lease(), b.dcs.tally().bump_pct), (1, 0.0));
    assert!(!b.dcs.view().mvs[0].init_req.value);
}

#[test]
fn engaging_is_refused_while_anything_stands_against_it() {
    type Spoil = fn(&mut Bench);
    let spoilers: [(Spoil, &str); 5] = [
        (|b| b.dcs.request_mode(b.now, ModeRequest::Advisory), "request"),
        (|b| b.dcs.set_permit(b.now, false), "permissives"),
        (|b| b.dcs.wd_ok = false, "watchdog"),
        (|b| b.say(ModeActual::Warm), "armed"),
        (|b| (0..2).for_each(|mv| b.dcs.switch_mv(mv, false).unwrap()), "no MV"),
    ];
    for (spoil, word) in spoilers {
        let mut b = Bench::armed();
        spoil(&mut b);
        let refusal = b.dcs.engage(b.now).unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
        b.scan(1);
        assert_eq!((b.lease(), b.dcs.view().mvs[0].init_req.value), (0, false), "{word}");
    }
    assert_eq!(Bench::armed().dcs.engage(Stamp::ZERO), Ok(()), "control: unspoiled it engages");
}

#[test]
fn without_an_acknowledgement_in_two_periods_the_mv_stays_in_auto() {
    let mut b = Bench::armed();
    b.dcs.engage(b.now).unwrap();
    b.alive(2 * TS);
    assert!(b.dcs.view().mvs[0].init_req.value, "two periods are not over");
    b.alive(2);
    assert_eq!((b.modes(), b.lease()), ([MvMode::Auto; 2], 0));
    assert!(!b.dcs.view().mvs[0].init_req.value);
    let causes: Vec<_> = b.dcs.tally().alarms.iter().map(|a| a.cause).collect();
    assert_eq!(causes, [AlarmCause::NoInitAck { mv: 1 }, AlarmCause::NoInitAck { mv: 2 }]);
    // Too late is too late.
    b.track_and_acknowledge();
    b.alive(5);
    assert_eq!(b.modes(), [MvMode::Auto; 2]);
}

#[test]
fn an_acknowledgement_away_from_the_set_point_or_from_before_does_not_count() {
    let mut b = Bench::armed();
    b.track_and_acknowledge();
    b.alive(1);
    b.dcs.engage(b.now).unwrap();
    b.alive(3);
    assert_eq!(b.modes(), [MvMode::Auto; 2], "the acknowledgement is older than the request");
    let off_by = |pct: f64| test_plant().mvs[0].range.width() * pct / 100.0;
    b.write(DcsTag::Mv(0, MvTag::InitAck), WireValue::Boolean(true)).unwrap();
    let sp = b.sp(0);
    b.request(0, sp + off_by(0.2)).unwrap();
    b.alive(3);
    assert_eq!(b.modes(), [MvMode::Auto; 2], "0.2 % away");
    b.request(0, sp + off_by(0.09)).unwrap();
    b.alive(1);
    assert_eq!(b.modes(), [MvMode::Rcas, MvMode::Auto]);
    let bump = b.dcs.tally().bump_pct;
    assert!((0.08..0.1).contains(&bump), "{bump}");
}

#[test]
fn a_silent_heartbeat_sheds_at_the_watchdog_time_and_nothing_returns_by_itself() {
    let mut b = Bench::on();
    assert_eq!(b.dcs.watchdog_time(), Duration::from_secs(54));
    b.request(0, 20.0).unwrap();
    b.alive(60);
    let sp = b.sp(0);
    // The last beat was written a second before the last scan.
    b.scan(52);
    assert_eq!(b.modes(), [MvMode::Rcas; 2], "a second early");
    b.scan(1);
    assert_eq!((b.modes(), b.lease()), ([MvMode::Auto; 2], 0));
    assert!(!b.dcs.view().wd_ok.value);
    assert!((b.sp(0) - sp).abs() < 1e-9, "held where it was");
    assert_eq!(b.dcs.tally().alarms.last().map(|a| a.cause), Some(AlarmCause::WatchdogTripped));
    // The application comes back, claims ON, tracks, acknowledges: nothing.
    b.alive(1);
    b.say(ModeActual::On);
    for _ in 0..3 {
        b.track_and_acknowledge();
        b.alive(TS);
    }
    assert_eq!((b.modes(), b.lease(), b.dcs.view().wd_ok.value), ([MvMode::Auto; 2], 0, false));
    b.say(ModeActual::Init);
    assert!(b.dcs.engage(b.now).is_err());
    // Only the operator: re-arm, engage, hand-shake, new epoch.
    b.dcs.rearm(b.now);
    b.alive(TS);
    assert_eq!(b.modes(), [MvMode::Auto; 2], "re-arming alone returns nothing");
    b.dcs.engage(b.now).unwrap();
    b.alive(1);
    b.track_and_acknowledge();
    b.alive(1);
    assert_eq!((b.modes(), b.lease()), ([MvMode::Rcas; 2], 2));
}

#[test]
fn a_claim_without_a_heartbeat_is_void() {
    let mut b = Bench::on();
    b.alive(54);
    assert_eq!(b.dcs.apc().mode_act.good(), Some(ModeActual::On), "the negative control");
    b.scan(54);
    assert_eq!(b.dcs.apc().mode_act.good(), None);
}

#[test]
fn control_a_living_heartbeat_does_not_shed() {
    let mut b = Bench::on();
    b.alive(10 * TS);
    assert_eq!((b.modes(), b.dcs.view().wd_ok.value, b.dcs.tally().sheds), ([MvMode::Rcas; 2], true, 0));
}

#[test]
fn a_heartbeat_of_bad_quality_or_without_change_is_no_heartbeat() {
    let mut b = Bench::on();
    for _ in 0..60 {
        let beat = WireValue::UInt32(b.heartbeat);
        b.write(DcsTag::HbApc, beat).unwrap();
        b.dcs.write(b.now, DcsTag::HbApc, WireValue::UInt32(b.heartbeat + 1), Quality::Bad).unwrap();
        b.write(DcsTag::HbApc, beat).unwrap();
        b.scan(1);
    }
    assert_eq!((b.modes(), b.dcs.view().wd_ok.value), ([MvMode::Auto; 2], false));
}

#[test]
fn the_watchdog_sleeps_while_nothing_is_handed_over_and_nobody_claims_on() {
    let mut b = Bench::armed();
    b.scan(1000);
    assert!(b.dcs.view().wd_ok.value);
    // A claim of ON without MVs is watched as well, counted from the claim.
    b.say(ModeActual::On);
    b.scan(53);
    assert!(b.dcs.view().wd_ok.value);
    b.scan(1);
    assert!(!b.dcs.view().wd_ok.value);
}

#[test]
fn each_shed_option_does_what_it_says() {
    for (option, mode) in
        [(ShedOption::HoldAuto, MvMode::Auto), (ShedOption::BackupSp, MvMode::Auto), (ShedOption::Man, MvMode::Man)]
    {
        let mut config = test_plant();
        (config.mvs[0].shed, config.mvs[0].backup_sp) = (option, 30.0);
        let mut b = Bench::on_with(config);
        b.dcs.set_permit(b.now, false);
        b.scan(1);
        assert_eq!((b.modes()[0], b.lease()), (mode, 0), "{option:?}");
        assert!(b.dcs.tally().bump_pct < 1e-6, "{option:?}: {}", b.dcs.tally().bump_pct);
        b.scan(120);
        let want = if option == ShedOption::BackupSp { 30.0 } else { 14.0 };
        assert!((b.sp(0) - want).abs() < 1e-6, "{option:?}: {}", b.sp(0));
    }
}

#[test]
fn the_application_letting_go_brings_the_mvs_back_to_auto_where_they_are() {
    for mode in [ModeActual::Off, ModeActual::Warm, ModeActual::Advisory, ModeActual::Shed, ModeActual::Fault] {
        let mut b = Bench::on();
        b.request(0, 30.0).unwrap();
        b.alive(3);
        let sp = b.sp(0);
        b.say(mode);
        b.alive(5);
        assert_eq!((b.modes(), b.lease()), ([MvMode::Auto; 2], 0), "{mode:?}");
        assert!((b.sp(0) - sp).abs() < 1e-9 && b.dcs.tally().bump_pct < 1e-9, "{mode:?}: {sp} {}", b.sp(0));
        assert_eq!(b.dcs.tally().sheds, 1);
    }
}

#[test]
fn a_lowered_request_and_a_switch_bring_the_mvs_back_and_count_as_no_shed() {
    let mut b = Bench::on();
    b.dcs.switch_mv(0, false).unwrap();
    b.alive(1);
    assert_eq!((b.modes(), b.lease()), ([MvMode::Auto, MvMode::Rcas], 1));
    // Joining again runs under the same lease, through the hand-shake.
    b.dcs.switch_mv(0, true).unwrap();
    b.alive(TS);
    assert_eq!(b.modes()[0], MvMode::Auto);
    b.dcs.engage(b.now).unwrap();
    b.alive(1);
    b.track_and_acknowledge();
    b.alive(1);
    assert_eq!((b.modes(), b.lease()), ([MvMode::Rcas; 2], 1));
    b.dcs.request_mode(b.now, ModeRequest::Warm);
    b.alive(1);
    assert_eq!((b.modes(), b.lease(), b.dcs.tally().sheds), ([MvMode::Auto; 2], 0, 0));
}

#[test]
fn a_request_is_taken_only_in_rcas_good_finite_and_inside_the_clamp() {
    let mut b = Bench::on();
    let sp = b.sp(0);
    for (value, refusal) in [(f64::NAN, "not_finite"), (f64::INFINITY, "not_finite"), (100.5, "outside_clamp")] {
        let before = *b.dcs.apc();
        assert_eq!(b.request(0, value).unwrap_err().reason(), refusal);
        assert_eq!(*b.dcs.apc(), before, "a refused write changes nothing");
    }
    b.dcs.write(b.now, DcsTag::Mv(0, MvTag::SpReq), WireValue::Double(30.0), Quality::Uncertain).unwrap();
    b.alive(5);
    assert_eq!(b.sp(0).to_bits(), sp.to_bits());
    b.request(0, 30.0).unwrap();
    b.alive(1);
    assert!((b.sp(0) - sp - 20.0 / 18.0).abs() < 1e-9, "control: a good request is taken, at the rate limit");
    let refused = &b.dcs.tally().refused_writes;
    assert_eq!(format!("{refused:?}"), r#"{"bad_quality": 1, "not_finite": 2, "outside_clamp": 1}"#);
}

#[test]
fn writes_of_another_type_to_others_tags_or_outside_an_enumeration_change_nothing() {
    let mut b = Bench::on();
    let (before, view) = (*b.dcs.apc(), *b.dcs.view());
    for (tag, value, reason) in [
        (DcsTag::Mv(0, MvTag::SpReq), WireValue::Int32(20), "wrong_type"),
        (DcsTag::HbApc, WireValue::Double(1.0), "wrong_type"),
        (DcsTag::CfgRev, WireValue::UInt32(1), "wrong_type"),
        (DcsTag::ModeAct, WireValue::Int32(7), "no_such_code"),
        (DcsTag::Mv(5, MvTag::SpReq), WireValue::Double(1.0), "no_such_tag"),
        (DcsTag::ModeReq, ModeRequest::On.encode(), "not_writable"),
        (DcsTag::Permit, WireValue::Boolean(true), "not_writable"),
        (DcsTag::Mv(0, MvTag::ClampHi), WireValue::Double(1e9), "not_writable"),
        (DcsTag::Cv(0, CvTag::Pv), WireValue::Double(0.0), "not_writable"),
    ] {
        assert_eq!(b.write(tag, value).unwrap_err().reason(), reason, "{tag}");
    }
    assert_eq!(b.dcs.write_text(DcsTag::ModeAct, "ON").unwrap_err().reason(), "wrong_type");
    assert_eq!((*b.dcs.apc(), *b.dcs.view()), (before, view));
    assert_eq!(b.dcs.write_text(DcsTag::CfgRev, "f00d"), Ok(()));
    assert_eq!(b.dcs.texts().cfg_rev, "f00d");
}

#[test]
fn every_tag_takes_its_own_type_from_its_owner_alone() {
    for tag in DcsTag::all(2, 3, 1) {
        let value = match tag.wire_type() {
            WireType::Boolean => WireValue::Boolean(true),
            WireType::UInt16 => WireValue::UInt16(1),
            WireType::UInt32 => WireValue::UInt32(1),
            WireType::Int32 => WireValue::Int32(1),
            WireType::Double => WireValue::Double(if matches!(tag, DcsTag::Mv(1, _)) { -4000.0 } else { 14.0 }),
            WireType::String => continue,
        };
        let mut b = Bench::new();
        // There is no recommendation to answer.
        b.dcs.check_answers(false);
        let ours = tag.direction() == signals::dcs::Direction::ApcToDcs;
        assert_eq!(b.write(tag, value).is_ok(), ours, "{tag}");
        let limits_only = matches!(tag, DcsTag::Cv(1 | 2, CvTag::SpOpr));
        let operators = is_operator_tag(tag) && !limits_only;
        assert_eq!(b.dcs.operate(b.now, tag, value).is_ok(), operators, "{tag}");
    }
}

#[test]
fn a_move_asked_for_without_being_on_is_counted_and_tracking_is_not() {
    let mut b = Bench::armed();
    let sp = b.sp(0);
    b.request(0, sp).unwrap();
    assert_eq!(b.dcs.tally().writes_while_not_on, 0);
    b.request(0, sp + 5.0).unwrap();
    assert_eq!(b.dcs.tally().writes_while_not_on, 1);
    b.alive(5);
    assert_eq!(b.sp(0).to_bits(), sp.to_bits(), "and it moved nothing");
    let mut b = Bench::on();
    b.request(0, sp + 5.0).unwrap();
    b.alive(2);
    assert_eq!(b.dcs.tally().writes_while_not_on, 0, "control: being ON it is none");
    // The lease is gone and the application still claims ON: one period of grace, no more.
    b.dcs.set_permit(b.now, false);
    b.alive(TS);
    b.request(0, sp + 9.0).unwrap();
    assert_eq!(b.dcs.tally().writes_while_not_on, 0);
    b.alive(1);
    b.request(0, sp + 9.0).unwrap();
    assert_eq!(b.dcs.tally().writes_while_not_on, 1);
}

#[test]
fn the_heartbeat_is_echoed_and_the_dcs_counts_its_own() {
    let mut b = Bench::new();
    b.alive(7);
    let view = b.dcs.view();
    assert_eq!((view.hb_echo.value, view.hb_dcs.value), (7, 7));
    assert_eq!(view.hb_dcs.source_time, b.now);
}

#[test]
fn an_operator_enters_what_he_may_and_nothing_else() {
    let mut b = Bench::new();
    assert!(b.dcs.set_setpoint(0, 0.9).is_ok());
    assert!(matches!(b.dcs.set_setpoint(0, 2.1), Err(CommandError::OutOfRange { .. })));
    assert!(matches!(b.dcs.set_setpoint(1, 130.0), Err(CommandError::NoSetpoint { number: 2 })));
    assert!(matches!(b.dcs.set_setpoint(3, 1.0), Err(CommandError::NoSuchVariable { .. })));
    b.dcs.set_cv_limits(1, 140.0, 100.0).unwrap();
    b.scan(1);
    let cv = b.dcs.view().cvs;
    assert_eq!((cv[0].sp_opr.good(), cv[1].sp_opr.good()), (Some(0.9), None));
    assert_eq!((cv[1].lo_opr.good(), cv[1].hi_opr.good()), (Some(140.0), Some(100.0)), "crossed limits are passed on");
    assert_eq!(b.dcs.operate(b.now, DcsTag::Permit, WireValue::UInt32(1)).unwrap_err().reason(), "wrong_type");
    assert_eq!(b.dcs.operate(b.now, DcsTag::ModeReq, WireValue::Int32(4)).unwrap_err().reason(), "no_such_code");
    let nan = WireValue::Double(f64::NAN);
    assert_eq!(b.dcs.operate(b.now, DcsTag::Cv(0, CvTag::HiOpr), nan).unwrap_err().reason(), "not_finite");
}

/// In ADVISORY, with the recommendation 7 open for a minute: MV1 to 20, MV2 to -3900.
fn recommending() -> Bench {
    let mut b = Bench::new();
    b.alive(1);
    b.dcs.request_mode(b.now, ModeRequest::Advisory);
    b.say(ModeActual::Advisory);
    for (mv, sp) in [(0, 20.0), (1, -3900.0)] {
        b.write(DcsTag::RecSp(mv), WireValue::Double(sp)).unwrap();
    }
    b.write(DcsTag::RecExpiryS, WireValue::Double(60.0)).unwrap();
    b.status(RecStatus::Open);
    b.write(DcsTag::RecId, WireValue::UInt32(7)).unwrap();
    b.scan(1);
    b
}

impl Bench {
    fn status(&mut self, status: RecStatus) {
        self.write(DcsTag::RecStatus, status.encode()).unwrap();
    }

    fn accept(&mut self, id: u32) -> Result<(), CommandError> {
        self.dcs.answer(self.now, Answer::Accept, id, "Meyer")
    }

    /// What stands on the answer tags.
    fn answered(&self) -> (u32, u32, String) {
        let rec = self.dcs.view().rec;
        (rec.accept.value, rec.reject.value, rec.user.value.as_str().to_owned())
    }
}

#[test]
fn what_is_accepted_is_applied_at_the_dcss_rate_once_the_application_has_taken_it() {
    let mut b = recommending();
    let (sp, rate) = (b.sp(0), test_plant().mvs[0].max_rate_per_s);
    assert_eq!(b.accept(7), Ok(()));
    b.scan(5);
    assert_eq!((b.answered(), b.sp(0).to_bits()), ((7, 0, "Meyer".to_owned()), sp.to_bits()), "not yet taken");
    b.status(RecStatus::Accepted);
    b.scan(1);
    assert!((b.sp(0) - sp - rate).abs() < 1e-9, "{} from {sp}", b.sp(0));
    b.scan(60);
    assert!((b.sp(0) - 20.0).abs() < 1e-9 && (b.sp(1) + 3900.0).abs() < 1e-9);
    assert_eq!((b.modes(), b.dcs.tally().writes_while_not_on), ([MvMode::Auto; 2], 0));
}

#[test]
fn only_slaves_in_auto_that_are_switched_on_follow_a_recommendation_and_none_beyond_its_clamp() {
    let mut b = recommending();
    b.dcs.at_slave(1, crate::command::SlaveAction::Mode(MvMode::Man)).unwrap();
    b.write(DcsTag::RecSp(0), WireValue::Double(1e6)).unwrap();
    b.accept(7).unwrap();
    b.status(RecStatus::Accepted);
    b.scan(200);
    let clamp = test_plant().mvs[0].clamp;
    assert!((b.sp(0) - clamp.high).abs() < 1e-9 && (b.sp(1) + 3900.0).abs() > 1.0, "{} {}", b.sp(0), b.sp(1));
}

#[test]
fn an_acceptance_that_the_application_does_not_take_moves_nothing() {
    for status in [RecStatus::Open, RecStatus::Rejected, RecStatus::Expired, RecStatus::Withdrawn] {
        let mut b = recommending();
        let sp = b.sp(0);
        b.accept(7).unwrap();
        b.status(status);
        b.scan(2 * TS + 2);
        // Too late is too late.
        b.status(RecStatus::Accepted);
        b.scan(5);
        assert_eq!(b.sp(0).to_bits(), sp.to_bits(), "{status:?}");
    }
}

#[test]
fn the_dcs_refuses_a_stale_answer_by_itself_and_only_while_its_check_is_on() {
    type Spoil = fn(&mut Bench);
    let spoilers: [(Spoil, u32, &str); 5] = [
        (|_| {}, 6, "another one"),
        (|b| b.scan(61), 7, "time is over"),
        (|b| b.status(RecStatus::Expired), 7, "does not wait"),
        (|b| b.status(RecStatus::Accepted), 7, "does not wait"),
        (|b| b.say(ModeActual::Warm), 7, "not in ADVISORY"),
    ];
    for (spoil, id, word) in spoilers {
        let mut b = recommending();
        spoil(&mut b);
        let refusal = b.accept(id).unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
        let over_the_wire = b.dcs.operate(b.now, DcsTag::RecReject, WireValue::UInt32(id)).unwrap_err();
        assert_eq!(over_the_wire.reason(), "stale");
        b.scan(1);
        assert_eq!(b.answered(), (0, 0, String::new()), "{word}: the application hears nothing of it");
        b.dcs.check_answers(false);
        b.accept(id).unwrap();
        b.scan(1);
        assert_eq!(b.answered().0, id, "{word}: the negative control");
    }
    assert_eq!(recommending().accept(7), Ok(()), "control: unspoiled it is taken");
}

#[test]
fn an_answer_over_the_wire_is_signed_by_the_name_that_was_written_before_it() {
    let mut b = recommending();
    let accept = WireValue::UInt32(7);
    assert_eq!(b.dcs.operate(b.now, DcsTag::RecAccept, accept).unwrap_err().reason(), "stale", "nobody has signed");
    b.dcs.operate(b.now, DcsTag::RecUser, WireValue::String(Text::new("Schmidt"))).unwrap();
    b.dcs.operate(b.now, DcsTag::RecAccept, accept).unwrap();
    b.scan(1);
    assert_eq!(b.answered(), (7, 0, "Schmidt".to_owned()));
    assert_eq!(b.dcs.operate(b.now, DcsTag::RecUser, accept).unwrap_err().reason(), "wrong_type");
    assert!(b.dcs.operate(b.now, DcsTag::RecAccept, WireValue::UInt32(0)).is_ok(), "0 clears the tag");
}
