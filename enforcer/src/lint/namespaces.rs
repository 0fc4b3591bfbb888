//! Namespaces whose labels say nothing or something wrong about their cluster, and those without an object.
//!
//! Pure.

use super::estate::{Estate, NamespaceAt};
use super::finding::{Finding, Findings, Rule, Severity, Subject};
use super::words::{counted, label, pods, scalar};
use proto::model::{CLUSTER_LABEL, ClusterName, NAME_LABEL, NamespaceName};
use proto::selector::ClusterLabelMode;
use std::collections::{BTreeMap, BTreeSet};

/// A namespace has no cluster label.
pub(super) const UNLABELLED: Rule = Rule {
    id: "namespace-without-cluster-label",
    severity: Severity::Warning,
    finds: "a namespace without the label cluster.clusterset.k8s.io/cluster-name",
    help: "Policies name clusters by this label. Without it no selector that names a cluster matches the namespace's pods, \
           and every NotIn and DoesNotExist on the label does, in policies of every cluster (S105). \
           --cluster-label-mode assert reads every namespace as labelled.",
};

/// The cluster label names another cluster.
pub(super) const FOREIGN: Rule = Rule {
    id: "foreign-cluster-label",
    severity: Severity::Error,
    finds: "a namespace whose cluster label names another cluster",
    help: "The label claims that the pods are another cluster's. By default (--cluster-label-mode verify) the claim does \
           not count and the namespace is read as its own cluster's; literal believes it, and policies that admit the \
           other cluster admit these pods (S106).",
};

/// Something like the cluster label.
pub(super) const MISSPELT: Rule = Rule {
    id: "cluster-label-misspelt",
    severity: Severity::Warning,
    finds: "a label or a selector with a key that is nearly the cluster label's",
    help: "Keys are compared exactly, capitals included. Only cluster.clusterset.k8s.io/cluster-name is the cluster label; \
           cluster.clusterset.k8s.io, without a name behind it, is the ClusterProperty of KEP-2149 and no label.",
};

/// The name label contradicts the name.
pub(super) const NAME: Rule = Rule {
    id: "name-label-contradicts",
    severity: Severity::Warning,
    finds: "a namespace whose label kubernetes.io/metadata.name is not its name",
    help: "An API server sets this label and keeps it. Where a manifest contradicts it the name wins (S29).",
};

/// Pods or policies are in a namespace that has no object.
pub(super) const MISSING: Rule = Rule {
    id: "namespace-missing",
    severity: Severity::Warning,
    finds: "pods or policies in a namespace that has no Namespace object",
    help: "What labels the namespace has is unknown, so its pods match no namespaceSelector but the empty one, not even by \
           NotIn or DoesNotExist (S31). They still match a bare podSelector and ipBlocks.",
};

/// Two clusters are one.
pub(super) const SAME_CLUSTER: Rule = Rule {
    id: "same-cluster",
    severity: Severity::Error,
    finds: "two clusters whose kube-system namespaces are the same object",
    help: "The UID of kube-system tells clusters apart (S115). Manifests of one cluster under two ids make every pod of it two, \
           with the same addresses.",
};

/// Looks at every namespace.
pub(super) fn check(estate: &Estate<'_>, findings: &mut Findings) {
    for (name, at) in &estate.namespaces {
        cluster_label(estate, name, at, findings);
        let labels = &at.namespace.labels;
        if let Some(value) = labels.get(NAME_LABEL).filter(|value| **value != name.name) {
            let happens = format!(
                "the label says {value:?}, the name is {:?}: selectors see the name",
                name.name
            );
            let finding = finding(&NAME, name, at, Some(NAME_LABEL), happens);
            findings.add(finding.instead(format!("write  {}, or leave it away", label(NAME_LABEL, &name.name))));
        }
    }
    missing(estate, findings);
    same_cluster(estate, findings);
}

fn finding(
    rule: &'static Rule,
    name: &NamespaceName,
    at: &NamespaceAt<'_>,
    label: Option<&str>,
    happens: String,
) -> Finding {
    Finding {
        rule,
        severity: rule.severity,
        subject: Subject {
            cluster: Some(name.cluster.clone()),
            kind: Some("Namespace"),
            name: name.name.to_string(),
            location: Some(at.location.clone()),
        },
        field: match label {
            None => "metadata.labels".to_owned(),
            Some(key) => format!("metadata.labels[{key:?}]"),
        },
        happens,
        instead: None,
    }
}

