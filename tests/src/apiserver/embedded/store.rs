//! The objects, and what changed since when.
//!
//! Pure. One counter numbers every change of every kind, as etcd's does. The history is bounded: who asks about a
//! revision before it is told that it expired. Nothing here knows what an object means.

use super::resource::Resource;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Changes that are remembered. The real server keeps etcd's last five minutes and some hundred to a hundred thousand
/// changes per kind; this is enough for a watcher that was away during one lab's start.
const HISTORY: usize = 20_000;

/// The name of an object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    /// Its kind.
    pub resource: Resource,
    /// Its namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The part of a path that names the object: `pods/x/web`.
    pub fn path(&self) -> String {
        let parts = [self.resource.plural(), &self.namespace, &self.name];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    }
}

/// An object became another, came, or went.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The number of the change; the object's `resourceVersion` from then on.
    pub revision: u64,
    /// Which object.
    pub key: Key,
    /// What it was.
    pub before: Option<Arc<Value>>,
    /// What it is.
    pub after: Option<Arc<Value>>,
}

/// The revision asked about is no longer known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// The first one that is.
    pub oldest: u64,
}

/// All objects of one API server.
#[derive(Debug, Default)]
pub struct Store {
    revision: u64,
    /// Changes after this revision are in `history`.
    forgotten: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
}

impl Store {
    /// The number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object of this name.
    pub fn find(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a kind, ordered by namespace and name.
    pub fn list(&self, resource: Resource) -> BTreeMap<Key, Arc<Value>> {
        let first = Key {
            resource,
            namespace: String::new(),
            name: String::new(),
        };
        self.objects
            .range(first..)
            .take_while(|(key, _)| key.resource == resource)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }

    /// The objects of a kind as they were at `revision`.
    pub fn list_at(&self, resource: Resource, revision: u64) -> Result<BTreeMap<Key, Arc<Value>>, Expired> {
        let later: Vec<&Change> = self
            .since(revision)?
            .filter(|change| change.key.resource == resource)
            .collect();
        let mut objects = self.list(resource);
        for change in later.into_iter().rev() {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), before.clone()),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// The changes after `revision`, in order.
    pub fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, Expired> {
        if revision < self.forgotten {
            return Err(Expired { oldest: self.forgotten });
        }
        let known = self.history.partition_point(|change| change.revision <= revision);
        Ok(self.history.range(known..))
    }

    /// Writes an object and stamps its `resourceVersion`.
    pub fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        let revision = self.revision + 1;
        stamp(&mut object, revision);
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), object.clone());
        self.remember(Change {
            revision,
            key,
            before,
            after: Some(object.clone()),
        });
        object
    }

    /// Removes an object; returns its last state, stamped with the revision of its end.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let before = self.objects.remove(key)?;
        let mut last = Value::clone(&before);
        let revision = self.revision + 1;
        stamp(&mut last, revision);
        self.remember(Change {
            revision,
            key: key.clone(),
            before: Some(before),
            after: None,
        });
        Some(last)
    }

    /// Forgets all history, as a compaction does.
    pub fn forget(&mut self) {
        self.history.clear();
        self.forgotten = self.revision;
    }

    fn remember(&mut self, change: Change) {
        self.revision = change.revision;
        self.history.push_back(change);
        if self.history.len() > HISTORY {
            let oldest = self.history.pop_front().expect("it has more than HISTORY entries");
            self.forgotten = oldest.revision;
        }
    }
}

/// Sets an object's `resourceVersion`.
pub fn stamp(object: &mut Value, revision: u64) {
    object["metadata"]["resourceVersion"] = json!(revision.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Key {
        Key {
            resource: Resource::Pods,
            namespace: "x".to_owned(),
            name: name.to_owned(),
        }
    }

    fn names(objects: BTreeMap<Key, Arc<Value>>) -> String {
        let show = |(key, object): (Key, Arc<Value>)| format!("{}={}", key.name, object["v"]);
        objects.into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_past_can_be_listed_until_it_is_forgotten() {
        let mut store = Store::default();
        store.put(pod("a"), json!({"v": 1}));
        store.put(pod("b"), json!({"v": 2}));
        store.put(pod("a"), json!({"v": 3}));
        store.remove(&pod("b"));
        let past: Vec<String> = (0..=4)
            .map(|revision| names(store.list_at(Resource::Pods, revision).unwrap()))
            .collect();
        assert_eq!(past, ["", "a=1", "a=1 b=2", "a=3 b=2", "a=3"]);

        let changes: Vec<u64> = store.since(2).unwrap().map(|change| change.revision).collect();
        assert_eq!(changes, [3, 4]);

        store.forget();
        assert_eq!(store.list_at(Resource::Pods, 3), Err(Expired { oldest: 4 }));
        assert_eq!(names(store.list_at(Resource::Pods, 4).unwrap()), "a=3");
        assert!(store.since(3).is_err());
    }

    #[test]
    fn history_is_bounded() {
        let mut store = Store::default();
        for n in 0..HISTORY + 2 {
            store.put(pod("a"), json!({ "v": n }));
        }
        assert!(store.since(1).is_err());
        assert_eq!(store.since(2).unwrap().count(), HISTORY);
    }
}
