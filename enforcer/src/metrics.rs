//! The numbers an enforcer shows on `/metrics`.
//!
//! Values only; `admin` serves them, the event loop sets them.

mod refused;

use crate::ruleset::WhyDropped;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use refused::Refused;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hash;

pub use refused::Read;

/// The label that names a cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ClusterLabel {
    /// Its id.
    pub cluster: String,
    /// Its state as the hub last said it.
    pub state: &'static str,
}

/// The label that names a kind of piece of a policy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct KindLabel {
    /// Its word.
    pub kind: &'static str,
}

/// The labels that name what `enforcer check` finds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct FindingLabel {
    /// The rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: String,
}

/// The label that names why packets were dropped before any policy judged them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ReasonLabel {
    /// See [`WhyDropped::label`].
    pub reason: &'static str,
}

/// Packets that the kernel has dropped, by reason: its own counts, which begin anew with the rules that count.
#[derive(Debug)]
pub struct Dropped {
    counters: Family<ReasonLabel, Counter>,
    last: BTreeMap<WhyDropped, u64>,
    /// Of which a packet was seen.
    seen: BTreeSet<WhyDropped>,
}

impl Dropped {
    /// Takes the kernel's counts in; gives the reasons of which these are the first packets since the start.
    pub fn show(&mut self, counts: BTreeMap<WhyDropped, u64>) -> Vec<WhyDropped> {
        for (why, count) in &counts {
            let last = self.last.get(why).copied().unwrap_or_default();
            let label = ReasonLabel { reason: why.label() };
            let more = count.checked_sub(last).unwrap_or(*count);
            self.counters.get_or_create(&label).inc_by(more);
        }
        let first = counts.iter().filter(|(_, count)| **count > 0);
        let first = first.map(|(why, _)| *why).filter(|why| self.seen.insert(*why));
        let first = first.collect();
        self.last = counts;
        first
    }
}

/// What is known of pods before they start.
#[derive(Debug)]
pub(crate) struct PodStarts {
    pub(crate) runtime_connected: Gauge,
    pub(crate) held_seconds: Histogram,
    pub(crate) late: Counter,
}

