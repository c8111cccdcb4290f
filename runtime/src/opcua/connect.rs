//! Making a connection: certificate store, session, namespace, subscription.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::Inlet;
use opcua::client::{Client, ClientBuilder, IdentityToken, Session};
use opcua::crypto::{CertificateStore, SecurityPolicy};
use opcua::types::{EndpointDescription, Error, MessageSecurityMode, NodeId, StatusCode, UserTokenPolicy};
use signals::dcs::DcsTag;
use tokio::task::JoinHandle;

use super::error::{LinkError, classify, unreachable};
use super::inbound::{self, Heard};
use super::{LinkCounts, LinkSettings};
use crate::config::{Dcs, Login, Security};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Where, in the folder of certificates, our key lies.
const PRIVATE_KEY: &str = "private/private.pem";

/// Our certificate, and the certificates that we trust.
#[derive(Clone, Debug)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Opens the folder, and makes it and our key pair where they are missing.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the folder cannot be made or the key pair not be written.
    pub fn create(dir: &Path) -> Result<Self, LinkError> {
        let failed = |why: String| LinkError::Setup { what: format!("certificate folder {}", dir.display()), why };
        CertificateStore::new(dir).ensure_pki_path().map_err(failed)?;
        let pki = Self { dir: dir.to_owned() };
        if !pki.certificate().exists() {
            // The client makes its key pair when it is built with this wish.
            drop(pki.client(Duration::from_secs(1), true)?);
        }
        // Without its key no channel can be opened, and every try would say that the server had ended the session.
        for (file, what) in [(pki.certificate(), "certificate"), (dir.join(PRIVATE_KEY), "private key")] {
            if !file.exists() {
                return Err(failed(format!(
                    "no {what}, {}: a pair is made where there is no certificate",
                    file.display()
                )));
            }
        }
        Ok(pki)
    }

    pub(super) fn open(settings: &LinkSettings) -> Result<Self, LinkError> {
        Self::create(&settings.pki_dir)
    }

    /// Our certificate, to be trusted by the server.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("own").join("cert.der")
    }

    /// Where certificates of servers that we trust are put.
    #[must_use]
    pub fn trusted(&self) -> PathBuf {
        self.dir.join("trusted")
    }

    /// Trusts a certificate: puts a copy of the DER file where, and under the name that, the OPC UA stack looks for it.
    /// Gives that place.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when the file is no certificate or cannot be copied.
    pub fn trust(&self, certificate: &Path) -> Result<PathBuf, LinkError> {
        let failed = |why: String| LinkError::Setup { what: format!("trust {}", certificate.display()), why };
        let cert = CertificateStore::read_cert(certificate).map_err(failed)?;
        let name = CertificateStore::cert_file_name(&cert);
        // What was met before it was trusted lies among the rejected, and is refused from there.
        let _ = std::fs::remove_file(self.dir.join("rejected").join(&name));
        let trusted = self.trusted().join(name);
        std::fs::copy(certificate, &trusted).map_err(|e| failed(e.to_string()))?;
        Ok(trusted)
    }

    pub(super) fn client(&self, request_timeout: Duration, create: bool) -> Result<Client, LinkError> {
        ClientBuilder::new()
            .application_name("Outrigger")
            .application_uri("urn:outrigger:runtime")
            .product_uri("urn:outrigger")
            .pki_dir(&self.dir)
            .certificate_path("own/cert.der")
            .private_key_path(PRIVATE_KEY)
            .create_sample_keypair(create)
            .trust_server_certs(false)
            .session_name("outrigger")
            .session_retry_limit(0)
            .keep_alive_interval((request_timeout / 2).min(Duration::from_secs(2)))
            .max_failed_keep_alive_count(2)
            .request_timeout(request_timeout)
            .publish_timeout(Duration::from_secs(10))
            // What the network still holds when we have given up must not be obeyed: the session, read every period, lives
            // little longer than our patience.
            .session_timeout(u32::try_from(2 * request_timeout.as_millis()).unwrap_or(u32::MAX).clamp(3_000, 10_000))
            .max_array_length(100_000)
            .max_chunk_count(1000)
            .max_message_size(64 << 20)
            .client()
            .map_err(|faults| LinkError::Setup { what: "OPC UA client".to_owned(), why: faults.join("; ") })
    }
}

/// An activated session whose event loop runs in a task of its own.
pub(super) struct OpenSession {
    pub(super) session: Arc<Session>,
    pub(super) ended: JoinHandle<StatusCode>,
}

/// A session with its subscription.
pub(super) struct Connection {
    pub(super) open: OpenSession,
    pub(super) nodes: Vec<(DcsTag, NodeId)>,
    pub(super) heard: Heard,
}

impl Connection {
    /// Reads every tag that the DCS owns.
    pub(super) async fn read_all(&self, dcs: &Dcs) -> Result<(), LinkError> {
        let read = self.heard.read_all(&self.open.session).await;
        read.map_err(|e| unreachable(dcs, "read the tags", &e.to_string()))
    }

