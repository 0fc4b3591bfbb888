//! What administrators may decide about the meaning of policies (section L of the catalogue). The first of each is the
//! default.
//!
//! Pure.

/// All of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switches {
    /// L1.
    pub bare_pod_selector: BarePodSelector,
    /// L3, L4.
    pub cluster_label: ClusterLabel,
    /// L6.
    pub own_node: OwnNode,
}

/// Which clusters a peer with only a `podSelector` reaches (S19).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BarePodSelector {
    /// Every one that has the namespace's name.
    #[default]
    ClusterSet,
    /// The policy's own.
    Local,
}

/// What a namespace's cluster label says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClusterLabel {
    /// That there is one; but whoever sent the namespace decides which (S105, S106).
    #[default]
    Verify,
    /// What is written.
    Literal,
    /// Who sent the namespace, whether or not anything is written.
    Assert,
}

/// What is said of connections from a pod to its own node (S68).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OwnNode {
    /// They are allowed.
    #[default]
    Allow,
    /// Egress policies judge them as they judge others.
    Policy,
}

impl Switches {
    /// One choice of each, the defaults as often as all others.
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        Self {
            bare_pod_selector: rng
                .choice([BarePodSelector::ClusterSet, BarePodSelector::Local])
                .unwrap_or_default(),
            cluster_label: rng
                .choice([
                    ClusterLabel::Verify,
                    ClusterLabel::Verify,
                    ClusterLabel::Literal,
                    ClusterLabel::Assert,
                ])
                .unwrap_or_default(),
            own_node: OwnNode::Allow,
        }
    }
}
