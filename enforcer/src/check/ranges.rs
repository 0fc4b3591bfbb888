//! Whether the pod ranges of clusters overlap, as their Nodes say (`spec.podCIDRs`).
//!
//! In a flat network an address is one pod's (S113): where ranges overlap, two pods may come to have the same. Network plugins
//! with address pools of their own leave `podCIDRs` empty, or do not keep to them; that is said, and theirs to compare. The
//! comparison is pure; [`read`] asks the API servers, by contexts of the user's own kubeconfig.

use super::{Finding, finding};
use crate::lint::Severity;
use anyhow::{Context, Result};
use ipnet::IpNet;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The nodes of a cluster, and the ranges of their pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// What the user calls it.
    pub name: String,
    /// Each node's name and ranges.
    pub nodes: Vec<(String, Vec<IpNet>)>,
}

/// What is found about clusters.
pub fn check(clusters: &[Cluster]) -> Vec<Finding> {
    let empty = clusters
        .iter()
        .filter(|cluster| cluster.nodes.iter().all(|(_, ranges)| ranges.is_empty()));
    let mut findings: Vec<Finding> = empty
        .map(|cluster| Finding {
            severity: Severity::Note,
            ..finding(
                "pod-ranges",
                format!("no Node of {} says its pods' ranges (spec.podCIDRs)", cluster.name),
                "compare the address pools of its network plugin by hand",
            )
        })
        .collect();
    findings.extend(overlaps(clusters).into_iter().map(|((one, other), overlap)| {
        let whose = match one == other {
            true => format!("pods of two nodes of {one}"),
            false => format!("pods of {one} and of {other}"),
        };
        let more = match overlap.count {
            1 => String::new(),
            count => format!(", and {} pairs more", count - 1),
        };
        finding(
            "pod-ranges",
            format!(
                "{whose} may have the same addresses: {} of node {} and {} of node {} overlap{more}; \
                 what two pods claim matches a selector only where both match",
                overlap.outer.1, overlap.outer.0, overlap.inner.1, overlap.inner.0
            ),
            "give each cluster of the ClusterSet a pod range of its own (--cluster-cidr of its kube-controller-manager)",
        )
    }));
    findings.sort();
    findings
}

/// What overlaps of two clusters: the first pair of nodes with their ranges, and how many pairs.
struct Overlap<'a> {
    outer: (&'a str, IpNet),
    inner: (&'a str, IpNet),
    count: usize,
}

/// Of each two clusters, or of one with itself. Blocks that overlap are nested, so that in the order of their beginnings each
/// need only be held against those around it.
fn overlaps(clusters: &[Cluster]) -> BTreeMap<(&str, &str), Overlap<'_>> {
    let mut all: Vec<(IpNet, &str, &str)> = Vec::new();
    for cluster in clusters {
        for (node, ranges) in &cluster.nodes {
            all.extend(ranges.iter().map(|range| (range.trunc(), &*cluster.name, &**node)));
        }
    }
    all.sort_by_key(|(range, cluster, node)| (range.network(), range.prefix_len(), *cluster, *node));
    let mut overlaps = BTreeMap::new();
    let mut around: Vec<(IpNet, &str, &str)> = Vec::new();
    for inner in all {
        while around.last().is_some_and(|(range, _, _)| !range.contains(&inner.0)) {
            around.pop();
        }
        for outer in &around {
            let overlap = overlaps.entry((outer.1.min(inner.1), outer.1.max(inner.1)));
            let overlap = overlap.or_insert(Overlap {
                outer: (outer.2, outer.0),
                inner: (inner.2, inner.0),
                count: 0,
            });
            overlap.count += 1;
        }
        around.push(inner);
    }
    overlaps
}

/// What was looked at, in a line.
pub fn seen(clusters: &[Cluster]) -> String {
    let clusters: Vec<String> = clusters
        .iter()
        .map(|Cluster { name, nodes }| {
            let ranges: usize = nodes.iter().map(|(_, ranges)| ranges.len()).sum();
            format!("{name} (nodes: {}, pod ranges: {ranges})", nodes.len())
        })
        .collect();
    format!("Clusters: {}", clusters.join("; "))
}

#[derive(Deserialize)]
struct NodeList {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
}

