//! What the hub counts while it runs, in Prometheus' words.
//!
//! What can be read off the inventory, the ring or the registry is not counted here but looked up when somebody asks
//! ([`crate::admin`]), so that the two cannot disagree.

use crate::ring::{Kind, Sealed};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the flush latency's buckets, in seconds: from a change that is sealed at once to the longest window
/// and what a first list of a big cluster takes.
const FLUSH_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// The counters. Cloning gives another handle on the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Delta frames sealed.
    pub frames: Counter,
    /// Bytes of all frames sealed, heartbeats included.
    pub bytes: Counter,
    /// Addresses, namespaces and cluster states in delta frames.
    pub changes: Counter,
    /// Seconds from the receipt of the oldest change of a frame to its sealing.
    pub flush: Histogram,
    /// Snapshots sent to subscribers.
    pub snapshots: Counter,
    /// Streams that were resumed without one.
    pub resumed: Counter,
    /// Streams that were ended because the subscriber was too slow.
    pub cut_off: Counter,
    /// Calls of enforcers that were refused.
    pub refused_calls: Counter,
    /// Addresses that have an owner.
    pub addresses: Gauge,
    /// Files of the clusters folder that cannot be used now.
    pub refused_kubeconfigs: Gauge,
    /// 1 while the clusters folder is empty or unreadable.
    pub folder_fault: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            frames: Counter::default(),
            bytes: Counter::default(),
            changes: Counter::default(),
            flush: Histogram::new(FLUSH_BUCKETS),
            snapshots: Counter::default(),
            resumed: Counter::default(),
            cut_off: Counter::default(),
            refused_calls: Counter::default(),
            addresses: Gauge::default(),
            refused_kubeconfigs: Gauge::default(),
            folder_fault: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts a frame.
    pub fn sealed(&self, sealed: &Sealed) {
        self.bytes.inc_by(sealed.bytes.len() as u64);
        match sealed.kind {
            Kind::Delta { changes, oldest } => {
                self.frames.inc();
                self.changes.inc_by(changes as u64);
                self.flush.observe(oldest.as_secs_f64());
            }
            Kind::Heartbeat => {}
        }
    }

    /// Adds all of them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let counters = [
            ("frames_sealed", "Delta frames sealed", &self.frames),
            (
                "changes_sealed",
                "Addresses, namespaces and cluster states in delta frames",
                &self.changes,
            ),
            ("snapshots_sent", "Snapshots sent to subscribers", &self.snapshots),
            ("streams_resumed", "Streams resumed without a snapshot", &self.resumed),
            (
                "streams_cut_off",
                "Streams ended because the subscriber was too slow",
                &self.cut_off,
            ),
            (
                "sync_calls_refused",
                "Calls of enforcers that were refused",
                &self.refused_calls,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register_with_unit("sealed", "Bytes of all frames sealed", Unit::Bytes, self.bytes.clone());
        registry.register_with_unit(
            "flush_latency",
            "From the receipt of the oldest change of a frame to its sealing",
            Unit::Seconds,
            self.flush.clone(),
        );
        registry.register("addresses", "Addresses that have an owner", self.addresses.clone());
        registry.register(
            "kubeconfigs_refused",
            "Files of the clusters folder that cannot be used",
            self.refused_kubeconfigs.clone(),
        );
        registry.register(
            "clusters_folder_fault",
            "1 while the clusters folder is empty or unreadable and the clusters known before are kept",
            self.folder_fault.clone(),
        );
    }
}
