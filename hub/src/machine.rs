//! Input → output of the hub: what its feeds and its folder say, and the clock, become sealed frames and news for people.
//!
//! Pure. The first change after a quiet time is sealed at once; then changes gather for a window that grows with the
//! number of subscribers, because each frame costs each of them: under load the hub sends as
//! often as a part of one core allows, and not less often than four times a second.

use crate::inventory::{Change, Connection, Inventory, Observed};
use crate::log::{Log, Snapshot};
use crate::ranges::PodRanges;
use crate::ring::Sealed;
use proto::model::{ClusterName, ClusterState, Epoch, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often every subscriber hears from the hub at least.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// The shortest window: what the first change after a quiet time does not wait for, but a burst does.
const SHORTEST_WINDOW: Duration = Duration::from_millis(5);

/// The longest window, whatever the number of subscribers.
const LONGEST_WINDOW: Duration = Duration::from_millis(250);

/// What the window grows by with each subscriber: a frame costs the hub 20 µs of CPU per connection, and sending may
/// take 0.4 of a core.
const WINDOW_PER_SUBSCRIBER: Duration = Duration::from_micros(50);

/// What happens to the hub.
#[derive(Debug)]
pub enum Input {
    /// A cluster's kubeconfig is new or has changed, and a new connection to it begins.
    Connected {
        /// The cluster.
        cluster: ClusterName,
        /// The connection that counts from now on.
        connection: Connection,
        /// Address of its API server.
        server: String,
    },
    /// A cluster's kubeconfig cannot be used; a connection made before goes on.
    Refused {
        /// The cluster.
        cluster: ClusterName,
        /// Why, and what to do.
        reason: String,
    },
    /// A cluster's kubeconfig is in order again, and what the current connection was made with.
    Accepted {
        /// The cluster.
        cluster: ClusterName,
    },
    /// A cluster's kubeconfig is gone.
    Left {
        /// The cluster.
        cluster: ClusterName,
    },
    /// A feed said something.
    Observed {
        /// Of which cluster.
        cluster: ClusterName,
        /// On which connection.
        connection: Connection,
        /// What.
        observed: Observed,
    },
    /// So many subscribers are connected.
    Subscribers(usize),
    /// The time of [`Machine::deadline`] has come.
    Timer,
}

/// What is to be done about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this frame to every subscriber.
    Publish(Sealed),
    /// Tell people how a cluster fares; said once per change.
    Status {
        /// The cluster.
        cluster: ClusterName,
        /// Its state.
        state: ClusterState,
        /// What somebody should look at; `None`: nothing.
        trouble: Option<String>,
    },
}

/// The hub, but for everything that touches the world.
#[derive(Debug)]
pub struct Machine {
    inventory: Inventory,
    pod_ranges: PodRanges,
    log: Log,
    subscribers: usize,
    last_seal: Option<Instant>,
    next_heartbeat: Instant,
    said: BTreeMap<ClusterName, (ClusterState, Option<String>)>,
}

impl Machine {
    /// A hub that knows nothing yet.
    pub fn new(epoch: Epoch, now: Instant) -> Self {
        Self {
            inventory: Inventory::default(),
            pod_ranges: PodRanges::default(),
            log: Log::new(epoch),
            subscribers: 0,
            last_seal: None,
            next_heartbeat: now + HEARTBEAT,
            said: BTreeMap::new(),
        }
    }

    /// The same, which takes pods at their word only within these ranges.
    #[must_use]
    pub fn confined_to(self, pod_ranges: PodRanges) -> Self {
        Self { pod_ranges, ..self }
    }

