//! Policies of a size that nobody writes by hand: what they cost in the kernel does not grow with what they say.

use super::manifests::{Clusters, Node, SMALL};
use crate::interpret::{Packet, passes};
use crate::ruleset::Ruleset;
use crate::switches::Switches;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What node n1 compiles with policies of the small world's namespace.
fn compiled(specs: impl IntoIterator<Item = Value>) -> Ruleset {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL {
        clusters.load(cluster, manifests);
    }
    for (number, spec) in specs.into_iter().enumerate() {
        let metadata = json!({"namespace": "shop", "name": format!("p{number}")});
        clusters.insert(
            "a",
            &json!({"kind": "NetworkPolicy", "metadata": metadata, "spec": spec}),
        );
    }
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    clusters.ruleset(&node, &BTreeSet::new(), Switches::default())
}

fn rules(ruleset: &Ruleset) -> usize {
    let chains = ruleset.tables.values().flat_map(|table| table.chains.values());
    chains.map(|chain| chain.rules.len()).sum()
}

fn admits(ruleset: &Ruleset, source: &str, destination: &str) -> bool {
    let packet = Packet::tcp(source.parse().unwrap(), destination.parse().unwrap());
    passes(ruleset, &packet)
}

/// P7: Selectors of 10,000 values and of 10,000 terms are a set each, of those whom they select.
#[test]
fn a_selector_of_ten_thousand_values_or_terms_is_one_set() {
    let peer = |selector: Value| json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": selector, "namespaceSelector": {}}]}]});
    let small = compiled([peer(json!({"matchLabels": {"app": "web"}}))]);
    let mut values: Vec<String> = (0..10_000).map(|number| format!("v{number}")).collect();
    values.push("web".to_owned());
    let of_values = json!({"matchExpressions": [{"key": "app", "operator": "In", "values": values}]});
    let mut terms: Vec<Value> = (0..10_000)
        .map(|number| json!({"key": format!("k{number}"), "operator": "DoesNotExist"}))
        .collect();
    terms.push(json!({"key": "app", "operator": "In", "values": ["web"]}));
    for selector in [of_values, json!({"matchExpressions": terms})] {
        let large = compiled([peer(selector)]);
        assert_eq!((rules(&large), large.sets.len()), (rules(&small), small.sets.len()));
        assert!(admits(&large, "10.2.1.1", "10.1.1.2"), "a web pod");
        assert!(!admits(&large, "10.2.2.2", "10.1.1.2"), "another");
    }
}

/// P15: 5,000 excepts of a block, and 100,000 blocks of 100 policies that overlap, are a handful of sets.
#[test]
fn many_blocks_and_excepts_are_few_sets() {
    let octets = |number: u32| format!("{}.{}", number / 250, number % 250);
    let excepts: Vec<String> = (0..5000).map(|number| format!("10.2.{}/32", octets(number))).collect();
    let block = json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": excepts}});
    let excepted = compiled([json!({"podSelector": {}, "ingress": [{"from": [block]}]})]);
    assert!(!admits(&excepted, "10.2.1.1", "10.1.1.2"));
    assert!(admits(&excepted, "10.2.200.1", "10.1.1.2"));
    assert!(excepted.sets.len() <= 2, "{} sets", excepted.sets.len());

    let overlapping = |policy: u32| {
        let blocks: Vec<Value> = (0..1000)
            .map(|number| json!({"ipBlock": {"cidr": format!("10.{}.0/{}", octets(policy * 500 + number), 20 + number % 13)}}))
            .collect();
        json!({"podSelector": {}, "ingress": [{"from": blocks}]})
    };
    let many = compiled((0..100).map(overlapping));
    assert!(rules(&many) <= 500, "{} rules", rules(&many));
    assert!(many.sets.len() <= 200, "{} sets", many.sets.len());
    assert!(admits(&many, "10.100.7.1", "10.1.1.2"));
    assert!(!admits(&many, "10.250.7.1", "10.1.1.2"));
}
