//! What `enforcer lint` says has no effect has none: in random worlds each piece that it finds idle is taken out, or written
//! as it says, and no verdict changes.
//!
//! `FINDINGS=<count>` tries more or fewer of them, `SEED=<seed>` begins with another world; a failure prints the seed of
//! its world.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::lint::{Finding, lint};
use enforcer::offline::{ClusterSet, End, Judge, Probe, Verdict};
use enforcer::switches::{EgressToLocalNode, Switches};
use proto::selector::{self, BarePodSelector, ClusterLabelMode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::worlds;

/// How many findings are tried by default.
const FINDINGS: usize = 500;

/// The most of one rule that are tried in one world.
const PER_WORLD: usize = 3;

/// The most ends of one world between which verdicts are compared.
const ENDS: usize = 14;

/// The rules whose findings say that something has no effect, or what has the same.
const IDLE: [&str; 14] = [
    "admits-nothing",
    "block-emptied",
    "cidr-read-otherwise",
    "contradictory-selector",
    "duplicate",
    "except-without-effect",
    "foreign-cluster-label",
    "matches-nobody",
    "name-label-contradicts",
    "open-to-everybody",
    "policy-types-by-default",
    "rules-ignored",
    "selects-nothing",
    "shadowed",
];

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this test reads the environment"
)]
fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// What becomes of the object that a finding is about.
enum Edit {
    /// It is another.
    Changed,
    /// It goes.
    Removed,
}

/// Makes of an object what a finding says is the same; `None`: its own text says that it does not hold for all switches.
fn edit(finding: &Finding, object: &mut Value, cluster: &str) -> Option<Edit> {
    let pointer = |field: &str| {
        format!(
            "/{}",
            field.replace("].", "/").replace(['.', '['], "/").replace(']', "")
        )
    };
    let at = pointer(&finding.field);
    let (parent, last) = at.rsplit_once('/').unwrap();
    match finding.rule.id {
        "selects-nothing" => return Some(Edit::Removed),
        "duplicate" if finding.field == "spec" => return Some(Edit::Removed),
        "contradictory-selector" if finding.field == "spec.podSelector" => return Some(Edit::Removed),
        // A peer that names nobody is void: in its place another one changes no index.
        "block-emptied" | "contradictory-selector" => *object.pointer_mut(parent).unwrap() = json!({}),
        "matches-nobody" => *object.pointer_mut(&at).unwrap() = json!({}),
        "admits-nothing" | "duplicate" => *object.pointer_mut(&at).unwrap() = json!({last: "void"}),
        "except-without-effect" => {
            object
                .pointer_mut(parent)
                .unwrap()
                .as_array_mut()
                .unwrap()
                .remove(last.parse().unwrap());
        }
        "cidr-read-otherwise" => {
            let (_, read) = finding.happens.split_once(" is read as ").unwrap();
            *object.pointer_mut(&at).unwrap() = read.split_once(": ").unwrap().0.into();
        }
        "foreign-cluster-label" if finding.happens.contains("is believed") => return None,
        "foreign-cluster-label" => {
            object["metadata"]["labels"]["cluster.clusterset.k8s.io/cluster-name"] = cluster.into()
        }
        "name-label-contradicts" => {
            object["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .remove("kubernetes.io/metadata.name");
        }
        "open-to-everybody" if object.pointer(&at).unwrap().is_object() => return None,
        "open-to-everybody" | "rules-ignored" => {
            object
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(last);
        }
        "policy-types-by-default" => object["spec"]["policyTypes"] = default_types(object, false),
        "shadowed" => {
            let open = finding.happens.contains("] admits everything");
            object["spec"][last] = if open { json!([{}]) } else { json!([]) };
            if object["spec"]["policyTypes"].as_array().is_none_or(Vec::is_empty) {
                object["spec"]["policyTypes"] = default_types(object, last == "egress");
            }
        }
        other => panic!("{other} is none of these"),
    }
    Some(Edit::Changed)
}

/// What a policy isolates without `policyTypes` (S5), or did before it lost its egress rules.
fn default_types(policy: &Value, had_egress: bool) -> Value {
    let rules = &policy["spec"]["egress"];
    // What is no list is a rule, though a void one.
    let no_rules = rules.is_null() || rules.as_array().is_some_and(Vec::is_empty);
    if no_rules && !had_egress {
        json!(["Ingress"])
    } else {
        json!(["Ingress", "Egress"])
    }
}

/// All verdicts of a world.
fn verdicts(world: &worlds::ClusterSet, switches: Switches, ends: &[End], probes: &[Probe]) -> Vec<Verdict> {
    let set = ClusterSet::new(&world.manifests(), switches);
    let judge = Judge::new(&set);
    let pairs = ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to)));
    let all = pairs.flat_map(|(from, to)| probes.iter().map(move |probe| (from, to, *probe)));
    all.map(|(from, to, probe)| judge.verdict(from, to, probe)).collect()
}

