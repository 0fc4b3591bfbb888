//! Two entries that were probably meant as one: each admits by itself, and not only what is in both (S22).
//!
//! Pure.

use super::estate::{Case, PeerCase, RuleCase};
use super::finding::{Findings, Rule, Severity};
use super::words::pods;
use crate::policy::written::Peer;

/// A namespaceSelector and a podSelector in entries of their own.
pub(super) const TWO_ENTRIES: Rule = Rule {
    id: "two-entries",
    severity: Severity::Warning,
    finds: "a namespaceSelector and a podSelector in two entries that make sense only as one",
    help: "Both selectors in one entry mean the matching pods of the matching namespaces. In two entries, each with its own \
           hyphen, they mean every pod of those namespaces, and besides the matching pods of the policy's own namespace \
           (S22). Told where the podSelector by itself matches nobody, and within those namespaces somebody.",
};

/// Looks at a rule.
pub(super) fn check(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, findings: &mut Findings) {
    for pair in rule.peers.windows(2) {
        let [first, second] = pair else { continue };
        if first.index + 1 == second.index {
            for (namespaces, pods) in [(first, second), (second, first)] {
                look(case, namespaces, pods, findings);
            }
        }
    }
}

fn look(case: &Case<'_, '_>, wide: &PeerCase<'_, '_>, bare: &PeerCase<'_, '_>, findings: &mut Findings) {
    let (
        Peer::Pods {
            pods: None,
            namespaces: Some(namespaces),
        },
        Peer::Pods {
            pods: Some(selector),
            namespaces: None,
        },
    ) = (wide.peer, bare.peer)
    else {
        return;
    };
    let both = Peer::Pods {
        pods: Some(selector.clone()),
        namespaces: Some(namespaces.clone()),
    };
    let meant = case.estate.reach(&case.policy.namespace(), &both);
    if !bare.reach.is_empty() || meant.is_empty() || meant.len() == wide.reach.len() {
        return;
    }
    let happens = format!(
        "this entry admits every pod of its namespaces, {}, and the podSelector in the entry beside it matches nobody by \
         itself: as one entry they would admit {}",
        pods(&wide.reach),
        pods(&meant)
    );
    let finding = case.finding(&TWO_ENTRIES, Severity::Warning, &wide.field, happens);
    findings.add(finding.instead("write both selectors in one entry: the second without a hyphen of its own"));
}
