//! Looks through a server's address space: what is there, for a person who writes a plant file.

use std::time::Duration;

use opcua::client::Session;
use opcua::types::{
    BrowseDescription, BrowseDirection, BrowseResultMask, NodeClass, NodeClassMask, NodeId, ObjectId, ReferenceTypeId,
};

use super::connect::{Pki, open_session};
use super::error::{LinkError, unreachable};
use crate::config::Dcs;

/// A node that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place: the browse names from Objects on.
    pub path: String,
    /// Its identifier.
    pub node: String,
    /// Whether it has a value.
    pub is_variable: bool,
}

/// Folders below each other that are followed.
const DEPTH: usize = 12;
/// Nodes after which the search stops.
const MOST: usize = 100_000;

/// Every node below Objects, the server's own folder excepted, depth first.
///
/// # Errors
/// [`LinkError`] when the server cannot be reached or breaks off.
pub async fn browse(pki: &Pki, dcs: &Dcs) -> Result<Vec<Found>, LinkError> {
    let open = open_session(pki, dcs, Duration::from_secs(5)).await?;
    let mut found = Vec::new();
    let mut open_folders = vec![(NodeId::from(ObjectId::ObjectsFolder), String::new(), 0)];
    while let Some((folder, path, depth)) = open_folders.pop() {
        let children = children(&open.session, dcs, &folder).await?;
        for (node, name, class) in children {
            if node == ObjectId::Server || found.len() >= MOST {
                continue;
            }
            let path = format!("{path}/{name}");
            found.push(Found { path: path.clone(), node: node.to_string(), is_variable: class == NodeClass::Variable });
            if class == NodeClass::Object && depth < DEPTH {
                open_folders.push((node, path, depth + 1));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

async fn children(
    session: &Session,
    dcs: &Dcs,
    folder: &NodeId,
) -> Result<Vec<(NodeId, String, NodeClass)>, LinkError> {
    let failed = |e: opcua::types::Error| unreachable(dcs, "browse", &e.to_string());
    let description = BrowseDescription {
        node_id: folder.clone(),
        browse_direction: BrowseDirection::Forward,
        reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
        include_subtypes: true,
        node_class_mask: (NodeClassMask::OBJECT | NodeClassMask::VARIABLE).bits(),
        result_mask: BrowseResultMask::All as u32,
    };
    let mut results = session.browse(&[description], 1000, None).await.map_err(failed)?;
    let mut out = Vec::new();
    while let Some(result) = results.pop() {
        for reference in result.references.into_iter().flatten() {
            out.push((reference.node_id.node_id, reference.browse_name.name.to_string(), reference.node_class));
        }
        if !result.continuation_point.is_null() {
            results.extend(session.browse_next(false, &[result.continuation_point]).await.map_err(failed)?);
        }
    }
    Ok(out)
}
