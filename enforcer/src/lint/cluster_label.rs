//! Selectors that ask for the cluster label in a way that does not do what it seems to, and pods that carry it.
//!
//! Pure.

use super::estate::{Case, Estate, PeerCase, PodAt};
use super::finding::{Finding, Findings, Rule, Severity};
use super::namespaces::{MISSPELT, is_like_the_label};
use super::words::{all_of, label, nearest, pods_by_cluster, scalar};
use crate::policy::written::Peer;
use proto::model::{CLUSTER_LABEL, ClusterName};
use proto::selector::{ClusterLabelMode, Requirement, Selector};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `NotIn` or `DoesNotExist` on the cluster label.
pub(super) const NOT_IN: Rule = Rule {
    id: "cluster-label-not-in",
    severity: Severity::Warning,
    finds: "NotIn or DoesNotExist on the cluster label",
    help: "Either matches namespaces that nobody labelled, and NotIn every cluster that joins later: the policy widens \
           without being touched. In names the clusters that are meant (S107).",
};

/// A selector names a cluster that there is not.
pub(super) const UNKNOWN: Rule = Rule {
    id: "unknown-cluster",
    severity: Severity::Warning,
    finds: "a selector that names a cluster that is not among the manifests",
    help: "An id that no cluster has matches nobody; behind NotIn it excludes nobody. Ids are compared exactly (S30). If the \
           cluster is to join later, this is as it should be.",
};

/// A `podSelector` asks for the cluster label.
pub(super) const IN_POD_SELECTOR: Rule = Rule {
    id: "cluster-label-in-pod-selector",
    severity: Severity::Warning,
    finds: "a podSelector on the cluster label",
    help: "The label counts on Namespaces. A podSelector sees the labels of pods, where it is an ordinary label that anyone \
           who may create pods can choose (S108).",
};

/// A pod carries the cluster label.
pub(super) const ON_POD: Rule = Rule {
    id: "cluster-label-on-pod",
    severity: Severity::Note,
    finds: "pods that carry the cluster label",
    help: "On a pod it is an ordinary label: no namespaceSelector sees it, and it says nothing about the pod's cluster (S108).",
};

/// Looks at the pods.
pub(super) fn check_pods(estate: &Estate<'_>, findings: &mut Findings) {
    for (_, pods) in estate.namespaces_with_pods() {
        let carrying: Vec<&PodAt<'_>> = pods
            .iter()
            .filter(|pod| pod.is_live() && pod.identity.labels.contains_key(CLUSTER_LABEL))
            .collect();
        let Some(first) = carrying.first() else { continue };
        let others = match carrying.len() - 1 {
            0 => String::new(),
            1 => ", as does another pod of its namespace".to_owned(),
            count => format!(", as do {count} other pods of its namespace"),
        };
        findings.add(Finding {
            rule: &ON_POD,
            severity: Severity::Note,
            subject: first.subject(),
            field: format!("metadata.labels[{CLUSTER_LABEL:?}]"),
            happens: format!("this pod carries the cluster label{others}: no namespaceSelector sees it there"),
            instead: Some(format!(
                "label the Namespace:  {}",
                label(CLUSTER_LABEL, first.cluster().as_str())
            )),
        });
    }
}

/// Looks at the selectors of a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    if let Ok(subjects) = &case.policy.written.subjects {
        in_pod_selector(case, "spec.podSelector", subjects, findings);
    }
    for peer in case.peers() {
        let Peer::Pods { pods, namespaces } = peer.peer else {
            continue;
        };
        if let Some(pods) = pods {
            in_pod_selector(case, &format!("{}.podSelector", peer.field), pods, findings);
        }
        if let Some(namespaces) = namespaces {
            let field = format!("{}.namespaceSelector", peer.field);
            not_in(case, peer, &field, namespaces, findings);
            unknown(case, &field, namespaces, findings);
            misspelt(case, &field, namespaces, findings);
        }
    }
}

/// The key of a requirement.
pub(super) fn key(requirement: &Requirement) -> &Arc<str> {
    match requirement {
        Requirement::In(key, _)
        | Requirement::NotIn(key, _)
        | Requirement::Exists(key)
        | Requirement::DoesNotExist(key) => key,
    }
}

/// The requirements on the cluster label.
pub(super) fn on_clusters(selector: &Selector) -> impl Iterator<Item = &Requirement> {
    selector
        .requirements()
        .filter(|requirement| **key(requirement) == *CLUSTER_LABEL)
}