    pub(super) async fn close(self) {
        // A server that is gone does not answer; do not wait for it.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.open.session.disconnect()).await;
        self.open.ended.abort();
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

/// Connects, finds every tag, and subscribes.
pub(super) async fn connect(
    pki: &Pki,
    settings: &LinkSettings,
    inlet: &Inlet,
    counts: &LinkCounts,
) -> Result<Connection, LinkError> {
    let plant = &settings.loaded.plant;
    let period = settings.clock.wall_span(plant.period());
    let attempt = async {
        let open = open_session(pki, &plant.dcs, period.max(Duration::from_secs(1))).await?;
        if let Some(uri) = settings.proof {
            prove(&open.session, &plant.dcs, uri).await?;
        }
        let namespace = namespace(&open.session, &plant.dcs).await?;
        let nodes: Vec<_> = plant.addresses().map(|(tag, id)| (tag, NodeId::new(namespace, id))).collect();
        let heard = inbound::subscribe(&open.session, &nodes, settings, (inlet, counts)).await?;
        Ok(Connection { open, nodes, heard })
    };
    let timed_out = |_| unreachable(&plant.dcs, "connect", &format!("no answer within {ATTEMPT:?}"));
    tokio::time::timeout(ATTEMPT, attempt).await.map_err(timed_out)?
}

/// Opens a secure channel and a session under the plant file's identity.
pub(super) async fn open_session(pki: &Pki, dcs: &Dcs, request_timeout: Duration) -> Result<OpenSession, LinkError> {
    let mut client = pki.client(request_timeout, false)?;
    let (policy, mode) = match dcs.security {
        Security::None => (SecurityPolicy::None, MessageSecurityMode::None),
        Security::Sign => (SecurityPolicy::Basic256Sha256, MessageSecurityMode::Sign),
        Security::SignAndEncrypt => (SecurityPolicy::Basic256Sha256, MessageSecurityMode::SignAndEncrypt),
    };
    let endpoint: EndpointDescription =
        (dcs.endpoint.as_str(), policy.to_str(), mode, UserTokenPolicy::anonymous()).into();
    let identity = identity(&dcs.login)?;
    let (session, event_loop) = client
        .connect_to_matching_endpoint(endpoint, identity)
        .await
        .map_err(|e| classify(dcs, "get endpoints", &e))?;
    session.disable_reconnects();
    let mut ended = event_loop.spawn();
    tokio::select! {
        up = session.wait_for_connection() => {
            if !up {
                ended.abort();
                return Err(unreachable(dcs, "open a session", "the session ended at once"));
            }
        }
        status = &mut ended => {
            let status = status.unwrap_or(StatusCode::BadUnexpectedError);
            return Err(classify(dcs, "open a session", &Error::new(status, "the server ended the session")));
        }
    }
    Ok(OpenSession { session, ended })
}

fn identity(login: &Login) -> Result<IdentityToken, LinkError> {
    match login {
        Login::Anonymous => Ok(IdentityToken::Anonymous),
        Login::Password { user, password_env } => {
            let missing = |e: std::env::VarError| LinkError::Setup {
                what: format!("password of user \"{user}\" from the environment variable {password_env}"),
                why: e.to_string(),
            };
            let password = std::env::var(password_env).map_err(missing)?;
            Ok(IdentityToken::UserName(user.clone(), password.into()))
        }
        Login::Certificate { certificate, private_key } => {
            let failed = |what: &str, why: String| LinkError::Setup { what: what.to_owned(), why };
            let cert = CertificateStore::read_cert(Path::new(certificate)).map_err(|e| failed(certificate, e))?;
            let key = CertificateStore::read_pkey(Path::new(private_key)).map_err(|e| failed(private_key, e))?;
            Ok(IdentityToken::X509(Box::new(cert), Box::new(key)))
        }
    }
}

async fn prove(session: &Session, dcs: &Dcs, uri: &'static str) -> Result<(), LinkError> {
    match session.get_namespace_index(uri).await {
        Ok(_) => Ok(()),
        Err(e) if e.status() == StatusCode::BadNoMatch => {
            Err(LinkError::NotTheRig { endpoint: dcs.endpoint.clone(), uri })
        }
        Err(e) => Err(unreachable(dcs, "ask whether it is the rig", &e.to_string())),
    }
}

pub(super) async fn namespace(session: &Session, dcs: &Dcs) -> Result<u16, LinkError> {
    session
        .get_namespace_index(&dcs.namespace)
        .await
        .map_err(|e| unreachable(dcs, "look up the namespace", &format!("\"{}\": {e}", dcs.namespace)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_told_before_anything_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::create(dir.path()).unwrap();
        assert!(Pki::create(dir.path()).is_ok(), "the negative control: a pair stays");
        std::fs::remove_file(dir.path().join(PRIVATE_KEY)).unwrap();
        let said = Pki::create(dir.path()).unwrap_err();
        assert!(said.is_fatal() && said.to_string().contains("no private key"), "{said}");
        std::fs::remove_file(pki.certificate()).unwrap();
        assert!(Pki::create(dir.path()).is_ok(), "a new pair is made");
    }
}
