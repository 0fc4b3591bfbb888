//! All objects of the clusters, as the lint rules look at them.
//!
//! Pure. Who a peer means is [`proto::selector`]'s to say, what a piece of a policy means [`crate::policy::written`]'s;
//! here both meet the pods. A pod counts as soon as it is live, address or not: it is about to have one.

use super::finding::{Finding, Location, Rule, Severity, Subject};
use crate::offline::ClusterSet;
use crate::offline::clusterset::Cluster;
use crate::offline::manifests::{Kind, Object};
use crate::policy::written::{self, PolicyType, Written};
use crate::policy::{NetworkPolicy, Policy, PolicyName};
use ipnet::IpNet;
use proto::model::{ClusterName, Identity, Labels, NamespaceName};
use proto::observe::{Namespace, Phase, Pod};
use proto::pods::identity;
use proto::selector::{self, Selector, Switches};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

/// The objects of all clusters.
pub(super) struct Estate<'a> {
    /// What selectors mean.
    pub switches: Switches,
    /// Every cluster, sorted.
    pub clusters: BTreeSet<&'a ClusterName>,
    /// Every Namespace object.
    pub namespaces: BTreeMap<NamespaceName, NamespaceAt<'a>>,
    /// Every pod, sorted by cluster, namespace and name.
    pub pods: Vec<PodAt<'a>>,
    /// Which of `pods` are in a namespace.
    places: BTreeMap<NamespaceName, Range<usize>>,
    /// The addresses of live pods, sorted, each with a place in `pods`.
    addresses: Vec<(IpAddr, usize)>,
    /// Every policy, sorted by cluster, namespace and name.
    pub policies: Vec<PolicyAt<'a>>,
    /// The addresses of each cluster's nodes, with the name of a node that has it.
    pub node_addresses: BTreeMap<(&'a ClusterName, IpAddr), &'a str>,
}

/// A Namespace and where it stands.
pub(super) struct NamespaceAt<'a> {
    pub namespace: &'a Namespace,
    pub location: Location,
}

/// A Pod and where it stands.
pub(super) struct PodAt<'a> {
    pub pod: &'a Pod,
    pub identity: Identity,
    pub location: Location,
}

/// A NetworkPolicy and where it stands.
pub(super) struct PolicyAt<'a> {
    pub cluster: &'a ClusterName,
    pub name: &'a PolicyName,
    pub spec: &'a Value,
    pub policy: &'a Policy,
    pub written: Written,
    pub location: Location,
}

impl PodAt<'_> {
    pub fn cluster(&self) -> &ClusterName {
        &self.identity.namespace.cluster
    }

    /// Whether selectors can match it.
    pub fn is_live(&self) -> bool {
        self.pod.is_live()
    }

    /// Whether it is on its node's network, and not finished.
    pub fn is_host_network(&self) -> bool {
        self.pod.host_network && !matches!(self.pod.phase, Phase::Succeeded | Phase::Failed)
    }

    pub fn subject(&self) -> Subject {
        Subject {
            cluster: Some(self.cluster().clone()),
            kind: Some("Pod"),
            name: format!("{}/{}", self.pod.namespace, self.pod.name),
            location: Some(self.location.clone()),
        }
    }
}

impl std::fmt::Display for PodAt<'_> {
    /// `cluster/namespace/pod`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.cluster(), self.pod.namespace, self.pod.name)
    }
}

impl PolicyAt<'_> {
    pub fn subject(&self) -> Subject {
        Subject {
            cluster: Some(self.cluster.clone()),
            kind: Some("NetworkPolicy"),
            name: self.name.to_string(),
            location: Some(self.location.clone()),
        }
    }

    pub fn namespace(&self) -> NamespaceName {
        NamespaceName {
            cluster: self.cluster.clone(),
            name: self.name.namespace.clone(),
        }
    }

    /// The rules of a direction, if it isolates that; an entry that is void is none, and all are if the policy's own
    /// selector is (P1).
    pub fn rules_in_force(&self, direction: PolicyType) -> impl Iterator<Item = (usize, &written::Rule)> {
        let rules = self.written.rules(direction).filter(|_| self.written.subjects.is_ok());
        let entries = rules.map_or(&[][..], written::List::entries).iter().enumerate();
        entries.filter_map(|(index, rule)| Some((index, rule.as_ref().ok()?)))
    }

    /// The raw rule at an index.
    pub fn raw_rule(&self, direction: PolicyType, rule: usize) -> &Value {
        &self.spec[direction.rules()][rule]
    }
}

impl<'a> Estate<'a> {
    /// All objects of a ClusterSet.
    pub fn of(set: &'a ClusterSet) -> Self {
        let mut estate = Self {
            switches: set.switches().selectors,
            clusters: set.clusters().map(Cluster::name).collect(),
            namespaces: BTreeMap::new(),
            pods: Vec::new(),
            places: BTreeMap::new(),
            addresses: Vec::new(),
            policies: Vec::new(),
            node_addresses: BTreeMap::new(),
        };
        for cluster in set.clusters() {
            estate.take(cluster);
        }
        for (index, pod) in estate.pods.iter().enumerate() {
            let namespace = pod.identity.namespace.clone();
            estate.places.entry(namespace).or_insert(index..index).end = index + 1;
            if pod.is_live() {
                let addresses = pod.pod.addresses.iter();
                estate.addresses.extend(addresses.map(|address| (*address, index)));
            }
        }
        estate.addresses.sort_unstable();
        estate
    }

