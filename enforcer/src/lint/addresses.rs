//! Pods whose addresses are of no use, or are somebody else's too.
//!
//! Pure. Who owns an address in the end is [`proto::pods`]' and [`proto::mirror`]'s to say.

use super::estate::{Estate, PodAt};
use super::finding::{Finding, Findings, Rule, Severity};
use super::words::{all_of, some_of};
use proto::model::ClusterName;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Several live pods claim an address.
pub(super) const CLAIMED_TWICE: Rule = Rule {
    id: "address-claimed-twice",
    severity: Severity::Error,
    finds: "an address that several live pods claim",
    help: "In a flat network an address is one pod's. Where pods of one cluster claim it, a selector matches it only if it \
           matches all of them. Where pods of several clusters do, each cluster's policies go by its own pod, and those \
           of other clusters match only what all claimants match (S113).",
};

/// A pod has a node's address.
pub(super) const NODES: Rule = Rule {
    id: "node-address",
    severity: Severity::Error,
    finds: "a pod that is not on the host network and has a node's address, of whatever cluster",
    help: "Rules for such an address would filter the node itself. So it counts as the node's: no selector matches it, only \
           ipBlocks do, and no policy isolates the pod at it (I7). If the node is another cluster's, that is so outside of \
           the pod's own cluster alone (S113).",
};

/// An address that no pod can have.
pub(super) const UNUSABLE: Rule = Rule {
    id: "unusable-address",
    severity: Severity::Warning,
    finds: "a pod address that is none: unspecified, loopback, multicast, broadcast, IPv4-mapped or no address at all",
    help: "The pod has no identity by it, its other addresses stand (S92). If it is the pod's only one, no policy isolates \
           the pod and no selector matches it.",
};

/// Something else of an object is not read.
pub(super) const ODD_FIELD: Rule = Rule {
    id: "odd-field",
    severity: Severity::Warning,
    finds: "a field of a Pod or Namespace that is not what the API has there",
    help: "The object is taken without it: a label that is left out matches nothing, a container port that is left out \
           resolves no name.",
};

/// A pod that policies select runs nowhere.
pub(super) const NO_NODE: Rule = Rule {
    id: "pod-without-node",
    severity: Severity::Warning,
    finds: "a pod with an address and without spec.nodeName that policies select",
    help: "A pod is isolated by the enforcer of its node. Without a node it is a peer like any other, but nobody isolates it \
           (I12). In a running cluster a pod has a node before it has an address.",
};

/// How many addresses two clusters may both claim before that is one finding about both.
const MAX_SHARED: usize = 4;

/// Looks at every pod.
pub(super) fn check(estate: &Estate<'_>, findings: &mut Findings) {
    for pod in &estate.pods {
        odd_fields(pod, findings);
    }
    for pod in estate.live() {
        node_addresses(estate, pod, findings);
    }
    no_node(estate, findings);
    let claims = claims(estate);
    within(&claims, findings);
    across(&claims, findings);
}

fn finding(rule: &'static Rule, pod: &PodAt<'_>, field: impl Into<String>, happens: String) -> Finding {
    Finding {
        rule,
        severity: rule.severity,
        subject: pod.subject(),
        field: field.into(),
        happens,
        instead: None,
    }
}

fn odd_fields(pod: &PodAt<'_>, findings: &mut Findings) {
    for line in &pod.pod.rejected {
        let (field, reason) = line.split_once(": ").unwrap_or(("", line));
        if field.starts_with("status.podIP") {
            let follows = match pod.pod.addresses.as_slice() {
                [] => "it has no other, so no policy isolates the pod and no selector matches it",
                _ => "the pod's other addresses stand",
            };
            findings.add(finding(&UNUSABLE, pod, field, format!("{reason}; {follows}")));
        } else {
            findings.add(finding(&ODD_FIELD, pod, field, format!("{reason}; it is left out")));
        }
    }
}

fn node_addresses(estate: &Estate<'_>, pod: &PodAt<'_>, findings: &mut Findings) {
    for address in &pod.pod.addresses {
        let own = estate.node_addresses.get(&(pod.cluster(), *address));
        let elsewhere = estate
            .clusters
            .iter()
            .find_map(|cluster| Some((*cluster, *estate.node_addresses.get(&(*cluster, *address))?)));
        let happens = match (own, elsewhere) {
            (Some(node), _) => Some(format!(
                "{address} is node {node}'s: the pod has no identity by it, no policy isolates it there and no selector \
                 matches it"
            )),
            (None, Some((cluster, node))) => Some(format!(
                "{address} is node {cluster}/{node}'s as well: no selector of another cluster's policies matches the pod by it"
            )),
            (None, None) => None,
        };
        if let Some(happens) = happens {
            findings.add(finding(&NODES, pod, "status.podIPs", happens).instead(
                "if the pod is meant to share its node's network, say so:  spec.hostNetwork: true; else give it an address \
                 of its own",
            ));
        }
    }
}

