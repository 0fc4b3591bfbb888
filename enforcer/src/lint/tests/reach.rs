//! Peers that reach into other clusters, and selectors that reach nobody.

use super::*;
use crate::lint::{contradiction, nobody, reach, subjects, two_entries};
use expect_test::expect;
use proto::selector::BarePodSelector;

/// Two clusters with the same namespace, and one more that is only in the other.
fn two() -> World {
    World::new()
        .pod("a/shop/web", "{app: web}", &["10.1.0.1"])
        .pod("a/shop/db", "{app: db}", &["10.1.0.2"])
        .pod("b/shop/web-0", "{app: web}", &["10.2.0.1"])
        .pod("b/shop/web-1", "{app: web}", &["10.2.0.2"])
        .pod("b/pay/bill", "{app: bill}", &["10.2.0.3"])
}

fn ingress(peer: &str) -> String {
    format!("{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{peer}]}}]}}")
}

/// S19, L1: a bare podSelector that matches pods elsewhere, and none where it is local or matches none.
#[test]
fn bare_pod_selectors() {
    let bare = ingress("{podSelector: {matchLabels: {app: web}}}");
    let world = two().policy("a/shop/db", &bare);
    check(
        &world,
        &[&reach::BARE_POD_SELECTOR, &reach::EVERY_CLUSTER],
        expect![[r#"
            NetworkPolicy a/shop/db   a/all.yaml:6
              warning  spec.ingress[0].from[0]   bare-pod-selector
                       a bare podSelector reaches namespace shop of every cluster: it now admits 2 pods of b (b/shop/web-0, b/shop/web-1)
                       to keep it local add  namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: a, kubernetes.io/metadata.name: shop}}
                       to say that every cluster is meant add  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}, matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]}

            0 errors, 1 warning, 0 notes
        "#]],
    );
    silent(
        &world.bare_pod_selector(BarePodSelector::Local),
        &[&reach::BARE_POD_SELECTOR],
    );
    let local = ingress("{podSelector: {matchLabels: {app: db}}}");
    silent(&two().policy("a/shop/db", &local), &[&reach::BARE_POD_SELECTOR]);
}

/// S104: what a finding says to write instead is clean YAML, is found fault with by no rule about reach, and means what
/// it says: the own cluster, or all of them as before. Ids and names that YAML takes for something else are no exception.
#[test]
fn what_to_write_instead() {
    let rules: [&Rule; 2] = [&reach::BARE_POD_SELECTOR, &reach::EVERY_CLUSTER];
    let names = [("a", "b", "shop"), ("no", "1", "007"), ("1e3", "y", "true")];
    for (home, other, namespace) in names {
        for peer in ["podSelector: {matchLabels: {app: web}}", "namespaceSelector: {}"] {
            let world = |peer: &str| {
                World::new()
                    .pod(&format!("{home}/{namespace}/web"), "{app: web}", &["10.1.0.1"])
                    .pod(&format!("{other}/{namespace}/web"), "{app: web}", &["10.2.0.1"])
                    .policy(
                        &format!("{home}/{namespace}/p"),
                        &format!("{{ingress: [{{from: [{{{peer}}}]}}]}}"),
                    )
            };
            let findings = world(peer).lint();
            let finding = findings.iter().find(|finding| rules.contains(&finding.rule)).unwrap();
            let instead = finding.instead.as_ref().unwrap();
            let choices: Vec<&str> = instead.lines().map(|line| line.split_once("  ").unwrap().1).collect();
            let written = |choice: &str| match choice.strip_prefix("namespaceSelector: ") {
                Some(_) => format!("{peer}, {choice}"),
                None => format!("namespaceSelector: {{{choice}}}"),
            };
            let reached = |choice: &str| {
                let world = world(&written(choice));
                silent(&world, &rules);
                world.reached()
            };
            let own = format!("{home}/{namespace}/web");
            let mut both = vec![own.clone(), format!("{other}/{namespace}/web")];
            both.sort();
            assert_eq!(
                choices.iter().map(|choice| reached(choice)).collect::<Vec<_>>(),
                [vec![own], both],
                "{instead}"
            );
        }
    }
}

