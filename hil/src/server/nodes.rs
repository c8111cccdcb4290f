//! The tags as OPC UA nodes: built once, refreshed from the rig's images, written through the rig's checks.
//!
//! Node ids are `ns=<urn:outrigger:rig>;s=<prefix><tag>`; folders follow the dots. The rig decides on every write:
//! the address space alone would take a text for a number.

use std::collections::BTreeMap;

use async_trait::async_trait;
use opcua::nodes::{AccessLevel, NodeType, ObjectBuilder, VariableBuilder};
use opcua::server::address_space::{AddressSpace, add_namespaces};
use opcua::server::diagnostics::NamespaceMetadata;
use opcua::server::node_manager::memory::{InMemoryNodeManager, InMemoryNodeManagerImpl};
use opcua::server::node_manager::{ParsedWriteValue, RequestContext, ServerContext, WriteNode};
use opcua::server::{SubscriptionCache, address_space::NodeBase};
use opcua::sync::RwLock;
use opcua::types::{
    AttributeId, DataTypeId, DataValue, DateTime, NodeId, NumericRange, ObjectId, QualifiedName, StatusCode,
    VariableTypeId, Variant,
};
use signals::dcs::{DcsTag, Direction, MvTag, Reading, Text, WireType, WireValue};
use signals::{Quality, Stamp};

use super::auth::Role;
use super::{NAMESPACE_URI, SharedRig, lock};
use crate::clock::WallClock;
use rig::Rig;
use rig::RigConfig;
use rig::WriteRefusal;
use rig::dcs::is_operator_tag;

/// The node manager of the rig.
pub(super) type RigNodeManager = InMemoryNodeManager<RigNodes>;

/// The tags of a loop, in the order of [`DcsTag::all`], then those of its spare transmitters.
pub(super) fn tags(config: &RigConfig) -> Vec<DcsTag> {
    let (mvs, cvs, dvs) = (config.mvs.len(), config.cvs.len(), config.dvs.len());
    DcsTag::all(mvs, cvs, dvs).into_iter().chain(DcsTag::spares(cvs, dvs, config.spared())).collect()
}

/// Who may write which node, by the node's name.
pub(super) fn writers(config: &RigConfig) -> BTreeMap<String, Role> {
    let prefix = config.prefix.to_string();
    let owned = tags(config).into_iter().filter_map(|tag| Some((format!("{prefix}{tag}"), writer(tag)?)));
    owned.collect()
}

fn writer(tag: DcsTag) -> Option<Role> {
    match tag.direction() {
        Direction::ApcToDcs => Some(Role::Application),
        Direction::DcsToApc => is_operator_tag(tag).then_some(Role::Operator),
    }
}

/// The rig's side of the node manager.
pub(super) struct RigNodes {
    rig: SharedRig,
    nodes: BTreeMap<String, DcsTag>,
    ids: Vec<(DcsTag, NodeId)>,
}

impl RigNodes {
    /// Builds the nodes of `rig` in `space`.
    pub(super) fn build(rig: SharedRig, context: &ServerContext, space: &mut AddressSpace) -> Self {
        let ns = add_namespaces(context, space, &[NAMESPACE_URI]).first().copied().unwrap_or_default();
        let (prefix, tags) = {
            let rig = lock(&rig);
            (rig.config().prefix.to_string(), tags(rig.config()))
        };
        let mut nodes = Self { rig, nodes: BTreeMap::new(), ids: Vec::new() };
        for tag in tags {
            let name = format!("{prefix}{tag}");
            let (folder, leaf) = name.rsplit_once('.').unwrap_or(("", &name));
            let parent = folders(space, ns, folder);
            let id = NodeId::new(ns, name.clone());
            variable(tag, &id, QualifiedName::new(ns, leaf)).organized_by(parent).insert(space);
            nodes.ids.push((tag, id));
            nodes.nodes.insert(name, tag);
        }
        nodes
    }

    fn tag(&self, id: &NodeId) -> Option<DcsTag> {
        let opcua::types::Identifier::String(name) = &id.identifier else { return None };
        self.nodes.get(name.as_ref()).copied()
    }

    /// What the rig now holds of a set-point that was written: it may have confirmed one that it did not take.
    fn held(&self, write: &ParsedWriteValue) -> Option<Variant> {
        let tag = self.tag(&write.node_id).filter(|tag| matches!(tag, DcsTag::Mv(_, MvTag::SpReq)))?;
        let mut apc = *lock(&self.rig).apc();
        apc.field_mut(tag).map(|field| variant(field.get().value))
    }

