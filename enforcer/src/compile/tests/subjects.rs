//! Who is isolated, and who is a member: awkward pods, addresses and claims.

use super::manifests::{Clusters, Node, SMALL, compiled, compiled_with};
use crate::switches::{EgressToLocalNode, Switches};
use expect_test::{Expect, expect};
use proto::mirror::Mirror;
use proto::model::ClusterName;
use proto::selector::{self, BarePodSelector};
use std::collections::BTreeSet;

#[track_caller]
fn check(manifests: &str, expected: Expect) {
    expected.assert_eq(&compiled(manifests));
}

/// The ruleset of a node without policies, as the kernel gets it.
#[test]
fn nobody_isolated() {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL {
        clusters.load(cluster, manifests);
    }
    let node = Node {
        cluster: ClusterName::new("a").unwrap(),
        name: "n1".into(),
    };
    let ruleset = clusters.ruleset(&node, &BTreeSet::new(), Switches::default());
    expect![[r#"
        table ip bailey {
          map egress {
          }
          map ingress {
          }
          chain common {
            ct state established,related accept
            l4proto 17 sport 68 dport 67 accept
            l4proto 17 sport 67 dport 68 accept
          }
          chain egress {
            jump common
            saddr vmap @egress
          }
          chain ingress {
            jump common
            daddr vmap @ingress
          }
        }
        table ip6 bailey {
          map egress {
          }
          map ingress {
          }
          chain common {
            ct state established,related accept
            l4proto 58 icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept
            l4proto 17 sport 546 dport 547 accept
            l4proto 17 sport 547 dport 546 accept
          }
          chain egress {
            jump common
            saddr vmap @egress
          }
          chain ingress {
            jump common
            daddr vmap @ingress
          }
        }
    "#]]
    .assert_eq(&ruleset.to_string());
}

/// S120: Whatever the mirror saw before, and in whatever order.
#[test]
fn the_path_to_a_world_does_not_show() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: some}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}, {ports: [{port: http}]}]}
";
    let (a, b) = (ClusterName::new("a").unwrap(), ClusterName::new("b").unwrap());
    let node = Node {
        cluster: a.clone(),
        name: "n1".into(),
    };
    let mut clusters = Clusters::default();
    for (cluster, manifests) in SMALL.iter().chain(&[("a", policy)]) {
        clusters.load(cluster, manifests);
    }
    let mut earlier = clusters.clone();
    earlier.load(
        "b",
        "
kind: Pod
metadata: {namespace: shop, name: earlier, labels: {app: earlier}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.2.1.9}
",
    );
    let mut mirror = Mirror::new(a.clone());
    earlier.show(&b, &mut mirror);
    clusters.show(&a, &mut mirror);
    clusters.show(&b, &mut mirror);
    let none = BTreeSet::new();
    assert_eq!(
        clusters.ruleset_with(&mirror, &node, &none, Switches::default()),
        clusters.ruleset(&node, &none, Switches::default())
    );
}

/// S3, S70, S81, S98, S99: Pods of other namespaces, nodes and clusters, finished ones, and those on the host network.
#[test]
fn pods_that_are_no_subjects() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: other, name: in-other}
spec: {podSelector: {}}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: gone}}}
---
kind: Pod
metadata: {namespace: shop, name: done, labels: {app: gone}}
spec: {nodeName: n1}
status: {phase: Succeeded, podIP: 10.1.1.3}
---
kind: Pod
metadata: {namespace: shop, name: host, labels: {app: gone}}
spec: {nodeName: n1, hostNetwork: true}
status: {phase: Running, podIP: 10.1.1.4}
---
kind: Pod
metadata: {namespace: shop, name: elsewhere, labels: {app: gone}}
spec: {nodeName: n2}
status: {phase: Running, podIP: 10.1.1.5}
",
        expect![[r#"
            table ip bailey {
            }
            table ip6 bailey {
            }
        "#]],
    );
}

