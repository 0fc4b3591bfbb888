//! Manifests in YAML → the clusters they describe, and what their nodes compile.

use crate::compile::{NONE_HELD, World, compile};
use crate::links::Links;
use crate::policy::{NetworkPolicy, Policy, PolicyName, parse};
use crate::ruleset::{Ruleset, Verdict};
use crate::switches::Switches;
use ipnet::IpNet;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::{Namespace, Pod};
use proto::pods::{Pods, part};
use proto::watch::Event;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What some clusters' API servers hold.
#[derive(Clone, Default)]
pub struct Clusters(BTreeMap<ClusterName, Cluster>);

#[derive(Clone, Default)]
struct Cluster {
    namespaces: BTreeMap<Arc<str>, Namespace>,
    pods: BTreeMap<(Arc<str>, Arc<str>), Pod>,
    policies: BTreeMap<PolicyName, Arc<Policy>>,
}

/// A node of a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Node {
    pub cluster: ClusterName,
    pub name: Arc<str>,
}

impl Clusters {
    /// Takes the objects of some YAML documents in, each in place of the one of its name before.
    pub fn load(&mut self, cluster: &str, yaml: &str) {
        for object in serde_saphyr::from_multiple::<Value>(yaml).unwrap() {
            self.insert(cluster, &object);
        }
    }

    /// Takes an object in, in place of the one of its name before.
    pub fn insert(&mut self, cluster: &str, object: &Value) {
        let cluster = self.0.entry(ClusterName::new(cluster).unwrap()).or_default();
        match object["kind"].as_str() {
            Some("Namespace") => {
                let namespace = Namespace::deserialize(object).unwrap();
                cluster.namespaces.insert(namespace.name.clone(), namespace);
            }
            Some("Pod") => {
                let pod = Pod::deserialize(object).unwrap();
                cluster.pods.insert((pod.namespace.clone(), pod.name.clone()), pod);
            }
            Some("NetworkPolicy") => {
                let policy = parse(&NetworkPolicy::deserialize(object).unwrap());
                cluster.policies.insert(policy.name.clone(), Arc::new(policy));
            }
            other => panic!("{other:?} is no kind of these tests"),
        }
    }

    /// All pods and where they run.
    pub fn pods(&self) -> impl Iterator<Item = (Node, &Pod)> {
        self.0.iter().flat_map(|(cluster, objects)| {
            objects.pods.values().map(move |pod| {
                let node = Node {
                    cluster: cluster.clone(),
                    name: pod.node.clone().unwrap(),
                };
                (node, pod)
            })
        })
    }

    /// Gives every pod a further address for each that it has.
    pub fn add_addresses(&mut self, further: impl Fn(IpAddr) -> IpAddr) {
        for pod in self.0.values_mut().flat_map(|cluster| cluster.pods.values_mut()) {
            let added: Vec<IpAddr> = pod.addresses.iter().map(|address| further(*address)).collect();
            pod.addresses.extend(added);
        }
    }

    /// The same with every pod on a node of its own.
    pub fn one_pod_a_node(mut self) -> Self {
        for pod in self.0.values_mut().flat_map(|cluster| cluster.pods.values_mut()) {
            pod.node = Some(format!("{}-{}", pod.namespace, pod.name).into());
        }
        self
    }

    /// What each node that has pods compiles.
    pub fn rulesets(&self, switches: Switches) -> BTreeMap<Node, Ruleset> {
        let nodes: BTreeSet<Node> = self.pods().map(|(node, _)| node).collect();
        nodes
            .into_iter()
            .map(|node| (node.clone(), self.ruleset(&node, &BTreeSet::new(), switches)))
            .collect()
    }

    /// What one node compiles.
    pub fn ruleset(&self, node: &Node, node_addresses: &BTreeSet<IpAddr>, switches: Switches) -> Ruleset {
        let mut mirror = Mirror::new(node.cluster.clone());
        for name in self.0.keys() {
            self.show(name, &mut mirror);
        }
        self.ruleset_with(&mirror, node, node_addresses, switches)
    }

    /// What one node with these links compiles.
    pub fn ruleset_with_links(&self, node: &Node, links: &Links, switches: Switches) -> Ruleset {
        let mut mirror = Mirror::new(node.cluster.clone());
        for name in self.0.keys() {
            self.show(name, &mut mirror);
        }
        self.compile(&mirror, node, (&BTreeSet::new(), links, &NONE_HELD), switches)
    }

