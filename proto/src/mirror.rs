//! The inventory as a subscriber knows it.
//!
//! Pure. Numbers of the wire end here: identities get numbers of the mirror's own ([`IdentityId`]), which never meet
//! another epoch's. What is known of a cluster comes from a hub ([`Mirror::apply`]), from its own API server or from
//! files ([`Mirror::set_part`]); the pods of the own node overlay it ([`Mirror::set_local`]).
//!
//! A snapshot changes nothing until it is complete, and then only by difference. What was known of a cluster that a
//! new epoch reports as SYNCING is kept until that cluster is LIVE, and only then what was not named again goes.

use crate::model::{ClusterName, ClusterState, Identity, Labels, NamespaceName, Revision};
use crate::wire;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The mirror's own number of an identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdentityId(u32);

/// All that is known of one cluster, as its own API server, or a folder of manifests, has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// For each address the identities that claim it, at least one, sorted, each once.
    pub owners: BTreeMap<IpAddr, Vec<Identity>>,
    /// The labels of each namespace that has an object.
    pub namespaces: BTreeMap<Arc<str>, Arc<Labels>>,
}

/// What applying a frame did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// The mirror holds another inventory, or other cluster states.
    Changed,
    /// It holds what it held: a heartbeat, a part of a snapshot, or a snapshot that said nothing new.
    Same,
}

/// Why a frame was not applied. The mirror holds what it held; the stream must be ended and subscribed anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hub's stream makes no sense: {0}")]
pub struct FrameError(pub String);

/// The inventory as one subscriber knows it.
#[derive(Debug)]
pub struct Mirror {}

impl Mirror {
    /// An empty mirror for an enforcer of cluster `own`.
    pub fn new(_own: ClusterName) -> Self {
        todo!()
    }

    /// Takes a frame of the hub in.
    ///
    /// # Errors
    /// If the frame is no continuation of what came before, or refers to what was never defined.
    pub fn apply(&mut self, _frame: &wire::Frame) -> Result<Applied, FrameError> {
        todo!()
    }

    /// The stream has ended: an unfinished snapshot is forgotten.
    pub fn disconnected(&mut self) {
        todo!()
    }

    /// The last revision that was applied in full, to resume from.
    pub fn revision(&self) -> Option<Revision> {
        todo!()
    }

    /// Replaces all that is known of a cluster, by difference; `None`: it is known from here no more (the hub's word,
    /// if any, counts again). Says whether the mirror holds another inventory now.
    pub fn set_part(&mut self, _cluster: &ClusterName, _part: Option<Part>) -> bool {
        todo!()
    }

    /// What the own node's watch says of an address: the identities of its pods that own it. Where it names an owner it
    /// counts instead of the own cluster's claims from elsewhere, unless those include it (then they know of all
    /// claimants). Says whether the mirror holds another inventory now.
    pub fn set_local(&mut self, _address: IpAddr, _owners: Vec<Identity>) -> bool {
        todo!()
    }

    /// The identities that claim an address, in every cluster, each once.
    pub fn claims(&self, _address: IpAddr) -> &[IdentityId] {
        todo!()
    }

    /// Every address that somebody claims, ascending, with its claims.
    pub fn owners(&self) -> impl Iterator<Item = (IpAddr, &[IdentityId])> {
        std::iter::empty()
    }

    /// An identity that some address has.
    pub fn identity(&self, _id: IdentityId) -> &Identity {
        todo!()
    }

    /// Every identity that some address has.
    pub fn identities(&self) -> impl Iterator<Item = (IdentityId, &Identity)> {
        std::iter::empty()
    }

    /// The labels of a namespace; `None`: its object is not known (S31).
    pub fn namespace_labels(&self, _namespace: &NamespaceName) -> Option<&Labels> {
        todo!()
    }

    /// Every namespace whose object is known, with its labels.
    pub fn namespaces(&self) -> impl Iterator<Item = (&NamespaceName, &Labels)> {
        std::iter::empty()
    }

    /// The state of each cluster, as the hub last said it.
    pub fn clusters(&self) -> &BTreeMap<ClusterName, ClusterState> {
        todo!()
    }

    /// Whether everything that is known is known in full: the hub has spoken and no cluster is SYNCING. While it is not,
    /// sets only grow: an address nobody is known to own may be a pod nobody has named yet.
    pub fn is_complete(&self) -> bool {
        todo!()
    }
}
