//! Policies that select no pod, and selected pods that no policy isolates.
//!
//! Pure.

use super::contradiction::contradiction;
use super::estate::Case;
use super::finding::{Findings, Rule, Severity};
use super::words::{misspelt, some_of};

/// `spec.podSelector` selects no live pod.
pub(super) const SELECTS_NOTHING: Rule = Rule {
    id: "selects-nothing",
    severity: Severity::Note,
    finds: "a policy whose podSelector selects no live pod of its namespace",
    help: "The policy has no effect until there is such a pod, and takes effect from its first instant (S17). A podSelector \
           selects only in the policy's own namespace and cluster (S3).",
};

/// A policy selects pods on the host network.
pub(super) const HOST_NETWORK: Rule = Rule {
    id: "host-network-subject",
    severity: Severity::Note,
    finds: "a policy that selects pods on their node's network",
    help: "Such a pod has its node's address, and rules for that would filter the whole node: no policy isolates it (S70), and \
           as a peer it is its node's address, which only an ipBlock matches (S71).",
};

/// Looks at a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    if case.subjects.is_empty() {
        selects_nothing(case, findings);
    } else {
        host_network(case, findings);
    }
}

fn selects_nothing(case: &Case<'_, '_>, findings: &mut Findings) {
    let Ok(selector) = &case.policy.written.subjects else {
        return;
    };
    if contradiction(selector).is_some() {
        return;
    }
    let namespace = &case.policy.name.namespace;
    let inside = case.estate.pods_in(&case.policy.namespace());
    let live = inside
        .iter()
        .filter(|pod| pod.is_live())
        .map(|pod| &*pod.identity.labels);
    let selected = case.estate.selected_by(case.policy);
    let (happens, instead) = match selected.as_slice() {
        [] if inside.is_empty() => (
            format!("namespace {namespace} has no pods: the policy has no effect"),
            None,
        ),
        [] => (
            format!("no live pod of namespace {namespace} has these labels: the policy has no effect"),
            misspelt(selector, live),
        ),
        selected => (
            format!(
                "it selects only pods that are finished or on their node's network, which no policy isolates ({})",
                some_of(selected)
            ),
            None,
        ),
    };
    let mut finding = case.finding(&SELECTS_NOTHING, Severity::Note, "spec.podSelector", happens);
    finding.instead = instead;
    findings.add(finding);
}

fn host_network(case: &Case<'_, '_>, findings: &mut Findings) {
    let selected = case.estate.selected_by(case.policy);
    let on_host: Vec<_> = selected.into_iter().filter(|pod| pod.is_host_network()).collect();
    if !on_host.is_empty() {
        let what = match on_host.len() {
            1 => "1 selected pod is on its node's network and is not isolated".to_owned(),
            count => format!("{count} selected pods are on their node's network and are not isolated"),
        };
        let happens = format!("{what} ({})", some_of(&on_host));
        findings.add(case.finding(&HOST_NETWORK, Severity::Note, "spec.podSelector", happens));
    }
}