fn random_switches(rng: &mut fastrand::Rng) -> Switches {
    let modes = [
        ClusterLabelMode::Verify,
        ClusterLabelMode::Literal,
        ClusterLabelMode::Assert,
    ];
    Switches {
        selectors: selector::Switches {
            bare_pod_selector: rng
                .choice([BarePodSelector::ClusterSet, BarePodSelector::Local])
                .unwrap(),
            cluster_label: rng.choice(modes).unwrap(),
        },
        egress_to_local_node: rng
            .choice([EgressToLocalNode::Allow, EgressToLocalNode::Policy])
            .unwrap(),
    }
}

/// The place of the object that a finding is about, among those of its cluster.
fn place(finding: &Finding, objects: &[Value]) -> Option<usize> {
    let name = |object: &Value| {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str()?;
        Some(match metadata["namespace"].as_str() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        })
    };
    let is_meant = |object: &Value| {
        object["kind"].as_str() == finding.subject.kind && name(object).as_ref() == Some(&finding.subject.name)
    };
    let mut places = objects
        .iter()
        .enumerate()
        .filter(|(_, object)| is_meant(object))
        .map(|(place, _)| place);
    places.next().filter(|_| places.next().is_none())
}

/// S6, S8, S13, S16, S29, S38, S45, S60: what has no effect by the findings has none by the verdicts.
#[test]
fn what_is_said_to_have_no_effect_has_none() {
    let (wanted, first) = (variable("FINDINGS", FINDINGS), variable("SEED", 1));
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in first.. {
        if tried.values().sum::<usize>() >= wanted {
            break;
        }
        let seed = u64::try_from(seed).unwrap();
        let world = worlds::ClusterSet::random(seed).with_node_objects();
        let switches = random_switches(&mut fastrand::Rng::with_seed(seed));
        let manifests = world.manifests();
        let set = ClusterSet::new(&manifests, switches);
        let outside = world.outside().into_iter().map(End::Address);
        let mut ends: Vec<End> = set.ends().into_iter().chain(outside).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut ends);
        ends.truncate(ENDS);
        let probes = ["TCP/80", "TCP/8080/6", "UDP/81", "SCTP/80", "ICMP/0"].map(|probe| probe.parse().unwrap());
        let before = verdicts(&world, switches, &ends, &probes);
        let mut of_world: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in lint(&manifests, &set)
            .iter()
            .filter(|finding| IDLE.contains(&finding.rule.id))
        {
            let of_rule = of_world.entry(finding.rule.id).or_default();
            if *of_rule == PER_WORLD {
                continue;
            }
            let cluster = finding.subject.cluster.as_ref().unwrap().as_str();
            let mut edited = world.clone();
            let objects = &mut edited.clusters.get_mut(cluster).unwrap().objects;
            let Some(place) = place(finding, objects) else { continue };
            match edit(finding, &mut objects[place], cluster) {
                None => continue,
                Some(Edit::Changed) => {}
                Some(Edit::Removed) => {
                    objects.remove(place);
                }
            }
            *of_rule += 1;
            *tried.entry(finding.rule.id).or_default() += 1;
            let after = verdicts(&edited, switches, &ends, &probes);
            assert!(before == after, "SEED={seed} {switches:?}\n{finding:#?}\n{world}");
        }
    }
    println!("{tried:?}");
    let untried: Vec<&str> = IDLE.into_iter().filter(|rule| !tried.contains_key(rule)).collect();
    assert!(untried.is_empty(), "no world had {untried:?}: {tried:?}");
}