/// I7: An address of the node's own is neither isolated nor a member, whatever pod claims it.
#[test]
fn a_node_address_is_no_pods() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
";
    let compiled = compiled_with(&[("a", policy)], &["10.1.1.1", "fd00:1::2"], Switches::default());
    expect![[r#"
        set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
          10.2.1.1
        }
        set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
          fd00:1::1
          fd00:2::1
        }
        table ip bailey {
          map ingress {
            10.1.1.2 : goto ingress-10.1.1.2
          }
          chain ingress-10.1.1.2 {
            saddr 10.1.1.2 accept
            jump policy-wprq4cwwgqqacc4cmiqzf4tyto
            drop
          }
          chain policy-wprq4cwwgqqacc4cmiqzf4tyto {
            saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
          }
        }
        table ip6 bailey {
          map ingress {
            fd00:1::1 : goto ingress-fd00.1..1
          }
          chain ingress-fd00.1..1 {
            saddr fd00:1::1 accept
            jump policy-nob7xifzqs326tintjau3zpnrm
            drop
          }
          chain policy-nob7xifzqs326tintjau3zpnrm {
            saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
          }
        }
    "#]]
    .assert_eq(&compiled);
    // The same, told by a pod of the node.
    let told = "
kind: Pod
metadata: {namespace: tools, name: agent}
spec: {nodeName: n1, hostNetwork: true}
status: {phase: Running, hostIPs: [{ip: 10.1.1.1}], podIPs: [{ip: 10.1.1.1}, {ip: fd00:1::2}]}
";
    assert_eq!(
        compiled_with(&[("a", policy), ("a", told)], &[], Switches::default()),
        compiled
    );
}

/// I7: Who else says that an address is a node's is enough alone: the node's own pods while the mirror knows nothing of
/// them, and the mirror, which knows of pods on other nodes.
#[test]
fn a_node_address_is_no_pods_whoever_says_so() {
    let (a, b) = (ClusterName::new("a").unwrap(), ClusterName::new("b").unwrap());
    let node = Node {
        cluster: a.clone(),
        name: "n1".into(),
    };
    for (agents_node, shown) in [("n1", [&b].as_slice()), ("n2", &[&a, &b])] {
        let mut clusters = Clusters::default();
        let agent = format!(
            "
kind: NetworkPolicy
metadata: {{namespace: shop, name: deny}}
spec: {{podSelector: {{}}}}
---
kind: Pod
metadata: {{namespace: tools, name: agent}}
spec: {{nodeName: {agents_node}, hostNetwork: true}}
status: {{phase: Running, podIP: 10.1.1.1}}
"
        );
        for (cluster, manifests) in SMALL.iter().chain(&[("a", agent.as_str())]) {
            clusters.load(cluster, manifests);
        }
        let mut mirror = Mirror::new(a.clone());
        for cluster in shown {
            clusters.show(cluster, &mut mirror);
        }
        let told = ["10.1.1.1".parse().unwrap()].into();
        assert_eq!(
            clusters.ruleset_with(&mirror, &node, &BTreeSet::new(), Switches::default()),
            clusters.ruleset_with(&mirror, &node, &told, Switches::default()),
            "an agent on {agents_node}"
        );
    }
}