/// S103, S104: selectors that say nothing of clusters, as wide as they are.
#[test]
fn every_cluster() {
    let world = two()
        .policy("a/shop/all", &ingress("{namespaceSelector: {}}"))
        .policy(
            "a/shop/some",
            &ingress("{namespaceSelector: {}, podSelector: {matchLabels: {app: bill}}}"),
        )
        .policy(
            "a/shop/named",
            &ingress("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}"),
        )
        .policy(
            "a/shop/out",
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {}}]}]}",
        )
        .policy(
            "a/shop/local",
            &ingress("{namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}}}"),
        )
        .policy(
            "a/shop/none",
            &ingress("{namespaceSelector: {matchLabels: {none: such}}}"),
        );
    check(
        &world,
        &[&reach::EVERY_CLUSTER],
        expect![[r#"
            NetworkPolicy a/shop/all   a/all.yaml:6
              warning  spec.ingress[0].from[0].namespaceSelector   every-cluster
                       an empty namespaceSelector is every namespace of the whole ClusterSet: it now admits 3 pods of b (b/pay/bill, b/shop/web-0, b/shop/web-1)
                       to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}
                       to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

            NetworkPolicy a/shop/named   a/all.yaml:10
              note     spec.ingress[0].from[0].namespaceSelector   every-cluster
                       a namespaceSelector without the cluster label reaches every cluster: it now admits 2 pods of b (b/shop/web-0, b/shop/web-1)
                       to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}
                       to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

            NetworkPolicy a/shop/out   a/all.yaml:12
              warning  spec.egress[0].to[0].namespaceSelector   every-cluster
                       an empty namespaceSelector is every namespace of the whole ClusterSet: it now allows connections to 3 pods of b (b/pay/bill, b/shop/web-0, b/shop/web-1)
                       to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}
                       to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

            NetworkPolicy a/shop/some   a/all.yaml:8
              note     spec.ingress[0].from[0].namespaceSelector   every-cluster
                       an empty namespaceSelector is every namespace of the whole ClusterSet: it now admits 1 pod of b (b/pay/bill)
                       to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: a}
                       to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

            0 errors, 2 warnings, 2 notes
        "#]],
    );
}

