//! From the DCS: one subscription to every tag that it owns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actors::Inlet;
use actors::kernel::Clock;
use opcua::client::{MonitoredItem, OnSubscriptionNotification, Session};
use opcua::types::{
    DataChangeFilter, DataChangeTrigger, DataValue, ExtensionObject, MonitoredItemCreateRequest, MonitoringMode,
    MonitoringParameters, NodeId, ReadValueId, StatusChangeNotification, TimestampsToReturn,
};
use signals::dcs::{CvTag, DcsTag, DcsView, Direction, DvTag, MvTag, WireValue};
use signals::{Quality, Sample, TagId};

use super::error::{LinkError, unreachable};
use super::{LinkCounts, LinkSettings, value};
use crate::config::{Affine, PlantFile};

/// When the subscription spoke last, on the wall's clock.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    at_ns: Arc<AtomicI64>,
    clock: Clock,
}

impl Heard {
    fn now(&self) {
        self.at_ns.store(self.clock.wall_ns(), Ordering::Relaxed);
    }

    pub(super) fn silence(&self) -> Duration {
        let silent_ns = self.clock.wall_ns() - self.at_ns.load(Ordering::Relaxed);
        Duration::from_nanos(u64::try_from(silent_ns).unwrap_or(0))
    }
}

/// A tag that the DCS owns, and how its numbers become the model's.
#[derive(Clone, Copy, Debug)]
struct Known {
    tag: DcsTag,
    by: Affine,
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
    let heard = Heard { at_ns: Arc::new(AtomicI64::new(settings.clock.wall_ns())), clock: settings.clock };
    let owned: Vec<_> = nodes.iter().filter(|(tag, _)| tag.direction() == Direction::DcsToApc).collect();
    let handles = (1_u32..).zip(&owned);
    let known = handles.clone().map(|(handle, (tag, _))| (handle, known(plant, *tag))).collect();
    let receiver = Receiver {
        known,
        view: DcsView::sized(plant.mvs.len(), plant.cvs.len(), plant.dvs.len()),
        inlet: inlet.clone(),
        sequence: 0,
        cvs: plant.cvs.len(),
        heard: heard.clone(),
        counts: counts.clone(),
    };
    let id = session
        .create_subscription(publishing, 100, 10, 0, 0, true, receiver)
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
    let measured = matches!(tag, DcsTag::Cv(_, CvTag::Pv) | DcsTag::Dv(_, DvTag::Pv) | DcsTag::Mv(_, MvTag::SpAct));
    let trigger = if measured { DataChangeTrigger::StatusValueTimestamp } else { DataChangeTrigger::StatusValue };
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
    Known { tag, by: by.unwrap_or(Affine::IDENTITY), is_span: matches!(tag, DcsTag::Mv(_, MvTag::RocMax)) }
}

/// Hears the subscription and fills the inlet.
struct Receiver {
    known: BTreeMap<u32, Known>,
    view: DcsView,
    inlet: Inlet,
    sequence: u64,
    cvs: usize,
    heard: Heard,
    counts: LinkCounts,
}

impl Receiver {
    /// The tag's place among the measured ones, if it is a measurement.
    fn measured(&self, tag: DcsTag) -> Option<TagId> {
        let index = match tag {
            DcsTag::Cv(n, CvTag::Pv) => usize::from(n),
            DcsTag::Dv(n, DvTag::Pv) => self.cvs + usize::from(n),
            _ => return None,
        };
        u16::try_from(index).ok().map(TagId)
    }
}

impl OnSubscriptionNotification for Receiver {
    fn on_subscription_status_change(&mut self, notification: StatusChangeNotification) {
        tracing::warn!(status = %notification.status, "the server changed the subscription's status");
    }

    fn on_data_value(&mut self, data: DataValue, item: &MonitoredItem) {
        self.heard.now();
        let Some(known) = self.known.get(&item.client_handle()).copied() else { return };
        let wire = data.value.as_ref().and_then(value::from_variant).map(|wire| match wire {
            WireValue::Double(v) if known.is_span => WireValue::Double(known.by.span(v)),
            WireValue::Double(v) => WireValue::Double(known.by.value(v)),
            other => other,
        });
        let quality = value::quality(data.status);
        let now = self.heard.clock.now();
        let source_time = value::source_time(&data).map_or(now, |utc| self.heard.clock.at_utc(utc));
        let Some(field) = self.view.field_mut(known.tag) else { return };
        if !field.set(wire, quality, source_time) && quality != Quality::Bad {
            self.counts.0.refused_values.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(tag = %known.tag, value = ?data.value, expected = ?known.tag.wire_type(), "refused a value");
        }
        if let Some(tag) = self.measured(known.tag)
            && let Some(slot) = self.inlet.samples.get(tag.index())
        {
            self.sequence += 1;
            let reading = field_reading(&self.view, known.tag);
            slot.put(Sample { tag, value: reading.0, quality: reading.1, source_time, sequence: self.sequence });
        }
        self.inlet.dcs.put(self.view);
    }
}

/// What the image holds of a measurement, after the strict decoding of its field.
fn field_reading(view: &DcsView, tag: DcsTag) -> (f64, Quality) {
    let n = usize::from(tag.number());
    let reading = match tag {
        DcsTag::Dv(..) => view.dvs.get(n).map(|dv| dv.pv),
        _ => view.cvs.get(n).map(|cv| cv.pv),
    };
    reading.map_or((f64::NAN, Quality::Bad), |r| (r.value, r.quality))
}