/// K11, S117: What a node of another cluster is refused is counted: it may be a pod whose address was translated.
#[test]
fn what_nodes_of_other_clusters_are_refused_is_counted() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}
";
    let agent = |addresses: &str| {
        format!(
            "
kind: Pod
metadata: {{namespace: tools, name: agent}}
spec: {{nodeName: n1, hostNetwork: true}}
status: {{phase: Running, podIPs: {addresses}}}
"
        )
    };
    // One address is a pod's of its own cluster, one a node's of the own cluster: neither is counted.
    let theirs = agent("[{ip: 192.0.2.9}, {ip: 192.0.2.1}, {ip: 10.1.1.2}, {ip: fd00:40::9}]");
    let ours = agent("[{ip: 192.0.2.1}]");
    let objects = [("a", policy), ("a", ours.as_str()), ("b", theirs.as_str())];
    expect![[r#"
        set bly4-zi7kgo6jithd4ys64b7ziau5ot hash:ip {
          192.0.2.9
        }
        set bly6-zi7kgo6jithd4ys64b7ziau5ot hash:ip {
          fd00:40::9
        }
        table ip bailey {
          map egress {
            10.1.1.2 : goto egress-10.1.1.2
          }
          map ingress {
            10.1.1.2 : goto ingress-10.1.1.2
          }
          chain egress-10.1.1.2 {
            daddr 10.1.1.2 accept
            drop
          }
          chain ingress-10.1.1.2 {
            saddr 10.1.1.2 accept
            saddr @bly4-zi7kgo6jithd4ys64b7ziau5ot jump other-nodes
            drop
          }
          chain other-nodes {
            counter drop
          }
        }
        table ip6 bailey {
          map egress {
            fd00:1::2 : goto egress-fd00.1..2
          }
          map ingress {
            fd00:1::2 : goto ingress-fd00.1..2
          }
          chain egress-fd00.1..2 {
            daddr fd00:1::2 accept
            drop
          }
          chain ingress-fd00.1..2 {
            saddr fd00:1::2 accept
            saddr @bly6-zi7kgo6jithd4ys64b7ziau5ot jump other-nodes
            drop
          }
          chain other-nodes {
            counter drop
          }
        }
    "#]]
    .assert_eq(&compiled_with(&objects, &[], Switches::default()));
    // Where no ingress is isolated nothing is counted, and no set is there for it.
    let egress = policy.replace("[Ingress, Egress]", "[Egress]");
    let compiled = |others| compiled_with(&[("a", egress.as_str()), others], &[], Switches::default());
    assert_eq!(compiled(("b", theirs.as_str())), compiled(("b", "")));
}

/// S83: It is the new pod's while the old one is still terminating.
#[test]
fn an_address_that_changes_hands() {
    check(
        r#"
kind: NetworkPolicy
metadata: {namespace: shop, name: for-old}
spec: {podSelector: {matchLabels: {app: old}}, policyTypes: [Ingress, Egress]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: for-new}
spec: {podSelector: {matchLabels: {app: new}}, ingress: [{ports: [{port: 80}]}]}
---
kind: Pod
metadata: {namespace: shop, name: old, labels: {app: old}, deletionTimestamp: "2026-01-01T00:00:00Z"}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.3}
---
kind: Pod
metadata: {namespace: shop, name: new, labels: {app: new}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.3}
"#,
        expect![[r#"
            table ip bailey {
              map ingress {
                10.1.1.3 : goto ingress-10.1.1.3
              }
              chain ingress-10.1.1.3 {
                saddr 10.1.1.3 accept
                jump policy-siopj5lipndrp7cikalz4squ6x
                drop
              }
              chain policy-siopj5lipndrp7cikalz4squ6x {
                l4proto 6 dport 80 accept
              }
            }
            table ip6 bailey {
            }
        "#]],
    );
}

/// S83: so it is if the new pod runs on another node: the old one's policies no longer isolate the address on its node.
#[test]
fn an_address_that_changes_hands_between_nodes() {
    let policy = r#"
kind: NetworkPolicy
metadata: {namespace: shop, name: for-old}
spec: {podSelector: {matchLabels: {app: old}}, policyTypes: [Ingress, Egress]}
---
kind: Pod
metadata: {namespace: shop, name: old, labels: {app: old}, deletionTimestamp: "2026-01-01T00:00:00Z"}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.3}
"#;
    let new = "
kind: Pod
metadata: {namespace: shop, name: new, labels: {app: new}}
spec: {nodeName: n2}
status: {phase: Running, podIP: 10.1.1.3}
";
    let isolates = |clusters: &[(&str, &str)]| {
        let compiled = compiled_with(clusters, &[], Switches::default());
        compiled.contains("10.1.1.3 : goto egress-10.1.1.3")
    };
    assert!(isolates(&[("a", policy)]));
    assert!(!isolates(&[("a", policy), ("a", new)]));
    // A pod of another cluster takes nothing over (S113).
    assert!(isolates(&[("a", policy), ("b", new)]));
}

/// S69, I5: A pod reaches itself by all addresses that are its alone, and not by one that may be another pod, here or
/// on another node.
#[test]
fn a_pod_of_several_addresses() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: many}}}
---
kind: Pod
metadata: {namespace: shop, name: many, labels: {app: many}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.1.1.3}, {ip: 10.1.1.4}, {ip: 10.1.1.5}, {ip: 10.1.1.6}]}
---
kind: Pod
metadata: {namespace: shop, name: other, labels: {app: other}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.1.1.5}]}
---
kind: Pod
metadata: {namespace: shop, name: elsewhere, labels: {app: other}}
spec: {nodeName: n2}
status: {phase: Running, podIPs: [{ip: 10.1.1.6}]}
",
        expect![[r#"
            table ip bailey {
              map ingress {
                10.1.1.3 : goto ingress-10.1.1.3
                10.1.1.4 : goto ingress-10.1.1.4
                10.1.1.5 : goto ingress-10.1.1.5
                10.1.1.6 : goto ingress-10.1.1.6
              }
              chain ingress-10.1.1.3 {
                saddr 10.1.1.3 accept
                saddr 10.1.1.4 accept
                drop
              }
              chain ingress-10.1.1.4 {
                saddr 10.1.1.3 accept
                saddr 10.1.1.4 accept
                drop
              }
              chain ingress-10.1.1.5 {
                saddr 10.1.1.5 accept
                drop
              }
              chain ingress-10.1.1.6 {
                saddr 10.1.1.6 accept
                drop
              }
            }
            table ip6 bailey {
            }
        "#]],
    );
}

