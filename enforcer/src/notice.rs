//! What an enforcer says to whoever reads its log: once per change, with what happened, to what, and what follows.
//!
//! Pure: the machine decides that something is said, the event loop says it.

mod pod_starts;

pub use pod_starts::PodStarts;

use crate::compile::Cut;
use crate::machine::Step;
use crate::policy::{PolicyName, Refused};
use proto::model::ClusterName;
use std::fmt;
use std::time::Duration;

/// Something worth a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A hub answers.
    HubConnected {
        /// Its URL.
        hub: String,
    },
    /// No hub answers, or the one that did has gone.
    HubLost {
        /// What happened, to which URL.
        reason: String,
    },
    /// A frame of the hub could not be applied.
    HubSenseless {
        /// What is wrong with it.
        reason: String,
    },
    /// A watch of the own API server is interrupted.
    WatchLost {
        /// What is watched.
        kind: &'static str,
        /// What happened.
        reason: String,
    },
    /// A piece of a policy is not in force.
    Refused {
        /// The cluster that holds the policy.
        cluster: ClusterName,
        /// The policy.
        policy: PolicyName,
        /// The piece, and what is wrong with it.
        refused: Refused,
    },
    /// An address that several pods claim admits nothing.
    Cut(Cut),
    /// The first pass after the start is done.
    InForce {
        /// How many policies are held.
        policies: usize,
        /// How many pods the node has.
        pods: usize,
    },
    /// The kernel refused a plan, or would not say what it holds.
    KernelRefused {
        /// What it refused.
        reason: String,
        /// When the next attempt is made.
        retry: Duration,
    },
    /// The kernel carries plans out again.
    KernelRecovered,
    /// Somebody else changed what is ours in the kernel.
    KernelChanged,
    /// A step of a pass took long.
    Slow(Slow),
    /// Of pods that start.
    PodStarts(PodStarts),
}

/// A step of a pass that took long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slow {
    /// Which.
    pub step: Step,
    /// How long.
    pub took: Duration,
    /// Of what.
    pub size: Size,
    /// The policy that this is due to, and its rules, if one stands out.
    pub largest: Option<(PolicyName, usize)>,
}

/// How much is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// NetworkPolicies held.
    pub policies: usize,
    /// Rules in nf_tables.
    pub rules: usize,
    /// ipsets.
    pub sets: usize,
    /// Their members.
    pub members: usize,
}

impl Notice {
    /// Whether something is not as it should be.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::HubLost { .. }
            | Self::HubSenseless { .. }
            | Self::WatchLost { .. }
            | Self::Refused { .. }
            | Self::Cut(_)
            | Self::KernelRefused { .. }
            | Self::KernelChanged
            | Self::Slow(_) => true,
            Self::PodStarts(starts) => starts.is_warning(),
            Self::HubConnected { .. } | Self::InForce { .. } | Self::KernelRecovered => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HubConnected { hub } => write!(f, "hub {hub} answers"),
            Self::HubLost { reason } => write!(
                f,
                "no hub: {reason}; local pods stay protected, other clusters are kept as last known; trying again"
            ),
            Self::HubSenseless { reason } => {
                write!(
                    f,
                    "{reason}; what is known stays in force; subscribing anew for a whole snapshot"
                )
            }
            Self::WatchLost { kind, reason } => {
                write!(
                    f,
                    "cannot watch {kind}: {reason}; what is known stays in force; trying again"
                )
            }
            Self::Refused {
                cluster,
                policy,
                refused,
            } => {
                write!(
                    f,
                    "NetworkPolicy {cluster}/{policy}: {}: {}",
                    refused.field, refused.reason
                )
            }
            Self::Cut(cut) => write!(f, "{cut}"),
            Self::InForce { policies, pods } => {
                write!(
                    f,
                    "in force: {policies} NetworkPolicies over the {pods} pods of this node"
                )
            }
            Self::KernelRefused { reason, retry } => write!(
                f,
                "the kernel refused: {reason}; the rules before stay in force; reading back and trying again in {retry:?}"
            ),
            Self::KernelRecovered => write!(f, "the kernel carries plans out again"),
            Self::KernelChanged => {
                write!(
                    f,
                    "somebody else changed Bailey's sets or tables in this kernel; restoring them"
                )
            }
            Self::Slow(slow) => write!(f, "{slow}"),
            Self::PodStarts(starts) => write!(f, "{starts}"),
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size {
            policies,
            rules,
            sets,
            members,
        } = self.size;
        write!(
            f,
            "it took {:.1} s {}, and what else changes waits meanwhile: {policies} NetworkPolicies come to {rules} rules and \
             {sets} sets of {members} members on this node; ",
            self.took.as_secs_f64(),
            self.step
        )?;
        match &self.largest {
            Some((policy, count)) => write!(
                f,
                "{policy} alone has {count} rules, counted once for each port: write ports that follow one another as one range, \
                 and give the same ports to as many peers as possible"
            ),
            None => f.write_str("fewer policies, or selectors that select less, take less"),
        }
    }
}
