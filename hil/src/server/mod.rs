//! The OPC UA server in front of a rig.
//!
//! Place in the loop: the wire between the application and the rig's images. Every tag of [`signals::dcs::DcsTag`] is
//! a node; the application and the operator write under their own accounts, everybody may read.
//!
//! # Invariants
//! - A write that the rig refuses changes nothing and is answered `BadTypeMismatch` or `BadOutOfRange`.
//! - [`RigServer::stop`] drops every socket at once, as a crash or a pulled cable would; plant and DCS go on.
//! - Passwords travel only over a secured endpoint; without security there is only anonymous reading.
//!
//! The server lives on a runtime of its own, so that stopping it takes its connections with it.

mod auth;
mod nodes;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opcua::core::config::Config;
use opcua::crypto::{CertificateStore, SecurityPolicy, X509Data};
use opcua::server::address_space::AddressSpace;
use opcua::server::node_manager::ServerContext;
use opcua::server::node_manager::memory::InMemoryNodeManagerBuilder;
use opcua::server::{ANONYMOUS_USER_TOKEN_ID, Limits, ServerBuilder, ServerEndpoint, ServerHandle};
use opcua::types::{MessageSecurityMode, StatusCode};
use signals::dcs::ApcView;
use tokio::runtime::Runtime;

use crate::clock::WallClock;
use auth::Gate;
pub use auth::{Credentials, Role};
use nodes::{RigNodeManager, RigNodes};
use rig::Rig;
use rig::dcs::Texts;

/// The namespace of the rig's nodes.
pub const NAMESPACE_URI: &str = "urn:outrigger:rig";
/// The server's own URI. The library keeps nodes of its own in the namespace of that name, and answers for all of it:
/// it must not be the namespace of the rig's nodes.
const APPLICATION_URI: &str = "urn:outrigger:rig:server";
/// The fastest sampling, in milliseconds.
const SAMPLING_MIN_MS: f64 = 10.0;
/// How long a stopping server may take to drop what it holds.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A rig shared between the clock's loop and the server's connections.
pub type SharedRig = Arc<Mutex<Rig>>;

/// The rig, for a moment. A poisoned lock is no obstacle: the rig's own steps do not panic.
pub fn lock(rig: &SharedRig) -> MutexGuard<'_, Rig> {
    rig.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nobody could log in as the application.
    #[error(
        "user `outrigger` has no credentials: set OUTRIGGER_DCS_PASSWORD, or put its certificate into \
        <pki>/users/outrigger/"
    )]
    NoCredentials,
    /// A client's certificate cannot be trusted.
    #[error("cannot trust {}: {why}", .certificate.display())]
    Trust {
        /// The file.
        certificate: PathBuf,
        /// Why.
        why: String,
    },
    /// A user certificate cannot be read.
    #[error("user certificate {file}: {reason}")]
    UserCertificate {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The certificate folder cannot be used.
    #[error("certificate folder {path}: {source}")]
    Pki {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server's own certificate cannot be made.
    #[error("own certificate in {path}: {reason}")]
    OwnCertificate {
        /// The folder.
        path: String,
        /// Why.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server library refuses its configuration.
    #[error("opc ua server: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// A value could not be put into its node.
    #[error("a node took no value: {status}")]
    Publish {
        /// The status.
        status: StatusCode,
    },
    /// The server's threads cannot be started.
    #[error("server runtime: {source}")]
    Runtime {
        /// Why.
        source: std::io::Error,
    },
}

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address at which clients are told to find it, when something stands before it there, at the same port.
    pub advertised: Option<IpAddr>,
    /// Certificates: `own/`, `private/`, `trusted/`, `rejected/`, `users/`. Made if missing.
    pub pki: PathBuf,
    /// Whether to take client certificates that nobody has put into `trusted/`. For the laboratory.
    pub trust_clients: bool,
    /// The password of user `outrigger`.
    pub outrigger_password: Option<String>,
    /// The password of user `operator`.
    pub operator_password: Option<String>,
}

/// A running server.
pub struct RigServer {
    runtime: Option<Runtime>,
    handle: ServerHandle,
    manager: Arc<RigNodeManager>,
    address: SocketAddr,
    published: (ApcView, Texts),
}

impl std::fmt::Debug for RigServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RigServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RigServer {
    /// Serves `rig` until stopped.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left listening.
    pub fn start(rig: &SharedRig, clock: &WallClock, options: &ServerOptions) -> Result<Self, ServerError> {
        let ServerOptions { outrigger_password, operator_password, pki, .. } = options;
        let credentials = Credentials::collect(outrigger_password.clone(), operator_password.clone(), pki)?;
        let gate = Gate::new(credentials, nodes::writers(lock(rig).config()));
        let bind = |source| ServerError::Bind { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;

        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(2).thread_name("opcua-server").enable_all().build();
        let runtime = runtime.map_err(|source| ServerError::Runtime { source })?;
        let shared = Arc::clone(rig);
        let nodes = move |context: ServerContext, space: &mut AddressSpace| RigNodes::build(shared, &context, space);
        // The library takes the port of whatever it listens on; only the host is ours to say.
        let told = SocketAddr::new(options.advertised.unwrap_or(address.ip()), address.port());
        let builder = configured(told, options)
            .with_authenticator(Arc::new(gate))
            .with_node_manager(InMemoryNodeManagerBuilder::new(nodes));
        own_certificate(&builder, told, pki)?;

        let entered = runtime.enter();
        let refused = |reason: &str| ServerError::Refused { reason: reason.to_owned() };
        let (server, handle) = builder.build().map_err(|reason| refused(&reason))?;
        let manager = handle.node_managers().get_of_type::<RigNodeManager>().ok_or_else(|| refused("no nodes"))?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(bind)?;
        drop(entered);
        runtime.spawn(async move {
            if let Err(reason) = server.run_with(listener).await {
                tracing::error!(%reason, "opc ua server ended");
            }
        });
        let published = said(rig);
        let server = Self { runtime: Some(runtime), handle, manager, address, published };
        server.push(clock, true)?;
        Ok(server)
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint's URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("opc.tcp://{}/", self.address)
    }

    /// Brings the nodes up to date with the rig.
    ///
    /// # Errors
    /// A node is missing.
    pub fn publish(&mut self, rig: &SharedRig, clock: &WallClock) -> Result<(), ServerError> {
        let said = said(rig);
        let everything = said != self.published;
        self.published = said;
        self.push(clock, everything)
    }

    fn push(&self, clock: &WallClock, everything: bool) -> Result<(), ServerError> {
        nodes::publish(&self.manager, self.handle.subscriptions(), clock, everything)
            .map_err(|status| ServerError::Publish { status })
    }

    /// Drops the server with every connection, without a word to the clients, and waits for the port to be free.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for a runtime blocks: not on a thread of another one.
            let dropped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_MAX)).await;
            if dropped.is_err() {
                tracing::warn!("the opc ua server's runtime did not stop in order");
            }
        }
    }
}

