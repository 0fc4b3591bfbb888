//! A rule of a policy in netfilter's words: peers × ports.
//!
//! Pure. Every rule made here accepts. Those without ports match every protocol (S73), those with ports only theirs (S52).

use super::peers::Who;
use super::sets::Sets;
use crate::policy::{PolicyRule, PortMatch, Ports};
use crate::ruleset::{Family, Match, Rule, Side, Verdict};
use proto::model::{NamedPort, Protocol};
use std::sync::Arc;

/// Where the destination's ports have their names (S53).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names<'a> {
    /// Ingress: the subject is the destination, and these are its ports.
    OfSubject(&'a [NamedPort]),
    /// Egress: each peer is the destination, and has its own.
    OfPeers,
}

/// Whether any of the rules names a port.
pub(super) fn name_ports(rules: &[PolicyRule]) -> bool {
    rules.iter().any(|rule| match &rule.ports {
        Ports::Any => false,
        Ports::Of(ports) => ports.iter().any(|port| matches!(port.port, PortMatch::Named(_))),
    })
}

/// The rules of one family that accept what a rule of a policy in `namespace` admits.
pub(super) fn rules(
    rule: &PolicyRule,
    namespace: &Arc<str>,
    names: Names<'_>,
    family: Family,
    sets: &mut Sets<'_>,
) -> Vec<Rule> {
    let side = match names {
        Names::OfSubject(_) => Side::Source,
        Names::OfPeers => Side::Destination,
    };
    let ports = ports(&rule.ports, names);
    let mut accepting = Vec::new();
    for who in Who::of(rule, namespace, sets.cluster(), family) {
        for port in &ports {
            let matches = match port {
                Port::Numbers(matches) => matches
                    .iter()
                    .cloned()
                    .chain(sets.addresses(family, side, &who))
                    .collect(),
                Port::OfPeers(protocol, name) => vec![sets.named_ports(family, &who, *protocol, name)],
            };
            accepting.push(Rule {
                matches,
                verdict: Verdict::Accept,
            });
        }
    }
    accepting
}

/// The destination port of a kernel rule.
enum Port<'a> {
    /// As the packet itself shows it; without a match every port of every protocol.
    Numbers(Vec<Match>),
    /// The one that each peer calls so.
    OfPeers(Protocol, &'a Arc<str>),
}

fn ports<'a>(ports: &'a Ports, names: Names<'_>) -> Vec<Port<'a>> {
    let entries = match ports {
        Ports::Any => return vec![Port::Numbers(Vec::new())],
        Ports::Of(entries) => entries,
    };
    let range = |protocol: Protocol, first, last| {
        Port::Numbers(vec![
            Match::L4Proto(protocol.number()),
            Match::DestinationPort(first, last),
        ])
    };
    let mut ports = Vec::with_capacity(entries.len());
    for entry in entries {
        let protocol = entry.protocol;
        match (&entry.port, names) {
            (PortMatch::Any, _) => ports.push(Port::Numbers(vec![Match::L4Proto(protocol.number())])),
            (PortMatch::Range(first, last), _) => ports.push(range(protocol, *first, *last)),
            (PortMatch::Named(name), Names::OfPeers) => ports.push(Port::OfPeers(protocol, name)),
            (PortMatch::Named(name), Names::OfSubject(own)) => {
                ports.extend(resolve(own, protocol, name).map(|port| range(protocol, port, port)));
            }
        }
    }
    ports
}

/// All ports that a pod calls so (S56); none: the name matches no port of it (S55).
pub(crate) fn resolve(ports: &[NamedPort], protocol: Protocol, name: &str) -> impl Iterator<Item = u16> {
    ports
        .iter()
        .filter(move |port| port.protocol == protocol && *port.name == *name)
        .map(|port| port.port)
}
