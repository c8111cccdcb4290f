//! To the DCS: approved moves, and whatever else of ours has changed, recommendations included.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::kernel::watchdog::Permit;
use opcua::types::{AttributeId, NodeId, NumericRange, StatusCode, Variant, WriteValue};
use safety::{ApprovedMove, CheckId, MoveKind, WriteReport};
use signals::dcs::{ApcView, DcsTag, DcsView, Direction, ModeActual, MvTag, Reading, WireValue};
use signals::{Fixed, MAX_MVS, Quality, Stamp};
use tokio::time::Instant;

use super::connect::Connection;
use super::error::{LinkError, unreachable};
use super::{Link, read_back, value};

/// How often the silence of the subscription is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Serves a connection until it is lost; gives the reason.
pub(super) async fn serve(connection: &Connection, link: &Link) -> LinkError {
    let plant = &link.settings.loaded.plant;
    let period = link.settings.clock.wall_span(plant.period());
    let silent_after = (3 * period).max(Duration::from_secs(1));
    let mut writer = Writer::new(connection, link);
    let mut next_read = Instant::now() + period;
    loop {
        // Status before orders: what withdraws a move goes out before the move is looked at.
        let done = tokio::select! {
            biased;
            () = tokio::time::sleep_until(next_read) => {
                let read = connection.read_all(&plant.dcs).await;
                // Counted from its end, so that a read that takes a period leaves a turn to the others.
                next_read = Instant::now() + period;
                read
            }
            () = link.outlet.changed() => writer.status().await,
            () = link.orders.wake.notified() => writer.orders().await,
            () = tokio::time::sleep(LOOK) => Ok(()),
        };
        let done = match done {
            Ok(()) => writer.watch().await,
            failed => failed,
        };
        if let Err(why) = done {
            return why;
        }
        if connection.open.ended.is_finished() {
            return unreachable(&plant.dcs, "serve", "the server or the network ended the session");
        }
        if connection.heard.silence() > silent_after {
            return LinkError::Silent(connection.heard.silence());
        }
    }
}

/// A set-point in the tag's unit, inside the DCS's own limits as they came. Conversion to the model's unit and back may
/// leave a value at its limit one bit outside, and the DCS would refuse it.
fn within(value: f64, (lo, hi): (Option<f64>, Option<f64>)) -> f64 {
    match (lo, hi) {
        (Some(lo), Some(hi)) if lo <= hi => value.clamp(lo, hi),
        _ => value,
    }
}

/// What speaks, right before the write, against any set-points by time alone: the cycle has stood still, or they have
/// expired.
pub(crate) fn overdue(permit: &Permit, boot_ns: i64, now: Stamp, valid_until: Stamp) -> Option<&'static str> {
    permit.objection(boot_ns).or_else(|| (now > valid_until).then_some("it has expired"))
}

/// What speaks, right before the write, against set-points that were approved under `lease`: the mode that the loop now
/// shows, or what the DCS now says.
pub(crate) fn objection(kind: MoveKind, lease: u32, mode: ModeActual, dcs: &DcsView) -> Option<&'static str> {
    match kind {
        MoveKind::Track if matches!(mode, ModeActual::Off | ModeActual::Shed | ModeActual::Fault) => {
            Some("the loop tracks no more")
        }
        MoveKind::Track => None,
        MoveKind::Move if mode != ModeActual::On => Some("the loop is not ON any more"),
        MoveKind::Move if dcs.lease.good() != Some(lease) => Some("its lease is over"),
        MoveKind::Move if dcs.permit.good() != Some(true) || dcs.wd_ok.good() != Some(true) => {
            Some("the DCS permits no more")
        }
        MoveKind::Move => None,
    }
}

/// What speaks, right before the write, against a move by the age of what the DCS said last. A DCS gives one control period
/// for a withdrawal to be heard; over a link that is slower, a move may be written that it has withdrawn before.
pub(crate) fn unheard(kind: MoveKind, said: Stamp, now: Stamp, period: Duration) -> Option<&'static str> {
    let old = kind == MoveKind::Move && now.since(said) > period;
    old.then_some("what the DCS said is older than a control period")
}

