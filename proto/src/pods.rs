//! Who owns an address in one cluster: its pods, by name, and their claims, by address.
//!
//! Pure. Decides by the current objects alone, never by the order of events (S120): finished and host-network pods
//! claim nothing (S71, S81), an address that is a node's is nobody's (I7), among live claimants a terminating one yields
//! (S83), several others share the address (I5, S113).

use crate::mirror::{Part, Tenure};
use crate::model::{ClusterName, Identity, NamespaceName};
use crate::observe::{Namespace, Pod};
use crate::watch::Event;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

/// Why a claim on an address does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The pod is Succeeded or Failed (S81).
    Finished,
    /// The pod uses its node's network (S71).
    HostNetwork,
    /// The address is a node's of the same cluster ([`Pods::is_nodes`], I7).
    NodeAddress,
    /// The pod is terminating and another live one claims the address (S83).
    Terminating,
}

/// What an event may have changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touched {
    /// Addresses of which other claims may count now.
    pub claims: BTreeSet<IpAddr>,
    /// Addresses that are nodes' now, or are no more.
    pub nodes: BTreeSet<IpAddr>,
}

/// The pods of one cluster, or of one node of it.
#[derive(Debug, Default)]
pub struct Pods {
    /// By namespace and name; no namespace is empty.
    by_name: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Pod>>>,
    /// For each address the pods that list it, at least one, sorted by namespace and name.
    by_address: BTreeMap<IpAddr, SmallVec<[Arc<Pod>; 1]>>,
    /// For each address that is a node's how often pods say so ([`Pod::node_addresses`]), at least once.
    of_nodes: BTreeMap<IpAddr, usize>,
    /// Addresses that are nodes' whatever pods say.
    listed: BTreeSet<IpAddr>,
    synced: bool,
}

impl Pods {
    /// None yet, of a cluster whose Node objects list these addresses.
    pub fn of_nodes_at(listed: BTreeSet<IpAddr>) -> Self {
        Self {
            listed,
            ..Self::default()
        }
    }

    /// Takes an event in. A relist removes what it does not name.
    pub fn apply(&mut self, event: Event<Pod>) -> Touched {
        let mut touched = Touched::default();
        match event {
            Event::Synced(pods) => self.replace(pods, &mut touched),
            Event::Applied(pod) => self.insert(pod, &mut touched),
            Event::Deleted(pod) => {
                // Names are used again (S88): the end of an earlier pod says nothing of the present one (I15).
                if self
                    .get(&pod.namespace, &pod.name)
                    .is_some_and(|now| now.uid == pod.uid)
                {
                    self.remove(&pod.namespace, &pod.name, &mut touched);
                }
            }
            Event::Heard | Event::Lost(_) => {}
        }
        touched
    }

