//! The enforcers the hub has heard of: who has a stream open, and what each said last.
//!
//! Written by the stream service, read by queries and metrics; nothing is decided by it. Bounded per cluster, so that
//! one cluster's certificate cannot fill the hub's memory with names of nodes that do not exist.

use dashmap::DashMap;
use proto::model::{ClusterName, Revision};
use proto::wire;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Enforcers of one cluster that are remembered at most. Kubernetes supports 5,000 nodes a cluster; those that were
/// replaced within [`FORGOTTEN_AFTER`] count as well.
pub const ENFORCERS_PER_CLUSTER: usize = 20_000;

/// An enforcer without a stream and without a report for so long is taken to be gone with its node. Long, because until
/// then it is one that does not enforce the newest revision.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What one enforcer said last.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The revision its kernel enforces; `None`: none yet.
    pub applied: Option<Revision>,
    /// The whole report, as it came.
    pub message: wire::ReportRequest,
    /// When it came, for durations.
    pub at: Instant,
    /// When it came, for people.
    pub at_wall: SystemTime,
}

/// Where a stream comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The other end of its connection.
    pub address: SocketAddr,
    /// When the certificate it was granted on ends; `None`: it was granted on none.
    pub certificate_expires: Option<SystemTime>,
}

/// One node's enforcer.
#[derive(Clone, PartialEq, Debug)]
pub struct Enforcer {
    /// Streams it has open; more than one only while it changes over from one to the next.
    pub streams: u32,
    /// Where it was seen last.
    pub address: Option<SocketAddr>,
    /// When the certificate of its last stream ends; `None`: it had none.
    pub certificate_expires: Option<SystemTime>,
    /// Its last report.
    pub report: Option<Report>,
    /// When it was heard of last.
    pub last_seen: Instant,
}

/// The hub remembers as many enforcers of this cluster as it will.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ENFORCERS_PER_CLUSTER} enforcers of cluster {0} are known already, no more are taken")]
pub struct Full(pub ClusterName);

/// All enforcers, by cluster and node.
#[derive(Debug, Default)]
pub struct Registry {
    enforcers: DashMap<(ClusterName, Arc<str>), Enforcer>,
    per_cluster: DashMap<ClusterName, usize>,
}

impl Registry {
    /// Notes that an enforcer has opened a stream. [`Registry::disconnected`] must follow.
    ///
    /// # Errors
    /// If too many of its cluster are known.
    pub fn connected(&self, cluster: &ClusterName, node: &Arc<str>, origin: Origin, now: Instant) -> Result<(), Full> {
        self.update(cluster, node, now, |enforcer| {
            enforcer.streams += 1;
            enforcer.address = Some(origin.address);
            enforcer.certificate_expires = origin.certificate_expires;
        })
    }

    /// Notes that a stream has ended.
    pub fn disconnected(&self, cluster: &ClusterName, node: &Arc<str>, now: Instant) {
        if let Some(mut enforcer) = self.enforcers.get_mut(&(cluster.clone(), Arc::clone(node))) {
            enforcer.streams = enforcer.streams.saturating_sub(1);
            enforcer.last_seen = now;
        }
    }

    /// Notes what an enforcer reports.
    ///
    /// # Errors
    /// If too many of its cluster are known.
    pub fn reported(&self, cluster: &ClusterName, node: &Arc<str>, report: Report) -> Result<(), Full> {
        let now = report.at;
        self.update(cluster, node, now, |enforcer| enforcer.report = Some(report))
    }

    /// Forgets enforcers that have been silent for too long.
    pub fn sweep(&self, now: Instant) {
        let mut forgotten = Vec::new();
        self.enforcers.retain(|(cluster, _), enforcer| {
            let keep = enforcer.streams > 0 || now.saturating_duration_since(enforcer.last_seen) < FORGOTTEN_AFTER;
            if !keep {
                forgotten.push(cluster.clone());
            }
            keep
        });
        // After the walk: whoever adds an enforcer locks its cluster's count first.
        for cluster in forgotten {
            if let Some(mut known) = self.per_cluster.get_mut(&cluster) {
                *known = known.saturating_sub(1);
            }
        }
    }

    /// All enforcers, sorted by cluster and node.
    pub fn list(&self) -> BTreeMap<(ClusterName, Arc<str>), Enforcer> {
        self.enforcers
            .iter()
            .map(|entry| (entry.key().clone(), entry.value().clone()))
            .collect()
    }

    /// How many enforcers of each cluster have a stream open.
    pub fn connected_by_cluster(&self) -> BTreeMap<ClusterName, u32> {
        let mut connected = BTreeMap::new();
        for entry in self.enforcers.iter().filter(|entry| entry.value().streams > 0) {
            *connected.entry(entry.key().0.clone()).or_insert(0) += 1;
        }
        connected
    }

    fn update(
        &self,
        cluster: &ClusterName,
        node: &Arc<str>,
        now: Instant,
        change: impl FnOnce(&mut Enforcer),
    ) -> Result<(), Full> {
        let key = (cluster.clone(), Arc::clone(node));
        if let Some(mut enforcer) = self.enforcers.get_mut(&key) {
            enforcer.last_seen = now;
            change(&mut enforcer);
            return Ok(());
        }
        let mut known = self.per_cluster.entry(cluster.clone()).or_default();
        if *known >= ENFORCERS_PER_CLUSTER {
            return Err(Full(cluster.clone()));
        }
        let mut enforcer = self.enforcers.entry(key).or_insert_with(|| {
            *known += 1;
            Enforcer {
                streams: 0,
                address: None,
                certificate_expires: None,
                report: None,
                last_seen: now,
            }
        });
        enforcer.last_seen = now;
        change(&mut enforcer);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
