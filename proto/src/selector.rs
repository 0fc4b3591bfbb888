//! Label selectors and the peers made of them: which pods does an entry of `from` or `to` mean.
//!
//! Pure. A selector that the API server would refuse is not represented: [`Selector::new`] says what is wrong and the
//! caller makes the piece void (S127).

mod mismatch;
#[cfg(test)]
mod tests;

pub use mismatch::Mismatch;

use crate::model::{CLUSTER_LABEL, ClusterName, Identity, Labels, NAME_LABEL};
use crate::syntax::{is_label_key, is_label_value};
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One requirement of a selector on one label (apimachinery's `Requirement`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Requirement {
    /// The key is present and its value is one of these (S26).
    In(Arc<str>, BTreeSet<Arc<str>>),
    /// The key is absent, or its value is none of these (S27).
    NotIn(Arc<str>, BTreeSet<Arc<str>>),
    /// The key is present, whatever its value (S28).
    Exists(Arc<str>),
    /// The key is absent (S28).
    DoesNotExist(Arc<str>),
}

impl Requirement {
    /// The four operators of `matchExpressions`; any other is an error (P1), as are values where there must be none
    /// or none where there must be some (P2), and keys or values that are no labels (P3, P4, P5).
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn new(key: &str, operator: &str, values: &[&str]) -> Result<Self, String> {
        if !is_label_key(key) {
            return Err(format!("{key:?} is no label key"));
        }
        if let Some(value) = values.iter().find(|value| !is_label_value(value)) {
            return Err(format!("{value:?} is no label value"));
        }
        let set = || values.iter().map(|value| Arc::from(*value)).collect();
        match (operator, values.is_empty()) {
            ("In", false) => Ok(Self::In(key.into(), set())),
            ("NotIn", false) => Ok(Self::NotIn(key.into(), set())),
            ("Exists", true) => Ok(Self::Exists(key.into())),
            ("DoesNotExist", true) => Ok(Self::DoesNotExist(key.into())),
            ("In" | "NotIn", true) => Err(format!("operator {operator} needs values")),
            ("Exists" | "DoesNotExist", false) => Err(format!("operator {operator} takes no values")),
            _ => Err(format!(
                "{operator:?} is no operator: expected In, NotIn, Exists or DoesNotExist"
            )),
        }
    }

    /// The label that it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::In(key, _) | Self::NotIn(key, _) | Self::Exists(key) | Self::DoesNotExist(key) => key,
        }
    }

    /// Whether labels, seen through `get`, satisfy it.
    fn holds<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::In(key, values) => get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => get(key).is_some(),
            Self::DoesNotExist(key) => get(key).is_none(),
        }
    }
}

/// A label selector: all requirements hold (S25). Without requirements it selects everything.
///
/// Equal meaning written in another order is an equal value: requirements are sorted and each stands once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Selector(BTreeSet<Requirement>);

impl Selector {
    /// From requirements; `matchLabels` are [`Requirement::In`] with one value.
    pub fn new(requirements: impl IntoIterator<Item = Requirement>) -> Self {
        Self(requirements.into_iter().collect())
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its requirements, sorted.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.0.iter()
    }

    /// Whether it selects an object with these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_by(|key| labels.get(key).map(AsRef::as_ref))
    }

    fn matches_by<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(&get))
    }
}

impl fmt::Display for Selector {
    /// In kubectl's syntax, without spaces after commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<Arc<str>>| values.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
        for (i, requirement) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) => write!(f, "{key} in ({})", list(values))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", list(values))?,
                Requirement::Exists(key) => write!(f, "{key}")?,
                Requirement::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

/// Which clusters a peer with only a `podSelector` reaches (S19, L1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum BarePodSelector {
    /// The namespace of the policy's namespace's name, in every cluster
    #[default]
    #[value(name = "clusterset")]
    ClusterSet,
    /// The policy's own namespace in its own cluster only
    Local,
}

/// How a namespace's cluster label is read (S105, S106, L3, L4). In every mode the raw label is what travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ClusterLabelMode {
    /// As the namespace has it, but a label that names another cluster is read as the own one
    #[default]
    Verify,
    /// As the namespace has it, true or not
    Literal,
    /// As if every namespace had its own cluster's id
    Assert,
}

/// The switches that decide what a peer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Switches {
    /// Reach of a bare `podSelector`.
    pub bare_pod_selector: BarePodSelector,
    /// Reading of the cluster label.
    pub cluster_label: ClusterLabelMode,
}

/// An entry of `from` or `to` that names pods, with the place it is written in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer {
    /// The cluster that holds the policy.
    pub cluster: ClusterName,
    /// The namespace that holds the policy.
    pub namespace: Arc<str>,
    /// `podSelector`; `None` only beside a `namespaceSelector`: all pods of the namespaces (S23).
    pub pods: Option<Selector>,
    /// `namespaceSelector`; `None`: the policy's own namespace's name (S19).
    pub namespaces: Option<Selector>,
}

impl Peer {
    /// Whether it selects pods of this identity, whose Namespace object has `namespace_labels`; `None`: that object is
    /// not known, and no non-empty `namespaceSelector` matches (S31).
    pub fn selects(&self, identity: &Identity, namespace_labels: Option<&Labels>, switches: Switches) -> bool {
        let namespace = &identity.namespace;
        let in_namespace = match &self.namespaces {
            None => {
                *namespace.name == *self.namespace
                    && (switches.bare_pod_selector == BarePodSelector::ClusterSet || namespace.cluster == self.cluster)
            }
            Some(selector) if selector.is_empty() => true,
            Some(selector) => namespace_labels.is_some_and(|labels| {
                selector.matches_by(|key| namespace_label(identity, labels, key, switches.cluster_label))
            }),
        };
        in_namespace
            && self
                .pods
                .as_ref()
                .is_none_or(|selector| selector.matches(&identity.labels))
    }
}

/// The value that a selector sees for `key` on the namespace of `identity`.
fn namespace_label<'a>(
    identity: &'a Identity,
    labels: &'a Labels,
    key: &str,
    mode: ClusterLabelMode,
) -> Option<&'a str> {
    let raw = labels.get(key).map(AsRef::as_ref);
    match (key, mode) {
        (NAME_LABEL, _) => Some(&identity.namespace.name),
        (CLUSTER_LABEL, ClusterLabelMode::Verify) => raw.map(|_| identity.namespace.cluster.as_str()),
        (CLUSTER_LABEL, ClusterLabelMode::Assert) => Some(identity.namespace.cluster.as_str()),
        _ => raw,
    }
}
