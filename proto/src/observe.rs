//! Kubernetes' objects → what Bailey keeps of them.
//!
//! Pure. Decoding skips everything a policy cannot see without allocating it. An odd field never fails it: the object is
//! taken without that field (W10), so that one bad object never breaks a list or a watch, and what is left out is named
//! in `rejected`. Only an object without a name is refused: there is nothing to call it by.
//!
//! The same code reads an API server's JSON ([`serde_json::from_str`]) and a manifest
//! (`Pod::deserialize(&serde_json::Value)`).

pub mod field;
pub mod metadata;
mod namespace;
mod pod;

pub use pod::pod_address;

use crate::model::{Labels, NamedPort};
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::sync::Arc;

/// A kind of object that can be watched. Its [`serde::Deserialize`] must bear every odd field and fail only on what is no
/// object or has no name: derive it for a struct of [`field::Field`]s and [`metadata::RawMetadata`], and convert.
pub trait Observe: DeserializeOwned + Send + 'static {
    /// What the API server calls it.
    const KIND: Kind;

    /// What tells it from the other objects of its kind.
    fn key(&self) -> Key;
}

/// What the API server calls a kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
    /// The kind, as in manifests.
    pub kind: &'static str,
    /// The resource, as in paths and RBAC rules.
    pub plural: &'static str,
}

impl Kind {
    /// Its `apiVersion`, as in manifests.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path of all objects of the kind, in every namespace.
    pub fn path(&self) -> String {
        let Self {
            group, version, plural, ..
        } = self;
        match *group {
            "" => format!("/api/{version}/{plural}"),
            _ => format!("/apis/{group}/{version}/{plural}"),
        }
    }
}

/// An object's namespace (empty if it is in none) and name.
pub type Key = (Arc<str>, Arc<str>);

/// A pod's phase, as the API has it. Anything unknown is [`Phase::Unknown`], which is not finished (I13, S90).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// Not all containers have started; it may already have addresses (S80).
    #[default]
    Pending,
    /// Running.
    Running,
    /// Finished, all containers succeeded (S81).
    Succeeded,
    /// Finished, a container failed (S81).
    Failed,
    /// The node is lost, or the word is not known.
    Unknown,
}

/// What Bailey keeps of a Pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.labels`.
    pub labels: Arc<Labels>,
    /// `spec.nodeName`, if bound.
    pub node: Option<Arc<str>>,
    /// `status.podIPs` (else `status.podIP`), usable ones only (S92), sorted, each once.
    pub addresses: Vec<IpAddr>,
    /// `status.hostIPs` (else `status.hostIP`), usable ones only, sorted, each once: addresses of its node.
    pub host_addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.phase`.
    pub phase: Phase,
    /// It has a `metadata.deletionTimestamp` (S82).
    pub terminating: bool,
    /// Named ports of containers and restartable init containers (S61), sorted, each once.
    pub ports: Arc<[NamedPort]>,
    /// Pieces that were left out, `field: reason`, for people.
    pub rejected: Vec<String>,
}

impl Pod {
    /// Whether it owns its addresses: not finished and not on the host network (S70, S71, S81).
    pub fn is_live(&self) -> bool {
        !self.host_network && !self.is_finished()
    }

    /// Whether it is Succeeded or Failed (S81).
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// The addresses that are its node's, as far as it tells (I7): where it runs and, on the host network, what it calls
    /// its own. What a finished pod tells may be of a node that is gone.
    pub fn node_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let host = self.host_addresses.iter().filter(|_| !self.is_finished());
        let own = self
            .addresses
            .iter()
            .filter(|_| self.host_network && !self.is_finished());
        host.chain(own).copied()
    }
}

/// What Bailey keeps of a Namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.labels`, as they are.
    pub labels: Arc<Labels>,
    /// Pieces that were left out, `field: reason`, for people.
    pub rejected: Vec<String>,
}

impl Observe for Pod {
    const KIND: Kind = Kind {
        group: "",
        version: "v1",
        kind: "Pod",
        plural: "pods",
    };

    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Observe for Namespace {
    const KIND: Kind = Kind {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
    };

    fn key(&self) -> Key {
        ("".into(), self.name.clone())
    }
}
