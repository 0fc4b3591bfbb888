//! Manifests in YAML → the clusters they describe, and what their nodes compile.

use crate::compile::{World, compile};
use crate::policy::{NetworkPolicy, Policy, PolicyName, parse};
use crate::ruleset::Ruleset;
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::observe::{Namespace, Pod};
use proto::pods::{Pods, part};
use proto::selector::Switches;
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
        let cluster = self.0.entry(ClusterName::new(cluster).unwrap()).or_default();
        for object in serde_saphyr::from_multiple::<Value>(yaml).unwrap() {
            match object["kind"].as_str() {
                Some("Namespace") => {
                    let namespace = Namespace::deserialize(&object).unwrap();
                    cluster.namespaces.insert(namespace.name.clone(), namespace);
                }
                Some("Pod") => {
                    let pod = Pod::deserialize(&object).unwrap();
                    cluster.pods.insert((pod.namespace.clone(), pod.name.clone()), pod);
                }
                Some("NetworkPolicy") => {
                    let policy = parse(&NetworkPolicy::deserialize(&object).unwrap());
                    cluster.policies.insert(policy.name.clone(), Arc::new(policy));
                }
                other => panic!("{other:?} is no kind of these tests"),
            }
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
        for (name, cluster) in &self.0 {
            let mut pods = Pods::default();
            pods.apply(Event::Synced(cluster.pods.values().cloned().collect()));
            mirror.set_part(name, Some(part(name, &pods, cluster.namespaces.values())));
        }
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
            mirror: &mirror,
            switches,
        })
    }
}
