//! What of a random world a network can be built of: every address is one host's, and every node has somebody on it.
//!
//! Pure.

use super::{Cluster, ClusterSet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

impl ClusterSet {
    /// This world, less the addresses that a pod before has too or that no host can have, plus a pod on each node's own
    /// network (which no policy sees, S70) and the Node objects that say its addresses.
    #[must_use]
    pub fn buildable(mut self) -> Self {
        let of_nodes: BTreeSet<IpAddr> = self.node_addresses().collect();
        let mut taken = of_nodes.clone();
        for cluster in self.clusters.values_mut() {
            leave_unknown_nodes(cluster);
            for pod in cluster.objects.iter_mut().filter(|object| object["kind"] == "Pod") {
                if has_own_addresses(pod) {
                    keep_addresses(&mut pod["status"], |address| taken.insert(address));
                } else if pod["spec"]["hostNetwork"] == true {
                    keep_addresses(&mut pod["status"], |address| of_nodes.contains(&address));
                }
            }
            let on_nodes = on_nodes(cluster);
            cluster.objects.extend(on_nodes);
        }
        self.with_node_objects()
    }

    /// The hosts outside: [`ClusterSet::outside`], less those that are somebody's.
    pub fn strangers(&self) -> BTreeSet<IpAddr> {
        let pods = self.clusters.values().flat_map(|cluster| &cluster.objects);
        let pods = pods.filter(|object| has_own_addresses(object));
        let owned: BTreeSet<IpAddr> = pods.flat_map(addresses).chain(self.node_addresses()).collect();
        let outside: BTreeSet<IpAddr> = self.outside().into_iter().filter(is_unicast).collect();
        &outside - &owned
    }

    fn node_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let nodes = self.clusters.values().flat_map(|cluster| cluster.nodes.values());
        nodes.flatten().copied()
    }
}

/// A node that has no addresses cannot be built, nor what runs there.
fn leave_unknown_nodes(cluster: &mut Cluster) {
    cluster.nodes.retain(|_, addresses| !addresses.is_empty());
    let nodes = &cluster.nodes;
    cluster.objects.retain(|object| {
        let node = object["spec"]["nodeName"].as_str();
        object["kind"] != "Pod" || node.is_none_or(|node| nodes.contains_key(node))
    });
}

/// Whether it is a pod that is alive and has a network of its own.
fn has_own_addresses(object: &Value) -> bool {
    let phase = &object["status"]["phase"];
    object["kind"] == "Pod"
        && object["spec"]["hostNetwork"] != true
        && ["Succeeded", "Failed"].iter().all(|finished| phase != finished)
}

fn keep_addresses(status: &mut Value, mut keep: impl FnMut(IpAddr) -> bool) {
    let kept: Vec<IpAddr> = addresses(&json!({"status": status}))
        .filter(|address| is_unicast(address) && keep(*address))
        .collect();
    if !status.is_object() {
        *status = json!({});
    }
    let entries: Vec<Value> = kept.iter().map(|address| json!({"ip": address})).collect();
    status["podIPs"] = json!(entries);
    status["podIP"] = json!(kept.first());
}

fn addresses(pod: &Value) -> impl Iterator<Item = IpAddr> {
    let status = &pod["status"];
    let listed = status["podIPs"].as_array().into_iter().flatten();
    let texts = listed.map(|entry| &entry["ip"]).chain([&status["podIP"]]);
    let all: BTreeSet<IpAddr> = texts.filter_map(|text| text.as_str()?.parse().ok()).collect();
    all.into_iter()
}

/// Whether a host can have it: it is neither nobody's nor everybody's, nor an IPv4 address in IPv6's clothes.
fn is_unicast(address: &IpAddr) -> bool {
    if address.is_unspecified() || address.is_loopback() {
        return false;
    }
    match address {
        IpAddr::V4(address) => !address.is_multicast() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_multicast() && address.to_ipv4_mapped().is_none(),
    }
}

fn on_nodes(cluster: &Cluster) -> Vec<Value> {
    let pod = |(name, addresses): (&String, &BTreeSet<IpAddr>)| {
        let ips = addresses.iter().map(|address| json!({"ip": address}));
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "ops", "name": format!("on-{name}"), "uid": format!("on-{name}")},
            "spec": {"nodeName": name, "hostNetwork": true},
            "status": {"phase": "Running", "podIPs": ips.collect::<Vec<_>>()},
        })
    };
    cluster.nodes.iter().map(pod).collect()
}