/// I5: It admits what both pods admit.
#[test]
fn an_address_of_two_pods() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: one}
spec: {podSelector: {matchLabels: {app: one}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}, {ports: [{port: 80}]}]}
---
kind: NetworkPolicy
metadata: {namespace: shop, name: two}
spec: {podSelector: {matchLabels: {app: two}}, ingress: [{ports: [{port: 80}, {port: 81}]}]}
---
kind: Pod
metadata: {namespace: shop, name: one, labels: {app: one}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.3}
---
kind: Pod
metadata: {namespace: shop, name: two, labels: {app: two}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.3}
",
        expect![[r#"
            set bly4-lmxdg3dns4mbvlmkkvlfr5crgq hash:net {
              192.0.2.0/24
            }
            table ip bailey {
              map ingress {
                10.1.1.3 : goto ingress-10.1.1.3
              }
              chain ingress-10.1.1.3 {
                saddr 10.1.1.3 accept
                jump policy-46urfag53feuebks5fl2ysddyo
                drop
              }
              chain policy-46urfag53feuebks5fl2ysddyo {
                l4proto 6 dport 80 dport 80-81 accept
                l4proto 6 dport 80-81 saddr @bly4-lmxdg3dns4mbvlmkkvlfr5crgq accept
              }
            }
            table ip6 bailey {
            }
        "#]],
    );
}

/// I5: It is a member of what both are.
#[test]
fn a_member_that_two_pods_claim() {
    check(
        r"
kind: NetworkPolicy
metadata: {namespace: shop, name: deny}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}, {ports: [{port: http}]}, {to: [{podSelector: {matchLabels: {tier: front}}}]}]}
---
kind: Pod
metadata: {namespace: shop, name: one, labels: {app: web, tier: front}}
spec: {nodeName: n2, containers: [{ports: [{name: http, containerPort: 1}, {name: http, containerPort: 2}]}]}
status: {phase: Running, podIP: 10.1.1.3}
---
kind: Pod
metadata: {namespace: shop, name: two, labels: {app: job, tier: front}}
spec: {nodeName: n2, containers: [{ports: [{name: http, containerPort: 2}]}]}
status: {phase: Running, podIP: 10.1.1.3}
",
        expect![[r#"
            set bly4-554ahsldkfvkj6aorhr57ortxd hash:ip {
              10.1.1.3
            }
            set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              10.1.1.1
              10.2.1.1
            }
            set bly4-ksi3arhgxxtecupibpt4henmgh hash:ip,port {
              10.1.1.1,tcp:8080
              10.1.1.3,tcp:2
              10.2.1.1,tcp:9090
              10.2.2.2,tcp:8000
              10.2.2.2,tcp:8001
            }
            set bly6-554ahsldkfvkj6aorhr57ortxd hash:ip {
            }
            set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
              fd00:1::1
              fd00:2::1
            }
            set bly6-ksi3arhgxxtecupibpt4henmgh hash:ip,port {
              fd00:1::1,tcp:8080
              fd00:2::1,tcp:9090
            }
            table ip bailey {
              map egress {
                10.1.1.2 : goto egress-10.1.1.2
              }
              chain egress-10.1.1.2 {
                daddr 10.1.1.2 accept
                jump policy-pzch576tfozghi2ruqogtbbszc
                drop
              }
              chain policy-pzch576tfozghi2ruqogtbbszc {
                daddr @bly4-554ahsldkfvkj6aorhr57ortxd accept
                daddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
                daddr,dport @bly4-ksi3arhgxxtecupibpt4henmgh accept
              }
            }
            table ip6 bailey {
              map egress {
                fd00:1::2 : goto egress-fd00.1..2
              }
              chain egress-fd00.1..2 {
                daddr fd00:1::2 accept
                jump policy-a34pdezl5pkslncawazkq654ro
                drop
              }
              chain policy-a34pdezl5pkslncawazkq654ro {
                daddr @bly6-554ahsldkfvkj6aorhr57ortxd accept
                daddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
                daddr,dport @bly6-ksi3arhgxxtecupibpt4henmgh accept
              }
            }
        "#]],
    );
}

