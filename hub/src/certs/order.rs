//! What `hub certs` is told to issue. Pure.

use proto::model::ClusterName;
use proto::syntax::is_dns_subdomain;
use rcgen::string::Ia5String;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The first part of every role's URI: `bailey://<trust domain>/…`. A DNS name, which need not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustDomain(pub(super) Arc<str>);

impl FromStr for TrustDomain {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        if is_dns_subdomain(name) {
            Ok(Self(name.into()))
        } else {
            Err("a trust domain looks like a host name in lower case, for example bailey.example.com".to_owned())
        }
    }
}

/// A node of a cluster, written `ID/NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// The cluster that holds the Node object.
    pub cluster: ClusterName,
    /// The Node object's name.
    pub name: Arc<str>,
}

impl FromStr for Node {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (cluster, name) = text
            .split_once('/')
            .ok_or("expected the cluster's id and the node's name, for example cluster-a/node-1")?;
        if !is_dns_subdomain(name) {
            return Err(format!("{name:?} is no name of a Kubernetes node"));
        }
        let cluster = cluster
            .parse()
            .map_err(|error: proto::model::InvalidClusterName| error.to_string())?;
        Ok(Self {
            cluster,
            name: name.into(),
        })
    }
}

/// A name by which clients reach the hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubName {
    /// A host name.
    Dns(Ia5String),
    /// An address.
    Address(IpAddr),
}

impl FromStr for HubName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        match Ia5String::try_from(text) {
            Ok(name) if is_dns_subdomain(&text.to_ascii_lowercase()) => Ok(Self::Dns(name)),
            Ok(_) | Err(_) => {
                Err("expected a host name or an address, for example hub.example.com or 192.0.2.7".to_owned())
            }
        }
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => fmt::Display::fmt(name, f),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// What to issue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Folder for the files; made if it does not exist.
    pub out: PathBuf,
    /// Trust domain of all roles.
    pub trust_domain: TrustDomain,
    /// Clusters whose enforcers share a certificate.
    pub clusters: Vec<ClusterName>,
    /// Nodes whose enforcer has a certificate of its own.
    pub nodes: Vec<Node>,
    /// Names of the hub besides `localhost`, `127.0.0.1` and `::1`.
    pub hub_names: Vec<HubName>,
    /// How long all but the CA are valid, in days; less if the CA ends before.
    pub days: u32,
}
