//! Pods that may open some connections and cannot look up a name for any of them.
//!
//! Pure. Pods that may open none at all are as their policy wants them.

use super::estate::{Estate, PodAt, PolicyAt};
use super::finding::{Finding, Findings, Rule, Severity};
use super::words::{namespace_selector, pods};
use crate::policy::PortMatch;
use crate::policy::written::{self, List, PolicyType};
use proto::model::{NamespaceName, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// Egress rules without DNS.
pub(super) const NO_DNS: Rule = Rule {
    id: "no-dns",
    severity: Severity::Note,
    finds: "pods with egress rules of which none admits UDP port 53",
    help: "Egress isolation closes DNS too. A pod that may reach its peers but no resolver cannot find them by name. A resolver \
           on the pod's own node (NodeLocal DNSCache) stays reachable: egress to the own node is always allowed (S68), \
           unless --egress-to-local-node says policy.",
};

/// The port of DNS (RFC 1035).
const DNS: u16 = 53;

/// Looks at the policies of every namespace.
pub(super) fn check(estate: &Estate<'_>, findings: &mut Findings) {
    let namespaces: BTreeSet<NamespaceName> = estate.policies.iter().map(PolicyAt::namespace).collect();
    for namespace in namespaces {
        let policies = estate.policies_in(&namespace);
        let mut isolating: BTreeMap<&str, (&PodAt<'_>, Vec<&PolicyAt<'_>>)> = BTreeMap::new();
        for policy in policies.iter().filter(|policy| policy.written.egress.is_some()) {
            for pod in estate.selected_by(policy).into_iter().filter(|pod| pod.is_live()) {
                isolating
                    .entry(&pod.pod.name)
                    .or_insert((pod, Vec::new()))
                    .1
                    .push(policy);
            }
        }
        // Told once for each pod: at the first policy that has rules for it.
        let mut silent: BTreeMap<&str, (&PolicyAt<'_>, Vec<&PodAt<'_>>)> = BTreeMap::new();
        for (pod, policies) in isolating.into_values() {
            let rules = |policy: &&PolicyAt<'_>| policy.rules_in_force(PolicyType::Egress).count() > 0;
            let resolves = policies.iter().any(|policy| admits_dns(policy));
            if let Some(policy) = policies.iter().find(|policy| rules(policy)).filter(|_| !resolves) {
                silent
                    .entry(&policy.name.name)
                    .or_insert((policy, Vec::new()))
                    .1
                    .push(pod);
            }
        }
        for (policy, of) in silent.into_values() {
            findings.add(finding(policy, &of));
        }
    }
}

fn finding(policy: &PolicyAt<'_>, of: &[&PodAt<'_>]) -> Finding {
    Finding {
        rule: &NO_DNS,
        severity: Severity::Note,
        subject: policy.subject(),
        field: "spec.egress".to_owned(),
        happens: format!(
            "no egress rule of any policy admits UDP/53 for {}: no resolver off their node answers them",
            pods(of)
        ),
        instead: Some(format!(
            "to let them look up names add a rule  {{to: [{{{}}}], ports: [{{protocol: UDP, port: 53}}, {{protocol: TCP, \
             port: 53}}]}}",
            namespace_selector(Some(policy.cluster.as_str()), Some("kube-system"))
        )),
    }
}

/// Whether a rule of a policy may let a question to a resolver pass: one whose peers do not rule that out.
fn admits_dns(policy: &PolicyAt<'_>) -> bool {
    policy.rules_in_force(PolicyType::Egress).any(|(_, rule)| {
        let somebody = matches!(rule.peers, List::Absent) || rule.peers.understood().next().is_some();
        somebody && has_dns(rule)
    })
}

fn has_dns(rule: &written::Rule) -> bool {
    matches!(rule.ports, List::Absent)
        || rule.ports.understood().any(|port| {
            port.protocol == Protocol::Udp
                && match &port.port {
                    PortMatch::Any | PortMatch::Named(_) => true,
                    PortMatch::Range(first, last) => (*first..=*last).contains(&DNS),
                }
        })
}
