//! Pieces of policies that an API server refuses, and that mean nothing if they are met (bad input P1 to P23).

use super::Generator;
use serde_json::{Value, json};

impl Generator<'_> {
    pub(super) fn void_rule(&mut self, peers: &str) -> Value {
        let other = if peers == "from" { "to" } else { "from" };
        self.one_of([
            json!({"clusters": ["a"]}),
            json!({other: []}),
            Value::Null,
            json!({"ports": {}}),
            json!({peers: {}}),
            json!({peers: "any", "ports": []}),
            json!([]),
            json!("any"),
        ])
    }

    pub(super) fn void_peer(&mut self) -> Value {
        let good = self.block();
        let pods = self.pod_selector();
        self.one_of([
            json!({}),
            Value::Null,
            json!("any"),
            json!({"podSelector": null}),
            json!({"ipBlock": good, "podSelector": {}}),
            json!({"ipBlock": good, "namespaceSelector": {}}),
            json!({"podSelector": pods, "clusterSelector": {}}),
            json!({"podSelector": {}, "namespaceSelector": []}),
            json!({"ipBlock": {}}),
            json!({"ipBlock": "0.0.0.0/0"}),
            json!([]),
        ])
    }

    pub(super) fn void_selector(&mut self) -> Value {
        let expression = self.one_of([
            json!({"key": "app", "operator": "Gt", "values": ["1"]}),
            json!({"key": "app", "operator": "in", "values": ["web"]}),
            json!({"key": "app", "operator": "", "values": ["web"]}),
            json!({"key": "app", "operator": "In", "values": []}),
            json!({"key": "app", "operator": "NotIn", "values": []}),
            json!({"key": "app", "operator": "NotIn"}),
            json!({"key": "app", "operator": "Exists", "values": ["web"]}),
            json!({"key": "/app", "operator": "DoesNotExist"}),
            json!({"key": "a/b/c", "operator": "DoesNotExist"}),
            json!({"key": "", "operator": "DoesNotExist"}),
            json!({"key": "Example.com/app", "operator": "DoesNotExist"}),
            json!({"key": "k".repeat(64), "operator": "DoesNotExist"}),
            json!({"key": "app", "operator": "NotIn", "values": ["x".repeat(64)]}),
            json!({"key": "app", "operator": "NotIn", "values": ["\u{fc}"]}),
            json!({"key": "app", "operator": "NotIn", "values": ["a\n"]}),
            json!({"key": "app", "operator": "NotIn", "values": [null, "web"]}),
            json!({"operator": "DoesNotExist"}),
            json!({"key": "app", "operator": "DoesNotExist", "unless": "x"}),
            Value::Null,
        ]);
        self.one_of([
            json!({"matchExpressions": [expression]}),
            json!({"matchLabels": {"app": 1}}),
            json!({"matchLabels": {"app": null}}),
            json!({"matchLabels": {"app": "x".repeat(64)}}),
            json!({"matchLabels": {"app/": "web"}}),
            json!({"matchLabels": ["app"]}),
            json!({"matchExpressions": {}}),
            json!({"matchFields": {}}),
            json!([]),
        ])
    }

    pub(super) fn void_block(&mut self) -> Value {
        let odd = self.one_of(
            [
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                " 10.0.0.0/8",
                "10.0.0.0/8 ",
                "",
                "all",
                "fe80::1%eth0/64",
                "::/129",
                "::ffff:10.0.0.0/104",
                "10.0.0/8",
                "10.0.0.256/8",
                "/0",
                "10.0.0.0/",
                "10.0.0.0/8/8",
                "0x0a.0.0.0/8",
                "10.0.0.0.0/8",
                "::ffff:0:0/96",
                "::ffff:010.0.0.1/128",
                "example.com/24",
            ]
            .map(|text| json!(text)),
        );
        self.one_of([
            json!({"cidr": odd}),
            json!({"cidr": "0.0.0.0/0", "except": [odd]}),
            json!({"cidr": "::/0", "except": ["fd00::/64", odd]}),
            json!({"cidr": "0.0.0.0/0", "except": [null]}),
            json!({"cidr": "0.0.0.0/0", "except": "10.0.0.0/8"}),
            json!({"cidr": "0.0.0.0/0", "exclude": ["10.0.0.0/8"]}),
            json!({"cidr": null}),
            json!({"cidr": 0}),
            json!({}),
        ])
    }

    pub(super) fn void_port(&mut self) -> Value {
        self.one_of([
            json!({"port": 0}),
            json!({"port": 65536}),
            json!({"port": -1}),
            json!({"port": 2_147_483_648_u32}),
            json!({"port": 80.5}),
            json!({"port": "80"}),
            json!({"port": ""}),
            json!({"port": true}),
            json!({"port": "HTTP"}),
            json!({"port": "a--1"}),
            json!({"port": "sixteen-letters-"}),
            json!({"port": 80, "endPort": 79}),
            json!({"port": 80, "endPort": 65536}),
            json!({"port": 80, "endPort": 0}),
            json!({"port": "http", "endPort": 8080}),
            json!({"endPort": 8080}),
            json!({"protocol": "tcp", "port": 80}),
            json!({"protocol": "ICMP"}),
            json!({"protocol": 6, "port": 80}),
            json!({"port": 80, "direction": "in"}),
            json!({"port": [80]}),
            json!({"port": "-a"}),
            json!({"port": "http", "protocol": "udp"}),
            json!({"port": 80, "endPort": "81"}),
            json!([]),
            json!("http"),
            Value::Null,
        ])
    }

    /// Unknown words are ignored; where none is left they are as none (P21).
    pub(super) fn odd_policy_types(&mut self) -> Value {
        self.one_of([
            json!(["ingress"]),
            json!(["Egress", "Forward"]),
            json!(["Ingress", "Ingress", "Egress"]),
            json!(["Forward"]),
            json!(["Forward", "Egress", null, 5]),
            json!("Egress"),
            json!({}),
            Value::Null,
        ])
    }

    /// A whole spec, or the field that says whom it is for, that is nothing of the kind (P22).
    pub(super) fn make_spec_odd(&mut self, policy: &mut Value) {
        if self.one_in(2) {
            policy["spec"] = self.one_of([Value::Null, json!({}), json!([]), json!("x"), json!(true)]);
        } else {
            policy["spec"]["podSelector"] = self.one_of([
                Value::Null,
                json!([]),
                json!("app=web"),
                json!(5),
                json!({"matchFields": {}}),
            ]);
        }
        if self.one_in(4) {
            policy.as_object_mut().map(|policy| policy.remove("spec"));
        }
    }
}
