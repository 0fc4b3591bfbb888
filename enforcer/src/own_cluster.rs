//! The own cluster as its own API server tells it, for as long as no hub does.
//!
//! Pure. Holds what the two feeds say and gives it out as a whole only: half a list is no world.

use proto::mirror::Part;
use proto::model::ClusterName;
use proto::observe::{Namespace, Pod};
use proto::pods::{self, Pods};
use proto::watch::Event;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pods and namespaces of the own cluster, while they are followed.
#[derive(Debug, Default)]
pub struct OwnCluster {
    known: Option<Known>,
}

#[derive(Debug, Default)]
struct Known {
    pods: Pods,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    namespaces_synced: bool,
}

impl OwnCluster {
    /// Whether the own API server is asked.
    pub fn is_followed(&self) -> bool {
        self.known.is_some()
    }

    /// It is asked from now on. Says whether it was not before.
    pub fn follow(&mut self) -> bool {
        let new = self.known.is_none();
        self.known.get_or_insert_default();
        new
    }

    /// It is asked no more, and what it said forgotten. Says whether it was asked before.
    pub fn leave(&mut self) -> bool {
        self.known.take().is_some()
    }

    /// Takes an event of its pods in. One that comes after [`OwnCluster::leave`] is late and ignored.
    pub fn pods(&mut self, event: Event<Pod>) {
        if let Some(known) = &mut self.known {
            known.pods.apply(event);
        }
    }

    /// Takes an event of its namespaces in, likewise.
    pub fn namespaces(&mut self, event: Event<Namespace>) {
        let Some(known) = &mut self.known else { return };
        match event {
            Event::Synced(list) => {
                known.namespaces = list
                    .into_iter()
                    .map(|namespace| (namespace.name.clone(), namespace))
                    .collect();
                known.namespaces_synced = true;
            }
            Event::Applied(namespace) => {
                known.namespaces.insert(namespace.name.clone(), namespace);
            }
            Event::Deleted(namespace) => {
                // The deletion of an object that another of its name has followed says nothing of that other (N3).
                if (known.namespaces.get(&namespace.name)).is_some_and(|now| now.uid == namespace.uid) {
                    known.namespaces.remove(&namespace.name);
                }
            }
            Event::Heard | Event::Lost(_) => {}
        }
    }

    /// All of it, once both lists are complete.
    pub fn part(&self, cluster: &ClusterName) -> Option<Part> {
        let known = self
            .known
            .as_ref()
            .filter(|known| known.namespaces_synced && known.pods.is_synced())?;
        Some(pods::part(cluster, &known.pods, known.namespaces.values()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn namespace(uid: &str) -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "shop", "uid": uid}})).unwrap()
    }

    #[test]
    fn the_end_of_an_earlier_namespace_is_not_that_of_the_present_one() {
        let mut own = OwnCluster::default();
        own.follow();
        own.pods(Event::Synced(Vec::new()));
        own.namespaces(Event::Synced(vec![namespace("old")]));
        let known = |own: &OwnCluster| own.part(&ClusterName::new("a").unwrap()).unwrap().namespaces.len();
        own.namespaces(Event::Applied(namespace("new")));
        own.namespaces(Event::Deleted(namespace("old")));
        assert_eq!(known(&own), 1);
        own.namespaces(Event::Deleted(namespace("new")));
        assert_eq!(known(&own), 0);
    }
}
