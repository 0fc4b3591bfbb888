//! What people and programs are told, word by word: the stories of the repository, and a small world of awkward ends and
//! pieces. That the reasons are right in random worlds is shown elsewhere (`tests/tests/explain.rs`).

use super::answer::{Answer, Question};
use super::telling::answer;
use super::text;
use crate::offline::clusterset::ClusterSet;
use crate::offline::judge::Judge;
use crate::offline::manifests::{Manifests, parse};
use crate::screen::Ink;
use crate::switches::{EgressToLocalNode, Switches};
use expect_test::{Expect, expect};
use proto::model::ClusterName;
use proto::selector::{self, BarePodSelector, ClusterLabelMode};
use std::path::Path;

/// Clusters, pods and one story of `tests/worlds`.
fn story(name: &str) -> Manifests {
    let worlds = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/worlds"));
    let mut manifests = Manifests::read(&worlds.join("stories")).unwrap();
    for (cluster, objects) in Manifests::read(&worlds.join(name)).unwrap().clusters {
        let all = manifests.clusters.entry(cluster).or_default();
        for object in objects {
            all.retain(|other| {
                (other.kind, &other.namespace, &other.name) != (object.kind, &object.namespace, &object.name)
            });
            all.push(object);
        }
    }
    manifests
}

fn world(clusters: &[(&str, &str)]) -> Manifests {
    let mut manifests = Manifests::default();
    for (name, yaml) in clusters {
        let name = ClusterName::new(name).unwrap();
        let parsed = parse::file(&name, Path::new("world.yaml").into(), yaml.as_bytes());
        assert_eq!(parsed.complaints, []);
        let objects = parsed.objects.into_iter().map(Into::into);
        manifests.clusters.entry(name).or_default().extend(objects);
    }
    manifests
}

fn asked(manifests: &Manifests, switches: Switches, [from, to, probe]: [&str; 3]) -> Answer {
    let set = ClusterSet::new(manifests, switches);
    let question = Question {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        probe: probe.parse().unwrap(),
    };
    let answer = answer(&set, &Judge::new(&set), &question);
    assert_eq!(answer.contradiction, None);
    answer
}

#[track_caller]
fn check(manifests: &Manifests, question: [&str; 3], expected: Expect) {
    check_with(manifests, Switches::default(), question, expected);
}

#[track_caller]
fn check_with(manifests: &Manifests, switches: Switches, question: [&str; 3], expected: Expect) {
    let text = text::render(&asked(manifests, switches, question), Ink::Plain) + "\n";
    expected.assert_eq(&text);
}

const LOCAL: Switches = Switches {
    selectors: selector::Switches {
        bare_pod_selector: BarePodSelector::Local,
        cluster_label: ClusterLabelMode::Verify,
    },
    egress_to_local_node: EgressToLocalNode::Allow,
};

const OWN_NODE_JUDGED: Switches = Switches {
    selectors: selector::Switches {
        bare_pod_selector: BarePodSelector::ClusterSet,
        cluster_label: ClusterLabelMode::Verify,
    },
    egress_to_local_node: EgressToLocalNode::Policy,
};

