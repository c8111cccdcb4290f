//! From the DCS: one subscription to every tag that it owns.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::Inlet;
use actors::kernel::Clock;
use opcua::client::{MonitoredItem, OnSubscriptionNotification, Session};
use opcua::types::{
    DataChangeFilter, DataChangeTrigger, DataValue, ExtensionObject, MonitoredItemCreateRequest, MonitoringMode,
    MonitoringParameters, NodeId, ReadValueId, StatusChangeNotification, StatusCode, TimestampsToReturn,
};
use signals::dcs::{DcsTag, DcsView, Direction, MvTag, Reading, WireValue};
use signals::{Quality, Sample, Spared};

use super::error::{LinkError, unreachable};
use super::{LinkCounts, LinkSettings, value};
use crate::config::{Affine, PlantFile};

/// What is heard from the DCS over one connection: shared by the subscription, which tells what changes, and the
/// periodic read, which finds out what the subscription no longer tells.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    image: Arc<Mutex<Image>>,
    nodes: Arc<[(u32, NodeId)]>,
    clock: Clock,
}

impl Heard {
    /// How long the DCS has said nothing.
    pub(super) fn silence(&self) -> Duration {
        let silent_ns = self.clock.wall_ns() - self.image().heard_ns;
        Duration::from_nanos(u64::try_from(silent_ns).unwrap_or(0))
    }

    /// Whether every tag was heard at least once over this connection.
    pub(super) fn is_complete(&self) -> bool {
        self.image().missing == 0
    }

    /// The DCS's own limits of an MV's set-point, in the tag's unit, bit for bit as they came.
    pub(super) fn raw_clamp(&self, mv: u8) -> (Option<f64>, Option<f64>) {
        let image = self.image();
        let raw = |tag| image.raw_doubles.get(&DcsTag::Mv(mv, tag)).copied();
        (raw(MvTag::ClampLo), raw(MvTag::ClampHi))
    }

