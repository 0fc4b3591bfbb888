//! Unknown addresses of the node's pod ranges: held in both directions, whatever else passes (S122).

use super::manifests::{Clusters, Node, SMALL};
use crate::interpret::{Packet, passes};
use crate::plan::Actual;
use crate::ruleset::Ruleset;
use crate::status::Counts;
use proto::model::ClusterName;
use std::collections::BTreeSet;

const DB_FROM_WEB: &str = "
kind: NetworkPolicy
metadata: {namespace: shop, name: db}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}";

fn small() -> Clusters {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL {
        clusters.load(cluster, manifests);
    }
    clusters.load("a", DB_FROM_WEB);
    clusters
}

/// The small world's node n1, whose pods are 10.1.1.1 and 10.1.1.2 with fd00:1::1 and fd00:1::2; a policy isolates
/// the second.
fn ruleset(ranges: &[&str]) -> Ruleset {
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    let held = ranges.iter().map(|range| range.parse().unwrap()).collect();
    small().ruleset_holding(&node, &held)
}

fn verdict(ruleset: &Ruleset, source: &str, destination: &str, established: bool) -> bool {
    let packet = Packet {
        established,
        ..Packet::tcp(source.parse().unwrap(), destination.parse().unwrap())
    };
    passes(ruleset, &packet)
}

const RANGES: [&str; 2] = ["10.1.1.0/24", "fd00:1::/64"];

/// S122: What no pod is known to have is let through in neither direction; what a pod has is judged as ever, and so is what
/// lies elsewhere.
#[test]
fn what_no_pod_is_known_to_have_is_let_through_in_neither_direction() {
    let (held, open) = (ruleset(&RANGES), ruleset(&[]));
    for (source, destination) in [
        ("10.1.1.9", "192.0.2.1"),
        ("192.0.2.1", "10.1.1.9"),
        ("10.1.1.9", "10.1.1.1"),
        ("10.1.1.1", "10.1.1.9"),
        ("fd00:1::9", "2001:db8::1"),
        ("2001:db8::1", "fd00:1::9"),
    ] {
        assert!(
            verdict(&open, source, destination, false),
            "{source} → {destination}, not held"
        );
        assert!(!verdict(&held, source, destination, false), "{source} → {destination}");
        assert!(
            verdict(&held, source, destination, true),
            "{source} → {destination}, established"
        );
    }
    for (source, destination) in [
        ("10.1.1.1", "192.0.2.1"),
        ("192.0.2.1", "10.1.1.1"),
        ("10.1.1.1", "10.1.1.2"),
        ("192.0.2.1", "10.1.1.2"),
        ("10.1.1.2", "192.0.2.1"),
        ("fd00:1::1", "2001:db8::1"),
        ("10.1.2.9", "192.0.2.1"),
        ("192.0.2.1", "10.1.2.9"),
    ] {
        let [held, open] = [&held, &open].map(|ruleset| verdict(ruleset, source, destination, false));
        assert_eq!(held, open, "{source} → {destination}");
    }
}

/// Of one family alone nothing is held of the other; a pod outside the ranges needs no chain.
#[test]
fn what_is_held_changes_nothing_else() {
    let only_v6 = ruleset(&["fd00:1::/64"]);
    assert!(verdict(&only_v6, "10.1.1.9", "192.0.2.1", false));
    assert!(!verdict(&only_v6, "fd00:1::9", "2001:db8::1", false));
    let elsewhere = Actual::of(&ruleset(&["10.9.0.0/16"]));
    let maps = |actual: &Actual| {
        actual
            .tables
            .values()
            .map(|table| table.dispatch.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(maps(&elsewhere), maps(&Actual::of(&ruleset(&[]))));
}

/// A pod that nobody isolates is none that is isolated, though it has a chain.
#[test]
fn a_pod_that_is_only_known_is_not_counted_as_isolated() {
    let clusters = small();
    let pods: Vec<_> = clusters
        .pods()
        .map(|(_, pod)| std::sync::Arc::new(pod.clone()))
        .collect();
    let counts = |ruleset| {
        let cut = BTreeSet::new();
        Counts::of(&crate::compile::Compiled { ruleset, cut }, &pods).isolated_pods
    };
    assert_eq!(counts(ruleset(&RANGES)), counts(ruleset(&[])));
}
