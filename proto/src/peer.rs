//! Who is at the other end: the role that a certificate's URI SAN gives its holder.
//!
//! Pure. Reads a certificate, it does not verify one: whoever asks here has seen the chain verified. What a role may do
//! is decided elsewhere.

use crate::model::ClusterName;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What every role's URI begins with; the trust domain follows.
pub const SCHEME: &str = "bailey://";

/// Longest name of a node or a trust domain: both are DNS names.
const LONGEST_DNS_NAME: usize = 253;

/// What a certificate lets its holder be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// A hub.
    Hub,
    /// Any enforcer of one cluster.
    Cluster(ClusterName),
    /// The enforcer of one node.
    Node {
        /// The node's cluster.
        cluster: ClusterName,
        /// The node's name.
        node: Arc<str>,
    },
    /// A person or tool that asks the hub.
    Reader,
}

/// The path of its URI.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("hub"),
            Self::Cluster(cluster) => write!(f, "cluster/{cluster}"),
            Self::Node { cluster, node } => write!(f, "cluster/{cluster}/node/{node}"),
            Self::Reader => f.write_str("reader"),
        }
    }
}

/// A role within one trust domain, as its URI says it: `bailey://<trust domain>/<role>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The installation it belongs to; a role counts nowhere else.
    pub trust_domain: Arc<str>,
    /// What it may be there.
    pub role: Role,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.trust_domain, self.role)
    }
}

/// A text that is no role's URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no role: expected bailey://<trust domain>/hub, /reader, /cluster/<id> or /cluster/<id>/node/<name>, the \
     trust domain and the node in lower case"
)]
pub struct InvalidName(pub String);

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(uri: &str) -> Result<Self, InvalidName> {
        let parse = || {
            let (trust_domain, path) = uri.strip_prefix(SCHEME)?.split_once('/')?;
            let role = match *path.split('/').collect::<Vec<_>>() {
                ["hub"] => Role::Hub,
                ["reader"] => Role::Reader,
                ["cluster", id] => Role::Cluster(id.parse().ok()?),
                ["cluster", id, "node", node] => Role::Node {
                    cluster: id.parse().ok()?,
                    node: dns_name(node)?,
                },
                _ => return None,
            };
            Some(Self {
                trust_domain: dns_name(trust_domain)?,
                role,
            })
        };
        parse().ok_or_else(|| InvalidName(uri.to_owned()))
    }
}

/// A DNS name in lower case; nothing that a URI would have to escape.
fn dns_name(text: &str) -> Option<Arc<str>> {
    let label = |label: &str| {
        let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    (text.len() <= LONGEST_DNS_NAME && text.split('.').all(label)).then(|| text.into())
}

/// What a certificate says of its holder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Trust domain and role.
    pub name: Name,
    /// When the certificate expires. What was granted on it ends then: a stream may live longer than a certificate.
    pub not_after: SystemTime,
}

/// Why a certificate gives its holder no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// No role.
    #[error(
        "the certificate names no role: it needs one bailey:// URI among its subject alternative names, and has {0}"
    )]
    NoRole(String),
    /// More than one role: which one counts would be a guess.
    #[error("the certificate names several roles where one is allowed: {0}")]
    SeveralRoles(String),
    /// Its URI is none of ours.
    #[error("the certificate's role cannot be read: {0}")]
    Malformed(#[from] InvalidName),
}

impl Peer {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it gives its holder no role, or more than one.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let unreadable = |error: &dyn fmt::Display| PeerError::Unreadable(error.to_string());
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| unreadable(&error))?;
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|error| unreadable(&error))?;
        let names = alternatives.map_or(&[][..], |extension| &extension.value.general_names);
        let roles: Vec<&str> = names.iter().filter_map(role_uri).collect();
        let name = match *roles {
            [] => return Err(PeerError::NoRole(listed(names.iter().map(ToString::to_string)))),
            [uri] => uri.parse()?,
            _ => return Err(PeerError::SeveralRoles(listed(roles.iter().map(ToString::to_string)))),
        };
        let expires = certificate.validity().not_after.timestamp();
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(expires).unwrap_or(0));
        Ok(Self { name, not_after })
    }
}

fn role_uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(*uri).filter(|uri| uri.starts_with(SCHEME)),
        _ => None,
    }
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests;
