//! The three formats, and what keeps them short.

use super::*;
use crate::lint::namespaces;
use expect_test::expect;
use serde_json::Value;
use std::path::Path;

fn small() -> Findings {
    World::new()
        .namespace("a/shop", "{}")
        .namespace("b/shop", "{cluster.clusterset.k8s.io/cluster-name: a}")
        .policy(
            "a/shop/p",
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}",
        )
        .lint()
}

#[test]
fn text_repeats_in_colour_what_it_says() {
    let findings = small();
    expect![[r#"
        Namespace a/shop   a/all.yaml:2
          warning  metadata.labels   namespace-without-cluster-label
                   no cluster label: selectors that name a do not match this namespace, NotIn and DoesNotExist on the label do
                   write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

        NetworkPolicy a/shop/p   a/all.yaml:4
          error    spec.ingress[0].from[0].ipBlock.cidr   void-piece
                   "10.0.0.0/33" is no CIDR; the peer matches nothing
          warning  spec.ingress[0]   admits-nothing
                   the rule admits nobody (one entry is void)
          note     spec.podSelector   selects-nothing
                   namespace shop has no pods: the policy has no effect

        Namespace b/shop   b/all.yaml:2
          error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                   the label says "a", but this namespace is b's; the claim does not count, its pods are matched as b's
                   write  labels: {cluster.clusterset.k8s.io/cluster-name: b}

        2 errors, 2 warnings, 1 note
    "#]].assert_eq(&text(&findings, Ink::Plain));
    let coloured = text(&findings, Ink::Colour);
    let mut plain = String::new();
    for part in coloured.split('\x1b') {
        plain += part
            .strip_prefix('[')
            .and_then(|rest| rest.split_once('m'))
            .map_or(part, |(_, rest)| rest);
    }
    assert_ne!(coloured, plain);
    assert_eq!(plain, text(&findings, Ink::Plain));
}

#[test]
fn json_has_every_part() {
    expect![[r#"
        {
          "findings": [
            {
              "rule": "namespace-without-cluster-label",
              "severity": "warning",
              "cluster": "a",
              "kind": "Namespace",
              "name": "shop",
              "location": {
                "file": "a/all.yaml",
                "document": 1,
                "line": 2
              },
              "field": "metadata.labels",
              "happens": "no cluster label: selectors that name a do not match this namespace, NotIn and DoesNotExist on the label do",
              "instead": "write  labels: {cluster.clusterset.k8s.io/cluster-name: a}"
            },
            {
              "rule": "void-piece",
              "severity": "error",
              "cluster": "a",
              "kind": "NetworkPolicy",
              "name": "shop/p",
              "location": {
                "file": "a/all.yaml",
                "document": 2,
                "line": 4
              },
              "field": "spec.ingress[0].from[0].ipBlock.cidr",
              "happens": "\"10.0.0.0/33\" is no CIDR; the peer matches nothing",
              "instead": null
            },
            {
              "rule": "admits-nothing",
              "severity": "warning",
              "cluster": "a",
              "kind": "NetworkPolicy",
              "name": "shop/p",
              "location": {
                "file": "a/all.yaml",
                "document": 2,
                "line": 4
              },
              "field": "spec.ingress[0]",
              "happens": "the rule admits nobody (one entry is void)",
              "instead": null
            },
            {
              "rule": "selects-nothing",
              "severity": "note",
              "cluster": "a",
              "kind": "NetworkPolicy",
              "name": "shop/p",
              "location": {
                "file": "a/all.yaml",
                "document": 2,
                "line": 4
              },
              "field": "spec.podSelector",
              "happens": "namespace shop has no pods: the policy has no effect",
              "instead": null
            },
            {
              "rule": "foreign-cluster-label",
              "severity": "error",
              "cluster": "b",
              "kind": "Namespace",
              "name": "shop",
              "location": {
                "file": "b/all.yaml",
                "document": 1,
                "line": 2
              },
              "field": "metadata.labels[\"cluster.clusterset.k8s.io/cluster-name\"]",
              "happens": "the label says \"a\", but this namespace is b's; the claim does not count, its pods are matched as b's",
              "instead": "write  labels: {cluster.clusterset.k8s.io/cluster-name: b}"
            }
          ],
          "omitted": {},
          "errors": 2,
          "warnings": 2,
          "notes": 1
        }
    "#]].assert_eq(&json(&small()));
}

#[test]
fn sarif_is_as_the_standard_has_it() {
    let log: Value = serde_json::from_str(&sarif(&small(), Path::new("./my clusters"))).unwrap();
    let run = &log["runs"][0];
    assert_eq!(
        (&log["version"], log["runs"].as_array().unwrap().len()),
        (&"2.1.0".into(), 1)
    );
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    expect![[r#"
        {
          "defaultConfiguration": {
            "level": "error"
          },
          "fullDescription": {
            "text": "Nothing of it is judged: a policy in it is not in force, a pod in it is an outside address. What stands beside it is read."
          },
          "help": {
            "text": "Nothing of it is judged: a policy in it is not in force, a pod in it is an outside address. What stands beside it is read."
          },
          "id": "unreadable",
          "shortDescription": {
            "text": "a folder, file, document or object that cannot be read"
          }
        }"#]].assert_eq(&serde_json::to_string_pretty(&rules[0]).unwrap());
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
    }
    expect![[r#"
        [
          {
            "level": "warning",
            "locations": [
              {
                "logicalLocations": [
                  {
                    "fullyQualifiedName": "Namespace a/shop metadata.labels",
                    "kind": "property",
                    "name": "metadata.labels"
                  }
                ],
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "my%20clusters/a/all.yaml"
                  },
                  "region": {
                    "startLine": 2
                  }
                }
              }
            ],
            "message": {
              "text": "Namespace a/shop: no cluster label: selectors that name a do not match this namespace, NotIn and DoesNotExist on the label do\nwrite  labels: {cluster.clusterset.k8s.io/cluster-name: a}"
            },
            "ruleId": "namespace-without-cluster-label",
            "ruleIndex": 9
          },
          {
            "level": "error",
            "locations": [
              {
                "logicalLocations": [
                  {
                    "fullyQualifiedName": "NetworkPolicy a/shop/p spec.ingress[0].from[0].ipBlock.cidr",
                    "kind": "property",
                    "name": "spec.ingress[0].from[0].ipBlock.cidr"
                  }
                ],
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "my%20clusters/a/all.yaml"
                  },
                  "region": {
                    "startLine": 4
                  }
                }
              }
            ],
            "message": {
              "text": "NetworkPolicy a/shop/p: \"10.0.0.0/33\" is no CIDR; the peer matches nothing"
            },
            "ruleId": "void-piece",
            "ruleIndex": 2
          },
          {
            "level": "warning",
            "locations": [
              {
                "logicalLocations": [
                  {
                    "fullyQualifiedName": "NetworkPolicy a/shop/p spec.ingress[0]",
                    "kind": "property",
                    "name": "spec.ingress[0]"
                  }
                ],
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "my%20clusters/a/all.yaml"
                  },
                  "region": {
                    "startLine": 4
                  }
                }
              }
            ],
            "message": {
              "text": "NetworkPolicy a/shop/p: the rule admits nobody (one entry is void)"
            },
            "ruleId": "admits-nothing",
            "ruleIndex": 17
          },
          {
            "level": "note",
            "locations": [
              {
                "logicalLocations": [
                  {
                    "fullyQualifiedName": "NetworkPolicy a/shop/p spec.podSelector",
                    "kind": "property",
                    "name": "spec.podSelector"
                  }
                ],
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "my%20clusters/a/all.yaml"
                  },
                  "region": {
                    "startLine": 4
                  }
                }
              }
            ],
            "message": {
              "text": "NetworkPolicy a/shop/p: namespace shop has no pods: the policy has no effect"
            },
            "ruleId": "selects-nothing",
            "ruleIndex": 15
          },
          {
            "level": "error",
            "locations": [
              {
                "logicalLocations": [
                  {
                    "fullyQualifiedName": "Namespace b/shop metadata.labels[\"cluster.clusterset.k8s.io/cluster-name\"]",
                    "kind": "property",
                    "name": "metadata.labels[\"cluster.clusterset.k8s.io/cluster-name\"]"
                  }
                ],
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "my%20clusters/b/all.yaml"
                  },
                  "region": {
                    "startLine": 2
                  }
                }
              }
            ],
            "message": {
              "text": "Namespace b/shop: the label says \"a\", but this namespace is b's; the claim does not count, its pods are matched as b's\nwrite  labels: {cluster.clusterset.k8s.io/cluster-name: b}"
            },
            "ruleId": "foreign-cluster-label",
            "ruleIndex": 10
          }
        ]"#]].assert_eq(&serde_json::to_string_pretty(&run["results"]).unwrap());
}