/// Asks the API server of each context for its Nodes.
///
/// # Errors
/// If there is no such context, or its API server does not answer.
pub async fn read(kubeconfig: Option<&Path>, contexts: &[String]) -> Result<Vec<Cluster>> {
    let file = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let file = file.context("cannot read the kubeconfig: name it with --kubeconfig, or in KUBECONFIG")?;
    let mut clusters = Vec::new();
    for context in contexts {
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        let nodes = async {
            let config = kube::Config::from_custom_kubeconfig(file.clone(), &options).await?;
            let request = Request::new("/api/v1/nodes").list(&ListParams::default())?;
            anyhow::Ok(kube::Client::try_from(config)?.request::<NodeList>(request).await?)
        };
        let nodes = nodes
            .await
            .with_context(|| format!("--context {context}: cannot list its Nodes"))?;
        clusters.push(Cluster {
            name: context.clone(),
            nodes: nodes.items.into_iter().map(ranges_of).collect::<Result<_>>()?,
        });
    }
    Ok(clusters)
}

fn ranges_of(node: Node) -> Result<(String, Vec<IpNet>)> {
    let Node { metadata, spec } = node;
    let parse = |text: &String| {
        let range = text.parse();
        range.with_context(|| format!("spec.podCIDRs of Node {}: {text:?}", metadata.name))
    };
    let ranges = spec.pod_cidrs.iter().map(parse).collect::<Result<_>>()?;
    Ok((metadata.name, ranges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::{Value, json};

    fn cluster(name: &str, nodes: &[(&str, &[&str])]) -> Cluster {
        let ranges = |ranges: &[&str]| ranges.iter().map(|range| range.parse().unwrap()).collect();
        Cluster {
            name: name.to_owned(),
            nodes: nodes
                .iter()
                .map(|(node, all)| ((*node).to_owned(), ranges(all)))
                .collect(),
        }
    }

    #[test]
    fn the_ranges_of_a_node_are_those_of_its_spec() {
        let node = |spec: Value| serde_json::from_value(json!({"metadata": {"name": "n1"}, "spec": spec})).unwrap();
        let ranges = ["10.1.0.0/24", "fd00:1::/64"];
        let expected = ranges.map(|range| range.parse().unwrap()).into();
        assert_eq!(
            ranges_of(node(json!({"podCIDR": ranges[0], "podCIDRs": ranges}))).unwrap(),
            ("n1".to_owned(), expected)
        );
        assert_eq!(ranges_of(node(json!({}))).unwrap(), ("n1".to_owned(), Vec::new()));
        let error = ranges_of(node(json!({"podCIDRs": ["10.1.0.0"]}))).unwrap_err();
        assert_eq!(error.to_string(), "spec.podCIDRs of Node n1: \"10.1.0.0\"");
    }

    #[test]
    fn ranges_that_lie_side_by_side_are_fine() {
        let a = cluster(
            "a",
            &[("n1", &["10.1.0.0/24", "fd00:1::/64"]), ("n2", &["10.1.1.0/24"])],
        );
        let b = cluster("b", &[("n1", &["10.2.0.0/24", "fd00:2::/64"])]);
        assert_eq!(check(&[a.clone(), b.clone()]), []);
        assert_eq!(
            seen(&[a, b]),
            "Clusters: a (nodes: 2, pod ranges: 3); b (nodes: 1, pod ranges: 2)"
        );
    }

    /// Of one range inside another's, of equal ones, of two nodes of one cluster; in either order; each pair of clusters is
    /// told once.
    #[test]
    fn ranges_that_overlap_are_found_whichever_is_the_wider() {
        let of = |a: &[(&str, &[&str])], b: &[(&str, &[&str])]| {
            let (a, b) = (cluster("a", a), cluster("b", b));
            let forth: Vec<String> = check(&[a.clone(), b.clone()])
                .into_iter()
                .map(|found| found.happens)
                .collect();
            let back: Vec<String> = check(&[b, a]).into_iter().map(|found| found.happens).collect();
            assert_eq!(forth, back);
            forth.join("\n")
        };
        expect!["pods of a and of b may have the same addresses: 10.1.0.0/16 of node n9 and 10.1.0.0/24 of node n1 overlap; what two pods claim matches a selector only where both match"].assert_eq(&of(&[("n1", &["10.1.0.0/24"])], &[("n9", &["10.1.0.0/16"])]));
        expect![[r#"
            pods of a and of b may have the same addresses: 10.0.0.0/8 of node n1 and 10.1.1.128/25 of node n1 overlap, and 2 pairs more; what two pods claim matches a selector only where both match
            pods of two nodes of a may have the same addresses: 10.0.0.0/8 of node n1 and 10.1.1.0/24 of node n2 overlap; what two pods claim matches a selector only where both match"#]].assert_eq(&of(
            &[("n1", &["10.0.0.0/8"]), ("n2", &["10.1.1.0/24", "fd00::/64"])],
            &[("n1", &["10.1.1.128/25"]), ("n2", &["fd00::/64"])],
        ));
        expect!["no Node of a says its pods' ranges (spec.podCIDRs)"]
            .assert_eq(&of(&[("n1", &[])], &[("n1", &["10.1.0.0/24"])]));
    }
}
