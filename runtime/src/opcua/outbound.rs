//! To the DCS: approved moves first, then whatever else of ours has changed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opcua::types::{AttributeId, NodeId, NumericRange, StatusCode, Variant, WriteValue};
use safety::{ApprovedMove, MoveKind, Recommended, WriteReport};
use signals::dcs::{ApcView, DcsTag, Direction, MvTag, Reading, WireValue};
use signals::{Fixed, MAX_MVS, Quality};

use super::connect::Connection;
use super::error::{LinkError, unreachable};
use super::{Link, value};

/// How often the silence of the subscription is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Serves a connection until it is lost; gives the reason.
pub(super) async fn serve(connection: &Connection, link: &Link) -> LinkError {
    let plant = &link.settings.loaded.plant;
    let silent_after = (3 * link.settings.clock.wall_span(plant.period())).max(Duration::from_secs(1));
    let mut writer = Writer::new(connection, link);
    loop {
        let written = tokio::select! {
            () = link.orders.wake.notified() => writer.orders().await,
            () = link.outlet.changed() => writer.status().await,
            () = tokio::time::sleep(LOOK) => Ok(()),
        };
        if let Err(why) = written {
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

/// Writes, and remembers what was written.
struct Writer<'a> {
    connection: &'a Connection,
    link: &'a Link,
    nodes: BTreeMap<DcsTag, NodeId>,
    view: ApcView,
    last: BTreeMap<DcsTag, WireValue>,
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
            failures: Fixed::filled(0, plant.mvs.len()),
            confirmed: before.confirmed,
            said_revision: false,
        }
    }

    async fn orders(&mut self) -> Result<(), LinkError> {
        if let Some(approved) = self.link.orders.approved.take() {
            self.write_move(approved).await?;
        }
        if let Some(recommended) = self.link.orders.recommended.take() {
            self.write_recommendation(recommended).await?;
        }
        Ok(())
    }

    /// Writes the set-points of a move, if at this last moment it may still be written.
    async fn write_move(&mut self, approved: ApprovedMove) -> Result<(), LinkError> {
        let (plant, now) = (&self.link.settings.loaded.plant, self.link.settings.clock.now());
        let lease = self.link.inlet.dcs.read().and_then(|dcs| dcs.lease.good());
        let stale_lease = approved.kind() == MoveKind::Move && lease != Some(approved.lease());
        if now > approved.valid_until() || stale_lease {
            self.link.counts.0.late_moves.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(id = approved.id(), stale_lease, "an approved move came too late and was not written");
            return Ok(());
        }
        let wanted = plant.mvs.iter().enumerate().filter_map(|(i, mv)| {
            let tag = DcsTag::Mv(u8::try_from(i).ok()?, MvTag::SpReq);
            Some((i, tag, WireValue::Double(mv.tag.to_model.to_tag(approved.set_point(i)?))))
        });
        let wanted: Vec<_> = wanted.collect();
        let writes: Vec<_> = wanted.iter().map(|(_, tag, value)| (*tag, value::to_variant(*value))).collect();
        let statuses = self.write(&writes).await?;
        let mut all_good = true;
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

    async fn write_recommendation(&mut self, recommended: Recommended) -> Result<(), LinkError> {
        let plant = &self.link.settings.loaded.plant;
        let expiry_s = recommended.valid_until.since(self.link.settings.clock.now()).as_secs_f64();
        let mut writes = vec![(DcsTag::RecReason, Variant::from(format!("{:?}", recommended.proposer)))];
        for (mv, (n, u)) in plant.mvs.iter().zip((0_u8..).zip(&recommended.u)) {
            writes.push((DcsTag::RecSp(n), Variant::from(mv.tag.to_model.to_tag(*u))));
        }
        writes.push((DcsTag::RecExpiryS, Variant::from(expiry_s)));
        // The number last: a person who sees it sees what belongs to it.
        writes.push((DcsTag::RecId, Variant::from(recommended.id)));
        let statuses = self.write(&writes).await?;
        for ((tag, _), status) in writes.iter().zip(statuses) {
            self.count(*tag, status);
        }
        Ok(())
    }

    /// Writes every status tag whose value differs from what the DCS has.
    async fn status(&mut self) -> Result<(), LinkError> {
        let Some(view) = self.link.outlet.read() else { return Ok(()) };
        self.view = view;
        let mut changed = Vec::new();
        for tag in self.nodes.keys().copied() {
            let Some(reading) = self.view.field_mut(tag).map(|f| f.get()) else { continue };
            let Reading { value, quality: Quality::Good, .. } = reading else { continue };
            let value = self.in_tag_unit(tag, value);
            if self.last.get(&tag) != Some(&value) {
                changed.push((tag, value));
            }
        }
        let mut writes: Vec<_> = changed.iter().map(|(tag, value)| (*tag, value::to_variant(*value))).collect();
        if !self.said_revision {
            writes.push((DcsTag::CfgRev, Variant::from(self.link.settings.loaded.revision.clone())));
            self.said_revision = true;
        }
        if writes.is_empty() {
            return Ok(());
        }
        let statuses = self.write(&writes).await?;
        for ((tag, value), status) in changed.into_iter().zip(&statuses) {
            self.count(tag, *status);
            // What was refused counts as written, too: it is not tried again until it changes.
            self.last.insert(tag, value);
        }
        Ok(())
    }

    fn in_tag_unit(&self, tag: DcsTag, value: WireValue) -> WireValue {
        let n = usize::from(tag.number());
        match (tag, value) {
            (DcsTag::Cv(..), WireValue::Double(v)) => {
                let cv = self.link.settings.loaded.plant.cvs.get(n);
                WireValue::Double(cv.map_or(v, |cv| cv.tag.to_model.to_tag(v)))
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
        self.connection.open.session.write(&values).await.map_err(|e| unreachable(dcs, "write", &e.to_string()))
    }

    fn count(&self, tag: DcsTag, status: StatusCode) {
        if status.is_bad() {
            self.link.counts.0.failed_writes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%tag, %status, "the DCS refused a write");
        }
    }
}