impl Drop for RigServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the application has said, copied under one lock.
fn said(rig: &SharedRig) -> (ApcView, Texts) {
    let rig = lock(rig);
    (*rig.apc(), rig.texts().clone())
}

/// The file of the server's own certificate.
#[must_use]
pub fn certificate_path(pki: &Path) -> PathBuf {
    pki.join("own").join("cert.der")
}

/// Trusts a client's certificate: puts a copy of the DER file where, and under the name that, the OPC UA stack looks for
/// it. Gives that place.
///
/// # Errors
/// [`ServerError::Trust`] when the file is no certificate or cannot be copied.
pub fn trust(pki: &Path, certificate: &Path) -> Result<PathBuf, ServerError> {
    let failed = |why: String| ServerError::Trust { certificate: certificate.to_owned(), why };
    let store = CertificateStore::new(pki);
    store.ensure_pki_path().map_err(failed)?;
    let cert = CertificateStore::read_cert(certificate).map_err(failed)?;
    let name = CertificateStore::cert_file_name(&cert);
    // What was met before it was trusted lies among the rejected, and is refused from there.
    let _ = std::fs::remove_file(store.rejected_certs_dir().join(&name));
    let trusted = store.trusted_certs_dir().join(name);
    std::fs::copy(certificate, &trusted).map_err(|e| failed(e.to_string()))?;
    Ok(trusted)
}

fn configured(address: SocketAddr, options: &ServerOptions) -> ServerBuilder {
    // The library wants a user list; the gate decides who gets in.
    let anonymous = [ANONYMOUS_USER_TOKEN_ID.to_owned()];
    let endpoint = |mode| ServerEndpoint::new("/", SecurityPolicy::Basic256Sha256, mode, &anonymous);
    let mut builder = ServerBuilder::new()
        .application_name("Outrigger rig")
        .application_uri(APPLICATION_URI)
        .product_uri(APPLICATION_URI)
        .pki_dir(&options.pki)
        .certificate_path("own/cert.der")
        .private_key_path("private/private.pem")
        .trust_client_certs(options.trust_clients)
        .host(address.ip().to_string())
        .port(address.port())
        .discovery_urls(vec![format!("opc.tcp://{address}/")])
        .subscription_poll_interval_ms(10)
        .add_endpoint("none", ServerEndpoint::new_none("/", &anonymous))
        .add_endpoint("sign", endpoint(MessageSecurityMode::Sign))
        .add_endpoint("encrypt", endpoint(MessageSecurityMode::SignAndEncrypt));
    let limits: &mut Limits = builder.limits_mut();
    limits.max_array_length = 100_000;
    limits.max_message_size = 64 << 20;
    limits.max_chunk_count = 1000;
    limits.subscriptions.min_sampling_interval_ms = SAMPLING_MIN_MS;
    limits.subscriptions.min_publishing_interval_ms = SAMPLING_MIN_MS;
    limits.subscriptions.max_queued_notifications = 10_000;
    limits.subscriptions.max_monitored_item_queue_size = 1000;
    builder
}

/// Makes the server's certificate, good for the address it listens on, unless there is one.
fn own_certificate(builder: &ServerBuilder, address: SocketAddr, pki: &Path) -> Result<(), ServerError> {
    let failed = |source| ServerError::Pki { path: pki.display().to_string(), source };
    let (certificate, key) = (certificate_path(pki), pki.join("private").join("private.pem"));
    for folder in ["own", "private", "trusted", "rejected", "users"] {
        std::fs::create_dir_all(pki.join(folder)).map_err(failed)?;
    }
    if certificate.is_file() && key.is_file() {
        return Ok(());
    }
    let description = builder.config().application_description();
    let data = X509Data::from((description, Some(vec![address.ip().to_string()])));
    CertificateStore::create_certificate_and_key(&data, true, &certificate, &key)
        .map(drop)
        .map_err(|reason| ServerError::OwnCertificate { path: pki.display().to_string(), reason })
}

#[cfg(test)]
mod tests;