    /// Reads every tag that the DCS owns. A subscription whose one item has died looks healthy; a read does not.
    pub(super) async fn read_all(&self, session: &Session) -> Result<(), opcua::types::Error> {
        let nodes: Vec<_> = self.nodes.iter().map(|(_, node)| ReadValueId::new_value(node.clone())).collect();
        let values = session.read(&nodes, TimestampsToReturn::Both, 0.0).await?;
        for ((handle, _), value) in self.nodes.iter().zip(values) {
            self.image().hear(*handle, &value, true);
        }
        Ok(())
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnSubscriptionNotification for Heard {
    fn on_subscription_status_change(&mut self, notification: StatusChangeNotification) {
        tracing::warn!(status = %notification.status, "the server changed the subscription's status");
    }

    fn on_data_value(&mut self, data: DataValue, item: &MonitoredItem) {
        self.image().hear(item.client_handle(), &data, false);
    }
}

/// A tag that the DCS owns, and how its numbers become the model's.
#[derive(Clone, Copy, Debug)]
struct Known {
    tag: DcsTag,
    by: Affine,
    /// Whether it was heard over this connection.
    heard: bool,
    /// Whether the number is a rate or a span, which converts without the offset.
    is_span: bool,
}

/// Asks the server to report every tag that the DCS owns. Values that must be fresh are reported whenever their time
/// changes; the others when their value does. Only the newest of each is kept.
pub(super) async fn subscribe(
    session: &Session,
    nodes: &[(DcsTag, NodeId)],
    settings: &LinkSettings,
    (inlet, counts): (&Inlet, &LinkCounts),
) -> Result<Heard, LinkError> {
    let plant = &settings.loaded.plant;
    let failed = |what: &'static str, e: opcua::types::Error| unreachable(&plant.dcs, what, &e.to_string());
    let period = settings.clock.wall_span(plant.period());
    let publishing = (period / 10).clamp(Duration::from_millis(10), Duration::from_secs(1));
    let owned: Vec<_> = nodes.iter().filter(|(tag, _)| tag.direction() == Direction::DcsToApc).collect();
    let handles = (1_u32..).zip(&owned);
    let known: BTreeMap<_, _> = handles.clone().map(|(handle, (tag, _))| (handle, known(plant, *tag))).collect();
    let image = Image {
        missing: known.len(),
        known,
        view: DcsView::sized(plant.mvs.len(), plant.cvs.len(), plant.dvs.len()).with_spares(plant.spared()),
        spared: plant.spared(),
        raw_doubles: BTreeMap::new(),
        inlet: inlet.clone(),
        cvs: plant.cvs.len(),
        heard_ns: settings.clock.wall_ns(),
        clock: settings.clock,
        counts: counts.clone(),
    };
    let heard = Heard {
        image: Arc::new(Mutex::new(image)),
        nodes: handles.clone().map(|(handle, (_, node))| (handle, node.clone())).collect(),
        clock: settings.clock,
    };
    let id = session
        .create_subscription(publishing, 100, 10, 0, 0, true, heard.clone())
        .await
        .map_err(|e| failed("create a subscription", e))?;
    let items = handles.map(|(handle, (tag, node))| item(handle, *tag, node, publishing / 2)).collect();
    let created = session
        .create_monitored_items(id, TimestampsToReturn::Both, items)
        .await
        .map_err(|e| failed("monitor the tags", e))?;
    let refused = created.iter().zip(&owned).filter(|(created, _)| created.result.status_code.is_bad());
    let mut missing = refused.map(|(created, (_, node))| format!("{node} ({})", created.result.status_code));
    let Some(first) = missing.next() else { return Ok(heard) };
    Err(LinkError::MissingNode { endpoint: plant.dcs.endpoint.clone(), node: first, more: missing.count() })
}

fn item(handle: u32, tag: DcsTag, node: &NodeId, sampling: Duration) -> MonitoredItemCreateRequest {
    let timed = tag.measured(0).is_some() || matches!(tag, DcsTag::Mv(_, MvTag::SpAct));
    let trigger = if timed { DataChangeTrigger::StatusValueTimestamp } else { DataChangeTrigger::StatusValue };
    let filter = DataChangeFilter { trigger, deadband_type: 0, deadband_value: 0.0 };
    MonitoredItemCreateRequest::new(
        ReadValueId::new_value(node.clone()),
        MonitoringMode::Reporting,
        MonitoringParameters {
            client_handle: handle,
            sampling_interval: sampling.as_secs_f64() * 1e3,
            filter: ExtensionObject::from_message(filter),
            queue_size: 1,
            discard_oldest: true,
        },
    )
}

fn known(plant: &PlantFile, tag: DcsTag) -> Known {
    let n = usize::from(tag.number());
    let by = match tag {
        DcsTag::Mv(..) | DcsTag::RecSp(_) => plant.mvs.get(n).map(|mv| mv.tag.to_model),
        DcsTag::Cv(..) => plant.cvs.get(n).map(|cv| cv.tag.to_model),
        DcsTag::Dv(..) => plant.dvs.get(n).map(|dv| dv.tag.to_model),
        _ => None,
    };
    Known {
        tag,
        heard: false,
        by: by.unwrap_or(Affine::IDENTITY),
        is_span: matches!(tag, DcsTag::Mv(_, MvTag::RocMax)),
    }
}

/// The image of the DCS that one connection builds up. Nothing of it goes up before every tag was heard, samples no more
/// than the rest: a gap in the link must not look like permissives that are bad, and a lease of the last connection must
/// not look like this one's.
#[derive(Debug)]
struct Image {
    known: BTreeMap<u32, Known>,
    missing: usize,
    view: DcsView,
    raw_doubles: BTreeMap<DcsTag, f64>,
    inlet: Inlet,
    cvs: usize,
    spared: Spared,
    heard_ns: i64,
    clock: Clock,
    counts: LinkCounts,
}

impl Image {
    /// Takes a value in. One that was read may have been overtaken by a report: the older of the two is dropped.
    fn hear(&mut self, handle: u32, data: &DataValue, read: bool) {
        let Some(known) = self.known.get_mut(&handle) else { return };
        let (tag, by, is_span) = (known.tag, known.by, known.is_span);
        let was_missing = self.missing > 0;
        if !std::mem::replace(&mut known.heard, true) {
            self.missing -= 1;
        }
        let now = self.clock.now();
        let source_time = value::source_time(data).map_or(now, |utc| self.clock.at_utc(utc));
        let Some(field) = self.view.field_mut(tag) else { return };
        if read && source_time <= field.get().source_time {
            return;
        }
        if !read {
            self.heard_ns = self.clock.wall_ns();
        }
        let wire = data.value.as_ref().and_then(value::from_variant);
        if let Some(WireValue::Double(raw)) = wire {
            self.raw_doubles.insert(tag, raw);
        }
        let wire = wire.map(|wire| match wire {
            WireValue::Double(v) if is_span => WireValue::Double(by.span(v)),
            WireValue::Double(v) => WireValue::Double(by.value(v)),
            other => other,
        });
        // Some servers accept an item on a node that they do not have, and say so in its value.
        let unknown = [StatusCode::BadNodeIdUnknown, StatusCode::BadNodeIdInvalid];
        if let Some(status) = data.status.filter(|status| unknown.contains(status)) {
            tracing::error!(%tag, %status, "the server does not know this tag");
        }
        let quality = value::quality(data.status);
        if !field.set(wire, quality, source_time) && quality != Quality::Bad {
            self.counts.0.refused_values.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%tag, value = ?data.value, expected = ?tag.wire_type(), "refused a value");
        }
        self.pass_on(tag, was_missing);
    }

    /// Hands up what came, once the image is whole; with the last missing tag, all of it.
    fn pass_on(&mut self, tag: DcsTag, was_missing: bool) {
        if self.missing > 0 {
            return;
        }
        if was_missing {
            let tags: Vec<_> = self.known.values().map(|known| known.tag).collect();
            tags.into_iter().for_each(|tag| self.put_sample(tag));
        } else {
            self.put_sample(tag);
        }
        self.inlet.dcs.put(self.view);
        self.inlet.set_link(true);
    }

    /// Hands up a measurement. Its number counts the samples of its own transmitter, over all connections, and a sample is
    /// known by its time: what is told of it again, as after a new connection or with another status, bears its old number.
    fn put_sample(&mut self, tag: DcsTag) {
        let Some((id, transmitter)) = tag.measured(self.cvs) else { return };
        let tags = self.view.cvs.len() + self.view.dvs.len();
        let place = self.spared.place(tags, id, transmitter);
        let slot = place.and_then(|place| self.inlet.samples.get(place));
        let (Some(slot), Some(said)) = (slot, self.view.measurement(id, transmitter)) else { return };
        let Reading { value, quality, source_time } = said;
        let sequence = slot.read().map_or(1, |last| last.sequence + u64::from(last.source_time != source_time));
        slot.put(Sample { tag: id, value, quality, source_time, sequence });
    }
}

#[cfg(test)]
mod tests {
    use opcua::types::{DateTime, StatusCode, Variant};
    use signals::dcs::CvTag;
    use signals::{TagId, Unit};

