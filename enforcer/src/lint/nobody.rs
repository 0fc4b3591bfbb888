//! Selectors that match nobody: of a policy, of a peer, of a whole rule.
//!
//! Pure. "Now" is what the manifests say: a selector may wait for pods that are to come (S17).

use super::cluster_label::key;
use super::estate::{Case, Estate, PeerCase, PodAt, RuleCase};
use super::finding::{Findings, Rule, Severity};
use super::words::{namespace_selector, nearest, some_of};
use crate::policy::written::{List, Peer};
use proto::model::{Labels, NAME_LABEL, NamespaceName};
use proto::selector::{Requirement, Selector};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `spec.podSelector` selects no live pod.
pub(super) const SELECTS_NOTHING: Rule = Rule {
    id: "selects-nothing",
    severity: Severity::Note,
    finds: "a policy whose podSelector selects no live pod of its namespace",
    help: "The policy has no effect until there is such a pod, and takes effect from its first instant (S17). A podSelector \
           selects only in the policy's own namespace and cluster (S3).",
};

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
    contradictions(case, findings);
    subjects(case, findings);
    for rule in &case.rules {
        self::rule(case, rule, findings);
    }
}

fn contradictions(case: &Case<'_, '_>, findings: &mut Findings) {
    let mut check = |field: &str, selector: &Selector| {
        if let Some(happens) = contradiction(selector) {
            let happens = format!("{happens}: it matches nothing");
            let finding = case.finding(&CONTRADICTORY, Severity::Warning, field, happens);
            findings.add(finding.instead("for one or the other write two entries; for nothing leave the entry away"));
        }
    };
    if let Ok(selector) = &case.policy.written.subjects {
        check("spec.podSelector", selector);
    }
    for peer in case.peers() {
        if let Peer::Pods { pods, namespaces } = peer.peer {
            for (name, selector) in [("podSelector", pods), ("namespaceSelector", namespaces)] {
                if let Some(selector) = selector {
                    check(&format!("{}.{name}", peer.field), selector);
                }
            }
        }
    }
}

/// Why nothing can match a selector; `None`: something can.
fn contradiction(selector: &Selector) -> Option<String> {
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

fn subjects(case: &Case<'_, '_>, findings: &mut Findings) {
    let Ok(selector) = &case.policy.written.subjects else {
        return;
    };
    if !case.subjects.is_empty() || contradiction(selector).is_some() {
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

/// What is wrong with a peer that matches nobody.
struct Nobody {
    why: String,
    instead: Option<String>,
}

fn rule(case: &Case<'_, '_>, rule: &RuleCase<'_, '_>, findings: &mut Findings) {
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
    let plain = |why: &str| Nobody {
        why: why.to_owned(),
        instead: None,
    };
    if pods
        .into_iter()
        .chain(namespaces)
        .any(|selector| contradiction(selector).is_some())
    {
        return Some(plain("its selector contradicts itself"));
    }
    let estate = case.estate;
    let home = case.policy.namespace();
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

/// What a selector probably meant that matches none of these labels: a value, or a key, that is nearly there.
fn misspelt<'l>(selector: &Selector, labels: impl Iterator<Item = &'l Labels>) -> Option<String> {
    let labels: BTreeSet<(&str, &str)> = labels.flatten().map(|(key, value)| (&**key, &**value)).collect();
    selector.requirements().find_map(|requirement| {
        let Requirement::In(key, values) = requirement else {
            return None;
        };
        let of_key: Vec<&str> = labels
            .iter()
            .filter(|(known, _)| *known == &**key)
            .map(|(_, value)| *value)
            .collect();
        if of_key.is_empty() {
            let known = labels.iter().map(|(key, _)| *key);
            return nearest(key, known).map(|meant| format!("perhaps the key is  {meant}"));
        }
        if values.iter().any(|value| of_key.contains(&&**value)) {
            return None;
        }
        let meant = values.iter().find_map(|value| nearest(value, of_key.iter().copied()))?;
        Some(format!("perhaps  {key}: {meant}"))
    })
}