/// What the DCS is told in the place of `view` once the watchdog has dropped the permit: FAULT, for a cause that is check
/// 24 unless another came first. The heartbeat is not written any more; it stands where it was.
fn without_permit(mut view: ApcView) -> ApcView {
    view.mode_act.value = ModeActual::Fault;
    if view.shed_reason.good().is_none_or(|code| code == 0) {
        view.shed_reason = Reading::of(100 * CheckId::ScanOverrun.number(), view.mode_act.source_time);
    }
    view.hb_apc.quality = Quality::Bad;
    view
}

/// Writes, and remembers what was written.
struct Writer<'a> {
    connection: &'a Connection,
    link: &'a Link,
    nodes: BTreeMap<DcsTag, NodeId>,
    view: ApcView,
    last: BTreeMap<DcsTag, WireValue>,
    /// Tags whose last write was refused, and when they may be tried again.
    refused: BTreeMap<DcsTag, Instant>,
    failures: Fixed<u32, MAX_MVS>,
    confirmed: u64,
    said_revision: bool,
}

impl<'a> Writer<'a> {
    fn new(connection: &'a Connection, link: &'a Link) -> Self {
        let plant = &link.settings.loaded.plant;
        let ours = connection.nodes.iter().filter(|(tag, _)| tag.direction() == Direction::ApcToDcs);
        let before = link.inlet.writes.read().unwrap_or_default();
        Self {
            connection,
            link,
            nodes: ours.cloned().collect(),
            view: ApcView::sized(plant.mvs.len(), plant.cvs.len()),
            last: BTreeMap::new(),
            refused: BTreeMap::new(),
            failures: Fixed::filled(0, plant.mvs.len()),
            confirmed: before.confirmed,
            said_revision: false,
        }
    }

    async fn orders(&mut self) -> Result<(), LinkError> {
        if let Some(approved) = self.link.orders.approved.take() {
            self.write_move(approved).await?;
        }
        Ok(())
    }

    /// Writes the set-points of a move, if at this last moment it may still be written.
    async fn write_move(&mut self, approved: ApprovedMove) -> Result<(), LinkError> {
        let (plant, clock) = (&self.link.settings.loaded.plant, self.link.settings.clock);
        if approved.id() <= self.confirmed {
            // The numbers begin anew: another interlock's.
            self.confirmed = 0;
        }
        let overdue = overdue(&self.link.permit, clock.boot_ns(), clock.now(), approved.valid_until());
        let void = overdue.or_else(|| self.withdrawn(&approved));
        if let Some(why) = void {
            self.link.counts.0.late_moves.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(id = approved.id(), why, "an approved move is not written any more");
            return Ok(());
        }
        let wanted = plant.mvs.iter().enumerate().filter_map(|(i, mv)| {
            let n = u8::try_from(i).ok()?;
            let u = within(mv.tag.to_model.to_tag(approved.set_point(i)?), self.connection.heard.raw_clamp(n));
            Some((i, DcsTag::Mv(n, MvTag::SpReq), WireValue::Double(u)))
        });
        let wanted: Vec<_> = wanted.collect();
        let writes: Vec<_> = wanted.iter().map(|(_, tag, value)| (*tag, value::to_variant(*value))).collect();
        let statuses = self.write(&writes).await?;
        let statuses = self.read_back(&wanted, statuses).await?;
        let mut all_good = !wanted.is_empty();
        for ((i, tag, _), status) in wanted.iter().zip(statuses) {
            all_good &= status.is_good();
            self.count(*tag, status);
            if let Some(failures) = self.failures.get_mut(*i) {
                *failures = if status.is_good() { 0 } else { failures.saturating_add(1) };
            }
        }
        if all_good {
            self.confirmed = approved.id();
        }
        let at = self.link.settings.clock.now();
        self.link.inlet.writes.put(WriteReport { confirmed: self.confirmed, failures: self.failures, at });
        Ok(())
    }