impl PodStarts {
    fn new(registry: &mut Registry) -> Self {
        Self {
            runtime_connected: gauge(
                registry,
                "runtime_connected",
                "1 while a container runtime tells of pods before they start (NRI)",
            ),
            held_seconds: seconds(
                registry,
                "pod_start_held",
                "Time the container runtime waited with a pod's first container until the pod was isolated, or late",
            ),
            late: counter(
                registry,
                "pod_starts_late",
                "Pods that were not isolated in time, and were let start or not as --nri-late says",
            ),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    // What each means stands in its help text, below.
    pub(crate) policies: Gauge,
    pub(crate) refused_pieces: Family<KindLabel, Gauge>,
    pub(crate) isolated_pods: Gauge,
    pub(crate) rules: Gauge,
    pub(crate) sets: Gauge,
    pub(crate) members: Gauge,
    pub(crate) cut: Gauge,
    pub(crate) passes: Counter,
    pub(crate) kernel_failures: Counter,
    pub(crate) hub_connected: Gauge,
    pub(crate) frames: Counter,
    pub(crate) enforced_seconds: Histogram,
    pub(crate) compile_seconds: Histogram,
    pub(crate) apply_seconds: Histogram,
    pub(crate) pod_starts: PodStarts,
    pub(crate) clusters: Family<ClusterLabel, Gauge>,
    pub(crate) findings: Family<FindingLabel, Gauge>,
    dropped: Family<ReasonLabel, Counter>,
}

impl Metrics {
    /// Registers all of them under the prefix `bailey_enforcer`. `read` is asked what pods refuse, each time that the
    /// registry is encoded.
    pub fn new(registry: &mut Registry, read: Read) -> Self {
        registry.register_collector(Box::new(Refused::new(read)));
        let registry = registry.sub_registry_with_prefix("bailey_enforcer");
        let dropped = Family::<ReasonLabel, Counter>::default();
        for why in WhyDropped::ALL {
            // At 0, so that a first packet is seen as an increase.
            drop(dropped.get_or_create(&ReasonLabel { reason: why.label() }));
        }
        registry.register(
            "dropped_packets",
            "Packets dropped, by reason: from pods' links before any policy was asked (forged_source, vlan_tag, link_local), or \
             refused by policies though a node of another cluster sent them, which hints at address translation between \
             clusters (node_of_other_cluster), or from or to an address of this node's pod ranges that no pod is known to have \
             (unknown_pod, with --unknown-local-pods hold); read from the kernel every half minute",
            dropped.clone(),
        );
        Self {
            policies: gauge(registry, "policies", "NetworkPolicies held"),
            refused_pieces: family(
                registry,
                "policy_pieces_refused",
                "Pieces of NetworkPolicies that are not in force, by kind",
            ),
            isolated_pods: gauge(
                registry,
                "isolated_pods",
                "Local pods that a policy isolates in a direction",
            ),
            rules: gauge(registry, "rules", "Rules of nf_tables in force"),
            sets: gauge(registry, "sets", "ipsets in force"),
            members: gauge(registry, "set_members", "Members of all ipsets in force"),
            cut: gauge(
                registry,
                "addresses_cut",
                "Addresses that several pods claim and that admit nothing in a direction, as their policies combine into too \
                 many rules; once for each direction",
            ),
            passes: counter(
                registry,
                "passes",
                "Plans carried out by the kernel, or found in force already",
            ),
            kernel_failures: counter(registry, "kernel_failures", "Plans or reads that the kernel refused"),
            hub_connected: gauge(registry, "hub_connected", "1 while a hub answers"),
            frames: counter(registry, "frames", "Frames received from the hub"),
            enforced_seconds: seconds(
                registry,
                "enforced",
                "Time from a change's receipt (by the hub, if it came from there) until this kernel enforces it",
            ),
            compile_seconds: seconds(
                registry,
                "compile",
                "Time to compile policies and pods to a ruleset, and to find what of it the kernel lacks",
            ),
            apply_seconds: seconds(registry, "apply", "Time the kernel took to carry out a plan"),
            pod_starts: PodStarts::new(registry),
            clusters: family(
                registry,
                "cluster",
                "1 for each cluster and the state the hub last said it is in",
            ),
            findings: family(
                registry,
                "findings",
                "What enforcer check finds on this node, by rule and severity; looked for every five minutes",
            ),
            dropped,
        }
    }

    /// What the kernel's counts are shown through.
    pub fn dropped(&self) -> Dropped {
        Dropped {
            counters: self.dropped.clone(),
            last: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }
}

fn family<L: EncodeLabelSet + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> Family<L, Gauge> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// 50 µs to 105 s: a member that joins a set takes microseconds in the kernel, tens of thousands of rules may take a minute.
fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(exponential_buckets(50e-6, 2.0, 22));
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_kernel_that_begin_anew_are_added_to_those_before() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry, || Ok(BTreeMap::new()));
        let mut dropped = metrics.dropped();
        let first: Vec<Vec<WhyDropped>> = [0, 2, 5, 5, 1]
            .into_iter()
            .map(|count| dropped.show(BTreeMap::from([(WhyDropped::ForgedSource, count)])))
            .collect();
        assert_eq!(first, [vec![], vec![WhyDropped::ForgedSource], vec![], vec![], vec![]]);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("dropped_packets_total{"))
            .collect();
        lines.sort_unstable();
        let expected = [
            "bailey_enforcer_dropped_packets_total{reason=\"forged_source\"} 6",
            "bailey_enforcer_dropped_packets_total{reason=\"link_local\"} 0",
            "bailey_enforcer_dropped_packets_total{reason=\"node_of_other_cluster\"} 0",
            "bailey_enforcer_dropped_packets_total{reason=\"unknown_pod\"} 0",
            "bailey_enforcer_dropped_packets_total{reason=\"vlan_tag\"} 0",
        ];
        assert_eq!(lines, expected);
    }
}
