//! Changes of a world of which the catalogue says what they may do to its verdicts.

use super::product::{self, Rulesets};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tests::oracle::{End, Probe, Switches, World};
use tests::worlds::ClusterSet;

/// Whether each connection passes, of every pair of ends and every probe, in the same order for equal ends.
pub fn passing(world: &ClusterSet, switches: Switches, ends: &[End], probes: &[Probe]) -> Vec<bool> {
    let rulesets: Rulesets = product::rulesets(world, switches);
    let mut passing = Vec::new();
    for (source, destination) in pairs(ends) {
        for probe in probes {
            passing.push(product::passes(&rulesets, source, destination, *probe));
        }
    }
    passing
}

/// The pairs of ends that have a family in common.
pub fn pairs(ends: &[End]) -> impl Iterator<Item = (&End, &End)> {
    let pairs = ends.iter().flat_map(|source| ends.iter().map(move |end| (source, end)));
    pairs.filter(|(source, end)| source.address().is_ipv4() == end.address().is_ipv4())
}

/// All ends of a world.
pub fn ends(world: &ClusterSet) -> Vec<End> {
    World::read(world).ends(&world.outside())
}

/// S15: other names, ages, labels and annotations of the policies, in another order.
pub fn renamed(mut world: ClusterSet, rng: &mut Rng) -> ClusterSet {
    for cluster in world.clusters.values_mut() {
        for (number, policy) in cluster.objects.iter_mut().filter(|it| is_policy(it)).enumerate() {
            let metadata = &mut policy["metadata"];
            metadata["name"] = json!(format!("z-{}-{number}", rng.u32(..)));
            metadata["labels"] = json!({"app": "web", "tier": "db"});
            metadata["annotations"] = json!({"allow": "all"});
            metadata["creationTimestamp"] = json!("1999-12-31T23:59:59Z");
            metadata["generation"] = json!(rng.u32(..));
        }
        rng.shuffle(&mut cluster.objects);
    }
    world
}

/// S16: every policy, rule, peer and port twice, in another order.
pub fn doubled(mut world: ClusterSet, rng: &mut Rng) -> ClusterSet {
    for cluster in world.clusters.values_mut() {
        let mut again: Vec<Value> = cluster.objects.iter().filter(|it| is_policy(it)).cloned().collect();
        for policy in &mut again {
            policy["metadata"]["name"] = json!(format!("again-{}", policy["metadata"]["name"]));
        }
        cluster.objects.extend(again);
        for policy in cluster.objects.iter_mut().filter(|it| is_policy(it)) {
            for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
                let Some(rules) = policy.pointer_mut(&format!("/spec/{direction}")) else {
                    continue;
                };
                double(rules, rng);
                for rule in rules.as_array_mut().into_iter().flatten() {
                    for list in [peers, "ports"] {
                        if let Some(list) = rule.get_mut(list) {
                            double(list, rng);
                        }
                    }
                }
            }
        }
    }
    world
}

fn double(list: &mut Value, rng: &mut Rng) {
    if let Some(entries) = list.as_array_mut() {
        entries.extend(entries.clone());
        rng.shuffle(entries);
    }
}

/// S14: one more rule in a direction of a policy that has rules in it already; `None`: there is no such policy.
pub fn with_another_rule(mut world: ClusterSet, rng: &mut Rng) -> Option<ClusterSet> {
    let direction = if rng.bool() { "ingress" } else { "egress" };
    let other = ClusterSet::random(rng.u64(..));
    let others = other.clusters.values().flat_map(|cluster| &cluster.objects);
    let rules: Vec<&Value> = others
        .filter_map(|it| it["spec"][direction].as_array()?.first())
        .collect();
    let rule = rng.choice(rules)?.clone();
    let policies = world.clusters.values_mut().flat_map(|cluster| &mut cluster.objects);
    let lists = policies.filter_map(|it| it.pointer_mut(&format!("/spec/{direction}"))?.as_array_mut());
    let lists: Vec<_> = lists.filter(|list| !list.is_empty()).collect();
    let list = rng.choice(lists)?;
    list.insert(rng.usize(..=list.len()), rule);
    Some(world)
}

/// S14: one more policy, and the cluster and namespace that it is in; `None`: there is none to be had.
pub fn with_another_policy(mut world: ClusterSet, rng: &mut Rng) -> Option<(ClusterSet, String, String)> {
    let other = ClusterSet::random(rng.u64(..));
    let policies = other.clusters.values().flat_map(|cluster| &cluster.objects);
    let policies: Vec<&Value> = policies.filter(|it| is_policy(it)).collect();
    let mut policy = rng.choice(policies)?.clone();
    policy["metadata"]["name"] = json!("another");
    let namespace = policy["metadata"]["namespace"].as_str()?.to_owned();
    let (name, cluster) = rng.choice(&mut world.clusters)?;
    let name = name.clone();
    cluster.objects.push(policy);
    Some((world, name, namespace))
}

/// The addresses that pods of a namespace say they have. A node's may be among them, and as long as nobody tells that it is
/// one's, it is as good as any.
pub fn claimed(world: &ClusterSet, cluster: &str, namespace: &str) -> BTreeSet<IpAddr> {
    let objects = world.clusters[cluster].objects.iter();
    let pods = objects.filter(|it| it["kind"] == "Pod" && it["metadata"]["namespace"] == namespace);
    let addresses = pods.flat_map(|pod| {
        let status = &pod["status"];
        let all = status["podIPs"].as_array().into_iter().flatten();
        all.map(|one| &one["ip"]).chain([&status["podIP"]])
    });
    addresses.filter_map(|text| text.as_str()?.parse().ok()).collect()
}

fn is_policy(object: &Value) -> bool {
    object["kind"] == "NetworkPolicy"
}
