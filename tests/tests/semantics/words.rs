//! What the oracle's words are in the product's: the two share none.

use enforcer::switches::{self, EgressToLocalNode};
use proto::selector;
use tests::oracle::{BarePodSelector, ClusterLabel, OwnNode, Switches};

/// The product's switches.
pub fn in_our_words(switches: Switches) -> switches::Switches {
    switches::Switches {
        selectors: selector::Switches {
            bare_pod_selector: match switches.bare_pod_selector {
                BarePodSelector::ClusterSet => selector::BarePodSelector::ClusterSet,
                BarePodSelector::Local => selector::BarePodSelector::Local,
            },
            cluster_label: match switches.cluster_label {
                ClusterLabel::Verify => selector::ClusterLabelMode::Verify,
                ClusterLabel::Literal => selector::ClusterLabelMode::Literal,
                ClusterLabel::Assert => selector::ClusterLabelMode::Assert,
            },
        },
        egress_to_local_node: match switches.own_node {
            OwnNode::Allow => EgressToLocalNode::Allow,
            OwnNode::Policy => EgressToLocalNode::Policy,
        },
    }
}
