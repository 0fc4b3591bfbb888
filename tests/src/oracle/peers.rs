//! Whether an entry of `from` or `to` means who is at an address.
//!
//! Pure.

use super::blocks::Block;
use super::objects::{CLUSTER_LABEL, NAME_LABEL, Namespace, Pod};
use super::place::Place;
use super::policies::Peer;
use super::selectors::Selector;
use super::switches::{BarePodSelector, ClusterLabel};

impl Place<'_, '_> {
    pub(super) fn peer_matches(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Block(block) => self.block_matches(block),
            Peer::Own(pods) => self.pods_match(|pod| self.in_own_namespace(pod) && self.pod_selected(pods, pod)),
            Peer::All(namespaces) => self.pods_match(|pod| self.in_namespaces(namespaces, pod) && self.any_pod()),
            Peer::Some { namespaces, pods } => {
                self.pods_match(|pod| self.both(self.in_namespaces(namespaces, pod), self.pod_selected(pods, pod)))
            }
        }
    }

    /// S32: selectors match pods: none matches an address with no live pod behind it. S113: where there are several, each of
    /// them must match.
    fn pods_match(&self, matches: impl Fn(&Pod) -> bool) -> bool {
        let claimants = self.claimants();
        if claimants.is_empty() {
            self.cite(if self.judge.is_nodes(self.peer()) { 44 } else { 32 });
            return false;
        }
        let all = claimants
            .into_iter()
            .all(|pod| self.of_any_cluster(pod) && matches(pod));
        if all && self.peer().is_ipv6() {
            // S94: whom a selector means is the same in both families.
            self.cite(94);
        }
        all
    }

    /// S100: selectors look at pods of every cluster.
    fn of_any_cluster(&self, pod: &Pod) -> bool {
        if self.is_foreign(pod) {
            self.cite(100);
        }
        true
    }

    fn is_foreign(&self, pod: &Pod) -> bool {
        pod.cluster != self.pod.cluster
    }

    /// S33: a block matches addresses, whoever is behind them. S39: pods of other clusters, too, whatever their labels. S44:
    /// and only a block matches a node.
    fn block_matches(&self, block: &Block) -> bool {
        let matches = block.matches(self.peer(), &self.judge.cited);
        if matches {
            let claimants = self.claimants();
            self.cite(match (claimants.is_empty(), self.judge.is_nodes(self.peer())) {
                (true, true) => 44,
                (false, _) if claimants.iter().any(|pod| self.is_foreign(pod)) => 39,
                (true, false) | (false, _) => 33,
            });
        }
        matches
    }

    /// S19: `podSelector` alone means the namespace of the policy's name in every cluster. S20: and no other namespace.
    fn in_own_namespace(&self, pod: &Pod) -> bool {
        if pod.namespace != self.pod.namespace {
            self.cite(20);
            return false;
        }
        !self.is_foreign(pod) || self.bare_selector_crosses()
    }

    /// S19, L1.
    fn bare_selector_crosses(&self) -> bool {
        self.cite(19);
        match self.judge.switches.bare_pod_selector {
            BarePodSelector::ClusterSet => true,
            BarePodSelector::Local => false,
        }
    }

    /// S21: `namespaceSelector` alone means all pods there.
    fn any_pod(&self) -> bool {
        self.cite(21);
        true
    }

    /// S22: both together mean those pods in those namespaces.
    fn both(&self, in_namespaces: bool, selected: bool) -> bool {
        if in_namespaces != selected {
            self.cite(22);
        }
        in_namespaces && selected
    }

    /// S108: on a pod the cluster label is a label like others.
    fn pod_selected(&self, selector: &Selector, pod: &Pod) -> bool {
        if selector.speaks_of(CLUSTER_LABEL) {
            self.cite(108);
        }
        selector.matches(&|key| pod.labels.get(key).map(String::as_str), &self.judge.cited)
    }

    /// S18: an empty `namespaceSelector` means all namespaces, of all clusters.
    fn in_namespaces(&self, selector: &Selector, pod: &Pod) -> bool {
        if selector.is_empty() {
            self.cite(18);
            return true;
        }
        match self.judge.namespace(pod) {
            Some(namespace) => self.namespace_selected(selector, namespace),
            None => self.unknown_namespace(),
        }
    }

    /// S31: of a namespace without object nothing is known, not even which labels it lacks.
    fn unknown_namespace(&self) -> bool {
        self.cite(31);
        false
    }

    fn namespace_selected(&self, selector: &Selector, namespace: &Namespace) -> bool {
        let labels = |key: &str| match key {
            NAME_LABEL => Some(self.name_label(namespace)),
            CLUSTER_LABEL => self.cluster_label(namespace),
            key => namespace.labels.get(key).map(String::as_str),
        };
        let selected = selector.matches(&labels, &self.judge.cited);
        self.cite_namespace(selector, namespace, selected);
        selected
    }

    /// S102 to S104: what cluster a namespace is of.
    fn cite_namespace(&self, selector: &Selector, namespace: &Namespace, selected: bool) {
        let clusters = self.judge.world.clusters.values();
        let mut same_name = clusters.filter_map(|cluster| cluster.namespaces.get(&namespace.name));
        if same_name.any(|other| other.labels != namespace.labels) {
            // S102: each of that name has its own labels.
            self.cite(102);
        }
        match (
            selected,
            selector.speaks_of(CLUSTER_LABEL),
            namespace.cluster == self.pod.cluster,
        ) {
            // S103: who names no cluster means all.
            (true, false, false) => self.cite(103),
            // S104: who names the own one means it alone.
            (true, true, true) => self.cite(104),
            (true, false, true) | (true, true, false) | (false, _, _) => {}
        }
    }

    /// S29: the name label says the name, whatever is written.
    fn name_label<'n>(&self, namespace: &'n Namespace) -> &'n str {
        self.cite(29);
        &namespace.name
    }

    /// S101: the cluster label is a label of the namespace like others, as long as it says the truth.
    fn cluster_label<'n>(&self, namespace: &'n Namespace) -> Option<&'n str> {
        match namespace.labels.get(CLUSTER_LABEL) {
            None => self.unlabelled(namespace),
            Some(written) if *written != namespace.cluster => Some(self.falsely_labelled(namespace, written)),
            Some(written) => {
                self.cite(101);
                Some(written)
            }
        }
    }

    /// S105: a namespace without the cluster label has none, L3: unless whoever sent it decides.
    fn unlabelled<'n>(&self, namespace: &'n Namespace) -> Option<&'n str> {
        self.cite(105);
        match self.judge.switches.cluster_label {
            ClusterLabel::Verify | ClusterLabel::Literal => None,
            ClusterLabel::Assert => Some(&namespace.cluster),
        }
    }

    /// S106: one that names another cluster is read as the cluster that sent it, L4: unless it is taken at its word.
    fn falsely_labelled<'n>(&self, namespace: &'n Namespace, written: &'n str) -> &'n str {
        self.cite(106);
        match self.judge.switches.cluster_label {
            ClusterLabel::Verify | ClusterLabel::Assert => &namespace.cluster,
            ClusterLabel::Literal => written,
        }
    }
}
