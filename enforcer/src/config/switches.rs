//! The switches of meaning as flags, the same for every subcommand that judges.

use crate::switches::{EgressToLocalNode, Switches};
use clap::Args;
use proto::selector::{self, BarePodSelector, ClusterLabelMode};

/// What is decided where NetworkPolicy leaves a choice. All hubs and enforcers of a ClusterSet should say the same.
#[derive(Args, Clone, Copy, Debug)]
pub struct SwitchFlags {
    /// Which clusters a peer with a podSelector and no namespaceSelector reaches
    #[arg(
        long,
        value_name = "REACH",
        env = "BAILEY_ENFORCER_BARE_POD_SELECTOR",
        value_enum,
        default_value_t,
        help_heading = HEADING
    )]
    bare_pod_selector: BarePodSelector,

    /// How the label cluster.clusterset.k8s.io/cluster-name of a namespace is read
    #[arg(
        long,
        value_name = "MODE",
        env = "BAILEY_ENFORCER_CLUSTER_LABEL_MODE",
        value_enum,
        default_value_t,
        help_heading = HEADING
    )]
    cluster_label_mode: ClusterLabelMode,

    /// Whether policies judge what a pod sends to the node it runs on; what a node sends to its pods is always allowed
    #[arg(
        long,
        value_name = "VERDICT",
        env = "BAILEY_ENFORCER_EGRESS_TO_LOCAL_NODE",
        value_enum,
        default_value_t,
        help_heading = HEADING
    )]
    egress_to_local_node: EgressToLocalNode,
}

const HEADING: &str = "What policies mean (say the same to all enforcers and hubs of a ClusterSet)";

impl SwitchFlags {
    /// The switches that they say.
    pub const fn switches(self) -> Switches {
        let Self {
            bare_pod_selector,
            cluster_label_mode: cluster_label,
            egress_to_local_node,
        } = self;
        Switches {
            selectors: selector::Switches {
                bare_pod_selector,
                cluster_label,
            },
            egress_to_local_node,
        }
    }
}
