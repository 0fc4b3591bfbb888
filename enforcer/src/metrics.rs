//! The numbers an enforcer shows on `/metrics`.
//!
//! Values only; `admin` serves them, the event loop sets them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

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

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    // What each means stands in its help text, below.
    pub(crate) policies: Gauge,
    pub(crate) refused_pieces: Family<KindLabel, Gauge>,
    pub(crate) isolated_pods: Gauge,
    pub(crate) sets: Gauge,
    pub(crate) members: Gauge,
    pub(crate) passes: Counter,
    pub(crate) kernel_failures: Counter,
    pub(crate) hub_connected: Gauge,
    pub(crate) frames: Counter,
    pub(crate) enforced_seconds: Histogram,
    pub(crate) clusters: Family<ClusterLabel, Gauge>,
}

impl Metrics {
    /// Registers all of them under the prefix `bailey_enforcer`.
    pub fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("bailey_enforcer");
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        // 50 µs to 6.5 s: a member that joins a set takes microseconds in the kernel, a first pass over a large world seconds.
        let enforced_seconds = Histogram::new(exponential_buckets(50e-6, 2.0, 18));
        registry.register_with_unit(
            "enforced",
            "Time from a change's receipt (by the hub, if it came from there) until this kernel enforces it",
            Unit::Seconds,
            enforced_seconds.clone(),
        );
        let refused_pieces = Family::default();
        registry.register(
            "policy_pieces_refused",
            "Pieces of NetworkPolicies that are not in force, by kind",
            refused_pieces.clone(),
        );
        let clusters = Family::default();
        registry.register(
            "cluster",
            "1 for each cluster and the state the hub last said it is in",
            clusters.clone(),
        );
        Self {
            policies: gauge(registry, "policies", "NetworkPolicies held"),
            refused_pieces,
            isolated_pods: gauge(
                registry,
                "isolated_pods",
                "Local pods that a policy isolates in a direction",
            ),
            sets: gauge(registry, "sets", "ipsets in force"),
            members: gauge(registry, "set_members", "Members of all ipsets in force"),
            passes: counter(
                registry,
                "passes",
                "Plans carried out by the kernel, or found in force already",
            ),
            kernel_failures: counter(registry, "kernel_failures", "Plans or reads that the kernel refused"),
            hub_connected: gauge(registry, "hub_connected", "1 while a hub answers"),
            frames: counter(registry, "frames", "Frames received from the hub"),
            enforced_seconds,
            clusters,
        }
    }
}
