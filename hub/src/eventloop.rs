//! The owner of the inventory: waits for feeds, requests and the clock, feeds the machine, performs what it puts out.
//!
//! Decides nothing. Whatever it takes in is bounded: feeds wait when it is behind, and requests are turned away.

use crate::handle::{Handle, QUEUED_REQUESTS, Read, Request};
use crate::inventory::{Concern, News};
use crate::machine::{Input, Machine, Output};
use crate::metrics::Metrics;
use crate::ranges::PodRanges;
use crate::ring::SharedRing;
use crate::shutdown::Shutdown;
use proto::model::{ClusterName, ClusterState, Epoch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Events of all feeds that may wait for the owner, which takes some microseconds for each.
const QUEUED_INPUTS: usize = 1024;

/// Events that are taken in before requests and the clock have their turn.
const BATCH: usize = 256;

/// The owner, before it runs.
#[derive(Debug)]
pub struct EventLoop {
    machine: Machine,
    ring: Arc<SharedRing>,
    inputs: mpsc::Receiver<Input>,
    requests: mpsc::Receiver<Request>,
    waiting: Waiting,
    subscribers: usize,
    members: watch::Sender<Members>,
    metrics: Metrics,
    /// About how many addresses and namespaces each alarm was when people were last told.
    told: BTreeMap<Concern, usize>,
}

/// The ids of all known clusters; none before the clusters folder was read.
pub type Members = BTreeSet<ClusterName>;

/// What the others hold of it.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Where feeds and the clusters folder put what happens.
    pub inputs: mpsc::Sender<Input>,
    /// Where the inventory is asked.
    pub handle: Handle,
    /// Where subscribers read.
    pub ring: Arc<SharedRing>,
    /// Which clusters there are.
    pub members: watch::Receiver<Members>,
}

impl EventLoop {
    /// The owner of an empty inventory, into which clusters' pods come only within their ranges.
    pub fn new(epoch: Epoch, pod_ranges: PodRanges, metrics: Metrics) -> (Self, Ends) {
        let machine = Machine::new(epoch, now()).confined_to(pod_ranges);
        let ring = Arc::new(SharedRing::new(machine.revision()));
        let (input_sender, inputs) = mpsc::channel(QUEUED_INPUTS);
        let (handle, requests) = Handle::new();
        let (members, known) = watch::channel(Members::new());
        let ends = Ends {
            inputs: input_sender,
            handle,
            ring: Arc::clone(&ring),
            members: known,
        };
        let owner = Self {
            machine,
            ring,
            inputs,
            requests,
            waiting: Waiting::default(),
            subscribers: 0,
            members,
            metrics,
            told: BTreeMap::new(),
        };
        (owner, ends)
    }

    /// Runs until the process is to end, or nobody is left who could tell it anything.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let deadline = tokio::time::Instant::from_std(self.machine.deadline());
            tokio::select! {
                () = shutdown.wait() => return,
                taken = self.inputs.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    let now = now();
                    for input in batch.drain(..) {
                        self.handle(input, now);
                    }
                }
                Some(request) = self.requests.recv(), if self.waiting.has_room() => self.answer(request),
                () = tokio::time::sleep_until(deadline) => self.handle(Input::Timer, now()),
            }
            let subscribers = self.ring.subscribers();
            if subscribers != self.subscribers {
                self.subscribers = subscribers;
                self.handle(Input::Subscribers(subscribers), now());
            }
            if self.machine.is_sealed() {
                for read in self.waiting.0.drain(..) {
                    read(self.machine.inventory(), self.machine.revision());
                }
            }
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Read(read) => self.waiting.0.push(read),
            Request::Snapshot(reply) => {
                // Whoever asked may be gone; the chunks are kept for the next one.
                let _ = reply.send(self.machine.snapshot(now()));
            }
        }
    }

    fn handle(&mut self, input: Input, now: Instant) {
        let mut frames = Vec::new();
        for output in self.machine.handle(input, now) {
            match output {
                Output::Publish(sealed) => {
                    self.metrics.sealed(&sealed);
                    frames.push(sealed);
                }
                Output::Status {
                    cluster,
                    state,
                    trouble,
                } => {
                    say(&cluster, state, trouble.as_deref());
                    self.members.send_if_modified(|members| match state {
                        ClusterState::Left => members.remove(&cluster),
                        ClusterState::Syncing | ClusterState::Live | ClusterState::Stale => members.insert(cluster),
                    });
                }
            }
        }
        if !frames.is_empty() {
            let addresses = i64::try_from(self.machine.addresses()).unwrap_or(i64::MAX);
            self.metrics.addresses.set(addresses);
            self.alarm();
            self.ring.push(frames);
        }
    }
}

impl EventLoop {
    /// Says which alarms are new, and which are over.
    fn alarm(&mut self) {
        let alarms = self.machine.inventory().alarms();
        for news in alarms.news(&self.told) {
            match news {
                News::Raised {
                    concern: (cluster, alarm),
                    count,
                    examples,
                } => {
                    let examples = examples.join(", ");
                    tracing::warn!(%cluster, alarm = alarm.name(), count, examples, "{}", alarm.meaning());
                }
                News::Over((cluster, alarm)) => {
                    tracing::info!(%cluster, alarm = alarm.name(), "an alarm is over");
                }
            }
        }
        if self.told != *alarms.counts() {
            self.told.clone_from(alarms.counts());
        }
    }
}

/// Questions that wait for the next seal, at most as many as wait to be taken.
#[derive(Default)]
struct Waiting(Vec<Read>);

impl Waiting {
    fn has_room(&self) -> bool {
        self.0.len() < QUEUED_REQUESTS
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.0.len())
    }
}

fn say(cluster: &ClusterName, state: ClusterState, trouble: Option<&str>) {
    match (state, trouble) {
        (ClusterState::Syncing, None) => tracing::info!(%cluster, "cluster joins, listing its pods and namespaces"),
        (ClusterState::Syncing, Some(reason)) => {
            tracing::warn!(%cluster, reason, "cluster cannot be listed; what enforcers know of it stays in force");
        }
        (ClusterState::Live, None) => tracing::info!(%cluster, "cluster is live"),
        (ClusterState::Live, Some(reason)) => {
            tracing::warn!(%cluster, reason, "cluster is live by the kubeconfig it had before");
        }
        (ClusterState::Stale, reason) => {
            tracing::warn!(%cluster, reason, "contact with the cluster is lost; what is known of it is kept");
        }
        (ClusterState::Left, _) => tracing::info!(%cluster, "cluster has left"),
    }
}

/// The clock of the runtime, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