#[test]
fn sarif_names_files_from_where_the_program_started_if_it_can() {
    let uri = |folder: &str| {
        let log: Value = serde_json::from_str(&sarif(&small(), Path::new(folder))).unwrap();
        let location = &log["runs"][0]["results"][0]["locations"][0];
        location["physicalLocation"]["artifactLocation"]["uri"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(uri("."), "a/all.yaml");
    assert_eq!(uri("deploy/x"), "deploy/x/a/all.yaml");
    assert_eq!(uri("../x"), "a/all.yaml");
    assert_eq!(uri("/etc/x"), "a/all.yaml");
    assert_eq!(uri("ä"), "%C3%A4/a/all.yaml");
}

#[test]
fn a_fault_that_all_have_is_counted() {
    let mut world = World::new();
    for number in 0..MAX_FINDINGS_PER_RULE + 7 {
        world = world.namespace(&format!("a/n{number}"), "{}");
    }
    let findings = world.lint();
    assert_eq!(findings.iter().count(), MAX_FINDINGS_PER_RULE);
    assert_eq!(findings.count(Severity::Warning), MAX_FINDINGS_PER_RULE + 7);
    let last: Vec<String> = text(&findings, Ink::Plain)
        .lines()
        .rev()
        .take(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(
        last,
        [
            "0 errors, 507 warnings, 0 notes",
            "7 more of namespace-without-cluster-label are counted and not shown"
        ]
    );
    let log: Value = serde_json::from_str(&sarif(&findings, Path::new("."))).unwrap();
    let notifications = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"];
    assert_eq!(notifications[0]["associatedRule"]["id"], namespaces::UNLABELLED.id);
    let document: Value = serde_json::from_str(&json(&findings)).unwrap();
    assert_eq!(
        document["omitted"],
        serde_json::json!({"namespace-without-cluster-label": 7})
    );
}

#[test]
fn fields_stand_in_the_order_in_which_people_count() {
    let peers = ["{}"; 12].join(", ");
    let world = World::new().policy(
        "a/x/p",
        &format!("{{podSelector: {{}}, ingress: [{{from: [{peers}]}}]}}"),
    );
    let findings = world.lint();
    let fields: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.rule.id == "void-piece")
        .map(|finding| &*finding.field)
        .collect();
    let expected: Vec<String> = (0..12).map(|index| format!("spec.ingress[0].from[{index}]")).collect();
    assert_eq!(fields, expected);
}

#[test]
fn every_rule_has_an_id_of_its_own_and_words() {
    let ids: std::collections::BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(
            rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{}",
            rule.id
        );
        assert!(rule.help.ends_with('.') && !rule.finds.ends_with('.'), "{}", rule.id);
    }
}

/// P5: what a terminal would obey, and what is endless, is shown as what it is.
#[test]
fn names_cannot_forge_lines_or_colours() {
    let long = "x".repeat(1 << 20);
    let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "a\n\u{1b}[31merror"},
        "status": {"podIP": "::"}});
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": long}});
    let world = World::new()
        .document("a", &pod.to_string())
        .document("a", &namespace.to_string());
    let findings = world.lint();
    let shown = text(&findings, Ink::Plain);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    assert!(shown.len() < 40_000, "{} bytes", shown.len());
    assert!(
        shown.contains("Pod a/shop/a\\n\\u{1b}[31merror   a/all.yaml:2\n"),
        "{shown}"
    );
}

