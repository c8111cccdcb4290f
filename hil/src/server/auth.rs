//! Who may write what.
//!
//! Three roles: the application writes its own tags, the operator his, everybody else reads. Credentials are a
//! password from the environment or a user certificate in `<pki>/users/<name>/`. Rights are decided per node, in the
//! effective access level that the server checks at each write and shows as `UserAccessLevel`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use opcua::crypto::{CertificateStore, SecurityPolicy, Thumbprint};
use opcua::server::authenticator::{AuthManager, Password, UserToken, user_pass_security_policy_id};
use opcua::server::{ServerEndpoint, address_space::AccessLevel};
use opcua::types::{Error, Identifier, NodeId, StatusCode, UAString, UserTokenPolicy, UserTokenType};

use super::ServerError;

/// The policy identifiers by which the server library knows its tokens.
const POLICY_ANONYMOUS: &str = "anonymous";
const POLICY_X509: &str = "x509";

/// The account of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The APC application: writes the tags that it owns.
    Application,
    /// The operator: writes requests, switches, set-points and limits.
    Operator,
}

impl Role {
    const ALL: [Self; 2] = [Self::Application, Self::Operator];

    /// The user's name.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Application => "outrigger",
            Self::Operator => "operator",
        }
    }

    /// The role of a session's token; none for a reader.
    pub(super) fn of(token: &UserToken) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.user() == token.0)
    }
}

/// What users prove themselves with.
#[derive(Default)]
pub struct Credentials {
    passwords: BTreeMap<Role, String>,
    certificates: Vec<(Thumbprint, Role)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.passwords.keys().collect();
        f.debug_struct("Credentials").field("passwords_of", &users).field("certificates", &self.certificates).finish()
    }
}

impl Credentials {
    /// Credentials from the two passwords, which may be missing, and the certificates (`.der`, `.pem`) below
    /// `<pki>/users/outrigger` and `<pki>/users/operator`.
    ///
    /// # Errors
    /// A certificate cannot be read, or the application has neither password nor certificate.
    pub fn collect(outrigger: Option<String>, operator: Option<String>, pki: &Path) -> Result<Self, ServerError> {
        let given = [(Role::Application, outrigger), (Role::Operator, operator)];
        let mut credentials = Self {
            passwords: given
                .into_iter()
                .filter_map(|(role, p)| p.filter(|p| !p.is_empty()).map(|p| (role, p)))
                .collect(),
            certificates: Vec::new(),
        };
        for role in Role::ALL {
            let folder = pki.join("users").join(role.user());
            for path in files_in(&folder)? {
                let file = path.display().to_string();
                let certificate = CertificateStore::read_cert(&path)
                    .map_err(|reason| ServerError::UserCertificate { file, reason })?;
                credentials.certificates.push((certificate.thumbprint(), role));
            }
        }
        let application = credentials.passwords.contains_key(&Role::Application)
            || credentials.certificates.iter().any(|(_, role)| *role == Role::Application);
        if application { Ok(credentials) } else { Err(ServerError::NoCredentials) }
    }

    fn password_is(&self, role: Role, password: &str) -> bool {
        self.passwords.get(&role).is_some_and(|known| known == password)
    }
}

