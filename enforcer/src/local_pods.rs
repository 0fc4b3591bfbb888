//! The pods of the node, as the own API server and the container runtime tell of them.
//!
//! Pure, and a function of what both say at the moment (S120). The API server knows a pod's labels and ports, and hears of
//! its addresses late; the runtime knows its addresses before its first container starts (S79):
//!
//! - A pod has the addresses of its status and those of its sandboxes. Two sandboxes are seldom; a status that is late
//!   tells of an address that nobody has.
//! - An address that a sandbox has is its pod's alone. Another pod whose status lists it had it before: its sandbox was
//!   made anew, or the node began anew and gave the addresses out in another order (S83).
//! - A sandbox of a pod that the API server does not tell of, or not yet, or not any more although it runs, is a pod of the
//!   labels that it began with (S122). Nothing is known of its ports.
//!
//! While the runtime is out of reach its word may be old. Then the API server's comes first: a sandbox's addresses count
//! only where a status has none, and a pod that the runtime alone tells of yields its address like one that is ending.

use crate::sandbox::{self, PodName, Sandbox, SandboxId};
use proto::mirror::Tenure;
use proto::model::{ClusterName, Identity};
use proto::observe::{Phase, Pod};
use proto::pods::{self, Pods};
use proto::watch::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The pods of the node.
#[derive(Debug, Default)]
pub struct LocalPods {
    watched: Pods,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    /// Whether the runtime says what changes.
    is_live: bool,
}

/// Who owns an address, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Sorted, each once.
    pub owners: Vec<Identity>,
    /// For how long they own it.
    pub tenure: Tenure,
}

impl LocalPods {
    /// Takes the API server's word in.
    pub fn watched(&mut self, event: Event<Pod>) {
        self.watched.apply(event);
    }

    /// Takes the runtime's word in.
    pub fn runtime(&mut self, event: sandbox::Event) {
        match event {
            sandbox::Event::Synced { sandboxes, .. } => {
                self.is_live = true;
                self.sandboxes = sandboxes.into_iter().map(|new| (new.id.clone(), new)).collect();
            }
            sandbox::Event::Started(sandbox) => {
                self.sandboxes.insert(sandbox.id.clone(), sandbox);
            }
            sandbox::Event::Stopped(id) => {
                self.sandboxes.remove(&id);
            }
            sandbox::Event::Lost(_) => self.is_live = false,
            sandbox::Event::Absent(_) | sandbox::Event::Answered(_) => {}
        }
    }

    /// Whether the API server has told of all its pods.
    pub fn is_synced(&self) -> bool {
        self.watched.is_synced()
    }

    /// All of them: those that the API server tells of, sorted by namespace and name, then the others.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        let mut of_pods: BTreeMap<&PodName, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut others = Vec::new();
        for sandbox in self.sandboxes.values().filter(|sandbox| !sandbox.addresses.is_empty()) {
            match self.watched_pod(sandbox) {
                Some(_) => of_pods.entry(&sandbox.pod).or_default().extend(&sandbox.addresses),
                None => others.push(Arc::new(self.by_sandbox(sandbox))),
            }
        }
        let at_sandboxes: BTreeSet<IpAddr> = match self.is_live {
            true => self
                .sandboxes
                .values()
                .flat_map(|sandbox| &sandbox.addresses)
                .copied()
                .collect(),
            false => BTreeSet::new(),
        };
        let watched = self.watched.iter().map(|pod| {
            let name = PodName {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
            };
            let own = of_pods.remove(&name).unwrap_or_default();
            self.with_addresses(pod, own, &at_sandboxes)
        });
        let watched: Vec<_> = watched.collect();
        watched.into_iter().chain(others).collect()
    }

    /// Who of these pods owns each address that one of them has.
    pub fn claims(&self, pods: &[Arc<Pod>], cluster: &ClusterName) -> BTreeMap<IpAddr, Claim> {
        let mut claimants: BTreeMap<IpAddr, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in pods {
            for address in &pod.addresses {
                claimants.entry(*address).or_default().push(pod.clone());
            }
        }
        let claim = |(address, pods): (&IpAddr, &Vec<Arc<Pod>>)| {
            let judged = pods::judge(pods, self.watched.is_nodes(*address));
            let owning: Vec<&Arc<Pod>> = judged.filter(|(_, lost)| lost.is_none()).map(|(pod, _)| pod).collect();
            let owners: BTreeSet<Identity> = owning.iter().map(|pod| pods::identity(cluster, pod)).collect();
            let claim = Claim {
                owners: owners.into_iter().collect(),
                tenure: pods::tenure(&owning),
            };
            (*address, claim)
        };
        claimants.iter().map(claim).collect()
    }

    /// The sandboxes all of whose addresses these pods have, whatever else is known: those are judged as policies say.
    pub fn covered(&self, pods: &[Arc<Pod>]) -> BTreeSet<SandboxId> {
        let pods: BTreeMap<&str, &Pod> = pods.iter().map(|pod| (&*pod.uid, &**pod)).collect();
        let is_covered = |sandbox: &&Sandbox| {
            let uid = self.watched_pod(sandbox).map_or(&sandbox.uid, |pod| &pod.uid);
            let pod = pods.get(&**uid);
            pod.is_some_and(|pod| pod.host_network || sandbox.addresses.iter().all(|own| pod.addresses.contains(own)))
        };
        let covered = self.sandboxes.values().filter(is_covered);
        covered.map(|sandbox| sandbox.id.clone()).collect()
    }

    /// The pod that a sandbox is of, as the API server tells of it. The mirror of a static pod has a UID of its own.
    fn watched_pod(&self, sandbox: &Sandbox) -> Option<&Arc<Pod>> {
        let pod = self.watched.get(&sandbox.pod.namespace, &sandbox.pod.name);
        pod.filter(|pod| sandbox.is_static || pod.uid == sandbox.uid)
    }

    /// A watched pod with all the addresses that it has: `own` are those of its sandboxes.
    fn with_addresses(&self, pod: &Arc<Pod>, own: BTreeSet<IpAddr>, at_sandboxes: &BTreeSet<IpAddr>) -> Arc<Pod> {
        if pod.host_network || (!self.is_live && !pod.addresses.is_empty()) {
            return pod.clone();
        }
        let mut addresses = own;
        let said = pod.addresses.iter().copied();
        addresses.extend(said.filter(|address| !at_sandboxes.contains(address)));
        if addresses.iter().eq(&pod.addresses) {
            return pod.clone();
        }
        Arc::new(Pod {
            addresses: addresses.into_iter().collect(),
            ..Pod::clone(pod)
        })
    }

    /// A pod that the runtime alone tells of.
    fn by_sandbox(&self, sandbox: &Sandbox) -> Pod {
        Pod {
            namespace: sandbox.pod.namespace.clone(),
            name: sandbox.pod.name.clone(),
            uid: sandbox.uid.clone(),
            labels: sandbox.labels.clone(),
            node: None,
            addresses: sandbox.addresses.clone(),
            host_addresses: Vec::new(),
            host_network: false,
            phase: Phase::Running,
            terminating: !self.is_live,
            ports: Arc::default(),
            rejected: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