fn cluster_label(estate: &Estate<'_>, name: &NamespaceName, at: &NamespaceAt<'_>, findings: &mut Findings) {
    let mode = estate.switches.cluster_label;
    let cluster = name.cluster.as_str();
    let write = format!("write  labels: {{{}}}", label(CLUSTER_LABEL, cluster));
    match at.namespace.labels.get(CLUSTER_LABEL) {
        Some(value) if **value == *cluster => {}
        Some(value) => {
            let (severity, happens) = foreign(estate, name, value);
            let finding = Finding {
                severity,
                ..finding(&FOREIGN, name, at, Some(CLUSTER_LABEL), happens)
            };
            findings.add(finding.instead(write));
        }
        None => {
            if let Some(key) = at.namespace.labels.keys().find(|key| is_like_the_label(key)) {
                let happens = format!("{key:?} is not the cluster label: no policy sees the cluster in it");
                findings.add(finding(&MISSPELT, name, at, Some(key), happens).instead(write));
            } else if mode != ClusterLabelMode::Assert {
                let live = estate.pods_in(name).iter().filter(|pod| pod.is_live()).count();
                let happens = format!(
                    "no cluster label: selectors that name {cluster} do not match {}, NotIn and DoesNotExist on the label do",
                    match live {
                        0 => "this namespace".to_owned(),
                        live => format!("its {}", counted(live, "pod")),
                    }
                );
                findings.add(finding(&UNLABELLED, name, at, None, happens).instead(write));
            }
        }
    }
}

fn foreign(estate: &Estate<'_>, name: &NamespaceName, value: &str) -> (Severity, String) {
    let cluster = name.cluster.as_str();
    let claim = if value.trim().eq_ignore_ascii_case(cluster) {
        format!("the label says {value:?}, which is not {cluster:?}: ids are compared exactly")
    } else {
        format!("the label says {value:?}, but this namespace is {cluster}'s")
    };
    match estate.switches.cluster_label {
        ClusterLabelMode::Verify => (
            Severity::Error,
            format!("{claim}; the claim does not count, its pods are matched as {cluster}'s"),
        ),
        ClusterLabelMode::Literal => {
            let live: Vec<_> = estate.pods_in(name).iter().filter(|pod| pod.is_live()).collect();
            let who = if live.is_empty() {
                "its pods".to_owned()
            } else {
                pods(&live)
            };
            (
                Severity::Error,
                format!(
                    "{claim}; the claim is believed: what names {value:?} matches {who}, what names {cluster} does not"
                ),
            )
        }
        ClusterLabelMode::Assert => (
            Severity::Warning,
            format!("{claim}; the label is not read, its pods are matched as {cluster}'s"),
        ),
    }
}

/// Whether a key is not the cluster label's, but was meant to be: it differs in capitals, or lies in the ClusterSet's
/// domain.
pub(super) fn is_like_the_label(key: &str) -> bool {
    let folded = key.trim().to_lowercase();
    let domain = folded.split('/').next().unwrap_or(&folded);
    key != CLUSTER_LABEL
        && (folded == CLUSTER_LABEL
            || folded == "cluster-name"
            || matches!(domain, "clusterset.k8s.io" | "cluster.clusterset.k8s.io"))
}

fn missing(estate: &Estate<'_>, findings: &mut Findings) {
    let with_pods = estate.namespaces_with_pods().map(|(name, _)| name.clone());
    let with_policies = estate.policies.iter().map(super::estate::PolicyAt::namespace);
    let named: BTreeSet<NamespaceName> = with_pods.chain(with_policies).collect();
    for name in named.iter().filter(|name| !estate.namespaces.contains_key(name)) {
        let inside = estate.pods_in(name);
        let live: Vec<_> = inside.iter().filter(|pod| pod.is_live()).collect();
        let policies = estate.policies.iter().filter(|policy| policy.namespace() == *name);
        let mut locations = inside
            .iter()
            .map(|pod| &pod.location)
            .chain(policies.map(|policy| &policy.location));
        let happens = match live.as_slice() {
            [] => "there is no such Namespace object, and no live pod in it; policies in it take effect with the first"
                .to_owned(),
            live => format!(
                "there is no such Namespace object: no namespaceSelector but the empty one matches {}",
                pods(live)
            ),
        };
        findings.add(Finding {
            rule: &MISSING,
            severity: Severity::Warning,
            subject: Subject {
                cluster: Some(name.cluster.clone()),
                kind: Some("Namespace"),
                name: name.name.to_string(),
                location: locations.next().cloned(),
            },
            field: String::new(),
            happens,
            instead: Some(format!(
                "add  {{apiVersion: v1, kind: Namespace, metadata: {{name: {}, labels: {{{}}}}}}}",
                scalar(&name.name),
                label(CLUSTER_LABEL, name.cluster.as_str())
            )),
        });
    }
}

fn same_cluster(estate: &Estate<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    for (name, at) in &estate.namespaces {
        let uid = &*at.namespace.uid;
        if *name.name != *"kube-system" || uid.is_empty() {
            continue;
        }
        let earlier = *first.entry(uid).or_insert(&name.cluster);
        if *earlier != name.cluster {
            let happens = format!("{earlier} has the same kube-system namespace, UID {uid}: both are one cluster");
            let finding = Finding {
                field: "metadata.uid".to_owned(),
                ..finding(&SAME_CLUSTER, name, at, None, happens)
            };
            findings.add(finding.instead("remove the manifests of one of them"));
        }
    }
}