/// The files of a folder that may be missing.
fn files_in(folder: &Path) -> Result<Vec<std::path::PathBuf>, ServerError> {
    let failed = |source| ServerError::Pki { path: folder.display().to_string(), source };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// The gate of the server: it lets users in and decides what each may write.
pub(super) struct Gate {
    credentials: Credentials,
    /// Who may write the node of this name; absent: nobody.
    writers: BTreeMap<String, Role>,
}

impl Gate {
    pub(super) fn new(credentials: Credentials, writers: BTreeMap<String, Role>) -> Self {
        Self { credentials, writers }
    }

    fn writer(&self, node: &NodeId) -> Option<Role> {
        match &node.identifier {
            Identifier::String(name) => self.writers.get(name.as_ref()).copied(),
            _ => None,
        }
    }
}

fn rejected(why: &'static str) -> Error {
    Error::new(StatusCode::BadUserAccessDenied, why)
}

#[async_trait]
impl AuthManager for Gate {
    async fn authenticate_anonymous_token(&self, _endpoint: &ServerEndpoint) -> Result<(), Error> {
        Ok(())
    }

    async fn authenticate_username_identity_token(
        &self,
        _endpoint: &ServerEndpoint,
        username: &str,
        password: &Password,
    ) -> Result<UserToken, Error> {
        let role = Role::ALL.into_iter().find(|role| role.user() == username);
        role.filter(|role| self.credentials.password_is(*role, password.get()))
            .map(|role| UserToken(role.user().to_owned()))
            .ok_or_else(|| {
                let why = "unknown user or wrong password";
                tracing::warn!(user = ?username, why, "login refused");
                rejected(why)
            })
    }

    async fn authenticate_x509_identity_token(
        &self,
        _endpoint: &ServerEndpoint,
        signing_thumbprint: &Thumbprint,
    ) -> Result<UserToken, Error> {
        let known = self.credentials.certificates.iter().find(|(thumbprint, _)| thumbprint == signing_thumbprint);
        known.map(|(_, role)| UserToken(role.user().to_owned())).ok_or_else(|| {
            let why = "unknown user certificate";
            tracing::warn!(thumbprint = %signing_thumbprint.as_hex_string(), why, "login refused");
            rejected(why)
        })
    }

    fn effective_user_access_level(&self, token: &UserToken, level: AccessLevel, node: &NodeId) -> AccessLevel {
        let may_write = self.writer(node).is_some_and(|writer| Role::of(token) == Some(writer));
        if may_write { level } else { level & !(AccessLevel::CURRENT_WRITE | AccessLevel::HISTORY_WRITE) }
    }

    /// Without security only anonymous reading; with it also a password or a user certificate.
    fn user_token_policies(&self, endpoint: &ServerEndpoint) -> Vec<UserTokenPolicy> {
        let policy = |policy_id: UAString, token_type, security_policy_uri| UserTokenPolicy {
            policy_id,
            token_type,
            issued_token_type: UAString::null(),
            issuer_endpoint_url: UAString::null(),
            security_policy_uri,
        };
        let mut policies = vec![policy(POLICY_ANONYMOUS.into(), UserTokenType::Anonymous, UAString::null())];
        if endpoint.security_policy() != SecurityPolicy::None {
            let password_id = user_pass_security_policy_id(endpoint);
            policies.push(policy(password_id, UserTokenType::UserName, UAString::null()));
            let uri = UAString::from(SecurityPolicy::Basic256Sha256.to_uri());
            policies.push(policy(POLICY_X509.into(), UserTokenType::Certificate, uri));
        }
        policies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let passwords = [(Role::Application, "a".to_owned()), (Role::Operator, "o".to_owned())];
        let credentials = Credentials { passwords: passwords.into(), certificates: Vec::new() };
        let writers = [("SP_REQ".to_owned(), Role::Application), ("MODE_REQ".to_owned(), Role::Operator)];
        Gate::new(credentials, writers.into())
    }

    #[test]
    fn each_role_writes_its_own_tags_and_nobody_else_any() {
        let (gate, full) = (gate(), AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE);
        for (user, node, may) in [
            ("outrigger", "SP_REQ", true),
            ("outrigger", "MODE_REQ", false),
            ("operator", "MODE_REQ", true),
            ("operator", "SP_REQ", false),
            ("ANONYMOUS", "SP_REQ", false),
            ("outrigger", "HB_DCS", false),
        ] {
            let level = gate.effective_user_access_level(&UserToken(user.into()), full, &NodeId::new(2, node));
            assert_eq!(level.contains(AccessLevel::CURRENT_WRITE), may, "{user} {node}");
            assert!(level.contains(AccessLevel::CURRENT_READ), "{user} {node}");
        }
    }

    #[tokio::test]
    async fn a_wrong_or_empty_password_is_turned_away() {
        let gate = gate();
        let endpoint = ServerEndpoint::new_basic256sha256_sign_encrypt("/", &[]);
        for (user, password, good) in
            [("outrigger", "a", true), ("outrigger", "o", false), ("outrigger", "", false), ("root", "a", false)]
        {
            let answer =
                gate.authenticate_username_identity_token(&endpoint, user, &Password::new(password.into())).await;
            assert_eq!(answer.is_ok(), good, "{user} {password}");
        }
        let bare = Gate::new(Credentials::default(), BTreeMap::new());
        assert!(
            bare.authenticate_username_identity_token(&endpoint, "outrigger", &Password::new("".into())).await.is_err()
        );
    }

    #[test]
    fn without_security_there_is_no_password_to_overhear() {
        let policies = gate().user_token_policies(&ServerEndpoint::new_none("/", &[]));
        assert_eq!(policies.iter().map(|p| p.token_type).collect::<Vec<_>>(), [UserTokenType::Anonymous]);
    }

    #[test]
    fn an_application_without_credentials_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = |p: Option<&str>| Credentials::collect(p.map(str::to_owned), Some("o".into()), folder.path());
        assert!(matches!(missing(None), Err(ServerError::NoCredentials)));
        assert!(matches!(missing(Some("")), Err(ServerError::NoCredentials)));
        assert!(missing(Some("a")).is_ok());
    }
}
