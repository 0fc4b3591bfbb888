//! Who is behind an address.
//!
//! Pure.

use super::Judge;
use super::connection::NodeName;
use super::objects::{Phase, Pod};
use std::net::IpAddr;

impl<'w> Judge<'w> {
    /// Who is behind an address, as a node of the policy's cluster sees it; all of them must match whatever is to match it
    /// (S113). None: it is outside every cluster (S32).
    pub(super) fn claimants(&self, node: &NodeName, address: IpAddr) -> Vec<&'w Pod> {
        let own = self.owners(node, &node.cluster, address);
        let mut others = Vec::new();
        for cluster in self.world.clusters.keys().filter(|cluster| **cluster != node.cluster) {
            others.extend(self.owners(node, cluster, address));
        }
        if self.is_only_a_nodes(node, address, &own) {
            return Vec::new();
        }
        self.counting(own, others)
    }

    /// I7, S113: nodes claim their addresses as pods do. At home the own cluster's claims count alone, a node's too; elsewhere
    /// all must match, and a node is matched by no selector (S44).
    fn is_only_a_nodes(&self, node: &NodeName, address: IpAddr, own: &[&Pod]) -> bool {
        let mut elsewhere = self.world.clusters.values();
        self.is_a_nodes(node, &node.cluster, address)
            || own.is_empty() && elsewhere.any(|cluster| cluster.told.contains(&address))
    }

    /// S113: at home the own cluster's claims count alone, and elsewhere all do.
    fn counting(&self, own: Vec<&'w Pod>, others: Vec<&'w Pod>) -> Vec<&'w Pod> {
        if own.len() + others.len() > 1 {
            self.cite(113);
        }
        if own.is_empty() { others } else { own }
    }

    /// The pods of a cluster that own an address, as a node sees it.
    fn owners(&self, node: &NodeName, cluster: &str, address: IpAddr) -> Vec<&'w Pod> {
        if self.is_a_nodes(node, cluster, address) {
            return Vec::new();
        }
        self.staying(self.live(cluster, None, address))
    }

    /// The pods of a node that own an address, for which it enforces. S114: a node of another cluster that has this one's
    /// name is another node.
    pub(super) fn subjects(&self, node: &NodeName, address: IpAddr) -> Vec<&'w Pod> {
        if self.is_a_nodes(node, &node.cluster, address) {
            return Vec::new();
        }
        let here = self.staying(self.live(&node.cluster, Some(&node.name), address));
        self.not_taken_over(here, &self.owners(node, &node.cluster, address))
    }

    /// S83: a terminating pod yields to one of another node as well. One that looks the same has the same policies.
    fn not_taken_over(&self, here: Vec<&'w Pod>, owners: &[&'w Pod]) -> Vec<&'w Pod> {
        let stays = |pod: &&Pod| !pod.terminating || owners.iter().any(|owner| owner.looks_like(pod));
        let left: Vec<_> = here.iter().copied().filter(stays).collect();
        if left.len() < here.len() {
            self.cite(83);
        }
        left
    }

    /// I7: what a cluster tells to be a node's address is none of its pods', and a node knows its own addresses.
    fn is_a_nodes(&self, node: &NodeName, cluster: &str, address: IpAddr) -> bool {
        let own = self.world.clusters[&node.cluster].nodes.get(&node.name);
        self.world.clusters[cluster].told.contains(&address) || own.is_some_and(|own| own.contains(&address))
    }

    /// S83: a terminating pod yields to one that stays. S82: where none stays it is still there.
    pub(super) fn staying(&self, live: Vec<&'w Pod>) -> Vec<&'w Pod> {
        let staying: Vec<_> = live.iter().copied().filter(|pod| !pod.terminating).collect();
        match (staying.is_empty(), live.len() - staying.len()) {
            (_, 0) => {}
            (true, _) => self.cite(82),
            (false, _) => self.cite(83),
        }
        if staying.is_empty() { live } else { staying }
    }

    /// The live pods of a cluster, or of one node of it, that list an address.
    pub(super) fn live(&self, cluster: &str, node: Option<&str>, address: IpAddr) -> Vec<&'w Pod> {
        let pods = self.world.clusters[cluster].pods.iter();
        let here = pods.filter(|pod| node.is_none() || pod.node.as_deref() == node);
        here.filter(|pod| self.lists(pod, address) && self.is_live(pod))
            .collect()
    }

    /// S93: each of the addresses that a pod lists is its own. S92: those that nobody can have do not spoil the others.
    fn lists(&self, pod: &Pod, address: IpAddr) -> bool {
        let lists = pod.addresses.contains(&address);
        if lists && pod.addresses.first() != Some(&address) {
            self.cite(93);
        }
        if lists && pod.lists_unusable {
            self.cite(92);
        }
        lists
    }

    /// Whether a pod owns the addresses that it lists.
    fn is_live(&self, pod: &Pod) -> bool {
        self.has_own_network(pod) && self.runs(pod)
    }

    /// S70, S71: a pod on its node's network is its node.
    fn has_own_network(&self, pod: &Pod) -> bool {
        if pod.host_network {
            self.cite(71);
        }
        !pod.host_network
    }

    fn runs(&self, pod: &Pod) -> bool {
        match pod.phase {
            // S80: it may have begun to prepare itself.
            Phase::Pending => self.cite(80),
            Phase::Running => {}
            // S90: its node is lost, which does not mean that it has stopped.
            Phase::Unknown => self.cite(90),
            // S81: its addresses may already be another pod's.
            Phase::Finished => self.cite(81),
        }
        pod.phase != Phase::Finished
    }

    /// S69: a pod reaches itself by all addresses that are nobody else's.
    pub(super) fn is_itself(&self, node: &NodeName, pod: &Pod, address: IpAddr) -> bool {
        let only_here = matches!(self.subjects(node, address)[..], [owner] if std::ptr::eq(owner, pod));
        only_here && self.claimants(node, address).iter().all(|other| other.looks_like(pod))
    }
}