fn in_pod_selector(case: &Case<'_, '_>, field: &str, selector: &Selector, findings: &mut Findings) {
    if on_clusters(selector).next().is_some() {
        let happens = "a podSelector sees the labels of pods, not those of their namespaces: this does not say in which \
                       cluster they are";
        let finding = case.finding(&IN_POD_SELECTOR, Severity::Warning, field, happens.to_owned());
        findings.add(finding.instead(match field {
            "spec.podSelector" => "leave it away: a policy selects pods of its own cluster only".to_owned(),
            _ => format!("ask for {CLUSTER_LABEL} in a namespaceSelector of the same entry"),
        }));
    }
}

fn not_in(case: &Case<'_, '_>, peer: &PeerCase<'_, '_>, field: &str, selector: &Selector, findings: &mut Findings) {
    let negative = on_clusters(selector).find(|requirement| match requirement {
        Requirement::NotIn(..) | Requirement::DoesNotExist(_) => true,
        Requirement::In(..) | Requirement::Exists(_) => false,
    });
    // An In or Exists beside it names the clusters already.
    let positive = on_clusters(selector).any(|requirement| match requirement {
        Requirement::In(..) | Requirement::Exists(_) => true,
        Requirement::NotIn(..) | Requirement::DoesNotExist(_) => false,
    });
    let (Some(negative), false) = (negative, positive) else {
        return;
    };
    let elsewhere = peer.outside(case.policy.cluster);
    let now = match elsewhere.as_slice() {
        [] => "now it matches no pod of another cluster".to_owned(),
        elsewhere => format!("of other clusters it now matches {}", pods_by_cluster(elsewhere)),
    };
    let (happens, instead) = match negative {
        Requirement::NotIn(_, excluded) => {
            let meant = case.estate.clusters.iter().map(|cluster| cluster.as_str());
            let meant: Vec<String> = meant
                .filter(|cluster| !excluded.contains(*cluster))
                .map(scalar)
                .collect();
            (
                format!("NotIn matches every cluster that joins later and every namespace without the label; {now}"),
                format!(
                    "name those that are meant:  {{key: {CLUSTER_LABEL}, operator: In, values: [{}]}}",
                    meant.join(", ")
                ),
            )
        }
        Requirement::DoesNotExist(_) | Requirement::In(..) | Requirement::Exists(_) => (
            format!("DoesNotExist matches the namespaces of every cluster that nobody labelled; {now}"),
            format!(
                "label the namespaces and name their cluster:  {{key: {CLUSTER_LABEL}, operator: In, values: [{}]}}",
                scalar(case.policy.cluster.as_str())
            ),
        ),
    };
    findings.add(
        case.finding(&NOT_IN, Severity::Warning, field, happens)
            .instead(instead),
    );
}

fn unknown(case: &Case<'_, '_>, field: &str, selector: &Selector, findings: &mut Findings) {
    for requirement in on_clusters(selector) {
        let (values, follows) = match requirement {
            Requirement::In(_, values) => (values, "it matches nobody"),
            Requirement::NotIn(_, values) => (values, "it excludes nobody"),
            Requirement::Exists(_) | Requirement::DoesNotExist(_) => continue,
        };
        for value in values.iter().filter(|value| !is_a_cluster(case.estate, value)) {
            let known = case.estate.clusters.iter().map(|cluster| cluster.as_str());
            let happens = format!("no cluster of these manifests is called {value:?}: {follows}");
            let finding = case.finding(&UNKNOWN, Severity::Warning, field, happens);
            findings.add(finding.instead(match nearest(value, known) {
                Some(meant) => format!("write  {}", scalar(meant)),
                None => format!("the clusters are {}", all_of(&case.estate.clusters)),
            }));
        }
    }
}

/// Whether some namespace can have this value of the cluster label.
fn is_a_cluster(estate: &Estate<'_>, value: &str) -> bool {
    let id = ClusterName::new(value);
    if id.is_ok_and(|id| estate.clusters.contains(&id)) {
        return true;
    }
    let mut namespaces = estate.namespaces.values();
    match estate.switches.cluster_label {
        ClusterLabelMode::Literal => namespaces.any(|at| {
            let label = at.namespace.labels.get(CLUSTER_LABEL);
            label.is_some_and(|label| **label == *value)
        }),
        ClusterLabelMode::Verify | ClusterLabelMode::Assert => false,
    }
}

fn misspelt(case: &Case<'_, '_>, field: &str, selector: &Selector, findings: &mut Findings) {
    let known: BTreeSet<&str> = case
        .estate
        .namespaces
        .values()
        .flat_map(|at| at.namespace.labels.keys())
        .map(AsRef::as_ref)
        .collect();
    for key in selector.requirements().map(key) {
        if is_like_the_label(key) && !known.contains(&**key) {
            let happens = format!("{key:?} is not the cluster label, and no namespace has it");
            let finding = case.finding(&MISSPELT, Severity::Warning, field, happens);
            findings.add(finding.instead(format!("write  {CLUSTER_LABEL}")));
        }
    }
}