    /// The statuses of a move's writes, with those that the DCS answered well and does not hold made bad.
    async fn read_back(
        &self,
        sent: &[(usize, DcsTag, WireValue)],
        answers: Vec<StatusCode>,
    ) -> Result<Vec<StatusCode>, LinkError> {
        let dcs = &self.link.settings.loaded.plant.dcs;
        let nodes: Vec<_> = sent.iter().filter_map(|(_, tag, _)| self.nodes.get(tag).cloned()).collect();
        let held = read_back::read(&self.connection.open.session, &nodes).await;
        let held = held.map_err(|e| unreachable(dcs, "read set-points back", &e.to_string()))?;
        let judged = sent.iter().zip(answers).enumerate();
        Ok(judged.map(|(i, ((_, _, sent), answer))| read_back::judged(answer, *sent, held.get(i))).collect())
    }

    /// Why a move may not be written although it has not expired: the world has changed since the interlock looked.
    fn withdrawn(&self, approved: &ApprovedMove) -> Option<&'static str> {
        if !self.connection.heard.is_complete() {
            return Some("the DCS is not wholly heard over this connection");
        }
        let (Some(dcs), Some(ours)) = (self.link.inlet.dcs.read(), self.link.outlet.read()) else {
            return Some("nothing is known of the DCS");
        };
        let (said, now) = (dcs.hb_dcs.source_time, self.link.settings.clock.now());
        unheard(approved.kind(), said, now, self.link.settings.loaded.plant.period())
            .or_else(|| objection(approved.kind(), approved.lease(), ours.mode_act.value, &dcs))
    }

    /// A loop that hangs puts no status any more: once the permit is dropped, say so in its stead.
    async fn watch(&mut self) -> Result<(), LinkError> {
        if self.link.permit.lapse().is_some() { self.status().await } else { Ok(()) }
    }

    /// The words of the recommendation that `changed` brings: they are there before its number is.
    async fn write_reason(&mut self, changed: &[(DcsTag, WireValue)]) -> Result<(), LinkError> {
        let number = changed.iter().find_map(|(tag, value)| match (tag, value) {
            (DcsTag::RecId, WireValue::UInt32(id)) => Some(*id),
            _ => None,
        });
        let advice = self.link.advised.read().and_then(|advised| advised.advice);
        let Some(advice) = advice.filter(|advice| Some(advice.id) == number) else { return Ok(()) };
        let reason = Variant::from(crate::advice::reason(&advice, &self.link.settings.loaded.plant));
        for status in self.write(&[(DcsTag::RecReason, reason)]).await? {
            self.count(DcsTag::RecReason, status);
        }
        Ok(())
    }

    /// Writes every status tag whose value differs from what the DCS has.
    async fn status(&mut self) -> Result<(), LinkError> {
        let Some(view) = self.link.outlet.read() else { return Ok(()) };
        self.view = if self.link.permit.lapse().is_some() { without_permit(view) } else { view };
        let mut changed = Vec::new();
        for tag in self.nodes.keys().copied() {
            let Some(reading) = self.view.field_mut(tag).map(|f| f.get()) else { continue };
            let Reading { value, quality: Quality::Good, .. } = reading else { continue };
            let value = self.in_tag_unit(tag, value);
            let may_try = self.refused.get(&tag).is_none_or(|from| Instant::now() >= *from);
            if may_try && self.last.get(&tag) != Some(&value) {
                changed.push((tag, value));
            }
        }
        self.write_reason(&changed).await?;
        let mut writes: Vec<_> = changed.iter().map(|(tag, value)| (*tag, value::to_variant(*value))).collect();
        if !self.said_revision {
            writes.push((DcsTag::CfgRev, Variant::from(self.link.settings.loaded.revision.clone())));
        }
        if writes.is_empty() {
            return Ok(());
        }
        let statuses = self.write(&writes).await?;
        self.said_revision |= statuses.get(changed.len()).is_some_and(StatusCode::is_good);
        let period = self.link.settings.clock.wall_span(self.link.settings.loaded.plant.period());
        for ((tag, value), status) in changed.into_iter().zip(&statuses) {
            self.count(tag, *status);
            // What was refused is tried again, once a period: the DCS must not go on believing what we said before.
            if status.is_good() {
                self.last.insert(tag, value);
                self.refused.remove(&tag);
            } else {
                self.refused.insert(tag, Instant::now() + period);
            }
        }
        Ok(())
    }

    fn in_tag_unit(&self, tag: DcsTag, value: WireValue) -> WireValue {
        let n = usize::from(tag.number());
        match (tag, value) {
            (DcsTag::Cv(..) | DcsTag::RecPred(_) | DcsTag::RecHold(_), WireValue::Double(v)) => {
                let cv = self.link.settings.loaded.plant.cvs.get(n);
                WireValue::Double(cv.map_or(v, |cv| cv.tag.to_model.to_tag(v)))
            }
            (DcsTag::RecSp(_), WireValue::Double(v)) => {
                let mv = self.link.settings.loaded.plant.mvs.get(n);
                WireValue::Double(mv.map_or(v, |mv| mv.tag.to_model.to_tag(v)))
            }
            _ => value,
        }
    }

    async fn write(&self, writes: &[(DcsTag, Variant)]) -> Result<Vec<StatusCode>, LinkError> {
        let to_write = |(tag, variant): &(DcsTag, Variant)| {
            let node = self.nodes.get(tag)?.clone();
            let data = value::to_data_value(variant.clone(), Quality::Good);
            Some(WriteValue::new(node, AttributeId::Value, NumericRange::None, data))
        };
        let values: Vec<_> = writes.iter().filter_map(to_write).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let dcs = &self.link.settings.loaded.plant.dcs;
        let write = self.connection.open.session.write(&values);
        let statuses = write.await.map_err(|e| unreachable(dcs, "write", &e.to_string()))?;
        if statuses.len() == values.len() {
            return Ok(statuses);
        }
        let answer = format!("{} values were written, {} answers came", values.len(), statuses.len());
        Err(unreachable(dcs, "write", &answer))
    }

    fn count(&self, tag: DcsTag, status: StatusCode) {
        if status.is_bad() {
            self.link.counts.0.failed_writes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%tag, %status, "the DCS refused a write, or does not hold what it confirmed");
        }
    }
}

