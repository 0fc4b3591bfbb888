//! Where it is counted what the ends of pods refuse.

use super::manifests::{Clusters, Node, SMALL};
use crate::ruleset::{Direction, Ruleset, TableFamily};
use crate::switches::Switches;
use proto::model::ClusterName;
use std::collections::BTreeSet;

/// Node `n1` of the small world, with more of cluster `a`.
fn compiled(manifests: &str) -> Ruleset {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL.iter().copied().chain([("a", manifests)]) {
        clusters.load(cluster, manifests);
    }
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    clusters.ruleset(&node, &BTreeSet::new(), Switches::default())
}

/// For each counter of a family's table whose it is; and for each isolated address the rules of its chain from the first
/// that counts, with what a counter's name begins with.
fn counted(ruleset: &Ruleset, family: TableFamily) -> (Vec<String>, Vec<String>) {
    let table = &ruleset.tables[&family];
    let owner = |text: &str| text.rsplit_once('/').map_or(text, |(owner, _hash)| owner).to_owned();
    let counters = table.counters.iter().map(|counter| owner(counter.as_str())).collect();
    let isolated = table.dispatch.values().flatten();
    let chains = isolated.map(|(_, chain)| {
        let rules = table.chains[chain].rules.iter().map(ToString::to_string);
        let rules: Vec<String> = rules
            .skip_while(|rule| !rule.starts_with("counter"))
            .map(|rule| owner(&rule))
            .collect();
        format!("{chain}: {}", rules.join("; "))
    });
    (counters, chains.collect())
}

/// Only what is isolated counts, in the direction that it is isolated in, before anything is dropped for whatever reason.
#[test]
fn the_isolated_ends_of_a_pod_count_what_they_drop() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: db}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{}]}
";
    let ruleset = compiled(policy);
    let counters = ["egress/shop/web", "ingress/shop/db", "ingress/shop/web"];
    let v4 = [
        "egress-10.1.1.1: counter name egress/shop/web; drop",
        "ingress-10.1.1.1: counter name ingress/shop/web; drop",
        "ingress-10.1.1.2: counter name ingress/shop/db; drop",
    ];
    let of = |rules: &[&str]| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(counted(&ruleset, TableFamily::Ip), (of(&counters), of(&v4)));
    let (v6_counters, _) = counted(&ruleset, TableFamily::Ip6);
    assert_eq!(v6_counters, counters);
    let tables = ruleset.tables.values();
    let mut both = tables.map(|table| &table.counters);
    assert_eq!(both.next(), both.next(), "one name, one pod");
}

/// I5: an address that several pods claim counts for each of them that is isolated.
#[test]
fn a_packet_to_an_address_of_several_pods_counts_for_each() {
    let more = "
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {tier: data}}, policyTypes: [Ingress]}
---
kind: Pod
metadata: {namespace: shop, name: one, labels: {tier: data}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.9}
---
kind: Pod
metadata: {namespace: shop, name: open}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.9}
---
kind: Pod
metadata: {namespace: shop, name: two, labels: {tier: data}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.9}
";
    let ruleset = compiled(more);
    let (counters, chains) = counted(&ruleset, TableFamily::Ip);
    assert_eq!(counters, ["ingress/shop/one", "ingress/shop/two"]);
    assert_eq!(
        chains,
        ["ingress-10.1.1.9: counter name ingress/shop/one; counter name ingress/shop/two; drop"]
    );
    assert!(ruleset.tables[&TableFamily::Ip].dispatch[&Direction::Egress].is_empty());
}