/// S113, I6: At home the own cluster's claim alone counts; elsewhere all must agree.
#[test]
fn addresses_that_two_clusters_claim() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: claims}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
";
    let rogue = "
kind: Pod
metadata: {namespace: shop, name: rogue, labels: {app: job}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.1.1}
---
kind: Pod
metadata: {namespace: shop, name: thief, labels: {app: job}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.2.1.1}
---
kind: Pod
metadata: {namespace: shop, name: twin, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.2.2.2}
";
    let twin = "
kind: Pod
metadata: {namespace: shop, name: twin, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.2.2.2}
";
    let compiled = compiled_with(&[("a", policy), ("c", rogue), ("d", twin)], &[], Switches::default());
    expect![[r#"
        set bly4-c2akighf7n6nmj4e73w4zcr25k hash:ip {
          10.1.1.1
        }
        set bly6-c2akighf7n6nmj4e73w4zcr25k hash:ip {
          fd00:1::1
          fd00:2::1
        }
        table ip bailey {
          map ingress {
            10.1.1.2 : goto ingress-10.1.1.2
          }
          chain ingress-10.1.1.2 {
            saddr 10.1.1.2 accept
            jump policy-wprq4cwwgqqacc4cmiqzf4tyto
            drop
          }
          chain policy-wprq4cwwgqqacc4cmiqzf4tyto {
            saddr @bly4-c2akighf7n6nmj4e73w4zcr25k accept
          }
        }
        table ip6 bailey {
          map ingress {
            fd00:1::2 : goto ingress-fd00.1..2
          }
          chain ingress-fd00.1..2 {
            saddr fd00:1::2 accept
            jump policy-nob7xifzqs326tintjau3zpnrm
            drop
          }
          chain policy-nob7xifzqs326tintjau3zpnrm {
            saddr @bly6-c2akighf7n6nmj4e73w4zcr25k accept
          }
        }
    "#]]
    .assert_eq(&compiled);
}

/// S19: The switch narrows bare `podSelector`s and nothing else.
#[test]
fn a_local_bare_pod_selector() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: local}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}]}
";
    let switches = Switches {
        selectors: selector::Switches {
            bare_pod_selector: BarePodSelector::Local,
            ..selector::Switches::default()
        },
        ..Switches::default()
    };
    expect![[r#"
        set bly4-vsu5epu5ay6u6vrmz7rp6dokyi hash:ip {
          10.1.1.1
          10.1.1.2
          10.2.1.1
        }
        set bly4-yimi2e22g4qswlhfafdwawcoow hash:ip {
          10.1.1.1
          10.1.1.2
        }
        set bly6-vsu5epu5ay6u6vrmz7rp6dokyi hash:ip {
          fd00:1::1
          fd00:1::2
          fd00:2::1
        }
        set bly6-yimi2e22g4qswlhfafdwawcoow hash:ip {
          fd00:1::1
          fd00:1::2
        }
        table ip bailey {
          map ingress {
            10.1.1.2 : goto ingress-10.1.1.2
          }
          chain ingress-10.1.1.2 {
            saddr 10.1.1.2 accept
            jump policy-nl644evue3qdy6pywqqsmgy4ii
            drop
          }
          chain policy-nl644evue3qdy6pywqqsmgy4ii {
            saddr @bly4-vsu5epu5ay6u6vrmz7rp6dokyi accept
            saddr @bly4-yimi2e22g4qswlhfafdwawcoow accept
          }
        }
        table ip6 bailey {
          map ingress {
            fd00:1::2 : goto ingress-fd00.1..2
          }
          chain ingress-fd00.1..2 {
            saddr fd00:1::2 accept
            jump policy-bkecag2mrd32lhlk4jpxil5h67
            drop
          }
          chain policy-bkecag2mrd32lhlk4jpxil5h67 {
            saddr @bly6-vsu5epu5ay6u6vrmz7rp6dokyi accept
            saddr @bly6-yimi2e22g4qswlhfafdwawcoow accept
          }
        }
    "#]]
    .assert_eq(&compiled_with(&[("a", policy)], &[], switches));
}

/// S68, S71, L6: with the switch a chain on input sends what a pod sends to its own node to the chains of its egress. All
/// else is as without.
#[test]
fn egress_to_the_own_node_as_policies_say() {
    let policy = "
kind: NetworkPolicy
metadata: {namespace: shop, name: out}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Egress]
  egress: [{to: [{namespaceSelector: {}}, {ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: http}, {port: 53, protocol: UDP}]}]
";
    let compiled = |egress_to_local_node| {
        let switches = Switches {
            egress_to_local_node,
            ..Switches::default()
        };
        compiled_with(&[("a", policy)], &["192.0.2.1", "10.1.1.1"], switches)
    };
    let judged = compiled(EgressToLocalNode::Policy);
    expect![[r#"
        set bly4-4p4xhcyuy6de46sfvaefley5kn hash:ip,port {
        }
        set bly4-6tz7srzxysbi7gjwz32jsbivin hash:net {
          192.0.2.1/32
        }
        set bly4-mjxssrjpsviiyopk3fnyh4237n hash:ip,port {
          10.2.1.1,tcp:9090
          10.2.2.2,tcp:8000
          10.2.2.2,tcp:8001
        }
        set bly4-qsbcyx5ksylprnncsdskyyvvw6 hash:ip {
          10.1.1.2
          10.2.1.1
          10.2.2.2
        }
        set bly6-mjxssrjpsviiyopk3fnyh4237n hash:ip,port {
          fd00:1::1,tcp:8080
          fd00:2::1,tcp:9090
        }
        set bly6-qsbcyx5ksylprnncsdskyyvvw6 hash:ip {
          fd00:1::1
          fd00:1::2
          fd00:2::1
        }
        table ip bailey {
          map egress {
            10.1.1.2 : goto egress-10.1.1.2
          }
          chain egress-10.1.1.2 {
            daddr 10.1.1.2 accept
            jump policy-zopwniwoenw6eui6bohllnxnm2
            drop
          }
          chain input {
            jump common
            saddr vmap @egress
          }
          chain policy-zopwniwoenw6eui6bohllnxnm2 {
            l4proto 17 dport 53 daddr @bly4-6tz7srzxysbi7gjwz32jsbivin accept
            l4proto 17 dport 53 daddr @bly4-qsbcyx5ksylprnncsdskyyvvw6 accept
            daddr,dport @bly4-4p4xhcyuy6de46sfvaefley5kn accept
            daddr,dport @bly4-mjxssrjpsviiyopk3fnyh4237n accept
          }
        }
        table ip6 bailey {
          map egress {
            fd00:1::2 : goto egress-fd00.1..2
          }
          chain egress-fd00.1..2 {
            daddr fd00:1::2 accept
            jump policy-rzcp3h5qvt4xc6lfbo5jsllpvv
            drop
          }
          chain input {
            jump common
            saddr vmap @egress
          }
          chain policy-rzcp3h5qvt4xc6lfbo5jsllpvv {
            l4proto 17 dport 53 daddr @bly6-qsbcyx5ksylprnncsdskyyvvw6 accept
            daddr,dport @bly6-mjxssrjpsviiyopk3fnyh4237n accept
          }
        }
    "#]]
    .assert_eq(&judged);
    let input = "  chain input {\n    jump common\n    saddr vmap @egress\n  }\n";
    assert_eq!(judged.matches(input).count(), 2, "in both families");
    assert_eq!(judged.replace(input, ""), compiled(EgressToLocalNode::Allow));
}