fn no_node(estate: &Estate<'_>, findings: &mut Findings) {
    let nowhere = |pod: &PodAt<'_>| pod.is_live() && pod.pod.node.is_none() && !pod.pod.addresses.is_empty();
    let mut selecting: BTreeMap<(&ClusterName, &str, &str), (&PodAt<'_>, usize)> = BTreeMap::new();
    for policy in &estate.policies {
        for pod in estate.selected_by(policy).into_iter().filter(|pod| nowhere(pod)) {
            let key = (pod.cluster(), &*pod.pod.namespace, &*pod.pod.name);
            selecting.entry(key).or_insert((pod, 0)).1 += 1;
        }
    }
    for (pod, policies) in selecting.into_values() {
        let who = match policies {
            1 => "1 policy selects".to_owned(),
            count => format!("{count} policies select"),
        };
        let happens =
            format!("{who} this pod, and as it is on no node nobody isolates it: its own end allows every connection");
        findings.add(finding(&NO_NODE, pod, "spec.nodeName", happens).instead("write  spec.nodeName"));
    }
}

/// The live pods that claim each address, by cluster.
type Claims<'e, 'a> = BTreeMap<IpAddr, BTreeMap<&'e ClusterName, Vec<&'e PodAt<'a>>>>;

/// Those that do not yield it (S83). Addresses of nodes are nobody's.
fn claims<'e, 'a>(estate: &'e Estate<'a>) -> Claims<'e, 'a> {
    let mut claims = Claims::new();
    for pod in estate.live() {
        for address in &pod.pod.addresses {
            if !estate.node_addresses.contains_key(&(pod.cluster(), *address)) {
                let of_address = claims.entry(*address).or_default();
                of_address.entry(pod.cluster()).or_default().push(pod);
            }
        }
    }
    for pods in claims.values_mut().flat_map(BTreeMap::values_mut) {
        if pods.iter().any(|pod| !pod.pod.terminating) {
            pods.retain(|pod| !pod.pod.terminating);
        }
    }
    claims
}

fn within(claims: &Claims<'_, '_>, findings: &mut Findings) {
    for (address, by_cluster) in claims {
        for pods in by_cluster.values() {
            if let [first, _, ..] = pods.as_slice() {
                let happens = format!(
                    "{address} is claimed by {} live pods of {} ({}): selectors match it only where they match all of them, \
                     and each one's isolation holds for all",
                    pods.len(),
                    first.cluster(),
                    some_of(pods)
                );
                findings.add(finding(&CLAIMED_TWICE, first, "status.podIPs", happens).instead(
                    "find out which pod has the address (kubectl get pods -A -o wide) and delete the others' stale objects",
                ));
            }
        }
    }
}

fn across(claims: &Claims<'_, '_>, findings: &mut Findings) {
    let mut shared: BTreeMap<Vec<&ClusterName>, Vec<(&IpAddr, Vec<&PodAt<'_>>)>> = BTreeMap::new();
    for (address, by_cluster) in claims {
        if by_cluster.len() > 1 {
            let clusters = by_cluster.keys().copied().collect();
            let pods = by_cluster.values().flatten().copied().collect();
            shared.entry(clusters).or_default().push((address, pods));
        }
    }
    for (clusters, addresses) in shared {
        let follows = format!(
            "policies of {} go by their own pod, those of other clusters match only what all claimants match",
            all_of(&clusters)
        );
        if addresses.len() > MAX_SHARED {
            let (_, pods) = &addresses[0];
            let happens = format!(
                "{} addresses are claimed by live pods of {}, {} first: their pod ranges overlap, so this network is not flat; {follows}",
                addresses.len(),
                all_of(&clusters),
                addresses[0].0
            );
            findings.add(
                finding(&CLAIMED_TWICE, pods[0], "status.podIPs", happens)
                    .instead("give each cluster of the ClusterSet a pod range of its own"),
            );
            continue;
        }
        for (address, pods) in addresses {
            let happens = format!(
                "{address} is claimed by live pods of several clusters ({}): {follows}",
                some_of(&pods)
            );
            findings.add(
                finding(&CLAIMED_TWICE, pods[0], "status.podIPs", happens).instead(
                    "an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own",
                ),
            );
        }
    }
}
