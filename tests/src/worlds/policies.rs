//! Random policies: every form of peer and port, overlapping blocks with nested excepts, and here and there a void piece.

use super::{Generator, NAMESPACES, PORT_NAMES, PORTS, TRANSPORTS};
use serde_json::{Map, Value, json};

impl Generator<'_> {
    /// The policy of this number in its cluster. That it is to be deleted makes no difference (P29).
    pub(super) fn policy(&mut self, number: u8) -> Value {
        let mut metadata = json!({
            "namespace": self.pick(&NAMESPACES),
            "name": format!("np{number}"),
            "uid": format!("{}-np{number}", self.name),
            "resourceVersion": "1",
            "generation": 1,
        });
        if self.one_in(12) {
            metadata["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
        }
        let mut policy = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": self.spec(),
        });
        if self.one_in(24) {
            self.make_spec_odd(&mut policy);
        }
        policy
    }

    fn spec(&mut self) -> Map<String, Value> {
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
                1 => drop(spec.insert(direction.to_owned(), self.one_of([json!([]), json!([]), Value::Null]))),
                _ => {
                    let mut rules: Vec<Value> = (0..self.rng.u8(1..=3)).map(|_| self.rule(peers)).collect();
                    if self.one_in(12) {
                        rules.push(rules[0].clone());
                    }
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
        spec
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
