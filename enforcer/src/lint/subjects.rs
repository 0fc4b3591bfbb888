//! Pods that a policy selects and that no policy isolates.
//!
//! Pure.

use super::estate::Case;
use super::finding::{Findings, Rule, Severity};
use super::words::some_of;

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
    // Without other pods the policy selects nothing at all, and that is said elsewhere.
    if case.subjects.is_empty() {
        return;
    }
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