/// S17, S70, S81: a podSelector without pods, and what it probably meant.
#[test]
fn policies_that_select_nothing() {
    let world = two()
        .pod_with(
            "a/batch/job",
            "{app: job}",
            &["10.1.0.9"],
            ["nodeName: node-1", "phase: Failed"],
        )
        .policy("a/shop/typo", "{podSelector: {matchLabels: {app: bd}}}")
        .policy("a/shop/key", "{podSelector: {matchLabels: {App: db}}}")
        .policy("a/shop/other", "{podSelector: {matchLabels: {app: bill}}}")
        .policy("a/none/empty", "{podSelector: {}}")
        .policy("a/batch/done", "{podSelector: {}}")
        .policy("a/shop/good", "{podSelector: {matchLabels: {app: db}}}");
    check(
        &world,
        &[&subjects::SELECTS_NOTHING],
        expect![[r#"
            NetworkPolicy a/batch/done   a/all.yaml:16
              note     spec.podSelector   selects-nothing
                       it selects only pods that are finished or on their node's network, which no policy isolates (a/batch/job)

            NetworkPolicy a/none/empty   a/all.yaml:14
              note     spec.podSelector   selects-nothing
                       namespace none has no pods: the policy has no effect

            NetworkPolicy a/shop/key   a/all.yaml:10
              note     spec.podSelector   selects-nothing
                       no live pod of namespace shop has these labels: the policy has no effect
                       perhaps the key is  app

            NetworkPolicy a/shop/other   a/all.yaml:12
              note     spec.podSelector   selects-nothing
                       no live pod of namespace shop has these labels: the policy has no effect

            NetworkPolicy a/shop/typo   a/all.yaml:8
              note     spec.podSelector   selects-nothing
                       no live pod of namespace shop has these labels: the policy has no effect
                       perhaps  app: db

            0 errors, 0 warnings, 5 notes
        "#]],
    );
}

/// P6: contradictory selectors, each in its own way; selectors that are only narrow.
#[test]
fn contradictions() {
    let peers = "{podSelector: {matchExpressions: [{key: k, operator: Exists}, {key: k, operator: DoesNotExist}]}},
        {podSelector: {matchLabels: {k: x}, matchExpressions: [{key: k, operator: In, values: [u, v]}]}},
        {namespaceSelector: {matchLabels: {k: x}, matchExpressions: [{key: k, operator: NotIn, values: [x]}]}},
        {podSelector: {matchExpressions: [{key: k, operator: In, values: [x, u]}, {key: k, operator: NotIn, values: [x]}]}},
        {podSelector: {matchExpressions: [{key: k, operator: NotIn, values: [x]}, {key: k, operator: DoesNotExist}]}}";
    let world = two().policy("a/shop/p", &ingress(peers)).policy(
        "a/shop/q",
        "{podSelector: {matchLabels: {k: x}, matchExpressions: [{key: k, operator: DoesNotExist}]}}",
    );
    check(
        &world,
        &[&contradiction::CONTRADICTORY, &subjects::SELECTS_NOTHING],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:6
              warning  spec.ingress[0].from[0].podSelector   contradictory-selector
                       it asks for k to be there and to be absent: it matches nothing
                       for one or the other write two entries; for nothing leave the entry away
              warning  spec.ingress[0].from[1].podSelector   contradictory-selector
                       it asks for values of k that it also excludes: it matches nothing
                       for one or the other write two entries; for nothing leave the entry away
              warning  spec.ingress[0].from[2].namespaceSelector   contradictory-selector
                       it asks for values of k that it also excludes: it matches nothing
                       for one or the other write two entries; for nothing leave the entry away

            NetworkPolicy a/shop/q   a/all.yaml:12
              warning  spec.podSelector   contradictory-selector
                       it asks for k to be there and to be absent: it matches nothing
                       for one or the other write two entries; for nothing leave the entry away

            0 errors, 4 warnings, 0 notes
        "#]],
    );
}

/// S32, S60: rules that admit nobody, and entries that do among others.
#[test]
fn rules_that_admit_nobody() {
    let world = two()
        .policy("a/shop/typo", &ingress("{podSelector: {matchLabels: {app: wbe}}}"))
        .policy(
            "a/shop/elsewhere",
            &ingress("{podSelector: {matchLabels: {app: bill}}}"),
        )
        .policy(
            "a/shop/namespace",
            &ingress("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shpo}}}"),
        )
        .policy("a/shop/void", &ingress("{}, {podSelector: {matchLabels: {app: none}}}"))
        .policy(
            "a/shop/some",
            &ingress("{podSelector: {matchLabels: {app: none}}}, {podSelector: {}}"),
        )
        .policy("a/shop/ports", "{podSelector: {}, ingress: [{ports: [{port: 0}]}]}")
        .policy("a/shop/block", &ingress("{ipBlock: {cidr: 192.0.2.0/24}}"))
        .policy(
            "a/shop/emptied",
            &ingress("{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/24]}}"),
        )
        .policy("a/shop/deny", "{podSelector: {}, ingress: []}");
    check(
        &world,
        &[&nobody::ADMITS_NOTHING, &nobody::MATCHES_NOBODY],
        expect![[r#"
            NetworkPolicy a/shop/elsewhere   a/all.yaml:8
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nobody (from[0]: no live pod of its namespaces has these labels)
                       pods with these labels are in namespace pay: to mean them add  namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: b, kubernetes.io/metadata.name: pay}}

            NetworkPolicy a/shop/emptied   a/all.yaml:20
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nobody (from[0]: its excepts leave nothing of the block)

            NetworkPolicy a/shop/namespace   a/all.yaml:10
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nobody (from[0]: no namespace with live pods has these labels)
                       perhaps  kubernetes.io/metadata.name: shop

            NetworkPolicy a/shop/ports   a/all.yaml:16
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nothing: none of its ports is understood

            NetworkPolicy a/shop/some   a/all.yaml:14
              note     spec.ingress[0].from[0]   matches-nobody
                       no live pod of its namespaces has these labels: this entry admits nobody

            NetworkPolicy a/shop/typo   a/all.yaml:6
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nobody (from[0]: no live pod of its namespaces has these labels)
                       perhaps  app: web

            NetworkPolicy a/shop/void   a/all.yaml:12
              warning  spec.ingress[0]   admits-nothing
                       the rule admits nobody (from[1]: no live pod of its namespaces has these labels, one entry is void)

            0 errors, 6 warnings, 1 note
        "#]],
    );
}

/// S71: a peer that means only host-network pods.
#[test]
fn host_network_peers() {
    let world = two()
        .pod_with(
            "a/shop/agent",
            "{app: agent}",
            &["192.168.0.1"],
            ["nodeName: node-1, hostNetwork: true", "phase: Running"],
        )
        .policy("a/shop/db", &ingress("{podSelector: {matchLabels: {app: agent}}}"));
    check(
        &world,
        &[&nobody::ADMITS_NOTHING],
        expect![[r#"
        NetworkPolicy a/shop/db   a/all.yaml:8
          warning  spec.ingress[0]   admits-nothing
                   the rule admits nobody (from[0]: it means only pods on their node's network, which no selector matches: a/shop/agent)
                   to admit their nodes, pods on the host network among them, write an ipBlock

        0 errors, 1 warning, 0 notes
    "#]],
    );
}

/// S22: two entries that were meant as one; two that make sense as they are.
#[test]
fn two_entries_meant_as_one() {
    let pay = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: pay}}}";
    let bill = "{podSelector: {matchLabels: {app: bill}}}";
    let world = two().pod("b/pay/other", "{app: other}", &["10.2.0.4"]);
    let rules: [&Rule; 2] = [&two_entries::TWO_ENTRIES, &nobody::MATCHES_NOBODY];
    check(
        &world.clone().policy("a/shop/db", &ingress(&format!("{pay}, {bill}"))),
        &rules,
        expect![[r#"
            NetworkPolicy a/shop/db   a/all.yaml:6
              warning  spec.ingress[0].from[0]   two-entries
                       this entry admits every pod of its namespaces, 2 pods (b/pay/bill, b/pay/other), and the podSelector in the entry beside it matches nobody by itself: as one entry they would admit 1 pod (b/pay/bill)
                       write both selectors in one entry: the second without a hyphen of its own
              note     spec.ingress[0].from[1]   matches-nobody
                       no live pod of its namespaces has these labels: this entry admits nobody
                       pods with these labels are in namespace pay: to mean them add  namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: b, kubernetes.io/metadata.name: pay}}

            0 errors, 1 warning, 1 note
        "#]],
    );
    check(
        &world.clone().policy("a/shop/db", &ingress(&format!("{bill}, {pay}"))),
        &rules,
        expect![[r#"
            NetworkPolicy a/shop/db   a/all.yaml:6
              warning  spec.ingress[0].from[1]   two-entries
                       this entry admits every pod of its namespaces, 2 pods (b/pay/bill, b/pay/other), and the podSelector in the entry beside it matches nobody by itself: as one entry they would admit 1 pod (b/pay/bill)
                       write both selectors in one entry: the second without a hyphen of its own
              note     spec.ingress[0].from[0]   matches-nobody
                       no live pod of its namespaces has these labels: this entry admits nobody
                       pods with these labels are in namespace pay: to mean them add  namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: b, kubernetes.io/metadata.name: pay}}

            0 errors, 1 warning, 1 note
        "#]],
    );
    // The policy's own namespace has such pods, so that the second entry by itself makes sense, whoever else has them.
    let web = "{podSelector: {matchLabels: {app: web}}}";
    let world = world.pod("b/pay/web", "{app: web}", &["10.2.0.5"]);
    silent(
        &world.clone().policy("a/shop/db", &ingress(&format!("{pay}, {web}"))),
        &rules,
    );
    let one = pay.replace(
        "{namespaceSelector",
        "{podSelector: {matchLabels: {app: bill}}, namespaceSelector",
    );
    silent(&world.policy("a/shop/db", &ingress(&one)), &rules);
}
