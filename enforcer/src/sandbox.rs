//! What the container runtime says of the sandboxes of this node's pods.
//!
//! Pure. A sandbox is what a pod's containers run in: it has the pod's network, and its addresses before the first
//! container exists. The API server hears of them a second or so after the first container has started.

use proto::model::Labels;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the runtime calls a sandbox; no other ever has the same.
pub type SandboxId = Arc<str>;

/// A sandbox that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sandbox {
    /// What the runtime calls it.
    pub id: SandboxId,
    /// The pod it is of.
    pub pod: PodName,
    /// The pod's UID, as kubelet knows it: that of a static pod is not the one of its mirror at the API server.
    pub uid: Arc<str>,
    /// Whether the pod is static: kubelet has it from a file, not from the API server.
    pub is_static: bool,
    /// The pod's labels when the sandbox began.
    pub labels: Arc<Labels>,
    /// The usable addresses of its network (S92), sorted, each once; none on the host network.
    pub addresses: Vec<IpAddr>,
}

/// A pod, by namespace and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PodName {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What has come into force of a node's pods.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InForce {
    /// How many passes have brought a change of the node's pods. While it stands still nobody who waits gets any further.
    pub passes: u64,
    /// The sandboxes whose pods are isolated as policies say.
    pub sandboxes: Arc<BTreeSet<SandboxId>>,
}

/// What there is to hear of a container runtime.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// There is none to be found, by this name.
    Absent(String),
    /// One answers: its name and release. All its sandboxes.
    Synced {
        /// The runtime.
        runtime: String,
        /// Each once.
        sandboxes: Vec<Sandbox>,
    },
    /// A sandbox has its network; its containers wait for an answer.
    Started(Sandbox),
    /// It was answered.
    Answered(Answered),
    /// A sandbox has no running containers any more, and gives its network back.
    Stopped(SandboxId),
    /// The runtime is out of reach, and why. It may start and stop sandboxes meanwhile.
    Lost(String),
}

/// What the runtime was answered that waited for a pod to be isolated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The pod.
    pub pod: PodName,
    /// How long the runtime waited; zero if it was not kept waiting, as nothing came into force since a pod that was late.
    pub waited: Duration,
    /// What it was told.
    pub answer: Answer,
}

/// What the runtime is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Go on: the pod is isolated as policies say.
    InForce,
    /// Go on, although it is not.
    Allowed,
    /// The pod must not start, as it is not.
    Refused,
}
