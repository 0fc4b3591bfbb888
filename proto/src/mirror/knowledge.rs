//! What one source says: who claims which address, which addresses are nodes', and which namespaces there are.
//!
//! Pure. Claims are references to identities, counted in [`Identities`].

use super::IdentityId;
use super::identities::Identities;
use crate::model::{ClusterName, Labels, NamespaceName};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice;
use std::sync::Arc;

/// The claims on each address, sorted. Nearly every address has one claim, and there may be a million of them: those
/// take four bytes beside their key.
#[derive(Debug, Default)]
pub(super) struct Owners {
    ipv4: BTreeMap<Ipv4Addr, IdentityId>,
    ipv6: BTreeMap<Ipv6Addr, IdentityId>,
    /// Addresses with several claims, which are in neither of the other maps.
    shared: BTreeMap<IpAddr, Box<[IdentityId]>>,
}

impl Owners {
    pub(super) fn get(&self, address: IpAddr) -> &[IdentityId] {
        let one = match address {
            IpAddr::V4(address) => self.ipv4.get(&address),
            IpAddr::V6(address) => self.ipv6.get(&address),
        };
        match one {
            Some(one) => slice::from_ref(one),
            None => self.shared.get(&address).map_or(&[], |several| several),
        }
    }

    /// Replaces the claims on an address; none: it is forgotten.
    pub(super) fn set(&mut self, address: IpAddr, claims: &[IdentityId]) {
        let one = match claims {
            [one] => Some(*one),
            _ => None,
        };
        match address {
            IpAddr::V4(address) => put(&mut self.ipv4, address, one),
            IpAddr::V6(address) => put(&mut self.ipv6, address, one),
        }
        put(&mut self.shared, address, (claims.len() > 1).then(|| claims.into()));
    }

    /// Every address with its claims, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &[IdentityId])> {
        let ipv4 = self
            .ipv4
            .iter()
            .map(|(key, one)| (IpAddr::V4(*key), slice::from_ref(one)));
        let ipv6 = self
            .ipv6
            .iter()
            .map(|(key, one)| (IpAddr::V6(*key), slice::from_ref(one)));
        let mut single = ipv4.chain(ipv6).peekable();
        let mut shared = self.shared.iter().map(|(key, several)| (*key, &**several)).peekable();
        std::iter::from_fn(move || match (single.peek(), shared.peek()) {
            (Some((left, _)), Some((right, _))) if right < left => shared.next(),
            (Some(_), _) => single.next(),
            (None, _) => shared.next(),
        })
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.iter().map(|(address, _)| address)
    }

    pub(super) fn len(&self) -> usize {
        self.ipv4.len() + self.ipv6.len() + self.shared.len()
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// What one source says.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub(super) owners: Owners,
    /// The clusters of whose nodes one has the address, sorted; nearly always one, never none.
    pub(super) nodes: BTreeMap<IpAddr, SmallVec<[ClusterName; 1]>>,
    pub(super) namespaces: BTreeMap<NamespaceName, Arc<Labels>>,
}

impl Knowledge {
    /// Replaces the claims on an address.
    pub(super) fn claim(&mut self, identities: &mut Identities, address: IpAddr, claims: &[IdentityId]) {
        for id in claims {
            identities.hold(*id);
        }
        for id in self.owners.get(address) {
            identities.release(*id);
        }
        self.owners.set(address, claims);
    }

    /// Whether an address is one of a cluster's nodes'.
    pub(super) fn set_node(&mut self, cluster: &ClusterName, address: IpAddr, is_one: bool) {
        let clusters = self.nodes.entry(address).or_default();
        match (clusters.binary_search(cluster), is_one) {
            (Err(place), true) => clusters.insert(place, cluster.clone()),
            (Ok(place), false) => drop(clusters.remove(place)),
            (Ok(_), true) | (Err(_), false) => {}
        }
        if clusters.is_empty() {
            self.nodes.remove(&address);
        }
    }

    /// The clusters of whose nodes one has the address.
    pub(super) fn nodes_at(&self, address: IpAddr) -> &[ClusterName] {
        self.nodes.get(&address).map_or(&[], |clusters| clusters)
    }

    /// Drops what is known of a cluster's nodes.
    pub(super) fn forget_nodes(&mut self, cluster: &ClusterName) {
        self.nodes.retain(|_, clusters| {
            clusters.retain(|one| one != cluster);
            !clusters.is_empty()
        });
    }

    /// The claims of one cluster on an address.
    pub(super) fn claims_of<'a>(
        &'a self,
        identities: &'a Identities,
        cluster: &'a ClusterName,
        address: IpAddr,
    ) -> impl Iterator<Item = IdentityId> + 'a {
        let claims = self.owners.get(address).iter().copied();
        claims.filter(move |id| identities.get(*id).namespace.cluster == *cluster)
    }

    /// Every address that it says something of, some of them twice.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.owners.addresses().chain(self.nodes.keys().copied())
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self, identities: &mut Identities) {
        for (_, claims) in std::mem::take(&mut self.owners).iter() {
            for id in claims {
                identities.release(*id);
            }
        }
        self.nodes.clear();
        self.namespaces.clear();
    }
}
