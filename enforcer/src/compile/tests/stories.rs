//! The stories of NPEP-311, as verdict tables: which end reaches which, over all clusters, nodes and both families.
//!
//! `.` allowed, `X` refused, `s` an end to itself; `a` allowed by namespaces' sameness only, and refused where a bare
//! `podSelector` is local. The tables are the law: nothing here rewrites them.

use super::manifests::{Clusters, Node};
use crate::interpret::{Packet, Payload, passes};
use crate::ruleset::{Family, Ruleset};
use crate::switches::Switches;
use proto::model::Protocol;
use proto::selector::{self, BarePodSelector};
use std::collections::BTreeMap;
use std::net::IpAddr;

const WORLD: [(&str, &str); 3] = [
    ("cluster-a", include_str!("cluster-a.yaml")),
    ("cluster-b", include_str!("cluster-b.yaml")),
    ("pci", include_str!("pci.yaml")),
];

/// The outside host of the tables.
const OUTSIDE: &str = "198.51.100.7";

/// An end of a connection.
struct End {
    name: String,
    address: IpAddr,
    /// Where policies are enforced for it; for an outside host nowhere.
    node: Option<Node>,
}

/// The address of the same end in a family: everybody has `fd00::10:1:1:1` or the like beside `10.1.1.1`.
fn in_family(address: IpAddr, family: Family) -> IpAddr {
    match (address, family) {
        (IpAddr::V4(v4), Family::V6) => {
            let [a, b, c, d] = v4.octets().map(u16::from);
            IpAddr::from([0xfd00, 0, 0, 0, a, b, c, d])
        }
        (same, _) => same,
    }
}

fn ends(clusters: &Clusters) -> Vec<End> {
    let mut ends: Vec<End> = clusters
        .pods()
        .map(|(node, pod)| End {
            name: format!(
                "{}/{}/{}",
                node.cluster.as_str().trim_start_matches("cluster-"),
                pod.namespace,
                pod.name
            ),
            address: pod.addresses[0],
            node: Some(node),
        })
        .collect();
    ends.sort_by(|one, other| one.name.cmp(&other.name));
    ends.push(End {
        name: format!("outside ({OUTSIDE})"),
        address: OUTSIDE.parse().unwrap(),
        node: None,
    });
    ends
}

/// Whether a TCP connection passes on every node that it meets.
fn connects(rulesets: &BTreeMap<Node, Ruleset>, [source, destination]: [&End; 2], port: u16, family: Family) -> bool {
    let packet = Packet {
        source: in_family(source.address, family),
        destination: in_family(destination.address, family),
        payload: Payload::Ports {
            protocol: Protocol::Tcp.number(),
            source: 40_000,
            destination: port,
        },
        established: false,
    };
    [source, destination]
        .into_iter()
        .filter_map(|end| end.node.as_ref())
        .all(|node| passes(&rulesets[node], &packet))
}

fn table(clusters: &Clusters, port: u16, family: Family) -> String {
    let rulesets = [BarePodSelector::ClusterSet, BarePodSelector::Local].map(|bare_pod_selector| {
        clusters.rulesets(Switches {
            selectors: selector::Switches {
                bare_pod_selector,
                ..selector::Switches::default()
            },
            ..Switches::default()
        })
    });
    let ends = ends(clusters);
    let mut text = format!("{:<26}", format!("TCP {port}"));
    for number in 1..=ends.len() {
        text += &format!(" {number:>2}");
    }
    for (row, source) in ends.iter().enumerate() {
        text += &format!("\n{:>2}  {:<22}", row + 1, source.name);
        for destination in &ends {
            let connects = |rulesets| connects(rulesets, [source, destination], port, family);
            text += match rulesets.each_ref().map(connects) {
                [true, true] if source.name == destination.name => "  s",
                [true, true] => "  .",
                [true, false] => "  a",
                [false, true] => "  d",
                [false, false] => "  X",
            };
        }
    }
    text.push('\n');
    text
}