/// P24, P25, I18: 1,000 pods and 200 policies with every kind of fault are looked at in bounded time, and said in bounded
/// space.
#[test]
fn a_large_world_is_looked_at_at_once() {
    let mut world = World::new();
    for number in 0..1_000 {
        let (cluster, namespace) = (["a", "b", "c", "d"][number % 4], number / 4 % 50);
        let path = format!("{cluster}/n{namespace}/p{number}");
        let address = format!("10.{}.{}.1", number / 250, number % 250);
        let labels = format!("{{app: a{}, tier: t{}}}", number % 7, number % 3);
        world = world.pod(&path, &labels, &[&address, &format!("fd00::{number}")]);
    }
    let peers: Vec<String> = (0..4)
        .flat_map(|number| {
            [
                format!("{{podSelector: {{matchLabels: {{app: a{number}}}}}}}"),
                format!("{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: n{number}}}}}}}"),
                format!("{{ipBlock: {{cidr: 10.{number}.0.0/16}}}}"),
                "{namespaceSelector: {matchExpressions: [{key: none, operator: NotIn, values: [x]}]}}".to_owned(),
                "{ipBlock: {cidr: 10.0.0.0}}".to_owned(),
            ]
        })
        .collect();
    let rule = format!("{{from: [{}], ports: [{{port: http}}, {{}}]}}", peers.join(", "));
    for number in 0..200 {
        let path = format!("{}/n{}/p{number}", ["a", "b", "c", "d"][number % 4], number / 4);
        world = world.policy(&path, &format!("{{podSelector: {{}}, ingress: [{rule}, {rule}]}}"));
    }
    let findings = world.lint();
    assert!(findings.iter().count() <= RULES.len() * MAX_FINDINGS_PER_RULE);
    assert!(findings.count(Severity::Error) > 200 * 4);
    let longest = findings.iter().map(|finding| finding.happens.len()).max().unwrap();
    assert!(longest < 1_000, "{longest} characters in one finding");
}
