//! Random pods: of one family, of both, of several addresses; pending, finished, terminating, on the host network, on no
//! node; with addresses that another pod has, in the same cluster and in another.

use super::{CONTAINER_PORTS, Generator, PORT_NAMES, PORTS, TRANSPORTS};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Generator<'_> {
    /// The pod of this number in its cluster.
    pub(super) fn pod(&mut self, number: u8, nodes: &BTreeMap<String, BTreeSet<IpAddr>>) -> Value {
        let names: Vec<_> = nodes.keys().collect();
        let node = self.pick(&names);
        let host_network = self.one_in(12);
        let addresses = if host_network {
            nodes[node].iter().copied().collect()
        } else {
            self.addresses(number)
        };
        let mut status = json!({"phase": self.phase(), "hostIP": nodes[node].first()});
        self.write_addresses(&addresses, &mut status);
        let mut spec = json!({"containers": self.containers(), "initContainers": self.init_containers()});
        if !self.one_in(16) {
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
            metadata["labels"]["cluster.clusterset.k8s.io/cluster-name"] = json!(self.pick(&super::CLUSTERS));
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
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
        let mut addresses = Vec::new();
        for host in 0..v4 {
            let fresh = Ipv4Addr::new(10, 0, self.index, 1 + number + 8 * host);
            addresses.push(self.fresh_or_used(fresh.into()));
        }
        for host in 0..v6 {
            let host = 1 + number + 8 * host;
            let fresh = Ipv6Addr::new(0xfd00, 0, 0, self.index.into(), 0, 0, 0, host.into());
            addresses.push(self.fresh_or_used(fresh.into()));
        }
        addresses
    }

    /// Now and then an address that some pod has already (S83, S113).
    fn fresh_or_used(&mut self, fresh: IpAddr) -> IpAddr {
        let same_family: Vec<_> = self
            .used
            .iter()
            .copied()
            .filter(|used| used.is_ipv4() == fresh.is_ipv4())
            .collect();
        if !same_family.is_empty() && self.one_in(6) {
            return self.pick(&same_family);
        }
        self.used.push(fresh);
        fresh
    }

    /// As the kubelet writes them; now and then only the older field (I2), or with entries that are no pod's (S92).
    fn write_addresses(&mut self, addresses: &[IpAddr], status: &mut Value) {
        let Some(first) = addresses.first() else { return };
        status["podIP"] = json!(first);
        if addresses.len() == 1 && self.one_in(4) {
            return;
        }
        let mut entries: Vec<Value> = addresses.iter().map(|address| json!({"ip": address})).collect();
        if self.one_in(8) {
            let odd = [
                "",
                "x",
                "0.0.0.0",
                "127.0.0.1",
                "::1",
                "::",
                "224.0.0.1",
                "ff02::1",
                "::ffff:10.0.0.1",
            ];
            entries.push(json!({"ip": self.pick(&odd)}));
        }
        status["podIPs"] = json!(entries);
    }

    fn containers(&mut self) -> Vec<Value> {
        let mut containers = vec![self.container("c1")];
        if self.one_in(3) {
            containers.push(self.container("c2"));
        }
        containers
    }

    /// A sidecar's ports count, those of an ordinary init container do not (S61).
    fn init_containers(&mut self) -> Vec<Value> {
        if self.one_in(2) {
            return Vec::new();
        }
        let mut container = self.container("i1");
        if let Some(policy) = self.pick(&[Some("Always"), Some("Always"), Some("OnFailure"), None]) {
            container["restartPolicy"] = json!(policy);
        }
        vec![container]
    }

    fn container(&mut self, name: &str) -> Value {
        let mut ports = Vec::new();
        for port_name in PORT_NAMES {
            if !self.one_in(3) {
                let mut port = json!({"name": port_name, "containerPort": self.pick(&PORTS[..CONTAINER_PORTS])});
                if self.one_in(2) {
                    port["protocol"] = json!(self.pick(&TRANSPORTS));
                }
                ports.push(port);
            }
        }
        if self.one_in(4) {
            ports.push(json!({"containerPort": self.pick(&PORTS[..CONTAINER_PORTS]), "protocol": "TCP"}));
        }
        json!({"name": name, "image": "example.com/x", "ports": ports})
    }
}
