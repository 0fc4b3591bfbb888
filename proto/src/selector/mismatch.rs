//! Why a peer does not select a pod: every condition that fails, for those who have to explain it.
//!
//! Pure. [`Peer::selects`] is the judgement; this says the same with reasons, and no reason means selected.

use super::{BarePodSelector, Peer, Requirement, Selector, Switches, namespace_label};
use crate::model::{ClusterName, Identity, Labels};
use std::sync::Arc;

/// A condition of a peer that a pod does not meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// Without `namespaceSelector` only namespaces of this name are meant (S19, S20).
    Namespace {
        /// The policy's own.
        wanted: Arc<str>,
    },
    /// Without `namespaceSelector`, and with [`BarePodSelector::Local`], only this cluster is meant (L1).
    Cluster {
        /// The policy's own.
        wanted: ClusterName,
    },
    /// The Namespace object is not known, and no `namespaceSelector` with requirements matches (S31).
    UnknownNamespace,
    /// A requirement of the `namespaceSelector`.
    NamespaceLabel {
        /// It.
        requirement: Requirement,
        /// The value that counts; `None`: absent.
        counts: Option<Arc<str>>,
        /// The value that the Namespace object has, which is another where names and clusters are known better (S29,
        /// S106).
        written: Option<Arc<str>>,
    },
    /// A requirement of the `podSelector`.
    PodLabel {
        /// It.
        requirement: Requirement,
        /// The value that the pod has; `None`: absent.
        counts: Option<Arc<str>>,
    },
}

impl Peer {
    /// All conditions that pods of this identity do not meet, in the order namespace, pod; none: they are selected. The
    /// arguments are those of [`Peer::selects`].
    pub fn mismatches(
        &self,
        identity: &Identity,
        namespace_labels: Option<&Labels>,
        switches: Switches,
    ) -> Vec<Mismatch> {
        let mut mismatches = match &self.namespaces {
            None => self.bare(identity, switches.bare_pod_selector),
            Some(selector) if selector.is_empty() => Vec::new(),
            Some(selector) => match namespace_labels {
                None => vec![Mismatch::UnknownNamespace],
                Some(labels) => {
                    let get = |key: &str| namespace_label(identity, labels, key, switches.cluster_label);
                    failing(selector, get)
                        .map(|requirement| Mismatch::NamespaceLabel {
                            counts: get(requirement.key()).map(Into::into),
                            written: labels.get(requirement.key()).cloned(),
                            requirement: requirement.clone(),
                        })
                        .collect()
                }
            },
        };
        if let Some(selector) = &self.pods {
            let get = |key: &str| identity.labels.get(key).map(AsRef::as_ref);
            mismatches.extend(failing(selector, get).map(|requirement| Mismatch::PodLabel {
                counts: identity.labels.get(requirement.key()).cloned(),
                requirement: requirement.clone(),
            }));
        }
        mismatches
    }

    fn bare(&self, identity: &Identity, reach: BarePodSelector) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        if reach == BarePodSelector::Local && identity.namespace.cluster != self.cluster {
            mismatches.push(Mismatch::Cluster {
                wanted: self.cluster.clone(),
            });
        }
        if identity.namespace.name != self.namespace {
            mismatches.push(Mismatch::Namespace {
                wanted: self.namespace.clone(),
            });
        }
        mismatches
    }
}

fn failing<'s, 'l>(
    selector: &'s Selector,
    get: impl Fn(&str) -> Option<&'l str>,
) -> impl Iterator<Item = &'s Requirement> {
    selector
        .requirements()
        .filter(move |requirement| !requirement.holds(&get))
}