    fn take(&mut self, cluster: &'a Cluster) {
        let name = cluster.name();
        for namespace in cluster.namespaces().values() {
            let Some(object) = cluster.object(Kind::Namespace, "", &namespace.name) else {
                continue;
            };
            let key = NamespaceName {
                cluster: name.clone(),
                name: namespace.name.clone(),
            };
            let location = location(object);
            self.namespaces.insert(key, NamespaceAt { namespace, location });
        }
        for pod in cluster.pods() {
            if let Some(object) = cluster.object(Kind::Pod, &pod.namespace, &pod.name) {
                self.pods.push(PodAt {
                    pod,
                    identity: identity(name, pod),
                    location: location(object),
                });
            }
        }
        for (key, policy) in cluster.policies() {
            let Some(object) = cluster.object(Kind::NetworkPolicy, &key.namespace, &key.name) else {
                continue;
            };
            let raw = NetworkPolicy::deserialize(&object.raw).expect("it was read before");
            self.policies.push(PolicyAt {
                cluster: name,
                name: key,
                spec: &object.raw["spec"],
                policy,
                written: written::read(&raw),
                location: location(object),
            });
        }
        for (node, at) in cluster.nodes() {
            for address in &at.addresses {
                self.node_addresses.entry((name, *address)).or_insert(node);
            }
        }
    }

    /// The pods of a namespace, live or not.
    pub fn pods_in(&self, namespace: &NamespaceName) -> &[PodAt<'a>] {
        let place = self.places.get(namespace).cloned().unwrap_or(0..0);
        &self.pods[place]
    }

