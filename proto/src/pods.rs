//! Who owns an address in one cluster: its pods, by name, and their claims, by address.
//!
//! Pure. Decides by the current objects alone, never by the order of events (S120): finished and host-network pods
//! claim nothing (S71, S81), among live claimants a terminating one yields (S83), several others share the address
//! (I5, S113).

use crate::observe::Pod;
use crate::watch::Event;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Why a claim on an address does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The pod is Succeeded or Failed (S81).
    Finished,
    /// The pod uses its node's network (S71).
    HostNetwork,
    /// The pod is terminating and another live one claims the address (S83).
    Terminating,
}

/// The pods of one cluster, or of one node of it.
#[derive(Debug, Default)]
pub struct Pods {}

impl Pods {
    /// Takes an event in; returns the addresses whose claims may have changed. A relist removes what it does not name.
    pub fn apply(&mut self, _event: Event<Pod>) -> BTreeSet<IpAddr> {
        todo!()
    }

    /// Whether a complete list has been taken in.
    pub fn is_synced(&self) -> bool {
        todo!()
    }

    /// All pods, sorted by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        std::iter::empty()
    }

    /// The pod of this name.
    pub fn get(&self, _namespace: &str, _name: &str) -> Option<&Arc<Pod>> {
        todo!()
    }

    /// Every address that some pod lists, ascending.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::empty()
    }

    /// The pods whose claim on this address counts, sorted by namespace and name.
    pub fn owners(&self, _address: IpAddr) -> Vec<&Arc<Pod>> {
        todo!()
    }

    /// All pods that list this address, and why the claim does not count, if it does not.
    pub fn claims(&self, _address: IpAddr) -> Vec<(&Arc<Pod>, Option<Lost>)> {
        todo!()
    }
}