    /// One write; the status that the client is answered.
    fn write_one(&self, role: Role, write: &ParsedWriteValue) -> StatusCode {
        if write.attribute_id != AttributeId::Value || write.index_range.has_range() {
            return StatusCode::BadWriteNotSupported;
        }
        let Some(tag) = self.tag(&write.node_id) else { return StatusCode::BadNodeIdUnknown };
        let quality = quality(write.value.status);
        let mut rig = lock(&self.rig);
        let outcome = match (role, &write.value.value) {
            (Role::Application, Some(Variant::String(text))) if tag.wire_type() == WireType::String => {
                rig.write_text(tag, text.as_ref())
            }
            (role, Some(value)) => match (wire_value(value), role) {
                (None, _) => {
                    let refusal = WriteRefusal::WrongType { tag, expected: tag.wire_type() };
                    rig.count_refusal(&refusal);
                    Err(refusal)
                }
                (Some(value), Role::Application) => rig.write(tag, value, quality),
                (Some(value), Role::Operator) => rig.operate(tag, value),
            },
            (_, None) => return StatusCode::BadTypeMismatch,
        };
        if let Err(refusal) = &outcome {
            tracing::warn!(user = role.user(), %refusal, "write refused");
        }
        outcome.map_or_else(|refusal| status_of(&refusal), |()| StatusCode::Good)
    }
}

/// Writes what the images hold into the nodes, and tells the subscribers. Tags of the application are written when
/// its image has changed or `everything` is asked for.
pub(super) fn publish(
    manager: &RigNodeManager,
    subscriptions: &SubscriptionCache,
    clock: &WallClock,
    everything: bool,
) -> Result<(), StatusCode> {
    let values: Vec<(&NodeId, Option<&NumericRange>, DataValue)> = {
        let rig = lock(&manager.inner().rig);
        let wanted = |tag: &DcsTag| everything || tag.direction() == Direction::DcsToApc;
        let ids = manager.inner().ids.iter().filter(|(tag, _)| wanted(tag));
        ids.map(|(tag, id)| (id, None, data_value(&rig, *tag, clock))).collect()
    };
    manager.set_values(subscriptions, values.into_iter())
}

fn data_value(rig: &Rig, tag: DcsTag, clock: &WallClock) -> DataValue {
    let text = match tag {
        DcsTag::CfgRev => Some(&rig.texts().cfg_rev),
        DcsTag::RecReason => Some(&rig.texts().rec_reason),
        _ => None,
    };
    if let Some(text) = text {
        return DataValue::new_now(text.as_str());
    }
    let (mut view, mut apc) = (*rig.view(), *rig.apc());
    let reading = match view.field_mut(tag) {
        Some(field) => field.get(),
        None => apc.field_mut(tag).map_or_else(unknown, |field| field.get()),
    };
    let time = clock.utc(reading.source_time, rig.now()).map(DateTime::from);
    DataValue {
        value: Some(variant(reading.value)),
        status: Some(status(reading.quality, reading.source_time)),
        source_timestamp: time,
        server_timestamp: time,
        ..DataValue::default()
    }
}

fn unknown() -> Reading<WireValue> {
    Reading { value: WireValue::Boolean(false), quality: Quality::Bad, source_time: Stamp::NEVER }
}

#[async_trait]
impl InMemoryNodeManagerImpl for RigNodes {
    async fn init(&self, _space: &mut AddressSpace, _context: ServerContext) {}

    fn name(&self) -> &str {
        "rig"
    }

    fn namespaces(&self) -> Vec<NamespaceMetadata> {
        let index = self.ids.first().map_or(0, |(_, id)| id.namespace);
        let namespace_uri = NAMESPACE_URI.to_owned();
        vec![NamespaceMetadata { namespace_uri, namespace_index: index, ..NamespaceMetadata::default() }]
    }

    async fn write(
        &self,
        context: &RequestContext,
        space: &RwLock<AddressSpace>,
        writes: &mut [&mut WriteNode],
    ) -> Result<(), StatusCode> {
        let mut space = space.write();
        let type_tree = context.type_tree.read();
        for write in writes {
            let node = match space.validate_node_write(context, write.value(), &*type_tree) {
                Ok(node) => node,
                Err(status) => {
                    write.set_status(status);
                    continue;
                }
            };
            // The access level has been checked by the gate: who comes here without a role may write nothing.
            let Some(role) = Role::of(&context.token) else {
                write.set_status(StatusCode::BadUserAccessDenied);
                continue;
            };
            let status = self.write_one(role, write.value());
            write.set_status(status);
            if let (true, NodeType::Variable(variable)) = (status.is_good(), node) {
                let given = &write.value().value;
                let written = self.held(write.value()).or_else(|| given.value.clone()).unwrap_or_default();
                let stored = DataValue::new_now_status(written, given.status.unwrap_or(StatusCode::Good));
                variable.set_data_value(stored.clone());
                let changed = [(stored, variable.node_id(), AttributeId::Value)];
                context.subscriptions.notify_data_change(changed.into_iter());
            }
        }
        Ok(())
    }
}

