//! Rules that admit everybody, and what becomes of the rules and policies beside them; what stands twice.
//!
//! Pure.

use super::estate::{Case, Estate, PodAt, PolicyAt};
use super::finding::{Findings, Rule, Severity};
use super::policy_types::is_written_empty;
use super::words::pods;
use crate::policy::PolicyRule;
use crate::policy::written::{self, List, PolicyType};
use std::collections::BTreeMap;

/// A rule admits everybody.
pub(super) const EVERYBODY: Rule = Rule {
    id: "open-to-everybody",
    severity: Severity::Note,
    finds: "a rule without peers and ports, or with an empty list of them",
    help: "The empty rule admits everything: every cluster, every outside address, every port and protocol. An empty list of \
           peers is anybody, an empty list of ports every port; neither is \"none\" (S10). No rule at all admits nothing.",
};

/// An allow-all rule makes others irrelevant.
pub(super) const SHADOWED: Rule = Rule {
    id: "shadowed",
    severity: Severity::Note,
    finds: "rules that have no effect because another one admits everybody to the same pods",
    help: "Policies and rules only add up; there is no deny rule. One allow-all rule in any policy makes every other policy \
           for that direction irrelevant for the pods it selects (S8, S13).",
};

/// A rule or policy stands twice.
pub(super) const DUPLICATE: Rule = Rule {
    id: "duplicate",
    severity: Severity::Note,
    finds: "a rule, or a whole policy, that means the same as one before it",
    help: "Duplicates change nothing (S16) and cost nothing in the kernel, but whoever removes one of them will wonder why \
           nothing changed.",
};

/// Looks at a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    for rule in &case.rules {
        let raw = case.policy.raw_rule(rule.direction, rule.index);
        let list = rule.direction.peers();
        let who = match rule.direction {
            PolicyType::Ingress => "admits everybody",
            PolicyType::Egress => "allows connections to everybody",
        };
        let mut add = |severity, field: String, happens: String, instead: &str| {
            findings.add(case.finding(&EVERYBODY, severity, &field, happens).instead(instead));
        };
        if is_open(rule.rule) {
            let happens = format!("this rule {who}, every cluster and outside addresses included, on every port");
            add(
                Severity::Note,
                rule.field(),
                happens,
                "if everybody is meant, nothing; to admit nobody leave the rule away",
            );
        } else if is_written_empty(&raw[list]) {
            let happens = format!("an empty list is anybody: on its ports this rule {who}, outside addresses included");
            add(
                Severity::Warning,
                format!("{}.{list}", rule.field()),
                happens,
                "if everybody is meant leave the list away; to admit nobody leave the rule away",
            );
        } else if is_written_empty(&raw["ports"]) {
            add(
                Severity::Note,
                format!("{}.ports", rule.field()),
                "an empty list is every port and protocol".to_owned(),
                "if every port is meant leave the list away",
            );
        }
    }
    for direction in PolicyType::ALL {
        duplicates(case, direction, findings);
        shadowed(case, direction, findings);
    }
}

/// Whether a rule admits everything.
fn is_open(rule: &written::Rule) -> bool {
    matches!((&rule.peers, &rule.ports), (List::Absent, List::Absent))
}

/// Whether all that a rule has for peers or for ports is void. That two such rules mean the same is of no interest.
fn admits_nothing(rule: &written::Rule) -> bool {
    let nothing = |understood: usize, is_absent: bool| understood == 0 && !is_absent;
    nothing(rule.peers.understood().count(), matches!(rule.peers, List::Absent))
        || nothing(rule.ports.understood().count(), matches!(rule.ports, List::Absent))
}

/// The first rule of a policy that admits everything.
fn open_rule(policy: &PolicyAt<'_>, direction: PolicyType) -> Option<usize> {
    policy
        .rules_in_force(direction)
        .find(|(_, rule)| is_open(rule))
        .map(|(index, _)| index)
}

fn duplicates(case: &Case<'_, '_>, direction: PolicyType, findings: &mut Findings) {
    let mut first: BTreeMap<PolicyRule, usize> = BTreeMap::new();
    for (index, rule) in case.policy.rules_in_force(direction) {
        if admits_nothing(rule) {
            continue;
        }
        let rules = direction.rules();
        let earlier = *first.entry(rule.into()).or_insert(index);
        if earlier != index {
            let happens = format!("this rule means the same as {rules}[{earlier}]");
            let field = format!("spec.{rules}[{index}]");
            let finding = case.finding(&DUPLICATE, Severity::Note, &field, happens);
            findings.add(finding.instead("leave it away"));
        }
    }
}

fn shadowed(case: &Case<'_, '_>, direction: PolicyType, findings: &mut Findings) {
    let Some(list) = case.policy.written.rules(direction) else {
        return;
    };
    let rules = direction.rules();
    let mut add = |happens: String, instead: String| {
        let finding = case.finding(&SHADOWED, Severity::Note, &format!("spec.{rules}"), happens);
        findings.add(finding.instead(instead));
    };
    if let Some(open) = open_rule(case.policy, direction) {
        // What means the same is told as a duplicate.
        let others = list.understood().filter(|rule| !is_open(rule)).count();
        if others > 0 {
            let what = if others == 1 {
                "the other rule changes".to_owned()
            } else {
                format!("the {others} other rules change")
            };
            add(
                format!("{rules}[{open}] admits everything, so {what} nothing"),
                format!("leave {rules}[{open}] away, or the others"),
            );
        }
        return;
    }
    if case.subjects.is_empty() {
        return;
    }
    let mut left: BTreeMap<(&str, &str), &PodAt<'_>> = case
        .subjects
        .iter()
        .map(|pod| ((&*pod.pod.namespace, &*pod.pod.name), *pod))
        .collect();
    let mut opened_by = Vec::new();
    for other in case.estate.policies_in(&case.policy.namespace()) {
        if open_rule(other, direction).is_some() {
            let before = left.len();
            for pod in case.estate.selected_by(other) {
                left.remove(&(&*pod.pod.namespace, &*pod.pod.name));
            }
            if left.len() < before {
                opened_by.push(&other.name);
            }
        }
    }
    if left.is_empty() {
        let by = super::words::some_of(opened_by);
        add(
            format!(
                "{by} admits everything for {rules} of {}: this policy changes nothing there",
                pods(&case.subjects)
            ),
            format!("narrow {by} if this policy is to count"),
        );
    }
}

/// Looks for policies that mean the same.
pub(super) fn check_policies(estate: &Estate<'_>, findings: &mut Findings) {
    let mut first = BTreeMap::new();
    for policy in estate.policies.iter().filter(|policy| policy.policy.refused.is_empty()) {
        let meaning = (
            policy.cluster,
            &policy.name.namespace,
            &policy.policy.subjects,
            &policy.policy.ingress,
            &policy.policy.egress,
        );
        let earlier: &mut &PolicyAt<'_> = first.entry(meaning).or_insert(policy);
        if earlier.name != policy.name {
            findings.add(super::finding::Finding {
                rule: &DUPLICATE,
                severity: Severity::Note,
                subject: policy.subject(),
                field: "spec".to_owned(),
                happens: format!("this policy means the same as {}", earlier.name),
                instead: Some("delete one of them".to_owned()),
            });
        }
    }
}
