//! Numbers for strings and identities, so that a label set crosses the wire once.
//!
//! Pure. A number is counted by its uses, retired when nothing uses it (a pod that crash-loops for an hour leaves
//! nothing behind, I19) and never given again within an epoch: a frame that is replayed or late can not make an address
//! mean another identity.
//!
//! Uses are counted during a seal, retirements happen at its end ([`Numbers::retire`]): what loses its last use and
//! finds another in the same seal keeps its number.

use proto::convert;
use proto::model::{Identity, Labels, NamedPort};
use proto::wire;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// No epoch gives numbers above this. Far below the type's end, so that a seal that begins below it cannot wrap: more
/// numbers than that do not fit in a hub's memory.
pub const LAST_NUMBER: u32 = u32::MAX / 2;

/// A number that is used for the first time, to be defined before its use.
#[derive(Clone, PartialEq, Debug)]
pub enum Definition {
    /// A string.
    String(u32, Arc<str>),
    /// An identity, whose strings are defined before it.
    Identity(wire::Identity),
}

/// Numbers that nothing uses any more, each ascending.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retired {
    /// Of identities.
    pub identities: Vec<u32>,
    /// Of strings.
    pub strings: Vec<u32>,
}

/// All numbers of one epoch.
#[derive(Debug, Default)]
pub struct Numbers {
    strings: Interner<Arc<str>>,
    identities: Interner<Identity>,
    definitions: Vec<Definition>,
}

impl Numbers {
    /// Whether so many numbers were given that the next seal should begin a new epoch.
    pub fn is_exhausted(&self) -> bool {
        self.strings.last >= LAST_NUMBER || self.identities.last >= LAST_NUMBER
    }

    /// The number of an identity, with one more use.
    pub fn use_identity(&mut self, identity: &Identity) -> u32 {
        let (number, is_new) = self.identities.acquire(identity);
        if is_new {
            self.use_string(&identity.namespace.cluster.as_str().into());
            self.use_string(&identity.namespace.name);
            self.use_labels(&identity.labels);
            for port in identity.ports.iter() {
                self.use_string(&port.name);
            }
            let definition = self.define(number, identity);
            self.definitions.push(Definition::Identity(definition));
        }
        number
    }

    /// One more use of a string.
    pub fn use_string(&mut self, string: &Arc<str>) {
        let (number, is_new) = self.strings.acquire(string);
        if is_new {
            self.definitions.push(Definition::String(number, Arc::clone(string)));
        }
    }

    /// One more use of each key and value.
    pub fn use_labels(&mut self, labels: &Labels) {
        for (key, value) in labels {
            self.use_string(key);
            self.use_string(value);
        }
    }

    /// One use of an identity less.
    pub fn drop_identity(&mut self, number: u32) {
        self.identities.release(number);
    }

    /// One use of a string less.
    pub fn drop_string(&mut self, string: &str) {
        let number = self.strings.number(string);
        self.strings.release(number);
    }

    /// One use of each key and value less.
    pub fn drop_labels(&mut self, labels: &Labels) {
        for (key, value) in labels {
            self.drop_string(key);
            self.drop_string(value);
        }
    }

    /// The number of a string that is in use.
    pub fn string(&self, string: &str) -> u32 {
        self.strings.number(string)
    }

    /// The numbers of labels that are in use, keys and values in turn.
    pub fn labels(&self, labels: &Labels) -> Vec<u32> {
        labels
            .iter()
            .flat_map(|(key, value)| [self.string(key), self.string(value)])
            .collect()
    }

    /// What was numbered since the last call, in an order in which nothing is used before it is defined.
    pub fn take_definitions(&mut self) -> Vec<Definition> {
        std::mem::take(&mut self.definitions)
    }

    /// Forgets what nothing uses. Identities first: their strings may go with them.
    pub fn retire(&mut self) -> Retired {
        let mut retired = Retired::default();
        for (number, identity) in self.identities.retire() {
            retired.identities.push(number);
            self.drop_string(identity.namespace.cluster.as_str());
            self.drop_string(&identity.namespace.name);
            self.drop_labels(&identity.labels);
            for port in identity.ports.iter() {
                self.drop_string(&port.name);
            }
        }
        retired.strings = self.strings.retire().into_iter().map(|(number, _)| number).collect();
        retired
    }

    /// All definitions in use: strings, then identities, each ascending.
    pub fn all(&self) -> impl Iterator<Item = Definition> {
        let string = |(number, string): (u32, &Arc<str>)| Definition::String(number, Arc::clone(string));
        let identity = |(number, identity): (u32, &Identity)| Definition::Identity(self.define(number, identity));
        self.strings
            .iter()
            .map(string)
            .chain(self.identities.iter().map(identity))
    }

    /// As if nearly all numbers had been given.
    #[cfg(test)]
    pub(crate) fn exhaust(&mut self) {
        self.strings.last = LAST_NUMBER;
    }

    /// The identity of a number in use.
    pub fn identity(&self, number: u32) -> &Identity {
        self.identities.value(number)
    }

    /// The definition of an identity whose strings are all in use.
    fn define(&self, number: u32, identity: &Identity) -> wire::Identity {
        let port = |port: &NamedPort| convert::encode_port(self.string(&port.name), port.protocol, port.port);
        wire::Identity {
            id: number,
            cluster: self.string(identity.namespace.cluster.as_str()),
            namespace: self.string(&identity.namespace.name),
            labels: self.labels(&identity.labels),
            ports: identity.ports.iter().map(port).collect(),
        }
    }
}

/// Values of one kind, numbered from 1 upwards.
#[derive(Debug)]
struct Interner<T> {
    numbers: HashMap<T, u32>,
    in_use: BTreeMap<u32, Counted<T>>,
    unused: BTreeSet<u32>,
    last: u32,
}

#[derive(Debug)]
struct Counted<T> {
    value: T,
    uses: u64,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            in_use: BTreeMap::new(),
            unused: BTreeSet::new(),
            last: 0,
        }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of a value with one more use, and whether it is a new one.
    fn acquire(&mut self, value: &T) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(value) {
            self.in_use.get_mut(&number).expect("every number has its value").uses += 1;
            self.unused.remove(&number);
            return (number, false);
        }
        self.last += 1;
        let value = value.clone();
        self.numbers.insert(value.clone(), self.last);
        self.in_use.insert(self.last, Counted { value, uses: 1 });
        (self.last, true)
    }

    fn release(&mut self, number: u32) {
        let counted = self.in_use.get_mut(&number).expect("only what is in use is released");
        counted.uses -= 1;
        if counted.uses == 0 {
            self.unused.insert(number);
        }
    }

    fn retire(&mut self) -> Vec<(u32, T)> {
        let unused = std::mem::take(&mut self.unused);
        let retire = |number| {
            let counted = self.in_use.remove(&number).expect("every number has its value");
            self.numbers.remove(&counted.value);
            (number, counted.value)
        };
        unused.into_iter().map(retire).collect()
    }

    fn number<Q: ?Sized + Eq + Hash>(&self, value: &Q) -> u32
    where
        T: std::borrow::Borrow<Q>,
    {
        *self.numbers.get(value).expect("only what is in use is asked for")
    }

    fn value(&self, number: u32) -> &T {
        &self
            .in_use
            .get(&number)
            .expect("only what is in use is asked for")
            .value
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.in_use.iter().map(|(number, counted)| (*number, &counted.value))
    }
}

#[cfg(test)]
mod tests;
