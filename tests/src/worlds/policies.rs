//! Random policies: every form of peer and port, overlapping blocks with nested excepts, and here and there a void piece.

use super::{CLUSTERS, Generator, KEYS, NAMESPACES, PORT_NAMES, PORTS, TRANSPORTS, VALUES};
use serde_json::{Map, Value, json};

impl Generator<'_> {
    /// The policy of this number in its cluster.
    pub(super) fn policy(&mut self, number: u8) -> Value {
        let mut spec = Map::new();
        match self.rng.u8(..8) {
            0..3 => drop(spec.insert("podSelector".to_owned(), json!({}))),
            3 => {}
            _ => drop(spec.insert("podSelector".to_owned(), self.pod_selector())),
        }
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            match self.rng.u8(..8) {
                0 if self.one_in(8) => drop(spec.insert(direction.to_owned(), json!({peers: []}))),
                0 => {}
                1 => drop(spec.insert(direction.to_owned(), json!([]))),
                _ => {
                    let rules: Vec<Value> = (0..self.rng.u8(1..=3)).map(|_| self.rule(peers)).collect();
                    spec.insert(direction.to_owned(), json!(rules));
                }
            }
        }
        let types = match self.rng.u8(..10) {
            0..3 => None,
            3 => Some(json!([])),
            4 => Some(json!(["Ingress"])),
            5 => Some(json!(["Egress"])),
            6 => Some(self.odd_policy_types()),
            _ => Some(json!(["Ingress", "Egress"])),
        };
        if let Some(types) = types {
            spec.insert("policyTypes".to_owned(), types);
        }
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "namespace": self.pick(&NAMESPACES),
                "name": format!("np{number}"),
                "uid": format!("{}-np{number}", self.name),
                "resourceVersion": "1",
                "generation": 1,
            },
            "spec": spec,
        })
    }

    fn rule(&mut self, peers: &str) -> Value {
        if self.one_in(24) {
            return self.void_rule(peers);
        }
        let mut rule = Map::new();
        if !self.one_in(6) {
            let list: Vec<Value> = (0..self.rng.u8(1..=3)).map(|_| self.peer()).collect();
            rule.insert(peers.to_owned(), json!(list));
        } else if self.one_in(2) {
            let nobody_named = [json!([]), Value::Null];
            rule.insert(peers.to_owned(), nobody_named[self.rng.usize(..2)].clone());
        }
        if self.one_in(2) {
            let list: Vec<Value> = (0..self.rng.u8(1..=3)).map(|_| self.port()).collect();
            rule.insert("ports".to_owned(), json!(list));
        }
        Value::Object(rule)
    }

    fn peer(&mut self) -> Value {
        if self.one_in(12) {
            return self.void_peer();
        }
        match self.rng.u8(..8) {
            0..2 => json!({"podSelector": self.pod_selector()}),
            2..4 => json!({"namespaceSelector": self.namespace_selector()}),
            4..6 => json!({"podSelector": self.pod_selector(), "namespaceSelector": self.namespace_selector()}),
            _ => json!({"ipBlock": self.block()}),
        }
    }

    /// A selector of pods, by itself good but for one in many.
    pub(super) fn pod_selector(&mut self) -> Value {
        if self.one_in(24) {
            return self.void_selector();
        }
        if self.one_in(4) {
            return json!({});
        }
        if self.one_in(16) {
            return json!({"matchLabels": {"cluster.clusterset.k8s.io/cluster-name": self.pick(&CLUSTERS)}});
        }
        self.selector()
    }

    /// A selector of namespaces, often by cluster or name.
    pub(super) fn namespace_selector(&mut self) -> Value {
        if self.one_in(24) {
            return self.void_selector();
        }
        match self.rng.u8(..8) {
            0 => json!({}),
            1..4 => self.selector_of("cluster.clusterset.k8s.io/cluster-name", &CLUSTERS),
            4..6 => self.selector_of("kubernetes.io/metadata.name", &NAMESPACES),
            _ => self.selector(),
        }
    }

    fn selector(&mut self) -> Value {
        let key = self.pick(&KEYS);
        let mut selector = self.selector_of(key, &VALUES);
        if self.one_in(4) {
            let (key, value) = (self.pick(&KEYS), self.pick(&VALUES));
            selector["matchLabels"] = json!({key: value});
        }
        selector
    }

    /// One requirement on a key.
    fn selector_of(&mut self, key: &str, values: &[&str]) -> Value {
        let expression = match self.rng.u8(..6) {
            0..2 => return json!({"matchLabels": {key: self.pick(values)}}),
            2 => json!({"key": key, "operator": "In", "values": self.some(values)}),
            3 => json!({"key": key, "operator": "NotIn", "values": self.some(values)}),
            4 => json!({"key": key, "operator": "Exists"}),
            _ => json!({"key": key, "operator": "DoesNotExist"}),
        };
        json!({"matchExpressions": [expression]})
    }

    /// A block, often one with excepts, which may be nested, equal, wider, elsewhere or of the other family (P12).
    pub(super) fn block(&mut self) -> Value {
        let v4 = self.one_in(2);
        let mut block = json!({"cidr": self.cidr(v4)});
        if self.one_in(2) {
            let except: Vec<String> = (0..self.rng.u8(1..=3))
                .map(|_| {
                    let v4 = v4 != self.one_in(8);
                    self.narrow_cidr(v4)
                })
                .collect();
            block["except"] = json!(except);
        }
        if self.one_in(16) {
            block["except"] = json!(["0.0.0.0/1", "128.0.0.0/1", "::/0"]);
        }
        if self.one_in(6) {
            block = self.void_block();
        }
        block
    }

    fn cidr(&mut self, v4: bool) -> String {
        let (index, host) = (self.rng.u8(..4), self.rng.u8(1..16));
        let choices = if v4 {
            vec![
                "0.0.0.0/0".to_owned(),
                "10.0.0.0/8".to_owned(),
                "010.000.0.0/8".to_owned(),
                "192.168.0.0/16".to_owned(),
                format!("10.0.{index}.0/24"),
                format!("10.0.{index}.{host}/29"),
                format!("10.0.{index}.{host}/31"),
                format!("10.0.{index}.{host}/32"),
                "198.51.100.0/24".to_owned(),
            ]
        } else {
            vec![
                "::/0".to_owned(),
                "fd00::/8".to_owned(),
                "fd00::/48".to_owned(),
                format!("fd00:0:0:{index}::/64"),
                format!("fd00:0:0:{index}::{host:x}/125"),
                format!("fd00:0:0:{index}::{host:x}/127"),
                format!("fd00:0:0:{index}::{host:x}/128"),
                "2001:db8::/32".to_owned(),
            ]
        };
        choices[self.rng.usize(..choices.len())].clone()
    }

    /// Seldom one that leaves nothing.
    fn narrow_cidr(&mut self, v4: bool) -> String {
        loop {
            let cidr = self.cidr(v4);
            if !cidr.ends_with("/0") && !cidr.ends_with("/8") || self.one_in(8) {
                return cidr;
            }
        }
    }

    fn port(&mut self) -> Value {
        if self.one_in(8) {
            return self.void_port();
        }
        let mut entry = json!({});
        if !self.one_in(3) {
            entry["protocol"] = json!(self.pick(&TRANSPORTS));
        } else if self.one_in(4) {
            entry["protocol"] = json!("");
        }
        match self.rng.u8(..10) {
            0..2 => {}
            2..4 => entry["port"] = json!(self.pick(&PORTS)),
            4..8 => entry["port"] = json!(self.pick(&PORT_NAMES)),
            _ => {
                let (one, other) = (self.pick(&PORTS), self.pick(&PORTS));
                entry["port"] = json!(one.min(other));
                entry["endPort"] = json!(one.max(other));
            }
        }
        entry
    }
}
