//! The switches of meaning: what an administrator decides where NetworkPolicy leaves a choice.
//!
//! Pure. The same wherever a policy is judged; as flags they stand in [`crate::config::switches`].

use clap::ValueEnum;
use proto::selector;

/// All of them. The default is what the documentation recommends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switches {
    /// What selectors mean.
    pub selectors: selector::Switches,
    /// Whether egress policies judge what a pod sends to its own node.
    pub egress_to_local_node: EgressToLocalNode,
}

/// What holds for traffic from a pod to the node it runs on (L6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum EgressToLocalNode {
    /// Never judged: always allowed
    #[default]
    Allow,
    /// Judged by the pod's egress policies, where only an ipBlock or an empty `to` matches a node
    Policy,
}
