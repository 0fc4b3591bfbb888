//! Whether a rule of a policy matches, where it is enforced.
//!
//! Pure.

use super::Judge;
use super::blocks::Block;
use super::connection::{Connection, Direction, NodeName, Probe, Transport};
use super::objects::{CLUSTER_LABEL, NAME_LABEL, Namespace, Pod};
use super::policies::{Peer, PortEntry, Rule, Which};
use super::selectors::Selector;
use std::net::IpAddr;

/// A connection at the pod for which it is judged.
pub(super) struct Place<'a, 'w> {
    pub judge: &'a Judge<'w>,
    /// Where the pod runs.
    pub node: &'a NodeName,
    /// The subject.
    pub pod: &'a Pod,
    pub direction: Direction,
    pub connection: Connection,
}

impl Place<'_, '_> {
    fn cite(&self, rule: u8) {
        self.judge.cite(rule);
    }

    /// The address of the other end.
    fn peer(&self) -> IpAddr {
        match self.direction {
            Direction::Ingress => self.connection.source,
            Direction::Egress => self.connection.destination,
        }
    }

    /// S11: within a rule a peer and a port must match.
    pub fn rule_matches(&self, rule: &Rule) -> bool {
        self.a_peer_matches(rule) && self.a_port_matches(rule)
    }

    /// S10, S60: no peers given is any peer; peers given of which none is usable are nobody.
    fn a_peer_matches(&self, rule: &Rule) -> bool {
        match &rule.peers {
            None => {
                self.cite(10);
                true
            }
            Some(peers) => {
                if peers.is_empty() {
                    self.cite(60);
                }
                peers.iter().any(|peer| self.peer_matches(peer))
            }
        }
    }

    fn peer_matches(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Block(block) => self.block_matches(block),
            Peer::Pods { namespaces, pods } => {
                let claimants = self.judge.claimants(self.node, self.peer());
                // S32: no selector matches an address with no live pod behind it, and S113: all claimants must match.
                if claimants.is_empty() {
                    self.cite(32);
                    return false;
                }
                match (namespaces, pods) {
                    (Some(_), None) => self.cite(21),
                    (Some(_), Some(_)) => self.cite(22),
                    (None, _) => {}
                }
                claimants.iter().all(|pod| {
                    self.in_namespaces(pod, namespaces.as_ref())
                        && pods.as_ref().is_none_or(|selector| self.pod_selected(selector, pod))
                })
            }
        }
    }

    /// S33, S39: a block matches an address whoever is behind it.
    fn block_matches(&self, block: &Block) -> bool {
        if !block.is_of_family(self.peer()) {
            self.cite(95);
        }
        if block.in_except(self.peer()) {
            self.cite(34);
        }
        let matches = block.matches(self.peer());
        if matches {
            let claimants = self.judge.claimants(self.node, self.peer());
            let foreign = claimants.iter().any(|pod| pod.cluster != self.pod.cluster);
            self.cite(match (claimants.is_empty(), foreign) {
                (true, _) => 44,
                (false, false) => 33,
                (false, true) => 39,
            });
        }
        matches
    }

    fn pod_selected(&self, selector: &Selector, pod: &Pod) -> bool {
        if selector.hangs_on_absence(&pod.labels) {
            self.cite(27);
        }
        if selector.asks_for_empty_value() {
            self.cite(28);
        }
        selector.matches(&pod.labels)
    }

    /// S19, S20, S23: no `namespaceSelector` is the policy's namespace by name, in every cluster; S18: an empty one is all.
    /// S31: a namespace without object matches no other.
    fn in_namespaces(&self, pod: &Pod, selector: Option<&Selector>) -> bool {
        let Some(selector) = selector else {
            self.cite(if pod.cluster == self.pod.cluster { 20 } else { 19 });
            return pod.namespace == self.pod.namespace;
        };
        if selector.is_empty() {
            self.cite(18);
            return true;
        }
        let Some(namespace) = self.judge.namespace(pod) else {
            self.cite(31);
            return false;
        };
        self.namespace_selected(selector, namespace)
    }

    /// S29, S101, S105, S106: the labels that a namespace counts with.
    fn namespace_selected(&self, selector: &Selector, namespace: &Namespace) -> bool {
        if selector.speaks_of(NAME_LABEL) {
            self.cite(29);
        }
        if selector.speaks_of(CLUSTER_LABEL) {
            match namespace.labels.get(CLUSTER_LABEL) {
                None => self.cite(105),
                Some(value) if *value != namespace.cluster => self.cite(106),
                Some(_) => self.cite(101),
            }
        }
        selector.matches(&namespace.counting_labels())
    }

    /// S46, S60: no ports given is every port and protocol; S73: other protocols are covered by that only.
    fn a_port_matches(&self, rule: &Rule) -> bool {
        match (&rule.ports, self.connection.probe) {
            (None, Probe::Port(..)) => {
                self.cite(46);
                true
            }
            (None, Probe::Ping | Probe::Other(_)) => {
                self.cite(73);
                true
            }
            (Some(_), Probe::Ping | Probe::Other(_)) => {
                self.cite(73);
                false
            }
            (Some(entries), Probe::Port(transport, port)) => {
                if entries.is_empty() {
                    self.cite(60);
                }
                entries.iter().any(|entry| self.port_matches(entry, transport, port))
            }
        }
    }

    /// S47 to S52: an entry is for one protocol, and any port, a range of them, or a name.
    fn port_matches(&self, entry: &PortEntry, transport: Transport, port: u16) -> bool {
        entry.transport == transport
            && match &entry.which {
                Which::Any => {
                    self.cite(48);
                    true
                }
                Which::Range(first, last) => {
                    self.cite(if first == last { 49 } else { 50 });
                    (*first..=*last).contains(&port)
                }
                Which::Name(name) => self.name_matches(name, transport, port),
            }
    }

    /// S53: a name is looked up on the destination pod: the subject for ingress, the peer for egress, of whatever cluster
    /// and namespace (S58), whether it is a peer by itself or by its address (S59). Every claimant must have it (S113); an
    /// address with no live pod behind it has none (S57).
    fn name_matches(&self, name: &str, transport: Transport, port: u16) -> bool {
        let has = |pod: &Pod| {
            let has = pod.has_port(name, transport, port);
            self.cite(if has { 53 } else { 55 });
            has
        };
        match self.direction {
            Direction::Ingress => has(self.pod),
            Direction::Egress => {
                let claimants = self.judge.claimants(self.node, self.connection.destination);
                self.cite(if claimants.is_empty() { 57 } else { 58 });
                !claimants.is_empty() && claimants.into_iter().all(has)
            }
        }
    }
}
