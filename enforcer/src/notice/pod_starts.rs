//! What is said of pods that start, and of what isolates them before.

use crate::sandbox::{Answer, Answered};
use ipnet::IpNet;
use std::fmt;
use std::sync::Arc;

/// Something worth a line about pods that start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PodStarts {
    /// No container runtime tells of pods before they start.
    RuntimeAbsent {
        /// Where one was looked for.
        socket: String,
    },
    /// A container runtime does.
    RuntimeFound {
        /// Its name and release.
        runtime: String,
        /// How many sandboxes it has.
        sandboxes: usize,
    },
    /// It is out of reach.
    RuntimeLost {
        /// What happened.
        reason: String,
    },
    /// Addresses of these ranges are let through only if a pod is known to have them.
    Held {
        /// The node.
        node: Arc<str>,
        /// Its pods' ranges.
        ranges: Vec<IpNet>,
    },
    /// A pod was not isolated in time.
    Late {
        /// What the runtime was told.
        answered: Answered,
        /// What keeps this enforcer from it, if it is known.
        waits_for: Option<String>,
    },
}

impl PodStarts {
    /// Whether something is not as it should be.
    pub(super) fn is_warning(&self) -> bool {
        match self {
            Self::RuntimeLost { .. } | Self::Late { .. } => true,
            Self::Held { ranges, .. } => ranges.is_empty(),
            Self::RuntimeAbsent { .. } | Self::RuntimeFound { .. } => false,
        }
    }
}

impl fmt::Display for PodStarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuntimeAbsent { socket } => write!(
                f,
                "no container runtime at {socket}: a pod is isolated once the API server tells its addresses, which is after \
                 its first container has started; looking again (NRI: containerd 2 and CRI-O have it unless it is disabled)"
            ),
            Self::RuntimeFound { runtime, sandboxes } => write!(
                f,
                "{runtime} tells of pods before they start, and waits until they are isolated; it runs {sandboxes} sandboxes"
            ),
            Self::RuntimeLost { reason } => write!(
                f,
                "no container runtime: {reason}; until it is back a pod that starts is isolated once the API server tells its \
                 addresses; trying again"
            ),
            Self::Held { node, ranges } if ranges.is_empty() => write!(
                f,
                "--unknown-local-pods hold: Node {node} has no spec.podCIDRs, so that nothing is held; where the network gives \
                 pods addresses of other ranges, only NRI isolates them before they send"
            ),
            Self::Held { ranges, .. } => {
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "--unknown-local-pods hold: addresses of {} that no pod of this node is known to have are let through in \
                     neither direction",
                    ranges.join(" and ")
                )
            }
            Self::Late { answered, waits_for } => late(f, answered, waits_for.as_deref()),
        }
    }
}

fn late(f: &mut fmt::Formatter<'_>, answered: &Answered, waits_for: Option<&str>) -> fmt::Result {
    let Answered { pod, waited, answer } = answered;
    let (what, flag) = match answer {
        Answer::Refused => ("was not let start: kubelet tries again", "--nri-late refuse"),
        Answer::Allowed | Answer::InForce => ("starts without policies in force until it is", "--nri-late allow"),
    };
    let waits_for = waits_for.unwrap_or("a change before this one takes long");
    let when = if waited.is_zero() {
        "at once, nor has anything come into force since a pod was late before,".to_owned()
    } else {
        format!("within {:.1} s", waited.as_secs_f64())
    };
    write!(
        f,
        "pod {pod} was not isolated {when} and {what} ({flag}): {waits_for}; said again after one was in time"
    )
}
