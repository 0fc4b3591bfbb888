//! Random selectors, of pods and of namespaces.

use super::{CLUSTER_LABEL, CLUSTERS, Generator, KEYS, NAME_LABEL, NAMESPACES, VALUES};
use serde_json::{Value, json};

impl Generator<'_> {
    /// A selector of pods, by itself good but for one in many.
    pub(super) fn pod_selector(&mut self) -> Value {
        if self.one_in(24) {
            return self.void_selector();
        }
        if self.one_in(4) {
            return self.empty_selector();
        }
        if self.one_in(16) {
            return json!({"matchLabels": {CLUSTER_LABEL: self.pick(&CLUSTERS)}});
        }
        self.selector()
    }

    /// A selector of namespaces, often by cluster or name.
    pub(super) fn namespace_selector(&mut self) -> Value {
        if self.one_in(24) {
            return self.void_selector();
        }
        match self.rng.u8(..16) {
            0..2 => self.empty_selector(),
            2..7 => self.selector_of(CLUSTER_LABEL, &CLUSTERS),
            7..10 => self.selector_of(NAME_LABEL, &NAMESPACES),
            10..12 => json!({"matchLabels": {
                CLUSTER_LABEL: self.pick(&CLUSTERS),
                NAME_LABEL: self.pick(&NAMESPACES),
            }}),
            _ => self.selector(),
        }
    }

    /// However it is written, it is empty (S18).
    fn empty_selector(&mut self) -> Value {
        self.one_of([
            json!({}),
            json!({}),
            json!({"matchLabels": {}}),
            json!({"matchExpressions": []}),
            json!({"matchLabels": null, "matchExpressions": null}),
        ])
    }

    fn selector(&mut self) -> Value {
        let key = self.pick(&KEYS);
        let mut selector = self.selector_of(key, &VALUES);
        if self.one_in(4) {
            let (key, value) = (self.pick(&KEYS), self.pick(&VALUES));
            selector["matchLabels"] = json!({key: value});
        }
        if self.one_in(6) {
            let key = self.pick(&KEYS);
            let more = [self.expression(key, &VALUES), self.expression(key, &VALUES)];
            selector["matchExpressions"] = json!(more);
        }
        if self.one_in(24) {
            // It can be asked for, and nothing meets it (P6).
            selector["matchExpressions"] = json!([
                {"key": key, "operator": "Exists"},
                {"key": key, "operator": "DoesNotExist"},
            ]);
        }
        selector
    }

    /// One requirement on a key.
    fn selector_of(&mut self, key: &str, values: &[&str]) -> Value {
        if self.one_in(3) {
            return json!({"matchLabels": {key: self.pick(values)}});
        }
        json!({"matchExpressions": [self.expression(key, values)]})
    }

    fn expression(&mut self, key: &str, values: &[&str]) -> Value {
        match self.rng.u8(..8) {
            0..2 => json!({"key": key, "operator": "In", "values": self.some(values)}),
            2..5 => json!({"key": key, "operator": "NotIn", "values": self.some(values)}),
            5 => json!({"key": key, "operator": "Exists"}),
            6 => json!({"key": key, "operator": "Exists", "values": []}),
            _ => json!({"key": key, "operator": "DoesNotExist"}),
        }
    }
}