#[cfg(test)]
mod tests {
    use actors::kernel::Clock;
    use actors::kernel::watchdog::{Heartbeat, Sign, Watch, Watchdog};

    use super::*;
    use crate::config::Affine;

    #[test]
    fn a_set_point_at_its_limit_stays_at_it_through_conversion_and_back() {
        let by = Affine::between(&"degC".parse().unwrap(), &"K".parse().unwrap()).unwrap();
        let mut outside = 0;
        for tenth in 0..2001 {
            let clamp = f64::from(tenth) / 10.0;
            let back = by.to_tag(by.value(clamp));
            outside += usize::from(back > clamp);
            assert!(within(back, (Some(0.0), Some(clamp))) <= clamp);
        }
        assert!(outside > 0, "the negative control: conversion alone leaves some outside");
    }

    fn permitting() -> DcsView {
        let mut dcs = DcsView::sized(1, 1, 0);
        dcs.lease = Reading::of(7, Stamp::ZERO);
        dcs.permit = Reading::of(true, Stamp::ZERO);
        dcs.wd_ok = Reading::of(true, Stamp::ZERO);
        dcs
    }

    #[test]
    fn a_move_is_withdrawn_by_its_loop_its_lease_its_permit_and_the_watchdog() {
        let on = |dcs: &DcsView| objection(MoveKind::Move, 7, ModeActual::On, dcs);
        assert_eq!(on(&permitting()), None, "the negative control");
        for mode in ModeActual::ALL.iter().copied().filter(|mode| *mode != ModeActual::On) {
            assert!(objection(MoveKind::Move, 7, mode, &permitting()).is_some(), "{mode:?}");
        }
        let spoil: [fn(&mut DcsView); 6] = [
            |dcs| dcs.lease.value = 8,
            |dcs| dcs.lease.quality = Quality::Bad,
            |dcs| dcs.permit.value = false,
            |dcs| dcs.permit.quality = Quality::Uncertain,
            |dcs| dcs.wd_ok.value = false,
            |dcs| dcs.wd_ok.quality = Quality::Bad,
        ];
        for (case, spoil) in spoil.iter().enumerate() {
            let mut dcs = permitting();
            spoil(&mut dcs);
            assert!(on(&dcs).is_some(), "case {case}");
        }
    }