    use super::*;

    /// An image of two tags: the permit (1) and the lease (2).
    fn image(inlet: &Inlet) -> Image {
        let known = |tag| Known { tag, heard: false, by: Affine::IDENTITY, is_span: false };
        Image {
            known: BTreeMap::from([(1, known(DcsTag::Permit)), (2, known(DcsTag::Lease))]),
            missing: 2,
            view: DcsView::sized(0, 0, 0),
            raw_doubles: BTreeMap::new(),
            inlet: inlet.clone(),
            cvs: 0,
            spared: Spared::default(),
            heard_ns: 0,
            clock: Clock::wall(1.0),
            counts: LinkCounts::default(),
        }
    }

    fn at(value: impl Into<Variant>, second: u16) -> DataValue {
        let source_timestamp = Some(DateTime::ymd_hms(2026, 1, 1, 0, 0, second));
        DataValue { value: Some(value.into()), source_timestamp, ..DataValue::default() }
    }

    #[test]
    fn nothing_goes_up_before_every_tag_was_heard() {
        let inlet = Inlet::new(0);
        let mut image = image(&inlet);
        image.hear(1, &at(true, 1), false);
        image.hear(1, &at(true, 2), false);
        assert!(inlet.dcs.read().is_none() && !inlet.link_up(), "half an image");
        image.hear(2, &at(7_u32, 2), false);
        assert!(inlet.link_up());
        let dcs = inlet.dcs.read().unwrap();
        assert_eq!((dcs.permit.good(), dcs.lease.good()), (Some(true), Some(7)));
    }

