//! How the hub fares, read off the inventory at one moment, for probes, metrics and people.
//!
//! Pure.

use crate::inventory::{Alarm, Inventory, Member};
use proto::model::{ClusterName, ClusterState, Revision};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How long first lists may take, from when the hub knows its first cluster, before it is ready without them: a cluster
/// that is down must not keep a restarted hub from serving the others, nor one that joins take a hub away from them.
pub const FIRST_LIST_DEADLINE: Duration = Duration::from_secs(60);

/// The hub at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// The newest revision.
    pub revision: Revision,
    /// Every known cluster, sorted by id.
    pub clusters: Vec<ClusterSurvey>,
}

/// One cluster at that moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterSurvey {
    /// Its id.
    pub id: ClusterName,
    /// How current it is.
    pub state: ClusterState,
    /// What somebody should look at.
    pub trouble: Option<String>,
    /// Its pods.
    pub pods: usize,
    /// Its namespaces.
    pub namespaces: usize,
    /// Pieces of its objects that could not be understood and were left out, by kind.
    pub rejected: BTreeMap<&'static str, usize>,
    /// What of its objects cannot be as it is said, by kind.
    pub alarms: BTreeMap<&'static str, usize>,
    /// Since it was last heard.
    pub age: Option<Duration>,
    /// Since its kubeconfig came.
    pub known_for: Duration,
}

impl Survey {
    /// Surveys.
    pub fn new(inventory: &Inventory, revision: Revision, now: Instant) -> Self {
        let cluster = |(id, member): (&ClusterName, &Member)| {
            let age = |since: Instant| now.saturating_duration_since(since);
            ClusterSurvey {
                id: id.clone(),
                state: member.state(),
                trouble: member.trouble(),
                pods: member.pods().count(),
                namespaces: member.namespaces().len(),
                rejected: rejected(member),
                alarms: alarms(inventory, id),
                age: member.last_heard().map(age),
                known_for: age(member.known_since()),
            }
        };
        Self {
            revision,
            clusters: inventory.clusters().map(cluster).collect(),
        }
    }

    /// Whether enforcers can be sent here: every known cluster was listed once, or the hub has had its time.
    pub fn is_ready(&self) -> bool {
        let listed = |cluster: &ClusterSurvey| cluster.state != ClusterState::Syncing;
        self.clusters.iter().any(ClusterSurvey::has_had_its_time)
            || !self.clusters.is_empty() && self.clusters.iter().all(listed)
    }
}

/// The kinds of pieces of pods and namespaces that are left out: addresses that no pod can have (I1, I2, I4), named ports
/// (I16), labels, and all else.
const REJECTED: [&str; 4] = ["address", "port", "label", "other"];

fn rejected(member: &Member) -> BTreeMap<&'static str, usize> {
    let mut rejected = BTreeMap::from(REJECTED.map(|kind| (kind, 0)));
    let pods = member.pods().iter().flat_map(|pod| &pod.rejected);
    let namespaces = member.namespaces().iter().flat_map(|namespace| &namespace.rejected);
    for line in pods.chain(namespaces) {
        let begins = |fields: &[&str]| fields.iter().any(|field| line.starts_with(field));
        let kind = if begins(&["status.podIP", "status.hostIP"]) {
            "address"
        } else if begins(&["spec.containers", "spec.initContainers"]) {
            "port"
        } else if begins(&["metadata.labels"]) {
            "label"
        } else {
            "other"
        };
        *rejected.entry(kind).or_default() += 1;
    }
    rejected
}

fn alarms(inventory: &Inventory, id: &ClusterName) -> BTreeMap<&'static str, usize> {
    BTreeMap::from(Alarm::ALL.map(|alarm| (alarm.name(), inventory.alarms().count(id, alarm))))
}

impl ClusterSurvey {
    fn has_had_its_time(&self) -> bool {
        self.known_for >= FIRST_LIST_DEADLINE
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_ready() { "ready" } else { "not ready" };
        writeln!(f, "{verdict}, revision {}", self.revision)?;
        if self.clusters.is_empty() {
            writeln!(
                f,
                "no cluster is known: the folder of clusters was not read yet, or is empty"
            )?;
        }
        let width = self.clusters.iter().map(|one| one.id.as_str().len()).max().unwrap_or(0);
        for cluster in &self.clusters {
            writeln!(f, "{:width$}  {cluster}", cluster.id.as_str())?;
        }
        Ok(())
    }
}

/// All but the id.
impl fmt::Display for ClusterSurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = state_name(self.state);
        write!(f, "{state:7}  {} pods, {} namespaces", self.pods, self.namespaces)?;
        if let Some(age) = self.age {
            write!(f, ", last heard {:.1} s ago", age.as_secs_f64())?;
        }
        if self.state == ClusterState::Syncing && self.has_had_its_time() {
            write!(
                f,
                ", its first list did not come within {} s",
                FIRST_LIST_DEADLINE.as_secs()
            )?;
        }
        if let Some(trouble) = &self.trouble {
            write!(f, ": {trouble}")?;
        }
        Ok(())
    }
}

/// A state as the API spells it.
pub fn state_name(state: ClusterState) -> &'static str {
    match state {
        ClusterState::Syncing => "SYNCING",
        ClusterState::Live => "LIVE",
        ClusterState::Stale => "STALE",
        ClusterState::Left => "LEFT",
    }
}

#[cfg(test)]
mod tests;