    /// What one node compiles that holds unknown addresses of these ranges.
    pub fn ruleset_holding(&self, node: &Node, held: &BTreeSet<IpNet>) -> Ruleset {
        let mut mirror = Mirror::new(node.cluster.clone());
        for name in self.0.keys() {
            self.show(name, &mut mirror);
        }
        self.compile(
            &mirror,
            node,
            (&BTreeSet::new(), Links::NONE, held),
            Switches::default(),
        )
    }

    /// Shows a mirror what a cluster holds.
    pub fn show(&self, name: &ClusterName, mirror: &mut Mirror) {
        let cluster = &self.0[name];
        let mut pods = Pods::default();
        pods.apply(Event::Synced(cluster.pods.values().cloned().collect()));
        mirror.set_part(name, Some(part(name, &pods, cluster.namespaces.values())));
    }

    /// What one node with this mirror compiles.
    pub fn ruleset_with(
        &self,
        mirror: &Mirror,
        node: &Node,
        node_addresses: &BTreeSet<IpAddr>,
        switches: Switches,
    ) -> Ruleset {
        self.compile(mirror, node, (node_addresses, Links::NONE, &NONE_HELD), switches)
    }

    fn compile(
        &self,
        mirror: &Mirror,
        node: &Node,
        (node_addresses, links, held): (&BTreeSet<IpAddr>, &Links, &BTreeSet<IpNet>),
        switches: Switches,
    ) -> Ruleset {
        let own = &self.0[&node.cluster];
        let pods: Vec<Arc<Pod>> = own
            .pods
            .values()
            .filter(|pod| pod.node.as_ref() == Some(&node.name))
            .cloned()
            .map(Arc::new)
            .collect();
        compile(&World {
            cluster: &node.cluster,
            policies: &own.policies,
            pods: &pods,
            node_addresses,
            links,
            held,
            mirror,
            switches,
        })
    }
}

/// A small world: the node `n1` of cluster `a` with two pods of `shop`, and in cluster `b` one of `shop` and one of `other`.
pub const SMALL: [(&str, &str); 2] = [
    (
        "a",
        "
kind: Namespace
metadata: {name: shop, labels: {cluster.clusterset.k8s.io/cluster-name: a}}
---
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec: {nodeName: n1, containers: [{ports: [{name: http, containerPort: 8080}, {name: dns, protocol: UDP, containerPort: 53}]}]}
status: {phase: Running, podIPs: [{ip: 10.1.1.1}, {ip: fd00:1::1}]}
---
kind: Pod
metadata: {namespace: shop, name: db, labels: {app: db}}
spec: {nodeName: n1, containers: [{ports: [{name: sql, containerPort: 5432}]}]}
status: {phase: Running, podIPs: [{ip: 10.1.1.2}, {ip: fd00:1::2}]}
",
    ),
    (
        "b",
        "
kind: Namespace
metadata: {name: shop, labels: {cluster.clusterset.k8s.io/cluster-name: b}}
---
kind: Namespace
metadata: {name: other, labels: {team: green}}
---
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec: {nodeName: n1, containers: [{ports: [{name: http, containerPort: 9090}]}]}
status: {phase: Running, podIPs: [{ip: 10.2.1.1}, {ip: fd00:2::1}]}
---
kind: Pod
metadata: {namespace: other, name: job, labels: {app: job}}
spec: {nodeName: n1, containers: [{ports: [{name: http, containerPort: 8000}, {name: http, containerPort: 8001}]}]}
status: {phase: Running, podIP: 10.2.2.2}
",
    ),
];

/// The ruleset of node `n1` of cluster `a`, in the small world with `manifests` of cluster `a` beside, as text without
/// the chains that are always there, and without what counts.
pub fn compiled(manifests: &str) -> String {
    compiled_with(&[("a", manifests)], &[], Switches::default())
}

/// As [`compiled`], with manifests of several clusters, addresses of the node's own, and switches.
pub fn compiled_with(manifests: &[(&str, &str)], node_addresses: &[&str], switches: Switches) -> String {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL.iter().chain(manifests) {
        clusters.load(cluster, manifests);
    }
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    let node_addresses = node_addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut ruleset = clusters.ruleset(&node, &node_addresses, switches);
    for table in ruleset.tables.values_mut() {
        table
            .chains
            .retain(|name, _| !["common", "egress", "ingress"].contains(&name.as_str()));
        table.dispatch.retain(|_, map| !map.is_empty());
        table.counters.clear();
        for chain in table.chains.values_mut() {
            chain.rules.retain(|rule| !matches!(rule.verdict, Verdict::Count(_)));
        }
    }
    ruleset.to_string()
}