    #[test]
    fn a_move_is_not_written_on_words_that_are_older_than_a_period() {
        let (now, period) = (Stamp::from_secs_f64(100.0), Duration::from_secs(1));
        let ask = |kind, said_s| unheard(kind, Stamp::from_secs_f64(said_s), now, period).is_some();
        assert!(ask(MoveKind::Move, 98.9) && !ask(MoveKind::Move, 99.0));
        assert!(!ask(MoveKind::Track, 90.0), "tracking moves nothing");
        assert!(!ask(MoveKind::Move, 100.5), "a clock that is a little ahead");
    }

    #[test]
    fn a_move_is_not_written_after_its_time_nor_after_a_silence_of_the_cycle() {
        let (heartbeat, clock) = (Heartbeat::new(), Clock::wall(1.0));
        let (permit, boot_ns, hour_ns) = (heartbeat.permit(), clock.boot_ns(), 3_600_000_000_000);
        let ask = |boot_ns, now_s| {
            let (now, until) = (Stamp::from_secs_f64(now_s), Stamp::from_secs_f64(10.0));
            overdue(&permit, boot_ns, now, until)
        };
        heartbeat.give(Sign::Beat, boot_ns);
        assert_eq!((ask(boot_ns, 10.0), ask(boot_ns, 10.1)), (None, Some("it has expired")));
        assert_eq!(ask(boot_ns + 3 * hour_ns, 10.0), None, "the negative control: nobody watches");
        let watch = Watch { limit: Duration::from_secs(3600), priority: None };
        let _watchdog = Watchdog::start(&heartbeat, watch, clock, |_| {}).unwrap();
        assert_eq!(ask(boot_ns + hour_ns, 10.0), None);
        assert!(ask(boot_ns + hour_ns + 1, 10.0).is_some());
        assert!(ask(boot_ns, 10.0).is_some(), "it does not come back");
    }

    #[test]
    fn without_the_permit_the_dcs_is_told_fault_and_the_heartbeat_is_not_written() {
        let mut view = ApcView::sized(1, 1);
        view.mode_act = Reading::of(ModeActual::On, Stamp::ZERO);
        view.hb_apc = Reading::of(41, Stamp::ZERO);
        view.shed_reason = Reading::of(0, Stamp::ZERO);
        let told = without_permit(view);
        assert_eq!((told.mode_act.good(), told.hb_apc.good()), (Some(ModeActual::Fault), None));
        assert_eq!(told.shed_reason.good(), Some(2400));
        view.shed_reason.value = 10;
        assert_eq!(without_permit(view).shed_reason.good(), Some(10), "the first-out stays");
    }

    #[test]
    fn tracking_ends_with_the_loop() {
        let track = |mode| objection(MoveKind::Track, 0, mode, &permitting());
        for mode in [ModeActual::Off, ModeActual::Shed, ModeActual::Fault] {
            assert!(track(mode).is_some(), "{mode:?}");
        }
        assert_eq!((track(ModeActual::Warm), track(ModeActual::Init)), (None, None));
    }

    #[test]
    fn crossed_or_unknown_limits_leave_a_set_point_alone() {
        for limits in [(Some(2.0), Some(1.0)), (None, Some(1.0)), (Some(f64::NAN), Some(1.0))] {
            assert!((within(5.0, limits) - 5.0).abs() < f64::EPSILON);
        }
    }
}