/// S19, S100: a bare podSelector admits the pods of a like-named namespace.
#[test]
fn allowed_by_a_selector_across_clusters() {
    check(
        &story("story-1-bare-selector"),
        ["cluster-b/shop/frontend-0", "cluster-a/shop/database-0", "TCP/5432"],
        expect![[r#"
            cluster-b/shop/frontend-0 → cluster-a/shop/database-0  TCP/5432 over IPv4: allowed

            egress   of cluster-b/shop/frontend-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/shop/database-0: allowed; isolated by shop/database-from-frontends, which admits it
              shop/database-from-frontends
                spec.ingress[0] admits it
                  ok  from[0]   pods with app=frontend in namespace shop of every cluster
                  ok  ports[0]  TCP/5432

            Addresses
              source       10.2.1.2  cluster-b/shop/frontend-0, on node cluster-b/node-1
              destination  10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

#[test]
fn refused_by_the_cluster_that_a_bare_selector_does_not_reach() {
    check_with(
        &story("story-1-bare-selector"),
        LOCAL,
        ["cluster-b/shop/frontend-0", "cluster-a/shop/database-0", "TCP/5432"],
        expect![[r#"
            cluster-b/shop/frontend-0 → cluster-a/shop/database-0  TCP/5432 over IPv4: refused by ingress at cluster-a

            egress   of cluster-b/shop/frontend-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/shop/database-0: refused; isolated by shop/database-from-frontends, which does not admit it
              shop/database-from-frontends
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=frontend in namespace shop of cluster-a
                                the source is in cluster cluster-b, where --bare-pod-selector local does not reach
                  ok  ports[0]  TCP/5432
              shop/database-from-frontends spec.ingress[0] would admit it if the source were in cluster cluster-a

            Addresses
              source       10.2.1.2  cluster-b/shop/frontend-0, on node cluster-b/node-1
              destination  10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

#[test]
fn refused_by_a_label_and_a_port() {
    check(
        &story("story-1"),
        ["cluster-b/shop/batch-0", "cluster-a/shop/database-0", "TCP/5433/6"],
        expect![[r#"
            cluster-b/shop/batch-0 → cluster-a/shop/database-0  TCP/5433/6: refused by ingress at cluster-a

            egress   of cluster-b/shop/batch-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/shop/database-0: refused; isolated by shop/database-from-frontends, which does not admit it
              shop/database-from-frontends
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=frontend in namespaces with kubernetes.io/metadata.name=shop
                                the source has app=batch
                  no  ports[0]  TCP/5432
                                this is TCP/5433
              shop/database-from-frontends spec.ingress[0] would admit it if the source had app=frontend, and this were TCP/5432

            Addresses
              source       fd00:10:2:1::4  cluster-b/shop/batch-0, on node cluster-b/node-2
              destination  fd00:10:1:1::1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

#[test]
fn refused_by_a_namespace() {
    check(
        &story("story-1"),
        ["cluster-b/billing/billing-0", "cluster-a/shop/database-0", "TCP/5432"],
        expect![[r#"
            cluster-b/billing/billing-0 → cluster-a/shop/database-0  TCP/5432 over IPv4: refused by ingress at cluster-a

            egress   of cluster-b/billing/billing-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/shop/database-0: refused; isolated by shop/database-from-frontends, which does not admit it
              shop/database-from-frontends
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=frontend in namespaces with kubernetes.io/metadata.name=shop
                                the source is in namespace billing and has app=billing
                  ok  ports[0]  TCP/5432
              shop/database-from-frontends spec.ingress[0] would admit it if the source were in namespace shop and had app=frontend

            Addresses
              source       10.2.2.4  cluster-b/billing/billing-0, on node cluster-b/node-1
              destination  10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

/// S101: a look-alike of another cluster.
#[test]
fn refused_by_a_cluster() {
    check(
        &story("story-2"),
        ["cluster-b/billing/billing-0", "cluster-a/payments/ledger-0", "TCP/5432"],
        expect![[r#"
            cluster-b/billing/billing-0 → cluster-a/payments/ledger-0  TCP/5432 over IPv4: refused by ingress at cluster-a

            egress   of cluster-b/billing/billing-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/payments/ledger-0: refused; isolated by payments/ledger-from-pci-billing, which does not admit it
              payments/ledger-from-pci-billing
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=billing in namespaces with cluster.clusterset.k8s.io/cluster-name=pci and kubernetes.io/metadata.name=billing
                                the source is in cluster cluster-b
                  ok  ports[0]  TCP/5432
              payments/ledger-from-pci-billing spec.ingress[0] would admit it if the source were in cluster pci

            Addresses
              source       10.2.2.4  cluster-b/billing/billing-0, on node cluster-b/node-1
              destination  10.1.2.3  cluster-a/payments/ledger-0, on node cluster-a/node-1
        "#]],
    );
}

/// S106: the claim of a namespace to be another cluster's does not count, and is named.
#[test]
fn refused_by_a_claim_that_does_not_count() {
    check(
        &story("story-2-false-claim"),
        ["cluster-b/billing/billing-0", "cluster-a/payments/ledger-0", "TCP/5432"],
        expect![[r#"
            cluster-b/billing/billing-0 → cluster-a/payments/ledger-0  TCP/5432 over IPv4: refused by ingress at cluster-a

            egress   of cluster-b/billing/billing-0: allowed; no policy of cluster-b selects it for egress

            ingress  of cluster-a/payments/ledger-0: refused; isolated by payments/ledger-from-pci-billing, which does not admit it
              payments/ledger-from-pci-billing
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=billing in namespaces with cluster.clusterset.k8s.io/cluster-name=pci and kubernetes.io/metadata.name=billing
                                the source is in cluster cluster-b; that its namespace is labelled pci does not count
                  ok  ports[0]  TCP/5432
              payments/ledger-from-pci-billing spec.ingress[0] would admit it if the source were in cluster pci

            Addresses
              source       10.2.2.4  cluster-b/billing/billing-0, on node cluster-b/node-1
              destination  10.1.2.3  cluster-a/payments/ledger-0, on node cluster-a/node-1
        "#]],
    );
}

/// S116: each end's cluster has its half.
#[test]
fn both_halves_of_a_boundary() {
    let manifests = story("story-2");
    check(
        &manifests,
        ["pci/billing/billing-0", "cluster-a/payments/ledger-0", "TCP/5432"],
        expect![[r#"
            pci/billing/billing-0 → cluster-a/payments/ledger-0  TCP/5432 over IPv4: allowed

            egress   of pci/billing/billing-0: allowed; isolated by billing/billing-to-ledger-only, which admits it
              billing/billing-to-ledger-only
                spec.egress[0] admits it
                  ok  to[0]     pods with app=ledger in namespaces with cluster.clusterset.k8s.io/cluster-name=cluster-a and kubernetes.io/metadata.name=payments
                  ok  ports[0]  TCP/5432

            ingress  of cluster-a/payments/ledger-0: allowed; isolated by payments/ledger-from-pci-billing, which admits it
              payments/ledger-from-pci-billing
                spec.ingress[0] admits it
                  ok  from[0]   pods with app=billing in namespaces with cluster.clusterset.k8s.io/cluster-name=pci and kubernetes.io/metadata.name=billing
                  ok  ports[0]  TCP/5432

            Addresses
              source       10.3.1.1  pci/billing/billing-0, on node pci/node-1
              destination  10.1.2.3  cluster-a/payments/ledger-0, on node cluster-a/node-1
        "#]],
    );
    check(
        &manifests,
        ["pci/billing/billing-0", "ip:198.51.100.7", "TCP/443"],
        expect![[r#"
            pci/billing/billing-0 → ip:198.51.100.7  TCP/443 over IPv4: refused by egress at pci

            egress   of pci/billing/billing-0: refused; isolated by billing/billing-to-ledger-only, which does not admit it
              billing/billing-to-ledger-only
                spec.egress[0] does not admit it
                  no  to[0]     pods with app=ledger in namespaces with cluster.clusterset.k8s.io/cluster-name=cluster-a and kubernetes.io/metadata.name=payments
                                198.51.100.7 is outside every cluster, and selectors match pods only
                  no  ports[0]  TCP/5432
                                this is TCP/443
              billing/billing-to-ledger-only spec.egress[0] would admit it if one of its peers were an ipBlock that holds 198.51.100.7, and this were TCP/5432

            ingress  of ip:198.51.100.7: allowed; 198.51.100.7 is outside every cluster, where nobody's policies isolate it

            Addresses
              source       10.3.1.1      pci/billing/billing-0, on node pci/node-1
              destination  198.51.100.7  no live pod's and no node's
        "#]],
    );
}

/// S9, S98: a policy without rules, on both sides.
#[test]
fn refused_by_policies_without_rules() {
    check(
        &story("story-3-deny-all"),
        ["cluster-a/shop/frontend-0", "cluster-a/shop/database-0", "UDP/53"],
        expect![[r#"
            cluster-a/shop/frontend-0 → cluster-a/shop/database-0  UDP/53 over IPv4: refused by egress at cluster-a and by ingress at cluster-a

            egress   of cluster-a/shop/frontend-0: refused; isolated by shop/deny, which does not admit it
              shop/deny has no rules, and admits nothing
              It takes another rule to admit it: these policies have none that could.

            ingress  of cluster-a/shop/database-0: refused; isolated by shop/deny, which does not admit it
              shop/deny has no rules, and admits nothing
              It takes another rule to admit it: these policies have none that could.

            Addresses
              source       10.1.1.2  cluster-a/shop/frontend-0, on node cluster-a/node-1
              destination  10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

/// S32: no selector matches what no pod is behind.
#[test]
fn refused_because_it_comes_from_outside() {
    check(
        &story("story-3"),
        ["ip:198.51.100.7", "cluster-a/shop/database-0", "ICMP/0"],
        expect![[r#"
            ip:198.51.100.7 → cluster-a/shop/database-0  ICMP/0 over IPv4: refused by ingress at cluster-a

            egress   of ip:198.51.100.7: allowed; 198.51.100.7 is outside every cluster, where nobody's policies isolate it

            ingress  of cluster-a/shop/database-0: refused; isolated by shop/local-only, which does not admit it
              shop/local-only
                spec.ingress[0] does not admit it
                  no  from[0]   every pod in namespaces with cluster.clusterset.k8s.io/cluster-name=cluster-a
                                198.51.100.7 is outside every cluster, and selectors match pods only
                  ok  ports     every port and protocol
              shop/local-only spec.ingress[0] would admit it if one of its peers were an ipBlock that holds 198.51.100.7

            Addresses
              source       198.51.100.7  no live pod's and no node's
              destination  10.1.1.1      cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

/// S69: whatever policies say.
#[test]
fn a_pod_and_itself() {
    check(
        &story("story-3-deny-all"),
        ["cluster-a/shop/database-0", "cluster-a/shop/database-0", "TCP/1"],
        expect![[r#"
            cluster-a/shop/database-0 → cluster-a/shop/database-0  TCP/1 over IPv4: allowed

            egress   of cluster-a/shop/database-0: allowed; a pod reaches itself, whatever policies say

            ingress  of cluster-a/shop/database-0: allowed; a pod reaches itself, whatever policies say

            Addresses
              source       10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
              destination  10.1.1.1  cluster-a/shop/database-0, on node cluster-a/node-1
        "#]],
    );
}

/// Two clusters of awkward pods, and policies for some of them.
fn awkward() -> Manifests {
    world(&[("a", AWKWARD_A), ("b", AWKWARD_B)])
}

const AWKWARD_A: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {cluster.clusterset.k8s.io/cluster-name: a, tier: front}}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}, {type: Hostname, address: n1}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: db, labels: {app: db}}
spec: {nodeName: n1, containers: [{name: c, ports: [{name: sql, containerPort: 5432}, {name: sql, containerPort: 5433, protocol: UDP}]}]}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: 'fd00:1::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec: {nodeName: n2}
status: {phase: Running, podIPs: [{ip: 10.1.0.2}], hostIP: 192.168.0.2}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: agent, labels: {app: web}}
spec: {nodeName: n1, hostNetwork: true}
status: {phase: Running, podIPs: [{ip: 192.168.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: job, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Succeeded, podIPs: [{ip: 10.1.0.3}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: going, deletionTimestamp: '2026-01-01T00:00:00Z'}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.1.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: new}
spec: {}
status: {phase: Pending, podIPs: []}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: forger}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 192.168.0.1}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - namespaceSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}
      podSelector: {matchExpressions: [{key: app, operator: In, values: [web, cache]}, {key: old, operator: DoesNotExist}]}
    - ipBlock: {cidr: 10.0.0.0/33}
    - ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.64/26, 198.51.100.7/32]}
    - {}
    ports: [{port: sql}, {port: 80, endPort: 79}]
  - later: true
  egress:
  - to: [{ipBlock: {cidr: '::/0'}}, {ipBlock: {cidr: 192.168.0.0/31}}]
    ports: [{port: http}, {protocol: UDP, port: 53}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: unread}
spec: {podSelector: {matchLabels: {app: 1}}, policyTypes: [Egress]}
";

const AWKWARD_B: &str = "
apiVersion: v1
kind: Pod
metadata: {namespace: pay, name: one, labels: {app: web, old: 'yes'}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.2.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: pay, name: other, labels: {app: cache}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.2.0.1}]}
";

/// S31, S53, S113, S127: a namespace without object, a claimed address, a name of a port, and void pieces.
#[test]
fn refused_by_everything_at_once() {
    check(
        &awkward(),
        ["b/pay/one", "a/shop/db", "TCP/5433"],
        expect![[r#"
            b/pay/one → a/shop/db  TCP/5433 over IPv4: refused by ingress at a

            egress   of b/pay/one: allowed
              for b/pay/one on node b/n1: no policy of b selects it for egress
              for b/pay/other on node b/n1: no policy of b selects it for egress

            ingress  of a/shop/db: refused; isolated by shop/db, which does not admit it
              the other end is all of b/pay/one, b/pay/other: a selector must match each
              shop/db
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app in (cache, web) and no label old in namespaces with tier not in (back)
                                b/pay/one is in namespace b/pay, which has no object, so that its labels are unknown and has old=yes, and b/pay/other is in namespace b/pay, which has no object, so that its labels are unknown
                  void  spec.ingress[0].from[1].ipBlock.cidr: "10.0.0.0/33" is no CIDR; the peer matches nothing
                  no  from[2]   addresses in 198.51.100.0/24 except 198.51.100.64/26, 198.51.100.7/32
                                10.2.0.1 is not in it
                  void  spec.ingress[0].from[3]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
                  no  ports[0]  TCP/sql
                                that of a/shop/db is 5432
                  void  spec.ingress[0].ports[1].endPort: endPort 79 is below port 80; the port matches nothing
                void  spec.ingress[1].later: unknown field; the rule admits nothing
              shop/db spec.ingress[0] would admit it if namespace b/pay had an object, and b/pay/one had no label old, and a/shop/db called its port TCP/5433 sql

            Addresses
              source       10.2.0.1  b/pay/one, on node b/n1
                                     b/pay/other, on node b/n1
                                     claimed by several live pods: each of their clusters counts its own, others must match all
              destination  10.1.0.1  a/shop/db, on node a/n1
        "#]],
    );
}

/// S34: the except that takes an address out.
#[test]
fn refused_by_an_except() {
    check(
        &awkward(),
        ["ip:198.51.100.7", "a/shop/db", "TCP/5432"],
        expect![[r#"
            ip:198.51.100.7 → a/shop/db  TCP/5432 over IPv4: refused by ingress at a

            egress   of ip:198.51.100.7: allowed; 198.51.100.7 is outside every cluster, where nobody's policies isolate it

            ingress  of a/shop/db: refused; isolated by shop/db, which does not admit it
              shop/db
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app in (cache, web) and no label old in namespaces with tier not in (back)
                                198.51.100.7 is outside every cluster, and selectors match pods only
                  void  spec.ingress[0].from[1].ipBlock.cidr: "10.0.0.0/33" is no CIDR; the peer matches nothing
                  no  from[2]   addresses in 198.51.100.0/24 except 198.51.100.64/26, 198.51.100.7/32
                                198.51.100.7 is in except[1] 198.51.100.7/32
                  void  spec.ingress[0].from[3]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
                  ok  ports[0]  TCP/sql
                void  spec.ingress[1].later: unknown field; the rule admits nothing
              shop/db spec.ingress[0] would admit it if except[1] 198.51.100.7/32 did not hold 198.51.100.7

            Addresses
              source       198.51.100.7  no live pod's and no node's
              destination  10.1.0.1      a/shop/db, on node a/n1
        "#]],
    );
}

/// P1, S95, S127: one policy is unread as a whole, the other has blocks that do not fit.
#[test]
fn refused_by_a_policy_that_cannot_be_read() {
    check(
        &awkward(),
        ["a/shop/db", "a/shop/web", "TCP/53"],
        expect![[r#"
            a/shop/db → a/shop/web  TCP/53 over IPv4: refused by egress at a

            egress   of a/shop/db: refused; isolated by shop/db, shop/unread, none of which admits it
              shop/db
                spec.egress[0] does not admit it
                  no  to[0]     addresses in ::/0
                                10.1.0.2 is IPv4
                  no  to[1]     addresses in 192.168.0.0/31
                                10.1.0.2 is not in it
                  no  ports[0]  TCP/http
                                a/shop/web has no port of that name and protocol
                  no  ports[1]  UDP/53
                                this is TCP/53
              shop/unread
                void  spec.podSelector.matchLabels.app: 1 is no text; the policy isolates its whole namespace and admits nothing
              shop/db spec.egress[0] would admit it if 10.1.0.2 were in 192.168.0.0/31, and a/shop/web called its port TCP/53 http

            ingress  of a/shop/web: allowed; no policy of a selects it for ingress

            Addresses
              source       10.1.0.1  a/shop/db, on node a/n1
              destination  10.1.0.2  a/shop/web, on node a/n2
                                     not a/shop/going's, which lists it: it is terminating, and another live pod has taken the address over
        "#]],
    );
}

/// What admits is told with what is void beside it.
#[test]
fn admitted_beside_void_pieces() {
    check(
        &awkward(),
        ["a/shop/web", "a/shop/db", "TCP/5432"],
        expect![[r#"
            a/shop/web → a/shop/db  TCP/5432 over IPv4: refused by egress at a

            egress   of a/shop/web: refused; isolated by shop/unread, which does not admit it
              shop/unread
                void  spec.podSelector.matchLabels.app: 1 is no text; the policy isolates its whole namespace and admits nothing
              It takes another rule to admit it: these policies have none that could.

            ingress  of a/shop/db: allowed; isolated by shop/db, which admits it
              shop/db
                spec.ingress[0] admits it
                  ok  from[0]   pods with app in (cache, web) and no label old in namespaces with tier not in (back)
                  ok  ports[0]  TCP/sql
                void  spec.ingress[0].from[1].ipBlock.cidr: "10.0.0.0/33" is no CIDR; the peer matches nothing
                void  spec.ingress[0].from[3]: it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing
                void  spec.ingress[0].ports[1].endPort: endPort 79 is below port 80; the port matches nothing
                void  spec.ingress[1].later: unknown field; the rule admits nothing

            Addresses
              source       10.1.0.2  a/shop/web, on node a/n2
                                     not a/shop/going's, which lists it: it is terminating, and another live pod has taken the address over
              destination  10.1.0.1  a/shop/db, on node a/n1
        "#]],
    );
}

/// S70, S71: a pod on its node's network is its node, for whom no policy is and whom no selector matches.
#[test]
fn host_network() {
    let manifests = awkward();
    check(
        &manifests,
        ["a/shop/agent", "a/shop/web", "TCP/80"],
        expect![[r#"
            a/shop/agent → a/shop/web  TCP/80 over IPv4: allowed

            egress   of a/shop/agent: allowed; a/shop/agent uses its node's network, and policies isolate no such pods

            ingress  of a/shop/web: allowed; no policy of a selects it for ingress

            Addresses
              source       192.168.0.1  node a/n1
                                        not a/shop/agent's, which lists it: it uses its node's network
                                        not a/shop/forger's, which lists it: a node has it, which no pod can take over
              destination  10.1.0.2     a/shop/web, on node a/n2
                                        not a/shop/going's, which lists it: it is terminating, and another live pod has taken the address over
        "#]],
    );
    check(
        &manifests,
        ["a/shop/web", "a/shop/agent", "TCP/80"],
        expect![[r#"
            a/shop/web → a/shop/agent  TCP/80 over IPv4: refused by egress at a

            egress   of a/shop/web: refused; isolated by shop/unread, which does not admit it
              shop/unread
                void  spec.podSelector.matchLabels.app: 1 is no text; the policy isolates its whole namespace and admits nothing
              It takes another rule to admit it: these policies have none that could.

            ingress  of a/shop/agent: allowed; a/shop/agent uses its node's network, and policies isolate no such pods

            Addresses
              source       10.1.0.2     a/shop/web, on node a/n2
                                        not a/shop/going's, which lists it: it is terminating, and another live pod has taken the address over
              destination  192.168.0.1  node a/n1
                                        not a/shop/agent's, which lists it: it uses its node's network
                                        not a/shop/forger's, which lists it: a node has it, which no pod can take over
        "#]],
    );
}

/// S67, S68: a pod and its own node, by both readings.
#[test]
#[expect(clippy::too_many_lines, reason = "golden texts are long")]
fn own_node() {
    let manifests = awkward();
    check(
        &manifests,
        ["ip:192.168.0.1", "a/shop/db", "TCP/1"],
        expect![[r#"
        ip:192.168.0.1 → a/shop/db  TCP/1 over IPv4: allowed

        egress   of ip:192.168.0.1: allowed; 192.168.0.1 is an address of node a/n1, and policies isolate pods only

        ingress  of a/shop/db: allowed; it comes from the pod's own node, which is always allowed

        Addresses
          source       192.168.0.1  node a/n1
                                    not a/shop/agent's, which lists it: it uses its node's network
                                    not a/shop/forger's, which lists it: a node has it, which no pod can take over
          destination  10.1.0.1     a/shop/db, on node a/n1
    "#]],
    );
    check(
        &manifests,
        ["a/shop/db", "ip:192.168.0.1", "TCP/1"],
        expect![[r#"
        a/shop/db → ip:192.168.0.1  TCP/1 over IPv4: allowed

        egress   of a/shop/db: allowed; it goes to the pod's own node, which is allowed unless --egress-to-local-node policy is set

        ingress  of ip:192.168.0.1: allowed; 192.168.0.1 is an address of node a/n1, and policies isolate pods only

        Addresses
          source       10.1.0.1     a/shop/db, on node a/n1
          destination  192.168.0.1  node a/n1
                                    not a/shop/agent's, which lists it: it uses its node's network
                                    not a/shop/forger's, which lists it: a node has it, which no pod can take over
    "#]],
    );
    check_with(
        &manifests,
        OWN_NODE_JUDGED,
        ["a/shop/db", "ip:192.168.0.1", "TCP/1"],
        expect![[r#"
            a/shop/db → ip:192.168.0.1  TCP/1 over IPv4: refused by egress at a

            egress   of a/shop/db: refused; isolated by shop/db, shop/unread, none of which admits it (for its own node, by --egress-to-local-node policy)
              shop/db
                spec.egress[0] does not admit it
                  ok  to[1]     addresses in 192.168.0.0/31
                  no  ports[0]  TCP/http
                                192.168.0.1 is no live pod's, whose ports could have names
                  no  ports[1]  UDP/53
                                this is TCP/1
              shop/unread
                void  spec.podSelector.matchLabels.app: 1 is no text; the policy isolates its whole namespace and admits nothing
              shop/db spec.egress[0] would admit it if this were UDP/53

            ingress  of ip:192.168.0.1: allowed; 192.168.0.1 is an address of node a/n1, and policies isolate pods only

            Addresses
              source       10.1.0.1     a/shop/db, on node a/n1
              destination  192.168.0.1  node a/n1
                                        not a/shop/agent's, which lists it: it uses its node's network
                                        not a/shop/forger's, which lists it: a node has it, which no pod can take over
        "#]],
    );
    check_with(
        &manifests,
        OWN_NODE_JUDGED,
        ["a/shop/db", "ip:192.168.0.1", "UDP/53"],
        expect![[r#"
            a/shop/db → ip:192.168.0.1  UDP/53 over IPv4: allowed

            egress   of a/shop/db: allowed; isolated by shop/db, shop/unread; admitted by shop/db (for its own node, by --egress-to-local-node policy)
              shop/db
                spec.egress[0] admits it
                  ok  to[1]     addresses in 192.168.0.0/31
                  ok  ports[1]  UDP/53

            ingress  of ip:192.168.0.1: allowed; 192.168.0.1 is an address of node a/n1, and policies isolate pods only

            Addresses
              source       10.1.0.1     a/shop/db, on node a/n1
              destination  192.168.0.1  node a/n1
                                        not a/shop/agent's, which lists it: it uses its node's network
                                        not a/shop/forger's, which lists it: a node has it, which no pod can take over
        "#]],
    );
}

/// S81, S83, S97, I7: why there is no traffic.
#[test]
fn no_traffic() {
    let manifests = awkward();
    let because = |from, to, probe| asked(&manifests, Switches::default(), [from, to, probe]).because;
    let questions = [
        ("a/shop/job", "a/shop/db", "TCP/80"),
        ("a/shop/going", "a/shop/db", "TCP/80"),
        ("a/shop/new", "a/shop/db", "TCP/80"),
        ("a/shop/forger", "a/shop/db", "TCP/80"),
        ("a/shop/db", "a/shop/web", "TCP/80/6"),
        ("a/shop/db", "ip:2001:db8::1", "TCP/80/4"),
        ("a/shop/web", "ip:2001:db8::1", "TCP/80"),
        ("ip:192.0.2.1", "ip:192.0.2.1", "TCP/80"),
    ];
    let told: String = questions
        .map(|(from, to, probe)| because(from, to, probe) + "\n")
        .concat();
    expect![[r#"
        no such traffic: a/shop/job has finished, and finished pods have no addresses
        no such traffic: a/shop/going is terminating, and a/shop/web has taken 10.1.0.2 over
        no such traffic: a/shop/new has no address yet
        no such traffic: a/shop/forger has the address 192.168.0.1 of node a/n1, which is no pod's
        no such traffic: a/shop/web has no IPv6 address
        no such traffic: ip:2001:db8::1 has no IPv4 address
        no such traffic: a/shop/web has only IPv4, ip:2001:db8::1 only IPv6
        no such traffic: what ip:192.0.2.1 sends to itself passes no node of any cluster
    "#]]
    .assert_eq(&told);
    check(
        &manifests,
        ["a/shop/job", "a/shop/going", "UDP/53/4"],
        expect![[r#"
        a/shop/job → a/shop/going  UDP/53/4: no such traffic: a/shop/job has finished, and finished pods have no addresses

        Addresses
          source       10.1.0.3  no live pod's and no node's
                                 not a/shop/job's, which lists it: it has finished
          destination  10.1.0.2  a/shop/web, on node a/n2
                                 not a/shop/going's, which lists it: it is terminating, and another live pod has taken the address over
    "#]],
    );
}

/// Which pods there are instead of one that there is not.
#[test]
fn slips_of_the_pen() {
    let set = ClusterSet::new(&awkward(), Switches::default());
    let told: String = ["c/shop/db", "b/shop/db", "a/shop/dv", "a/pay/x"]
        .map(|name| match name.parse().unwrap() {
            crate::offline::ends::End::Pod(pod) => format!("{name}{}\n", super::ends::alike(&set, &pod)),
            crate::offline::ends::End::Address(_) => unreachable!("it is a pod's name"),
        })
        .concat();
    expect![[r#"
        c/shop/db, as there is no cluster c; there are a, b
        b/shop/db; of that name there are a/shop/db
        a/shop/dv; in that namespace there are a/shop/agent, a/shop/db, a/shop/forger, a/shop/going and 3 more
        a/pay/x; a has none in namespace pay, but in shop
    "#]]
    .assert_eq(&told);
    let deserted = crate::offline::tests::clusterset(
        &[("a", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")],
        Switches::default(),
    );
    let name = crate::offline::PodName {
        cluster: "a".parse().unwrap(),
        namespace: "shop".to_owned(),
        name: "db".to_owned(),
    };
    assert_eq!(super::ends::alike(&deserted, &name), "; a has no pods at all");
}

/// What programs are told: all rules and entries, each by its path.
#[test]
#[expect(clippy::too_many_lines, reason = "it is all of it")]
fn json() {
    let answer = asked(
        &awkward(),
        Switches::default(),
        ["b/pay/other", "a/shop/db", "TCP/5432"],
    );
    expect![[r#"
        {
          "from": "b/pay/other",
          "to": "a/shop/db",
          "probe": "TCP/5432",
          "family": 4,
          "verdict": "refused",
          "because": "refused by ingress at a",
          "contradiction": null,
          "directions": [
            {
              "direction": "egress",
              "end": "b/pay/other",
              "admitted": true,
              "unjudged": null,
              "subjects": [
                {
                  "pod": "b/pay/one",
                  "node": "b/n1",
                  "hook": "forward",
                  "admitted": true,
                  "because": "no policy of b selects it for egress",
                  "claimants": [
                    "a/shop/db"
                  ],
                  "policies": [],
                  "nearest": null
                },
                {
                  "pod": "b/pay/other",
                  "node": "b/n1",
                  "hook": "forward",
                  "admitted": true,
                  "because": "no policy of b selects it for egress",
                  "claimants": [
                    "a/shop/db"
                  ],
                  "policies": [],
                  "nearest": null
                }
              ]
            },
            {
              "direction": "ingress",
              "end": "a/shop/db",
              "admitted": false,
              "unjudged": null,
              "subjects": [
                {
                  "pod": "a/shop/db",
                  "node": "a/n1",
                  "hook": "forward",
                  "admitted": false,
                  "because": "isolated by shop/db, which does not admit it",
                  "claimants": [
                    "b/pay/one",
                    "b/pay/other"
                  ],
                  "policies": [
                    {
                      "policy": "shop/db",
                      "admits": false,
                      "void": null,
                      "rules": [
                        {
                          "field": "spec.ingress[0]",
                          "admits": false,
                          "void": null,
                          "peers": {
                            "list": "from",
                            "any": false,
                            "matches": false,
                            "void": null,
                            "entries": [
                              {
                                "field": "spec.ingress[0].from[0]",
                                "matches": false,
                                "means": "pods with app in (cache, web) and no label old in namespaces with tier not in (back)",
                                "fails": [
                                  "b/pay/one is in namespace b/pay, which has no object, so that its labels are unknown",
                                  "b/pay/one has old=yes",
                                  "b/pay/other is in namespace b/pay, which has no object, so that its labels are unknown"
                                ],
                                "void": null
                              },
                              {
                                "field": "spec.ingress[0].from[1]",
                                "matches": false,
                                "means": "",
                                "fails": [],
                                "void": {
                                  "field": "spec.ingress[0].from[1].ipBlock.cidr",
                                  "kind": "ip_block",
                                  "reason": "\"10.0.0.0/33\" is no CIDR; the peer matches nothing"
                                }
                              },
                              {
                                "field": "spec.ingress[0].from[2]",
                                "matches": false,
                                "means": "addresses in 198.51.100.0/24 except 198.51.100.64/26, 198.51.100.7/32",
                                "fails": [
                                  "10.2.0.1 is not in it"
                                ],
                                "void": null
                              },
                              {
                                "field": "spec.ingress[0].from[3]",
                                "matches": false,
                                "means": "",
                                "fails": [],
                                "void": {
                                  "field": "spec.ingress[0].from[3]",
                                  "kind": "peer",
                                  "reason": "it names no podSelector, namespaceSelector or ipBlock; the peer matches nothing"
                                }
                              }
                            ]
                          },
                          "ports": {
                            "list": "ports",
                            "any": false,
                            "matches": true,
                            "void": null,
                            "entries": [
                              {
                                "field": "spec.ingress[0].ports[0]",
                                "matches": true,
                                "means": "TCP/sql",
                                "fails": [],
                                "void": null
                              },
                              {
                                "field": "spec.ingress[0].ports[1]",
                                "matches": false,
                                "means": "",
                                "fails": [],
                                "void": {
                                  "field": "spec.ingress[0].ports[1].endPort",
                                  "kind": "port",
                                  "reason": "endPort 79 is below port 80; the port matches nothing"
                                }
                              }
                            ]
                          }
                        },
                        {
                          "field": "spec.ingress[1]",
                          "admits": false,
                          "void": {
                            "field": "spec.ingress[1].later",
                            "kind": "unknown_field",
                            "reason": "unknown field; the rule admits nothing"
                          },
                          "peers": null,
                          "ports": null
                        }
                      ]
                    }
                  ],
                  "nearest": {
                    "policy": "shop/db",
                    "field": "spec.ingress[0]",
                    "if": [
                      "namespace b/pay had an object",
                      "b/pay/one had no label old",
                      "namespace b/pay had an object"
                    ]
                  }
                }
              ]
            }
          ],
          "addresses": [
            {
              "side": "source",
              "address": "10.2.0.1",
              "pods": [
                {
                  "pod": "b/pay/one",
                  "node": "b/n1"
                },
                {
                  "pod": "b/pay/other",
                  "node": "b/n1"
                }
              ],
              "nodes": [],
              "not_owners": []
            },
            {
              "side": "destination",
              "address": "10.1.0.1",
              "pods": [
                {
                  "pod": "a/shop/db",
                  "node": "a/n1"
                }
              ],
              "nodes": [],
              "not_owners": []
            }
          ]
        }
    "#]].assert_eq(&(serde_json::to_string_pretty(&answer).unwrap() + "\n"));
}

/// P5: names and labels from manifests can neither forge lines nor colours.
#[test]
fn nothing_in_manifests_is_obeyed_by_terminals() {
    let a = r#"
apiVersion: v1
kind: Pod
metadata: {namespace: "sh\nop", name: "web\nforged", labels: {app: "a\n\e[32mforged"}}
spec: {nodeName: "n\n1"}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: db}
spec: {nodeName: "n\n1"}
status: {phase: Running, podIP: 10.0.0.2}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: "p\nforged"}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}, {"x\ny": 1}]}
"#;
    check(
        &world(&[("a", a)]),
        ["ip:10.0.0.1", "a/shop/db", "TCP/80"],
        expect![[r#"
            ip:10.0.0.1 → a/shop/db  TCP/80 over IPv4: refused by ingress at a

            egress   of ip:10.0.0.1: allowed
              for a/sh\nop/web\nforged on node a/n\n1: no policy of a selects it for egress

            ingress  of a/shop/db: refused; isolated by shop/p\nforged, which does not admit it
              shop/p\nforged
                spec.ingress[0] does not admit it
                  no  from[0]   pods with app=web in namespace shop of every cluster
                                the source is in namespace sh\nop and has app=a\n\u{1b}[32mforged
                  ok  ports     every port and protocol
                void  spec.ingress[1]["x\ny"]: unknown field; the rule admits nothing
              shop/p\nforged spec.ingress[0] would admit it if the source were in namespace shop and had app=web

            Addresses
              source       10.0.0.1  a/sh\nop/web\nforged, on node a/n\n1
              destination  10.0.0.2  a/shop/db, on node a/n\n1
        "#]],
    );
}
