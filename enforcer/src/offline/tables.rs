//! All verdicts between some ends, node by node: a node's ruleset is compiled, walked for every connection that it judges,
//! and let go, so that one at a time is in memory for each worker.
//!
//! Pure.

use super::clusterset::ClusterSet;
use super::connection::{self, Parties};
use super::ends::{End, NodeName, Probe, Table, Verdict};
use super::judge;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Judges every probe from every end to every end.
pub fn tables(set: &ClusterSet, ends: &[End], probes: &[Probe], workers: NonZeroUsize) -> Vec<Table> {
    let parties: Vec<Parties> = ends.iter().map(|end| Parties::of(set, end)).collect();
    let mut by_node: BTreeMap<&NodeName, Vec<usize>> = BTreeMap::new();
    for (place, parties) in parties.iter().enumerate() {
        for node in parties.nodes() {
            let places = by_node.entry(node).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    let nodes: Vec<Node<'_>> = by_node
        .into_iter()
        .map(|(name, places)| Node { name, places })
        .collect();
    let work = Work {
        set,
        parties: &parties,
        probes,
    };
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut refused = Refused::new(ends.len(), probes.len());
        while let Some(node) = nodes.get(next.fetch_add(1, Ordering::Relaxed)) {
            work.judge(node, &mut refused);
        }
        refused
    };
    let refused = thread::scope(|scope| {
        let others: Vec<_> = (1..workers.get()).map(|_| scope.spawn(worker)).collect();
        let mut refused = worker();
        for other in others {
            refused.add(&other.join().expect("no verdict panics"));
        }
        refused
    });
    let table = |(number, &probe): (usize, &Probe)| {
        let row = |from| (0..ends.len()).map(move |to| (from, to));
        let verdict = |(from, to): (usize, usize)| match work.parties[from].meet(&work.parties[to], probe) {
            None => Verdict::Absent,
            Some(_) if refused.contains((number, from, to)) => Verdict::Refused,
            Some(_) => Verdict::Allowed,
        };
        Table {
            probe,
            rows: (0..ends.len()).map(|from| row(from).map(verdict).collect()).collect(),
        }
    };
    probes.iter().enumerate().map(table).collect()
}

/// A node that judges connections of some ends.
struct Node<'a> {
    name: &'a NodeName,
    /// The ends with pods on it, ascending.
    places: Vec<usize>,
}

/// What there is to judge.
struct Work<'a> {
    set: &'a ClusterSet,
    parties: &'a [Parties],
    probes: &'a [Probe],
}

impl Work<'_> {
    /// Judges what the pods of a node send and receive, as far as their own node does.
    fn judge(&self, node: &Node<'_>, refused: &mut Refused) {
        let ruleset = (self.set.ruleset(node.name)).expect("a pod's node is one of the ClusterSet");
        let switch = self.set.switches().egress_to_local_node;
        let mut judge = |probe: usize, from: usize, to: usize| {
            let Some((source, destination)) = self.parties[from].meet(&self.parties[to], self.probes[probe]) else {
                return;
            };
            let Some(hook) = connection::hook(source, destination, node.name, switch) else {
                return;
            };
            let packet = connection::packet(source.address, destination.address, self.probes[probe]);
            if !judge::passes(&ruleset, hook, &packet) {
                refused.insert((probe, from, to));
            }
        };
        for probe in 0..self.probes.len() {
            for &local in &node.places {
                for other in 0..self.parties.len() {
                    judge(probe, local, other);
                    if node.places.binary_search(&other).is_err() {
                        judge(probe, other, local);
                    }
                }
            }
        }
    }
}

/// A set of connections: probe, source and destination by place. One bit each.
struct Refused {
    ends: usize,
    bits: Vec<u64>,
}

impl Refused {
    fn new(ends: usize, probes: usize) -> Self {
        let bits = vec![0; (ends * ends * probes).div_ceil(64)];
        Self { ends, bits }
    }

    fn place(&self, (probe, from, to): (usize, usize, usize)) -> (usize, u64) {
        let bit = (probe * self.ends + from) * self.ends + to;
        (bit / 64, 1 << (bit % 64))
    }

    fn insert(&mut self, connection: (usize, usize, usize)) {
        let (word, bit) = self.place(connection);
        self.bits[word] |= bit;
    }

    fn contains(&self, connection: (usize, usize, usize)) -> bool {
        let (word, bit) = self.place(connection);
        self.bits[word] & bit != 0
    }

    fn add(&mut self, other: &Self) {
        for (word, more) in self.bits.iter_mut().zip(&other.bits) {
            *word |= more;
        }
    }
}