    #[test]
    fn a_new_connection_tells_no_sample_before_it_is_whole_and_goes_on_counting() {
        let (inlet, clock) = (Inlet::new(1), Clock::wall(1.0));
        let over_a_connection = |tags: &[u32]| {
            let mut image = image(&inlet);
            let pv = Known { tag: DcsTag::Cv(0, CvTag::Pv), heard: false, by: Affine::IDENTITY, is_span: false };
            image.known.insert(3, pv);
            (image.missing, image.cvs, image.view) = (3, 1, DcsView::sized(0, 1, 0));
            // One clock for a run, whatever becomes of its connections.
            image.clock = clock;
            for tag in tags {
                match tag {
                    1 => image.hear(1, &at(true, 1), false),
                    2 => image.hear(2, &at(7_u32, 1), false),
                    second => image.hear(3, &at(0.5, u16::try_from(*second).unwrap()), false),
                }
            }
            inlet.samples[0].read().map(|sample| (sample.sequence, sample.value.to_bits()))
        };
        let value = 0.5_f64.to_bits();
        assert_eq!(over_a_connection(&[5, 1]), None, "half an image");
        assert_eq!(over_a_connection(&[5, 1, 2]), Some((1, value)), "what was heard before comes with the last tag");
        assert_eq!(
            over_a_connection(&[5, 1, 2, 6]),
            Some((2, value)),
            "told again it is the same, the next has the next"
        );
        assert_eq!(over_a_connection(&[9]), Some((2, value)), "half an image of the next connection");
        assert_eq!(over_a_connection(&[9, 1, 2]), Some((3, value)), "the numbers go on over connections");
    }

    #[test]
    fn a_read_finds_what_the_subscription_missed_and_does_not_undo_what_it_told() {
        let inlet = Inlet::new(0);
        let mut image = image(&inlet);
        image.hear(1, &at(true, 1), false);
        image.hear(2, &at(7_u32, 1), false);
        image.hear(1, &at(false, 5), true);
        assert_eq!(inlet.dcs.read().unwrap().permit.good(), Some(false), "the item had died; the read tells");
        image.hear(1, &at(true, 4), true);
        assert_eq!(inlet.dcs.read().unwrap().permit.good(), Some(false), "an overtaken read changes nothing");
        image.hear(1, &at(true, 6), false);
        assert_eq!(inlet.dcs.read().unwrap().permit.good(), Some(true));
    }

    #[test]
    fn each_transmitter_of_three_has_its_slot_its_quality_its_time_and_its_numbers() {
        let spared = Spared::collect([false, true]);
        let inlet = Inlet::new(spared.transmitters(2));
        let by = Affine::between(&Unit::CELSIUS, &"K".parse().unwrap()).unwrap();
        let mut image = image(&inlet);
        let tags = DcsTag::all(0, 2, 0).into_iter().filter(|tag| tag.measured(2).is_some());
        for (handle, tag) in (3..).zip(tags.chain(DcsTag::spares(2, 0, spared))) {
            image.known.insert(handle, Known { tag, heard: false, by, is_span: false });
        }
        (image.missing, image.cvs, image.spared) = (6, 2, spared);
        image.view = DcsView::sized(0, 2, 0).with_spares(spared);
        image.hear(1, &at(true, 1), false);
        image.hear(2, &at(7_u32, 1), false);
        for (handle, celsius) in (3..).zip([10.0, 20.0, 21.0, 22.0]) {
            image.hear(handle, &at(celsius, 1), false);
        }
        let heard = || inlet.samples.iter().map(|s| s.read().unwrap()).collect::<Vec<_>>();
        let kelvins: Vec<_> = heard().iter().map(|s| (s.tag, s.value.round())).collect();
        assert_eq!(kelvins, [(TagId(0), 283.0), (TagId(1), 293.0), (TagId(1), 294.0), (TagId(1), 295.0)]);
        let bad = DataValue { status: Some(StatusCode::BadSensorFailure), ..at(21.0, 2) };
        image.hear(5, &bad, false);
        image.hear(6, &at(22.5, 2), false);
        image.hear(6, &at(22.5, 3), false);
        let now = heard();
        assert_eq!(now.iter().map(|s| s.sequence).collect::<Vec<_>>(), [1, 1, 2, 3]);
        assert_eq!(now.iter().map(|s| s.quality.is_good()).collect::<Vec<_>>(), [true, true, false, true]);
        assert!(now[3].source_time > now[2].source_time && now[2].source_time > now[1].source_time);
        // The same time again: another value under the same number, which check 20 calls a duplicate.
        image.hear(6, &at(23.0, 3), false);
        assert_eq!((inlet.samples[3].read().unwrap().sequence, now[3].sequence), (3, 3));
    }
}