/// The folder of a dotted path, built with its parents where it is missing.
fn folders(space: &mut AddressSpace, ns: u16, path: &str) -> NodeId {
    if path.is_empty() {
        return ObjectId::ObjectsFolder.into();
    }
    let id = NodeId::new(ns, path.to_owned());
    if !space.node_exists(&id) {
        let (parent, leaf) = path.rsplit_once('.').unwrap_or(("", path));
        let parent = folders(space, ns, parent);
        ObjectBuilder::new(&id, QualifiedName::new(ns, leaf), leaf).is_folder().organized_by(parent).insert(space);
    }
    id
}

fn variable(tag: DcsTag, id: &NodeId, name: QualifiedName) -> VariableBuilder {
    let (data_type, empty) = match tag.wire_type() {
        WireType::Boolean => (DataTypeId::Boolean, Variant::Boolean(false)),
        WireType::UInt16 => (DataTypeId::UInt16, Variant::UInt16(0)),
        WireType::UInt32 => (DataTypeId::UInt32, Variant::UInt32(0)),
        WireType::Int32 => (DataTypeId::Int32, Variant::Int32(0)),
        WireType::Double => (DataTypeId::Double, Variant::Double(0.0)),
        WireType::String => (DataTypeId::String, Variant::from("")),
    };
    let display = name.name.to_string();
    let node = VariableBuilder::new(id, name, display)
        .data_type(data_type)
        .value_rank(-1)
        .value(empty)
        .access_level(AccessLevel::CURRENT_READ)
        .user_access_level(AccessLevel::CURRENT_READ)
        .minimum_sampling_interval(super::SAMPLING_MIN_MS)
        .has_type_definition(VariableTypeId::BaseDataVariableType);
    if writer(tag).is_some() { node.writable() } else { node }
}

fn variant(value: WireValue) -> Variant {
    match value {
        WireValue::Boolean(v) => Variant::Boolean(v),
        WireValue::UInt16(v) => Variant::UInt16(v),
        WireValue::UInt32(v) => Variant::UInt32(v),
        WireValue::Int32(v) => Variant::Int32(v),
        WireValue::Double(v) => Variant::Double(v),
        WireValue::String(v) => Variant::from(v.as_str()),
    }
}

/// A scalar of the interface's types; nothing is converted.
fn wire_value(value: &Variant) -> Option<WireValue> {
    Some(match value {
        Variant::Boolean(v) => WireValue::Boolean(*v),
        Variant::UInt16(v) => WireValue::UInt16(*v),
        Variant::UInt32(v) => WireValue::UInt32(*v),
        Variant::Int32(v) => WireValue::Int32(*v),
        Variant::Double(v) => WireValue::Double(*v),
        Variant::String(v) => WireValue::String(Text::new(v.as_ref())),
        _ => return None,
    })
}

/// The severity of a status; a missing one is good (OPC 10000-4, 7.11).
fn quality(status: Option<StatusCode>) -> Quality {
    match status {
        None => Quality::Good,
        Some(status) if status.is_good() => Quality::Good,
        Some(status) if status.is_uncertain() => Quality::Uncertain,
        Some(_) => Quality::Bad,
    }
}

fn status(quality: Quality, source_time: Stamp) -> StatusCode {
    match quality {
        Quality::Good => StatusCode::Good,
        Quality::Uncertain => StatusCode::Uncertain,
        Quality::Bad if source_time == Stamp::NEVER => StatusCode::BadWaitingForInitialData,
        Quality::Bad => StatusCode::Bad,
    }
}

fn status_of(refusal: &WriteRefusal) -> StatusCode {
    match refusal {
        WriteRefusal::NoSuchTag { .. } => StatusCode::BadNodeIdUnknown,
        WriteRefusal::NotWritable { .. } => StatusCode::BadNotWritable,
        WriteRefusal::WrongType { .. } => StatusCode::BadTypeMismatch,
        WriteRefusal::Stale { .. } => StatusCode::BadInvalidState,
        WriteRefusal::NoSuchCode { .. } | WriteRefusal::NotFinite { .. } | WriteRefusal::OutsideClamp { .. } => {
            StatusCode::BadOutOfRange
        }
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
