//! Selectors that nothing can ever match (P6).
//!
//! Pure. Looks at no pods: what a selector asks for is enough.

use super::cluster_label::key;
use super::estate::Case;
use super::finding::{Findings, Rule, Severity};
use crate::policy::written::Peer;
use proto::selector::{Requirement, Selector};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A selector contradicts itself.
pub(super) const CONTRADICTORY: Rule = Rule {
    id: "contradictory-selector",
    severity: Severity::Warning,
    finds: "a selector that nothing can ever match",
    help: "All requirements of a selector must hold (S25). One that asks for a key to be there and absent, or for a value that \
           it excludes, is valid and matches nothing.",
};

/// Looks at the selectors of a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    let mut look = |field: &str, selector: &Selector| {
        if let Some(happens) = contradiction(selector) {
            let happens = format!("{happens}: it matches nothing");
            let finding = case.finding(&CONTRADICTORY, Severity::Warning, field, happens);
            findings.add(finding.instead("for one or the other write two entries; for nothing leave the entry away"));
        }
    };
    if let Ok(selector) = &case.policy.written.subjects {
        look("spec.podSelector", selector);
    }
    for peer in case.peers() {
        if let Peer::Pods { pods, namespaces } = peer.peer {
            for (name, selector) in [("podSelector", pods), ("namespaceSelector", namespaces)] {
                if let Some(selector) = selector {
                    look(&format!("{}.{name}", peer.field), selector);
                }
            }
        }
    }
}

/// Why nothing can match a selector; `None`: something can.
pub(super) fn contradiction(selector: &Selector) -> Option<String> {
    let keys: BTreeSet<&Arc<str>> = selector.requirements().map(key).collect();
    keys.into_iter().find_map(|wanted| {
        let (mut present, mut absent) = (false, false);
        let mut left: Option<BTreeSet<&Arc<str>>> = None;
        let mut excluded = BTreeSet::new();
        for requirement in selector.requirements().filter(|requirement| key(requirement) == wanted) {
            match requirement {
                Requirement::In(_, values) => {
                    present = true;
                    let values: BTreeSet<_> = values.iter().collect();
                    left = Some(left.map_or_else(|| values.clone(), |left| &left & &values));
                }
                Requirement::NotIn(_, values) => excluded.extend(values),
                Requirement::Exists(_) => present = true,
                Requirement::DoesNotExist(_) => absent = true,
            }
        }
        if present && absent {
            return Some(format!("it asks for {wanted} to be there and to be absent"));
        }
        let none_left = left.is_some_and(|left| left.is_subset(&excluded));
        none_left.then(|| format!("it asks for values of {wanted} that it also excludes"))
    })
}
