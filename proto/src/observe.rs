//! Kubernetes' objects → what Bailey keeps of them.
//!
//! Pure. Decoding skips everything a policy cannot see without allocating it, and never fails: an object with an odd
//! field is taken without that field (W10), so that one bad object never breaks a list or a watch. What is left out is
//! counted in [`Pod::rejected`].

use crate::model::{Labels, NamedPort};
use std::net::IpAddr;
use std::sync::Arc;

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
        !self.host_network && !matches!(self.phase, Phase::Succeeded | Phase::Failed)
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
}
