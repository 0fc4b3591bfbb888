//! Peers that match nobody, and rules of which none matches anybody.
//!
//! Pure. "Now" is what the manifests say: a peer may wait for pods that are to come.

use super::contradiction::contradiction;
use super::estate::{Case, Estate, PeerCase, PodAt, RuleCase};
use super::finding::{Findings, Rule, Severity};
use super::words::{misspelt, namespace_selector, some_of};
use crate::policy::written::{List, Peer};
use proto::model::{Labels, NAME_LABEL, NamespaceName};
use proto::selector::Selector;
use std::collections::BTreeSet;

/// No peer of a rule matches anybody, or no port of it is understood.
pub(super) const ADMITS_NOTHING: Rule = Rule {
    id: "admits-nothing",
    severity: Severity::Warning,
    finds: "a rule of which no peer matches anybody, or no port is understood",
    help: "A list of entries that match nobody matches nobody; it never becomes \"anybody\" (S60). The rule is as good as \
           absent until such pods are there.",
};

/// One peer among others matches no pod.
pub(super) const MATCHES_NOBODY: Rule = Rule {
    id: "matches-nobody",
    severity: Severity::Note,
    finds: "a peer that matches no live pod of any cluster, in a rule that admits others",
    help: "Host-network and finished pods are matched by no selector (S71, S81), and an address without a live pod behind it \
           neither (S32).",
};

/// What is wrong with a peer that matches nobody.
struct Nobody {
    why: String,
    instead: Option<String>,
}

/// Looks at a rule.
pub(super) fn check(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, findings: &mut Findings) {
    let entries = rule.rule.peers.entries();
    let nobody: Vec<(&PeerCase<'_, '_>, Nobody)> = rule
        .peers
        .iter()
        .filter_map(|peer| Some((peer, matches_nobody(case, peer)?)))
        .collect();
    let list = rule.direction.peers();
    let no_peer = match &rule.rule.peers {
        List::Absent => false,
        List::Void(_) => true,
        List::Of(_) => nobody.len() == rule.peers.len(),
    };
    let ports_void = !matches!(rule.rule.ports, List::Absent) && rule.rule.ports.understood().next().is_none();
    let (happens, instead) = if no_peer {
        let void = entries.len() - rule.peers.len();
        let mut why: Vec<String> = nobody
            .iter()
            .map(|(peer, nobody)| format!("{list}[{}]: {}", peer.index, nobody.why))
            .collect();
        match (&rule.rule.peers, void) {
            (List::Void(_), _) => why.push(format!("{list} is void")),
            (_, 0) => {}
            (_, 1) => why.push("one entry is void".to_owned()),
            (_, void) => why.push(format!("{void} entries are void")),
        }
        let instead = nobody.into_iter().find_map(|(_, nobody)| nobody.instead);
        (format!("the rule admits nobody ({})", some_of(why)), instead)
    } else if ports_void {
        (
            "the rule admits nothing: none of its ports is understood".to_owned(),
            None,
        )
    } else {
        for (peer, nobody) in nobody {
            let happens = format!("{}: this entry admits nobody", nobody.why);
            let mut finding = case.finding(&MATCHES_NOBODY, Severity::Note, &peer.field, happens);
            finding.instead = nobody.instead;
            findings.add(finding);
        }
        return;
    };
    let mut finding = case.finding(&ADMITS_NOTHING, Severity::Warning, &rule.field(), happens);
    finding.instead = instead;
    findings.add(finding);
}

/// Why a peer matches nobody; `None`: it matches somebody, if only an outside address.
fn matches_nobody(case: &Case<'_, '_>, peer: &PeerCase<'_, '_>) -> Option<Nobody> {
    let (pods, namespaces) = match peer.peer {
        Peer::Pods { pods, namespaces } => (pods.as_ref(), namespaces.as_ref()),
        Peer::Block { net, except } => {
            return super::blocks::is_emptied(*net, except).then(|| Nobody {
                why: "its excepts leave nothing of the block".to_owned(),
                instead: None,
            });
        }
    };
    if !peer.reach.is_empty() {
        return None;
    }
    let contradicts = |selector: &Selector| contradiction(selector).is_some();
    if pods.into_iter().chain(namespaces).any(contradicts) {
        return Some(Nobody {
            why: "its selector contradicts itself".to_owned(),
            instead: None,
        });
    }
    let estate = case.estate;
    let home = case.policy.namespace();
    let on_host = estate.reach_on_host_network(&home, peer.peer);
    if !on_host.is_empty() {
        return Some(Nobody {
            why: format!(
                "it means only pods on their node's network, which no selector matches: {}",
                some_of(on_host)
            ),
            instead: Some("to admit their nodes, pods on the host network among them, write an ipBlock".to_owned()),
        });
    }
    let around = estate.reach(&home, &all_pods(namespaces));
    if around.is_empty() {
        return Some(empty_namespaces(estate, &home, namespaces, pods));
    }
    let labels = around.iter().map(|pod| &*pod.identity.labels);
    let hint = pods.and_then(|selector| misspelt(selector, labels));
    let elsewhere = pods
        .filter(|_| namespaces.is_none())
        .and_then(|selector| in_other_namespaces(case, selector));
    Some(Nobody {
        why: "no live pod of its namespaces has these labels".to_owned(),
        instead: elsewhere.or(hint),
    })
}

/// The same namespaces, and all pods of them.
fn all_pods(namespaces: Option<&Selector>) -> Peer {
    Peer::Pods {
        pods: Some(Selector::default()),
        namespaces: namespaces.cloned(),
    }
}

/// The namespaces of a peer have no live pods, or there are none.
fn empty_namespaces(
    estate: &Estate<'_>,
    home: &NamespaceName,
    namespaces: Option<&Selector>,
    pods: Option<&Selector>,
) -> Nobody {
    let Some(selector) = namespaces else {
        let instead = pods.and_then(|pods| {
            let peer = Peer::Pods {
                pods: Some(pods.clone()),
                namespaces: Some(Selector::default()),
            };
            only_namespace(&estate.reach(home, &peer))
        });
        return Nobody {
            why: format!("namespace {} has no live pods", home.name),
            instead,
        };
    };
    let labels: Vec<Labels> = estate
        .namespaces
        .values()
        .map(|at| {
            let mut labels = Labels::clone(&at.namespace.labels);
            labels.insert(NAME_LABEL.into(), at.namespace.name.clone());
            labels
        })
        .collect();
    Nobody {
        why: "no namespace with live pods has these labels".to_owned(),
        instead: misspelt(selector, labels.iter()),
    }
}

/// A bare `podSelector` that matches nobody at home, and somebody in one other namespace.
fn in_other_namespaces(case: &Case<'_, '_>, selector: &Selector) -> Option<String> {
    if selector.is_empty() {
        return None;
    }
    let anywhere = Peer::Pods {
        pods: Some(selector.clone()),
        namespaces: Some(Selector::default()),
    };
    only_namespace(&case.estate.reach(&case.policy.namespace(), &anywhere))
}

/// What to add if all these pods are in namespaces of one name.
fn only_namespace(pods: &[&PodAt<'_>]) -> Option<String> {
    let names: BTreeSet<&str> = pods.iter().map(|pod| &*pod.pod.namespace).collect();
    let mut names = names.into_iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let clusters: BTreeSet<&str> = pods.iter().map(|pod| pod.cluster().as_str()).collect();
    let cluster = clusters.first().filter(|_| clusters.len() == 1).copied();
    Some(format!(
        "pods with these labels are in namespace {name}: to mean them add  {}",
        namespace_selector(cluster, Some(name))
    ))
}