/// Judges a story, with its pods placed as written and each on a node of its own, in both families.
#[track_caller]
fn check(policies: &[(&str, &str)], tables: &[(u16, &str)]) {
    let mut clusters = Clusters::default();
    for (cluster, manifests) in WORLD.iter().chain(policies) {
        clusters.load(cluster, manifests);
    }
    clusters.add_addresses(|address| in_family(address, Family::V6));
    for placed in [clusters.clone(), clusters.one_pod_a_node()] {
        for (port, law) in tables {
            for family in Family::ALL {
                let judged = table(&placed, *port, family);
                assert!(judged == law.trim_start(), "{family}:\n{judged}\nshould be{law}");
            }
        }
    }
}

/// S98, S100: Story 1, a stretched application.
#[test]
fn a_stretched_application() {
    check(
        &[(
            "cluster-a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: database-from-frontends, namespace: shop}
spec:
  podSelector:
    matchLabels: {app: database}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector:
        matchLabels: {app: frontend}
      namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: shop}
    ports:
    - {protocol: TCP, port: 5432}
",
        )],
        &[(
            5432,
            "
TCP 5432                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  .  X  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  .  X  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  X  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  .  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  .  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  .  X  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  .  X  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  .  X  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  .  .  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  .  .  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  X  .  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  .  X  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  .  X  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  .  X  .  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

/// S19, S100: Story 1 with a bare podSelector.
#[test]
fn a_stretched_application_with_a_bare_pod_selector() {
    check(
        &[(
            "cluster-a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: database-from-frontends, namespace: shop}
spec:
  podSelector:
    matchLabels: {app: database}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector:
        matchLabels: {app: frontend}
    ports:
    - {protocol: TCP, port: 5432}
",
        )],
        &[(
            5432,
            "
TCP 5432                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  .  X  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  .  X  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  X  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  .  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  .  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  .  X  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  .  X  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  .  X  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  .  a  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  .  a  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  X  .  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  .  X  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  .  X  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  .  X  .  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

const CROSS_CLUSTER_BOUNDARY: &[(&str, &str)] = &[
    (
        "cluster-a",
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ledger-from-pci-billing, namespace: payments}
spec:
  podSelector:
    matchLabels: {app: ledger}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector:
        matchLabels: {app: billing}
      namespaceSelector:
        matchLabels: {cluster.clusterset.k8s.io/cluster-name: pci, kubernetes.io/metadata.name: billing}
    ports:
    - {protocol: TCP, port: 5432}
",
    ),
    (
        "pci",
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: billing-to-ledger-only, namespace: billing}
spec:
  podSelector:
    matchLabels: {app: billing}
  policyTypes: [Egress]
  egress:
  - to:
    - podSelector:
        matchLabels: {app: ledger}
      namespaceSelector:
        matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a, kubernetes.io/metadata.name: payments}
    ports:
    - {protocol: TCP, port: 5432}
",
    ),
];

/// S101, S116: Story 2, a boundary that both clusters enforce.
#[test]
fn a_cross_cluster_boundary() {
    check(
        CROSS_CLUSTER_BOUNDARY,
        &[(
            5432,
            "
TCP 5432                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  X  .  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  X  .  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  .  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  X  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  X  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  X  .  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  X  .  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  X  .  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  X  .  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  X  .  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   X  X  .  X  X  X  X  X  X  X  s  X  X  X
12  pci/billing/report-0    .  .  X  .  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  X  .  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  X  .  .  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

#[test]
fn a_cross_cluster_boundary_at_another_port() {
    check(
        CROSS_CLUSTER_BOUNDARY,
        &[(
            8080,
            "
TCP 8080                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  X  .  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  X  .  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  .  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  X  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  X  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  X  .  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  X  .  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  X  .  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  X  .  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  X  .  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   X  X  X  X  X  X  X  X  X  X  s  X  X  X
12  pci/billing/report-0    .  .  X  .  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  X  .  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  X  .  .  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

/// S106, N5: Story 2 with a false claim.
#[test]
fn a_cross_cluster_boundary_with_a_false_claim() {
    check(
        &[
            (
                "cluster-a",
                "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ledger-from-pci-billing, namespace: payments}
spec:
  podSelector:
    matchLabels: {app: ledger}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector:
        matchLabels: {app: billing}
      namespaceSelector:
        matchLabels: {cluster.clusterset.k8s.io/cluster-name: pci, kubernetes.io/metadata.name: billing}
    ports:
    - {protocol: TCP, port: 5432}
",
            ),
            (
                "cluster-b",
                "
apiVersion: v1
kind: Namespace
metadata:
  name: billing
  labels: {cluster.clusterset.k8s.io/cluster-name: pci}
",
            ),
        ],
        &[(
            5432,
            "
TCP 5432                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  X  .  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  X  .  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  .  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  X  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  X  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  X  .  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  X  .  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  X  .  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  X  .  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  X  .  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  .  .  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  X  .  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  X  .  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  X  .  .  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

/// S104: Story 3, local scope.
#[test]
fn local_scope() {
    check(
        &[(
            "cluster-a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: local-only, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - namespaceSelector:
        matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a}
  egress:
  - to:
    - namespaceSelector:
        matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a}
",
        )],
        &[(
            8080,
            "
TCP 8080                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  .  .  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  .  .  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  .  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  .  s  .  X  X  X  X  X  X  X  X  X
 5  a/shop/frontend-0       .  .  .  .  s  X  X  X  X  X  X  X  X  X
 6  b/billing/billing-0     .  .  .  X  X  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  .  X  X  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  .  X  X  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  .  X  X  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  .  X  X  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  X  X  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  .  X  X  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  .  X  X  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  .  X  X  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

/// S103: Story 3, too broad.
#[test]
fn a_policy_that_is_too_broad() {
    check(
        &[(
            "cluster-a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: too-broad, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {}
",
        )],
        &[(
            8080,
            "
TCP 8080                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  .  .  .  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  .  .  .  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  .  .  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       .  .  .  s  .  .  .  .  .  .  .  .  .  .
 5  a/shop/frontend-0       .  .  .  .  s  .  .  .  .  .  .  .  .  .
 6  b/billing/billing-0     .  .  .  .  .  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  .  .  .  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  .  .  .  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  .  .  .  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  .  .  .  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  .  .  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  .  .  .  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  .  .  .  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  .  X  X  .  .  .  .  .  .  .  .  s
",
        )],
    );
}

/// S98: Story 3, a deny-all.
#[test]
fn a_deny_all_stays_at_home() {
    check(
        &[(
            "cluster-a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: []
  egress: []
",
        )],
        &[(
            8080,
            "
TCP 8080                    1  2  3  4  5  6  7  8  9 10 11 12 13 14
 1  a/default/debug         s  .  .  X  X  .  .  .  .  .  .  .  .  .
 2  a/payments/billing-0    .  s  .  X  X  .  .  .  .  .  .  .  .  .
 3  a/payments/ledger-0     .  .  s  X  X  .  .  .  .  .  .  .  .  .
 4  a/shop/database-0       X  X  X  s  X  X  X  X  X  X  X  X  X  X
 5  a/shop/frontend-0       X  X  X  X  s  X  X  X  X  X  X  X  X  X
 6  b/billing/billing-0     .  .  .  X  X  s  .  .  .  .  .  .  .  .
 7  b/default/debug         .  .  .  X  X  .  s  .  .  .  .  .  .  .
 8  b/shop/database-0       .  .  .  X  X  .  .  s  .  .  .  .  .  .
 9  b/shop/frontend-0       .  .  .  X  X  .  .  .  s  .  .  .  .  .
10  b/shop/frontend-1       .  .  .  X  X  .  .  .  .  s  .  .  .  .
11  pci/billing/billing-0   .  .  .  X  X  .  .  .  .  .  s  .  .  .
12  pci/billing/report-0    .  .  .  X  X  .  .  .  .  .  .  s  .  .
13  pci/default/debug       .  .  .  X  X  .  .  .  .  .  .  .  s  .
14  outside (198.51.100.7)  .  .  .  X  X  .  .  .  .  .  .  .  .  s
",
        )],
    );
}
