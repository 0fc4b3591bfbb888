//! How a cluster came to be what it is, one change after the other, and what a watch of it says.

use fastrand::Rng;
use proto::observe::{Key, Observe};
use proto::watch::Event;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tests::worlds::Cluster;

/// Kind, namespace and name of an object.
type Name = (String, String, String);

/// What a cluster was at first, and what became of its objects since: by name, `None` where one was deleted.
pub struct History {
    first: BTreeMap<Name, Value>,
    changes: Vec<(Name, Option<Value>)>,
}

impl History {
    /// From `first` to `last` in random order. Some objects of `first` have a UID that nothing of their name has later
    /// (S88); some are what they are in `detour` for a while, whole or in one part.
    pub fn random([first, detour, last]: [&Cluster; 3], rng: &mut Rng) -> Self {
        let mut first = by_name(first);
        for object in first.values_mut().filter(|_| rng.bool()) {
            object["metadata"]["uid"] = "of-an-earlier-object".into();
        }
        let (detour, last) = (by_name(detour), by_name(last));
        let names: BTreeSet<&Name> = first.keys().chain(last.keys()).collect();
        let mut names: Vec<&Name> = names.into_iter().collect();
        rng.shuffle(&mut names);
        let mut changes = Vec::new();
        for name in names {
            match (rng.u8(..3), detour.get(name), last.get(name)) {
                (0, detour, _) => changes.push((name.clone(), detour.cloned())),
                (1, Some(detour), Some(last)) => {
                    changes.push((name.clone(), Some(with_a_part_of(last, detour, rng))));
                }
                _ => {}
            }
            changes.push((name.clone(), last.get(name).cloned()));
        }
        Self { first, changes }
    }
}

/// Parts of an object that may change by themselves (S91): what they are in, and their name there.
const PARTS: [(&str, &str); 9] = [
    ("/metadata", "labels"),
    ("/metadata", "deletionTimestamp"),
    ("/spec", "nodeName"),
    ("/spec", "hostNetwork"),
    ("/spec", "containers"),
    ("/spec", "ingress"),
    ("/status", "phase"),
    ("/status", "podIPs"),
    ("/status", "hostIPs"),
];

/// The object, but for one part, which is as it is in `other`.
fn with_a_part_of(object: &Value, other: &Value, rng: &mut Rng) -> Value {
    let (parent, part) = PARTS[rng.usize(..PARTS.len())];
    let mut object = object.clone();
    if let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        match other.pointer(&format!("{parent}/{part}")) {
            Some(value) => fields.insert(part.to_owned(), value.clone()),
            None => fields.remove(part),
        };
    }
    object
}

fn by_name(cluster: &Cluster) -> BTreeMap<Name, Value> {
    let text = |object: &Value, pointer| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let name = |object| {
        let [kind, namespace, name] =
            ["/kind", "/metadata/namespace", "/metadata/name"].map(|pointer| text(object, pointer));
        (kind, namespace, name)
    };
    let objects = cluster.objects.iter();
    objects.map(|object| (name(object), object.clone())).collect()
}

/// A watch of the objects of one kind.
pub struct Feed<K> {
    /// What it has come to.
    now: BTreeMap<Key, K>,
    /// What is still to become of it.
    changes: VecDeque<(Key, Option<K>)>,
    uid: fn(&K) -> &str,
    is_listed: bool,
    /// What it will say of changes that it has come to.
    queue: VecDeque<Event<K>>,
}

impl<K: Observe + Clone> Feed<K> {
    /// A feed that has said nothing yet, of the objects that `selects` selects.
    pub fn new(history: &History, uid: fn(&K) -> &str, selects: impl Fn(&K) -> bool) -> Self {
        let read = |object: &Value| Some(K::deserialize(object).unwrap()).filter(&selects);
        let key = |(_, namespace, name): &Name| -> Key { (namespace.as_str().into(), name.as_str().into()) };
        let of_kind = |(kind, _, _): &Name| kind == K::KIND.kind;
        let first = history.first.iter().filter(|(name, _)| of_kind(name));
        let changes = history.changes.iter().filter(|(name, _)| of_kind(name));
        Self {
            now: first
                .filter_map(|(name, object)| Some((key(name), read(object)?)))
                .collect(),
            changes: changes
                .map(|(name, object)| (key(name), object.as_ref().and_then(read)))
                .collect(),
            uid,
            is_listed: false,
            queue: VecDeque::new(),
        }
    }

    /// Whether it has said all.
    pub fn is_done(&self) -> bool {
        self.is_listed && self.changes.is_empty() && self.queue.is_empty()
    }

    /// What it has come to.
    pub fn now(&self) -> impl ExactSizeIterator<Item = &K> {
        self.now.values()
    }

    /// It begins anew, with a list.
    pub fn restart(&mut self) {
        self.is_listed = false;
        self.queue.clear();
    }

    /// What it says next: a change, or a list that skips some, or something again, or a sign of life.
    pub fn next(&mut self, rng: &mut Rng) -> Event<K> {
        if let Some(event) = self.queue.pop_front() {
            return event;
        }
        match rng.u8(..16) {
            _ if !self.is_listed => self.list(rng),
            0 => self.list(rng),
            1 => Event::Lost("the connection was reset".to_owned()),
            2 => Event::Heard,
            3 => {
                let object = rng.choice(self.now.values());
                object.map_or(Event::Heard, |object| Event::Applied(object.clone()))
            }
            _ => self.change(rng),
        }
    }

    fn list(&mut self, rng: &mut Rng) -> Event<K> {
        let skipped = rng.usize(..=self.changes.len() / 2);
        for (key, object) in self.changes.drain(..skipped) {
            match object {
                Some(object) => self.now.insert(key, object),
                None => self.now.remove(&key),
            };
        }
        self.is_listed = true;
        let mut list: Vec<K> = self.now.values().cloned().collect();
        rng.shuffle(&mut list);
        Event::Synced(list)
    }

    fn change(&mut self, rng: &mut Rng) -> Event<K> {
        let Some((key, object)) = self.changes.pop_front() else {
            return Event::Heard;
        };
        let before = match &object {
            Some(object) => self.now.insert(key, object.clone()),
            None => self.now.remove(&key),
        };
        match (before, object) {
            (Some(old), Some(new)) if (self.uid)(&old) != (self.uid)(&new) => {
                // The end of the old one is told before, late (I15), or never (I14).
                let mut events = vec![Event::Deleted(old), Event::Applied(new)];
                events.rotate_left(rng.usize(..2));
                events.retain(|event| matches!(event, Event::Applied(_)) || rng.u8(..3) > 0);
                self.queue.extend(events);
            }
            (_, Some(new)) => self.queue.push_back(Event::Applied(new)),
            (Some(old), None) => self.queue.push_back(Event::Deleted(old)),
            (None, None) => {}
        }
        self.queue.pop_front().unwrap_or(Event::Heard)
    }
}