    /// Whether a complete list has been taken in.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// All pods, sorted by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_name.values().flat_map(BTreeMap::values)
    }

    /// The pods behind this namespace and name in the order of [`Pods::iter`], whether or not a pod has that name.
    pub fn after<'a>(&'a self, namespace: &str, name: &str) -> impl Iterator<Item = &'a Arc<Pod>> {
        let same = self.by_name.get(namespace);
        let same = same.map(|pods| pods.range::<str, _>((Bound::Excluded(name), Bound::Unbounded)));
        let later = self
            .by_name
            .range::<str, _>((Bound::Excluded(namespace), Bound::Unbounded));
        let later = later.flat_map(|(_, pods)| pods.values());
        same.into_iter().flatten().map(|(_, pod)| pod).chain(later)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_name.values().map(BTreeMap::len).sum()
    }

    /// How many there are in this namespace.
    pub fn count_in(&self, namespace: &str) -> usize {
        self.by_name.get(namespace).map_or(0, BTreeMap::len)
    }

    /// The pod of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.by_name.get(namespace)?.get(name)
    }

    /// Every address that some pod lists, ascending.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_address.keys().copied()
    }

    /// Every address that is a node's: a Node object lists it, or a pod says that it runs there
    /// ([`Pod::node_addresses`]). Those of which both are true come twice.
    pub fn node_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.of_nodes.keys().chain(&self.listed).copied()
    }

    /// Whether the address is a node's, and so no pod's (I7).
    pub fn is_nodes(&self, address: IpAddr) -> bool {
        self.of_nodes.contains_key(&address) || self.listed.contains(&address)
    }

    /// The pods whose claim on this address counts, sorted by namespace and name.
    pub fn owners(&self, address: IpAddr) -> Vec<&Arc<Pod>> {
        let judged = self.judged(address);
        judged.filter(|(_, lost)| lost.is_none()).map(|(pod, _)| pod).collect()
    }

    /// All pods that list this address, and why the claim does not count, if it does not.
    pub fn claims(&self, address: IpAddr) -> Vec<(&Arc<Pod>, Option<Lost>)> {
        self.judged(address).collect()
    }

    fn judged(&self, address: IpAddr) -> impl Iterator<Item = (&Arc<Pod>, Option<Lost>)> {
        let claimants = self.by_address.get(&address).map_or(&[][..], SmallVec::as_slice);
        judge(claimants, self.is_nodes(address))
    }

    fn replace(&mut self, pods: Vec<Pod>, touched: &mut Touched) {
        let mut gone: BTreeSet<_> = self
            .iter()
            .map(|pod| (pod.namespace.clone(), pod.name.clone()))
            .collect();
        for pod in pods {
            gone.remove(&(pod.namespace.clone(), pod.name.clone()));
            self.insert(pod, touched);
        }
        for (namespace, name) in gone {
            self.remove(&namespace, &name, touched);
        }
        self.synced = true;
    }

    fn insert(&mut self, pod: Pod, touched: &mut Touched) {
        if self.get(&pod.namespace, &pod.name).is_some_and(|now| **now == pod) {
            return;
        }
        self.remove(&pod.namespace, &pod.name, touched);
        let pod = Arc::new(pod);
        for &address in &pod.addresses {
            let claimants = self.by_address.entry(address).or_default();
            let at = claimants.partition_point(|other| (&other.namespace, &other.name) < (&pod.namespace, &pod.name));
            claimants.insert(at, pod.clone());
            touched.claims.insert(address);
        }
        for address in pod.node_addresses() {
            let said = self.of_nodes.entry(address).or_default();
            *said += 1;
            if *said == 1 {
                self.touch_node(address, touched);
            }
        }
        let namespace = self.by_name.entry(pod.namespace.clone()).or_default();
        namespace.insert(pod.name.clone(), pod);
    }

    fn remove(&mut self, namespace: &str, name: &str, touched: &mut Touched) {
        let Some(pods) = self.by_name.get_mut(namespace) else {
            return;
        };
        let Some(pod) = pods.remove(name) else { return };
        if pods.is_empty() {
            self.by_name.remove(namespace);
        }
        for &address in &pod.addresses {
            let claimants = self
                .by_address
                .get_mut(&address)
                .expect("a pod is at each address it lists");
            claimants.retain(|other| !Arc::ptr_eq(other, &pod));
            if claimants.is_empty() {
                self.by_address.remove(&address);
            }
            touched.claims.insert(address);
        }
        for address in pod.node_addresses() {
            let said = self
                .of_nodes
                .get_mut(&address)
                .expect("what a pod says of its node is counted");
            *said -= 1;
            if *said == 0 {
                self.of_nodes.remove(&address);
                self.touch_node(address, touched);
            }
        }
    }

    fn touch_node(&self, address: IpAddr, touched: &mut Touched) {
        touched.nodes.insert(address);
        if self.by_address.contains_key(&address) {
            touched.claims.insert(address);
        }
    }
}

/// All pods that list one address, and why the claim does not count, if it does not; `is_nodes`: it is a node's too.
pub fn judge(claimants: &[Arc<Pod>], is_nodes: bool) -> impl Iterator<Item = (&Arc<Pod>, Option<Lost>)> {
    let stays = claimants.iter().any(|pod| pod.is_live() && !pod.terminating);
    let address = Address { is_nodes, stays };
    claimants.iter().map(move |pod| (pod, lost(pod, address)))
}

/// What else decides about a claim on an address.
#[derive(Clone, Copy)]
struct Address {
    /// It is a node's.
    is_nodes: bool,
    /// A live claimant is not terminating.
    stays: bool,
}

/// Why the claim of a pod does not count.
fn lost(pod: &Pod, address: Address) -> Option<Lost> {
    if pod.host_network {
        Some(Lost::HostNetwork)
    } else if pod.is_finished() {
        Some(Lost::Finished)
    } else if address.is_nodes {
        Some(Lost::NodeAddress)
    } else if pod.terminating && address.stays {
        Some(Lost::Terminating)
    } else {
        None
    }
}

/// For how long [`Pods::owners`] of an address own it: a terminating one is there only with others that are (S83).
pub fn tenure(owners: &[&Arc<Pod>]) -> Tenure {
    if owners.iter().any(|pod| pod.terminating) {
        Tenure::Terminating
    } else {
        Tenure::Staying
    }
}

/// All that a policy can see of a pod of `cluster`.
pub fn identity(cluster: &ClusterName, pod: &Pod) -> Identity {
    Identity {
        namespace: NamespaceName {
            cluster: cluster.clone(),
            name: pod.namespace.clone(),
        },
        labels: pod.labels.clone(),
        ports: pod.ports.clone(),
    }
}

/// All that a mirror can know of `cluster`, from its objects.
pub fn part<'a>(cluster: &ClusterName, pods: &Pods, namespaces: impl IntoIterator<Item = &'a Namespace>) -> Part {
    let identities = |address| -> Vec<Identity> {
        let owners: BTreeSet<_> = pods
            .owners(address)
            .into_iter()
            .map(|pod| identity(cluster, pod))
            .collect();
        owners.into_iter().collect()
    };
    Part {
        owners: pods
            .addresses()
            .map(|address| (address, identities(address)))
            .filter(|(_, owners)| !owners.is_empty())
            .collect(),
        nodes: pods.node_addresses().collect(),
        namespaces: namespaces
            .into_iter()
            .map(|namespace| (namespace.name.clone(), namespace.labels.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
