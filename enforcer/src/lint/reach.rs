//! Peers that reach into other clusters although nothing in them says so (S19, S103).
//!
//! Pure.

use super::cluster_label::on_clusters;
use super::estate::{Case, PeerCase, PodAt};
use super::finding::{Findings, Rule, Severity};
use super::words::{label, namespace_selector, pods_by_cluster};
use crate::policy::written::{Peer, PolicyType};
use proto::model::{CLUSTER_LABEL, NAME_LABEL};
use proto::selector::Selector;

/// A peer with only a `podSelector` matches pods of other clusters.
pub(super) const BARE_POD_SELECTOR: Rule = Rule {
    id: "bare-pod-selector",
    severity: Severity::Warning,
    finds: "a podSelector without namespaceSelector that matches pods of other clusters",
    help: "A peer with only a podSelector means the namespace of the policy's namespace's name in every cluster of the \
           ClusterSet (S19). In a policy that was written for one cluster, that admits more than it did. \
           --bare-pod-selector local keeps such peers in the policy's own cluster.",
};

/// A `namespaceSelector` that says nothing of clusters matches pods of other clusters.
pub(super) const EVERY_CLUSTER: Rule = Rule {
    id: "every-cluster",
    severity: Severity::Warning,
    finds: "a namespaceSelector without the cluster label that matches pods of other clusters",
    help: "Selectors are evaluated against the namespaces of every cluster. namespaceSelector: {} reads like \"my cluster\" \
           and means the whole ClusterSet, clusters that join later included (S103). A warning if the selectors are empty, \
           else a note.",
};

/// What says that every cluster is meant: [`CLUSTER_LABEL`] is there, whatever its value.
const ANY_CLUSTER: &str = "matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]";

/// Looks at the peers of a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    for peer in case.peers() {
        let elsewhere = peer.outside(case.policy.cluster);
        if elsewhere.is_empty() {
            continue;
        }
        match peer.peer {
            Peer::Pods { namespaces: None, .. } => bare(case, peer, &elsewhere, findings),
            Peer::Pods { .. } => wide(case, peer, &elsewhere, findings),
            Peer::Block { .. } => {}
        }
    }
}

/// `it now admits`, or for egress what the subjects may do.
fn admits(direction: PolicyType) -> &'static str {
    match direction {
        PolicyType::Ingress => "it now admits",
        PolicyType::Egress => "it now allows connections to",
    }
}

fn bare(case: &Case<'_, '_>, peer: &PeerCase<'_, '_>, elsewhere: &[&PodAt<'_>], findings: &mut Findings) {
    let namespace = &case.policy.name.namespace;
    let happens = format!(
        "a bare podSelector reaches namespace {namespace} of every cluster: {} {}",
        admits(peer.direction),
        pods_by_cluster(elsewhere)
    );
    let finding = case.finding(&BARE_POD_SELECTOR, Severity::Warning, &peer.field, happens);
    findings.add(finding.instead(format!(
        "to keep it local add  {}\n\
         to say that every cluster is meant add  namespaceSelector: {{matchLabels: {{{}}}, {ANY_CLUSTER}}}",
        namespace_selector(Some(case.policy.cluster.as_str()), Some(namespace)),
        label(NAME_LABEL, namespace),
    )));
}

fn wide(case: &Case<'_, '_>, peer: &PeerCase<'_, '_>, elsewhere: &[&PodAt<'_>], findings: &mut Findings) {
    let Peer::Pods {
        pods,
        namespaces: Some(namespaces),
    } = peer.peer
    else {
        return;
    };
    if on_clusters(namespaces).next().is_some() {
        return;
    }
    let everything = namespaces.is_empty() && pods.as_ref().is_none_or(Selector::is_empty);
    let severity = if everything { Severity::Warning } else { Severity::Note };
    let what = if namespaces.is_empty() {
        "an empty namespaceSelector is every namespace of the whole ClusterSet".to_owned()
    } else {
        "a namespaceSelector without the cluster label reaches every cluster".to_owned()
    };
    let happens = format!("{what}: {} {}", admits(peer.direction), pods_by_cluster(elsewhere));
    let field = format!("{}.namespaceSelector", peer.field);
    let finding = case.finding(&EVERY_CLUSTER, severity, &field, happens);
    findings.add(finding.instead(format!(
        "to keep it local add  matchLabels: {{{}}}\n\
         to say that every cluster is meant add  {ANY_CLUSTER}",
        label(CLUSTER_LABEL, case.policy.cluster.as_str())
    )));
}