    /// The policies of a namespace.
    pub fn policies_in(&self, namespace: &NamespaceName) -> &[PolicyAt<'a>] {
        let before = |policy: &PolicyAt<'_>| {
            (policy.cluster, &policy.name.namespace).cmp(&(&namespace.cluster, &namespace.name))
        };
        let start = self.policies.partition_point(|policy| before(policy).is_lt());
        let end = self.policies.partition_point(|policy| before(policy).is_le());
        &self.policies[start..end]
    }

    /// Every namespace that has pods.
    pub fn namespaces_with_pods(&self) -> impl Iterator<Item = (&NamespaceName, &[PodAt<'a>])> {
        self.places
            .iter()
            .map(|(namespace, place)| (namespace, &self.pods[place.clone()]))
    }

    pub fn live(&self) -> impl Iterator<Item = &PodAt<'a>> {
        self.pods.iter().filter(|pod| pod.is_live())
    }

    pub fn labels(&self, namespace: &NamespaceName) -> Option<&'a Labels> {
        self.namespaces.get(namespace).map(|at| &*at.namespace.labels)
    }

    /// The live pods that a peer of a policy of `namespace` means.
    pub fn reach(&self, namespace: &NamespaceName, peer: &written::Peer) -> Vec<&PodAt<'a>> {
        match peer {
            written::Peer::Pods { pods, namespaces } => self.selected(
                &selector_peer(namespace, pods.as_ref(), namespaces.as_ref()),
                PodAt::is_live,
            ),
            written::Peer::Block { net, except } => self.within(*net, except),
        }
    }

    /// The live pods with an address in a block and in none of its excepts.
    fn within(&self, net: IpNet, except: &[IpNet]) -> Vec<&PodAt<'a>> {
        let start = self.addresses.partition_point(|(address, _)| *address < net.network());
        let inside = self.addresses[start..]
            .iter()
            .take_while(|(address, _)| net.contains(address));
        let left = inside.filter(|(address, _)| !except.iter().any(|net| net.contains(address)));
        let places: BTreeSet<usize> = left.map(|(_, place)| *place).collect();
        places.into_iter().map(|place| &self.pods[place]).collect()
    }

    /// The pods on their nodes' networks that a peer would mean if selectors matched such pods (S71).
    pub fn reach_on_host_network(&self, namespace: &NamespaceName, peer: &written::Peer) -> Vec<&PodAt<'a>> {
        match peer {
            written::Peer::Pods { pods, namespaces } => self.selected(
                &selector_peer(namespace, pods.as_ref(), namespaces.as_ref()),
                PodAt::is_host_network,
            ),
            written::Peer::Block { .. } => Vec::new(),
        }
    }

    /// Those of certain pods that a peer selects.
    fn selected(&self, peer: &selector::Peer, certain: fn(&PodAt<'a>) -> bool) -> Vec<&PodAt<'a>> {
        let anywhere = selector::Peer {
            pods: None,
            ..peer.clone()
        };
        let mut found = Vec::new();
        for place in self.places.values() {
            let pods = &self.pods[place.clone()];
            let Some(first) = pods.first() else { continue };
            let labels = self.labels(&first.identity.namespace);
            if anywhere.selects(&first.identity, labels, self.switches) {
                let selects = |pod: &&PodAt<'a>| {
                    certain(pod)
                        && peer
                            .pods
                            .as_ref()
                            .is_none_or(|selector| selector.matches(&pod.identity.labels))
                };
                found.extend(pods.iter().filter(selects));
            }
        }
        found
    }

    /// The pods that a policy selects, live or not (S3). One with a void `podSelector` selects all (P1).
    pub fn selected_by(&self, policy: &PolicyAt<'_>) -> Vec<&PodAt<'a>> {
        let everything = Selector::default();
        let selector = policy.written.subjects.as_ref().unwrap_or(&everything);
        let pods = self.pods_in(&policy.namespace()).iter();
        pods.filter(|pod| selector.matches(&pod.identity.labels)).collect()
    }
}

/// One policy and whom its pieces mean.
pub(super) struct Case<'e, 'a> {
    pub estate: &'e Estate<'a>,
    pub policy: &'e PolicyAt<'a>,
    /// The live pods that it selects.
    pub subjects: Vec<&'e PodAt<'a>>,
    /// The rules in force, by direction and index.
    pub rules: Vec<RuleCase<'e, 'a>>,
}

/// A rule in force.
pub(super) struct RuleCase<'e, 'a> {
    pub direction: PolicyType,
    pub index: usize,
    pub rule: &'e written::Rule,
    /// Its peers in force.
    pub peers: Vec<PeerCase<'e, 'a>>,
}

/// A peer in force.
pub(super) struct PeerCase<'e, 'a> {
    pub direction: PolicyType,
    /// Its path.
    pub field: String,
    /// Its place in the list.
    pub index: usize,
    pub peer: &'e written::Peer,
    /// The live pods that it means.
    pub reach: Vec<&'e PodAt<'a>>,
}

impl<'e, 'a> PeerCase<'e, 'a> {
    /// The live pods outside of a cluster that it means.
    pub fn outside(&self, cluster: &ClusterName) -> Vec<&'e PodAt<'a>> {
        let elsewhere = self.reach.iter().filter(|pod| pod.cluster() != cluster);
        elsewhere.copied().collect()
    }
}

impl<'e, 'a> Case<'e, 'a> {
    pub fn new(estate: &'e Estate<'a>, policy: &'e PolicyAt<'a>) -> Self {
        let mut subjects = estate.selected_by(policy);
        subjects.retain(|pod| pod.is_live());
        let mut rules = Vec::new();
        for direction in PolicyType::ALL {
            for (index, rule) in policy.rules_in_force(direction) {
                rules.push(RuleCase::new(estate, policy, direction, index, rule));
            }
        }
        Self {
            estate,
            policy,
            subjects,
            rules,
        }
    }

    /// All peers in force.
    pub fn peers(&self) -> impl Iterator<Item = &PeerCase<'e, 'a>> {
        self.rules.iter().flat_map(|rule| &rule.peers)
    }

    /// A finding about a field of the policy.
    pub fn finding(&self, rule: &'static Rule, severity: Severity, field: &str, happens: String) -> Finding {
        Finding {
            rule,
            severity,
            subject: self.policy.subject(),
            field: field.to_owned(),
            happens,
            instead: None,
        }
    }
}

impl<'e, 'a> RuleCase<'e, 'a> {
    fn new(
        estate: &'e Estate<'a>,
        policy: &PolicyAt<'_>,
        direction: PolicyType,
        index: usize,
        rule: &'e written::Rule,
    ) -> Self {
        let namespace = policy.namespace();
        let entries = rule.peers.entries().iter().enumerate();
        let peers = entries.filter_map(|(place, peer)| {
            let peer = peer.as_ref().ok()?;
            Some(PeerCase {
                direction,
                field: format!("spec.{}[{index}].{}[{place}]", direction.rules(), direction.peers()),
                index: place,
                peer,
                reach: estate.reach(&namespace, peer),
            })
        });
        Self {
            direction,
            index,
            rule,
            peers: peers.collect(),
        }
    }

    /// Its path.
    pub fn field(&self) -> String {
        format!("spec.{}[{}]", self.direction.rules(), self.index)
    }
}

impl Finding {
    /// With what to write instead.
    pub(super) fn instead(self, instead: impl Into<String>) -> Self {
        Self {
            instead: Some(instead.into()),
            ..self
        }
    }
}

/// A peer of a policy of `namespace`.
fn selector_peer(namespace: &NamespaceName, pods: Option<&Selector>, namespaces: Option<&Selector>) -> selector::Peer {
    selector::Peer {
        cluster: namespace.cluster.clone(),
        namespace: namespace.name.clone(),
        pods: pods.cloned(),
        namespaces: namespaces.cloned(),
    }
}

/// Where an object was read.
pub(super) fn location(object: &Object) -> Location {
    Location {
        file: slashed(&object.origin.file),
        document: Some(object.origin.document),
        line: object.origin.line,
    }
}

/// A path with slashes, wherever this runs.
pub(super) fn slashed(path: &Path) -> String {
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}
