//! Random namespaces: in every cluster the same names, with other labels each.

use super::{CLUSTER_LABEL, CLUSTERS, Generator, NAME_LABEL, NAMESPACES};
use serde_json::{Value, json};

impl Generator<'_> {
    /// The namespace of this name; now and then it has no object (S31, N1), or is about to go (S86).
    pub(super) fn namespace(&mut self, name: &str) -> Option<Value> {
        if self.one_in(8) {
            return None;
        }
        let mut labels = self.labels();
        if let Some(says) = self.says_cluster() {
            labels.insert(CLUSTER_LABEL.to_owned(), says.to_owned());
        }
        if let Some(named) = self.says_name(name) {
            labels.insert(NAME_LABEL.to_owned(), named.to_owned());
        }
        let mut metadata = json!({
            "name": name,
            "uid": format!("{}-{name}", self.name),
            "resourceVersion": "1",
            "labels": labels,
        });
        if self.one_in(16) {
            metadata["labels"] = self.one_of([Value::Null, json!([]), json!({})]);
        }
        let phase = if self.one_in(12) {
            metadata["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
            "Terminating"
        } else {
            "Active"
        };
        Some(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": metadata,
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": phase},
        }))
    }

    /// Its own cluster, another (S106), one that only nearly is one (N7), or nothing (S105).
    fn says_cluster(&mut self) -> Option<&'static str> {
        match self.rng.u8(..16) {
            0..9 => Some(self.name),
            9..11 => Some(self.pick(&CLUSTERS)),
            11 => Some(self.pick(&["A", "a ", "", "B", "d.e.f"])),
            _ => None,
        }
    }

    /// Its name, another one, or nothing (N6).
    fn says_name<'n>(&mut self, name: &'n str) -> Option<&'n str> {
        match self.rng.u8(..12) {
            0 => None,
            1 => Some(self.pick(&NAMESPACES)),
            _ => Some(name),
        }
    }
}
