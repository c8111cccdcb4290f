//! What can go wrong between us and a DCS.

use std::time::Duration;

use opcua::types::{Error, StatusCode};

use crate::config::Dcs;

/// A connection that could not be made, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Our own side is not in order; trying again will not mend it.
    #[error("{what}: {why}")]
    Setup {
        /// What was tried.
        what: String,
        /// What went wrong.
        why: String,
    },
    /// The server does not accept our identity; trying again would lock the account.
    #[error("the server at {endpoint} refuses the login ({status}); check [dcs.login] and the account")]
    Login {
        /// The server.
        endpoint: String,
        /// Its answer.
        status: StatusCode,
    },
    /// A run under an override is at a server that is not the rig.
    #[error("the server at {endpoint} is not the rig: it has no namespace \"{uri}\". The override is void")]
    NotTheRig {
        /// The server.
        endpoint: String,
        /// What the rig would have.
        uri: &'static str,
    },
    /// The server cannot be reached or broke the conversation off.
    #[error("{endpoint}: {what}: {why}")]
    Unreachable {
        /// The server.
        endpoint: String,
        /// What was tried.
        what: &'static str,
        /// What went wrong.
        why: String,
    },
    /// The server lacks tags that the plant file names.
    #[error("{endpoint} does not report {node}, nor {more} other tags; `outrigger browse` lists what it has")]
    MissingNode {
        /// The server.
        endpoint: String,
        /// The first of them, with the server's answer.
        node: String,
        /// How many more.
        more: usize,
    },
    /// The server said nothing for too long.
    #[error("no notification for {0:?}")]
    Silent(Duration),
}

impl LinkError {
    /// Whether trying again would not mend it, or do harm.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::Setup { .. } | Self::Login { .. } | Self::NotTheRig { .. })
    }
}

pub(super) fn unreachable(dcs: &Dcs, what: &'static str, why: &str) -> LinkError {
    LinkError::Unreachable { endpoint: dcs.endpoint.clone(), what, why: why.to_owned() }
}

/// Tells a refused login from everything else.
pub(super) fn classify(dcs: &Dcs, what: &'static str, error: &Error) -> LinkError {
    let status = error.status();
    let refused = [
        StatusCode::BadUserAccessDenied,
        StatusCode::BadIdentityTokenInvalid,
        StatusCode::BadIdentityTokenRejected,
        StatusCode::BadUserSignatureInvalid,
    ];
    if refused.contains(&status) {
        return LinkError::Login { endpoint: dcs.endpoint.clone(), status };
    }
    let hint = match status {
        StatusCode::BadCertificateUntrusted | StatusCode::BadSecurityChecksFailed => {
            " (is the server's certificate in our trusted folder, and ours in its?)"
        }
        _ => "",
    };
    unreachable(dcs, what, &format!("{error}{hint}"))
}