    /// Takes an input in, and does what is due.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let (touched, changes) = self.apply(input, now);
        let mut touched: BTreeSet<ClusterName> = touched.into_iter().collect();
        let mut outputs = Vec::new();
        for change in changes {
            if let Change::Cluster(cluster, _) = &change {
                touched.insert(cluster.clone());
            }
            if self.log.must_seal_before(&change) {
                outputs.extend(self.seal(now));
            }
            self.log.record(change, now);
        }
        if self.seal_at().is_some_and(|at| at <= now) {
            outputs.extend(self.seal(now));
        }
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + HEARTBEAT;
            let heartbeat = self.log.heartbeat(&self.inventory.last_heard(), now);
            outputs.push(Output::Publish(heartbeat));
        }
        outputs.extend(touched.into_iter().filter_map(|cluster| self.news(cluster)));
        outputs
    }

    /// When [`Input::Timer`] is due.
    pub fn deadline(&self) -> Instant {
        self.seal_at()
            .map_or(self.next_heartbeat, |at| at.min(self.next_heartbeat))
    }

    /// All that is known.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The newest sealed revision.
    pub fn revision(&self) -> Revision {
        self.log.revision()
    }

    /// Whether all that is known is sealed in [`Machine::revision`].
    pub fn is_sealed(&self) -> bool {
        self.log.pending_since().is_none()
    }

    /// How many addresses have an owner.
    pub fn addresses(&self) -> usize {
        self.log.addresses()
    }

    /// What a new subscriber begins with; `None`: no folder has named a cluster yet, and an empty world is no answer to
    /// who holds a full one.
    pub fn snapshot(&mut self, now: Instant) -> Option<Snapshot> {
        if self.revision().sequence == 0 {
            return None;
        }
        Some(self.log.snapshot(&self.inventory.last_heard(), now))
    }

    fn apply(&mut self, input: Input, now: Instant) -> (Option<ClusterName>, Vec<Change>) {
        match input {
            Input::Connected {
                cluster,
                connection,
                server,
            } => {
                let changes = self.inventory.connect(&cluster, connection, server, now);
                (Some(cluster), changes)
            }
            Input::Refused { cluster, reason } => {
                let changes = self.inventory.refuse(&cluster, reason, now);
                (Some(cluster), changes)
            }
            Input::Accepted { cluster } => {
                let changes = self.inventory.accept(&cluster, now);
                (Some(cluster), changes)
            }
            Input::Left { cluster } => {
                let changes = self.inventory.leave(&cluster, now);
                (Some(cluster), changes)
            }
            Input::Observed {
                cluster,
                connection,
                observed,
            } => {
                let observed = match observed {
                    Observed::Pods(event) => Observed::Pods(self.pod_ranges.confine(&cluster, event)),
                    Observed::Namespaces(_) => observed,
                };
                let changes = self.inventory.apply(&cluster, connection, observed, now);
                (Some(cluster), changes)
            }
            Input::Subscribers(subscribers) => {
                self.subscribers = subscribers;
                (None, Vec::new())
            }
            Input::Timer => (None, Vec::new()),
        }
    }

    fn seal(&mut self, now: Instant) -> Vec<Output> {
        self.last_seal = Some(now);
        let sealed = self.log.seal(&self.inventory.last_heard(), now);
        sealed.into_iter().map(Output::Publish).collect()
    }

    /// When what waits is to be sealed.
    fn seal_at(&self) -> Option<Instant> {
        let since = self.log.pending_since()?;
        let earliest = self.last_seal.map_or(since, |last| last + self.window());
        Some(earliest.max(since))
    }

    fn window(&self) -> Duration {
        let subscribers = u32::try_from(self.subscribers).unwrap_or(u32::MAX);
        WINDOW_PER_SUBSCRIBER
            .saturating_mul(subscribers)
            .clamp(SHORTEST_WINDOW, LONGEST_WINDOW)
    }

    fn news(&mut self, cluster: ClusterName) -> Option<Output> {
        let status = match self.inventory.cluster(&cluster) {
            Some(member) => (member.state(), member.trouble()),
            None => (ClusterState::Left, None),
        };
        if self.said.get(&cluster).unwrap_or(&(ClusterState::Left, None)) == &status {
            return None;
        }
        let (state, trouble) = status.clone();
        match state {
            ClusterState::Left => self.said.remove(&cluster),
            ClusterState::Syncing | ClusterState::Live | ClusterState::Stale => {
                self.said.insert(cluster.clone(), status)
            }
        };
        Some(Output::Status {
            cluster,
            state,
            trouble,
        })
    }
}

#[cfg(test)]
mod tests;
