//! `ports` that mean more or less than they seem to (S46 to S63).
//!
//! Pure.

use super::estate::{Case, PeerCase, PodAt, RuleCase};
use super::finding::{Findings, Rule, Severity};
use super::words::{all_of, nearest, pods, some_of};
use crate::policy::written::{List, Peer, PolicyType};
use crate::policy::{PolicyPort, PortMatch};
use std::collections::{BTreeMap, BTreeSet};

/// An entry that names neither port nor protocol.
pub(super) const ALL_TCP: Rule = Rule {
    id: "all-tcp",
    severity: Severity::Note,
    finds: "an entry of ports that names neither port nor protocol",
    help: "Without protocol an entry is TCP, and without port it is every port of its protocol: {} is every TCP port, and no \
           UDP, SCTP or ICMP (S48).",
};

/// No destination has a port of that name.
pub(super) const UNKNOWN_NAME: Rule = Rule {
    id: "unknown-port-name",
    severity: Severity::Warning,
    finds: "a named port that no pod has to which the rule could admit",
    help: "A name is looked up among the container ports of the destination: the policy's own pods for ingress, each peer for \
           egress. Name and protocol must both match (S54); a name that a pod does not have matches no port of it (S55).",
};

/// A name is several numbers.
pub(super) const NAME_DIFFERS: Rule = Rule {
    id: "port-name-differs",
    severity: Severity::Note,
    finds: "a named port that is another number on other pods",
    help: "A named port is looked up on each destination by itself, so one rule may open 8080 on one pod and 9090 on the next \
           (S53).",
};

/// Looks at the ports of a policy.
pub(super) fn check(case: &Case<'_, '_>, findings: &mut Findings) {
    for rule in &case.rules {
        let raw = &case.policy.raw_rule(rule.direction, rule.index)["ports"];
        for (index, entry) in rule.rule.ports.entries().iter().enumerate() {
            let Ok(port) = entry else { continue };
            let field = format!("{}.ports[{index}]", rule.field());
            match &port.port {
                PortMatch::Any if raw[index]["protocol"].as_str().is_none_or(str::is_empty) => {
                    let happens = "every TCP port, and no other protocol".to_owned();
                    let finding = case.finding(&ALL_TCP, Severity::Note, &field, happens);
                    findings
                        .add(finding.instead("to say so write  protocol: TCP; for every protocol leave ports away"));
                }
                PortMatch::Any | PortMatch::Range(..) => {}
                PortMatch::Named(_) => named(case, rule, &format!("{field}.port"), port, findings),
            }
        }
    }
}

/// The pods on which a rule's port names are looked up.
fn destinations<'c, 'a>(case: &'c Case<'_, 'a>, rule: &'c RuleCase<'_, 'a>) -> Vec<&'c PodAt<'a>> {
    match (rule.direction, &rule.rule.peers) {
        (PolicyType::Ingress, _) => case.subjects.clone(),
        (PolicyType::Egress, List::Absent) => case.estate.live().collect(),
        (PolicyType::Egress, List::Void(_) | List::Of(_)) => {
            let mut seen = BTreeSet::new();
            let all = rule.peers.iter().flat_map(|peer| &peer.reach).copied();
            all.filter(|pod| seen.insert((&pod.identity.namespace, &pod.pod.name)))
                .collect()
        }
    }
}

fn named(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, field: &str, port: &PolicyPort, findings: &mut Findings) {
    let PortMatch::Named(name) = &port.port else { return };
    let destinations = destinations(case, rule);
    if destinations.is_empty() {
        let is_block = |peer: &PeerCase<'_, '_>| matches!(peer.peer, Peer::Block { .. });
        if rule.direction == PolicyType::Egress && rule.peers.iter().any(is_block) {
            let happens =
                format!("a name is looked up on pods, and no pod is behind these blocks: {name} matches no port");
            let finding = case.finding(&UNKNOWN_NAME, Severity::Warning, field, happens);
            findings.add(finding.instead("write the number"));
        }
        return;
    }
    let protocol = port.protocol;
    let mut numbers: BTreeMap<u16, Vec<&PodAt<'_>>> = BTreeMap::new();
    for pod in &destinations {
        let ports = pod.identity.ports.iter();
        for known in ports.filter(|known| known.name == *name && known.protocol == protocol) {
            numbers.entry(known.port).or_default().push(pod);
        }
    }
    if numbers.is_empty() {
        let whose = match rule.direction {
            PolicyType::Ingress => "the policy's pods",
            PolicyType::Egress => "the rule's peers",
        };
        let happens = format!(
            "none of {whose} names a port {name} for {protocol}, so this matches no port of {}",
            pods(&destinations)
        );
        let mut finding = case.finding(&UNKNOWN_NAME, Severity::Warning, field, happens);
        finding.instead = meant(&destinations, port, name);
        findings.add(finding);
    } else if numbers.len() > 1 {
        let numbers = numbers
            .iter()
            .map(|(number, pods)| format!("{number} on {}", some_of(pods)));
        let happens = format!("{protocol} port {name} is {}", all_of(numbers));
        findings.add(case.finding(&NAME_DIFFERS, Severity::Note, field, happens));
    }
}

/// What was probably meant by a name that no pod has.
fn meant(destinations: &[&PodAt<'_>], port: &PolicyPort, name: &str) -> Option<String> {
    let known = || destinations.iter().flat_map(|pod| pod.identity.ports.iter());
    if let Some(other) = known().find(|known| *known.name == *name) {
        return Some(format!(
            "{name} is a {} port there: write  protocol: {}",
            other.protocol, other.protocol
        ));
    }
    let names = known()
        .filter(|known| known.protocol == port.protocol)
        .map(|known| &*known.name);
    let names: BTreeSet<&str> = names.collect();
    match nearest(name, names.iter().copied()) {
        Some(meant) => Some(format!("write  port: {meant}")),
        None if names.is_empty() => Some("write the number, or name the container's port".to_owned()),
        None => Some(format!("the names there are {}", some_of(names))),
    }
}
