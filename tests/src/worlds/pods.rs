//! Random pods: of one family, of both, of several addresses; pending, finished, terminating, on the host network, on no
//! node; with addresses that another pod has, in the same cluster and in another, or a node.

use super::{CLUSTER_LABEL, CLUSTERS, Families, Generator, UNKNOWN_NODE};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Generator<'_> {
    /// The pod of this number in its cluster.
    pub(super) fn pod(&mut self, number: u8, nodes: &BTreeMap<String, BTreeSet<IpAddr>>) -> Value {
        let names: Vec<_> = nodes.keys().map(String::as_str).collect();
        let node = match self.rng.u8(..32) {
            0..2 => None,
            2 => Some(""),
            3..5 => Some(UNKNOWN_NODE),
            _ => Some(self.pick(&names)),
        };
        let of_node = node.and_then(|node| nodes.get(node));
        let host_network = of_node.is_some() && self.one_in(12);
        let addresses = match of_node {
            Some(of_node) if host_network => of_node.iter().copied().collect(),
            _ => self.addresses(number),
        };
        let mut status = json!({"phase": self.phase()});
        if let Some(of_node) = of_node {
            self.write_host(of_node, &mut status);
        }
        self.write_addresses(&addresses, &mut status);
        let mut spec = json!({"containers": self.containers(), "initContainers": self.init_containers()});
        if let Some(node) = node {
            spec["nodeName"] = json!(node);
        }
        if host_network {
            spec["hostNetwork"] = json!(true);
        }
        let mut metadata = json!({
            "namespace": self.pick(&super::NAMESPACES),
            "name": format!("p{number}"),
            "uid": format!("{}-p{number}", self.name),
            "resourceVersion": "1",
            "labels": self.labels(),
        });
        if self.one_in(8) {
            metadata["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
        }
        if self.one_in(8) {
            // An ordinary pod label (S108).
            metadata["labels"][CLUSTER_LABEL] = json!(self.pick(&CLUSTERS));
        }
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status});
        if self.one_in(16) {
            self.make_odd(&mut pod);
        }
        pod
    }

    fn phase(&mut self) -> &'static str {
        match self.rng.u8(..16) {
            0..11 => "Running",
            11..13 => "Pending",
            13 => "Succeeded",
            14 => "Failed",
            _ => "Unknown",
        }
    }

    fn addresses(&mut self, number: u8) -> Vec<IpAddr> {
        let (v4, v6) = match self.rng.u8(..8) {
            0 => (1, 0),
            1 => (0, 1),
            2 => (2, 1),
            3 => (1, 2),
            4 if self.one_in(4) => (0, 0),
            _ => (1, 1),
        };
        let (v4, v6) = match self.families {
            Families::Both => (v4, v6),
            Families::V4 => (v4, 0),
            Families::V6 => (0, v6),
        };
        let mut addresses = Vec::new();
        for host in 0..v4 {
            let fresh = Ipv4Addr::new(10, 0, self.index, 1 + number + 8 * host);
            addresses.push(self.fresh_or_taken(fresh.into()));
        }
        for host in 0..v6 {
            let host = 1 + number + 8 * host;
            let fresh = Ipv6Addr::new(0xfd00, 0, 0, self.index.into(), 0, 0, 0, host.into());
            addresses.push(self.fresh_or_taken(fresh.into()));
        }
        if self.one_in(4) {
            // The kubelet lists the cluster's first family first.
            addresses.reverse();
        }
        addresses
    }

    /// Now and then an address that some pod has already (S83, S113), or some node (I7).
    fn fresh_or_taken(&mut self, fresh: IpAddr) -> IpAddr {
        let of_nodes = self.one_in(6);
        let taken = if of_nodes { &*self.of_nodes } else { &*self.used };
        let taken = taken.iter().copied().filter(|used| used.is_ipv4() == fresh.is_ipv4());
        let taken: Vec<_> = taken.collect();
        if !taken.is_empty() && self.one_in(6) {
            return self.pick(&taken);
        }
        self.used.push(fresh);
        fresh
    }

    /// The addresses of its node, of which an old kubelet writes only the first.
    fn write_host(&mut self, addresses: &BTreeSet<IpAddr>, status: &mut Value) {
        if self.one_in(8) {
            return;
        }
        status["hostIP"] = json!(addresses.first());
        if !self.one_in(4) {
            let entries: Vec<Value> = addresses.iter().map(|address| json!({"ip": address})).collect();
            status["hostIPs"] = json!(entries);
        }
    }

    /// As the kubelet writes them; now and then only the older field (I2), one twice (I3), or with entries that are no
    /// pod's (S92).
    fn write_addresses(&mut self, addresses: &[IpAddr], status: &mut Value) {
        let Some(first) = addresses.first() else { return };
        status["podIP"] = json!(first);
        if addresses.len() == 1 && self.one_in(4) {
            return;
        }
        let mut entries: Vec<Value> = addresses.iter().map(|address| json!({"ip": address})).collect();
        if self.one_in(16) {
            entries.push(json!({"ip": first}));
        }
        if self.one_in(8) {
            let odd = self.odd_address();
            entries.insert(self.rng.usize(..=entries.len()), odd);
        }
        status["podIPs"] = json!(entries);
    }
}
