//! Whether an entry of `from` or `to` matches the other end, and if not, why.
//!
//! Pure. Selectors are judged by [`proto::selector`].

use super::evaluate::Place;
use crate::offline::ends::PodName;
use crate::policy::written::Peer;
use crate::ruleset::Family;
use ipnet::IpNet;
use proto::selector::{self, Mismatch};
use std::sync::Arc;

/// Why a peer does not match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerMiss {
    /// It selects pods, and behind the address is no live pod (S32).
    Nobody,
    /// It does not select these of the pods behind the address, at least one: all would have to be selected (S113).
    Unselected(Vec<Unselected>),
    /// The address is of the other family (S95).
    OtherFamily,
    /// The address is not in the block.
    Outside,
    /// The address is in this `except` of the block (S34).
    Except {
        /// Its index.
        index: usize,
        /// It.
        net: IpNet,
    },
}

/// A pod that a peer does not select.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unselected {
    /// Which.
    pub pod: PodName,
    /// The conditions that it does not meet, at least one.
    pub mismatches: Vec<Mismatch>,
}

/// Why a peer of a policy in `namespace` does not match; `None`: it does.
pub(super) fn miss(place: &Place<'_>, namespace: &Arc<str>, peer: &Peer) -> Option<PeerMiss> {
    match peer {
        Peer::Pods { pods, namespaces } => {
            let peer = selector::Peer {
                cluster: place.world.cluster.clone(),
                namespace: namespace.clone(),
                pods: pods.clone(),
                namespaces: namespaces.clone(),
            };
            pods_miss(place, &peer)
        }
        Peer::Block { net, except } => block_miss(place, *net, except),
    }
}

fn pods_miss(place: &Place<'_>, peer: &selector::Peer) -> Option<PeerMiss> {
    if place.claimants.is_empty() {
        return Some(PeerMiss::Nobody);
    }
    let unselected: Vec<Unselected> = place
        .claimants
        .iter()
        .map(|(pod, identity)| Unselected {
            pod: pod.clone(),
            mismatches: peer.mismatches(
                identity,
                place.world.mirror.namespace_labels(&identity.namespace),
                place.world.switches.selectors,
            ),
        })
        .filter(|unselected| !unselected.mismatches.is_empty())
        .collect();
    (!unselected.is_empty()).then_some(PeerMiss::Unselected(unselected))
}

fn block_miss(place: &Place<'_>, net: IpNet, except: &[IpNet]) -> Option<PeerMiss> {
    if Family::of(net.addr()) != Family::of(place.peer) {
        return Some(PeerMiss::OtherFamily);
    }
    if !net.contains(&place.peer) {
        return Some(PeerMiss::Outside);
    }
    let index = except.iter().position(|except| except.contains(&place.peer))?;
    Some(PeerMiss::Except {
        index,
        net: except[index],
    })
}
