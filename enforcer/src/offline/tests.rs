//! Verdicts on small worlds: who an end is, at which address, and who judges it.

use super::clusterset::ClusterSet;
use super::ends::{End, Probe, Verdict};
use super::judge::{Hook, Judge};
use super::manifests::{Manifests, parse};
use super::tables::tables;
use crate::switches::{EgressToLocalNode, Switches};
use expect_test::{Expect, expect};
use proto::model::ClusterName;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

/// What some clusters' manifests come to.
pub fn clusterset(manifests: &[(&str, &str)], switches: Switches) -> ClusterSet {
    let mut read = Manifests::default();
    for (cluster, text) in manifests {
        let cluster = ClusterName::new(cluster).unwrap();
        let parsed = parse::file(&cluster, Path::new("world.yaml").into(), text.as_bytes());
        assert_eq!(parsed.complaints, []);
        let objects = parsed.objects.into_iter().map(Into::into);
        read.clusters.entry(cluster).or_default().extend(objects);
    }
    ClusterSet::new(&read, switches)
}

fn ends(names: &[&str]) -> Vec<End> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Every verdict, and, for each connection, where it is judged.
#[track_caller]
fn check((manifests, switches): (&[(&str, &str)], Switches), names: &[&str], probe: &str, expected: Expect) {
    let set = clusterset(manifests, switches);
    let (ends, probe): (_, Probe) = (ends(names), probe.parse().unwrap());
    let judge = Judge::new(&set);
    let mut text = String::new();
    for from in &ends {
        for to in &ends {
            let verdict = judge.verdict(from, to, probe);
            let _ = write!(text, "{} {from} → {to}", verdict.sign());
            if let Some(connection) = judge.connection(from, to, probe) {
                let packet = connection.packet;
                let _ = write!(text, ", {} → {}", packet.source, packet.destination);
                for crossing in connection.crossed {
                    let at = match crossing.hook {
                        Hook::Forward => "forward",
                        Hook::Input => "input",
                    };
                    let _ = write!(text, ", {at} at {}", crossing.node);
                }
            }
            text.push('\n');
        }
    }
    expected.assert_eq(&text);
    assert_eq!(
        tables(&set, &ends, &[probe], NonZeroUsize::new(3).unwrap())[0].rows,
        ends.iter()
            .map(|from| ends.iter().map(|to| judge.verdict(from, to, probe)).collect())
            .collect::<Vec<Vec<Verdict>>>(),
        "both ways to judge agree"
    );
}

const DENY: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}
";

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: fd00:1::1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: shop}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: kube}
spec: {nodeName: n1, hostNetwork: true}
status: {phase: Running, hostIP: 192.0.2.1, podIP: 192.0.2.1}
---
apiVersion: v1
kind: Pod
metadata: {name: far-agent, namespace: kube}
spec: {nodeName: n2, hostNetwork: true}
status: {phase: Running, podIP: 192.0.2.2}
";

/// S1, S67, S68, S69, S70, S71, S76: a pod and itself, its own node, which is what host-network pods of it are, and another
/// node.
#[test]
fn nodes_and_host_network_pods() {
    let names = [
        "a/shop/web",
        "a/kube/agent",
        "a/kube/far-agent",
        "ip:192.0.2.1",
        "ip:10.1.0.1",
        "ip:198.51.100.7",
    ];
    check(
        (&[("a", PODS), ("a", DENY)], Switches::default()),
        &names,
        "TCP/80",
        expect![[r#"
            . a/shop/web → a/shop/web, 10.1.0.1 → 10.1.0.1
            . a/shop/web → a/kube/agent, 10.1.0.1 → 192.0.2.1
            X a/shop/web → a/kube/far-agent, 10.1.0.1 → 192.0.2.2, forward at a/n1
            . a/shop/web → ip:192.0.2.1, 10.1.0.1 → 192.0.2.1
            . a/shop/web → ip:10.1.0.1, 10.1.0.1 → 10.1.0.1
            X a/shop/web → ip:198.51.100.7, 10.1.0.1 → 198.51.100.7, forward at a/n1
            . a/kube/agent → a/shop/web, 192.0.2.1 → 10.1.0.1
            . a/kube/agent → a/kube/agent, 192.0.2.1 → 192.0.2.1
            . a/kube/agent → a/kube/far-agent, 192.0.2.1 → 192.0.2.2
            . a/kube/agent → ip:192.0.2.1, 192.0.2.1 → 192.0.2.1
            . a/kube/agent → ip:10.1.0.1, 192.0.2.1 → 10.1.0.1
            . a/kube/agent → ip:198.51.100.7, 192.0.2.1 → 198.51.100.7
            X a/kube/far-agent → a/shop/web, 192.0.2.2 → 10.1.0.1, forward at a/n1
            . a/kube/far-agent → a/kube/agent, 192.0.2.2 → 192.0.2.1
            . a/kube/far-agent → a/kube/far-agent, 192.0.2.2 → 192.0.2.2
            . a/kube/far-agent → ip:192.0.2.1, 192.0.2.2 → 192.0.2.1
            X a/kube/far-agent → ip:10.1.0.1, 192.0.2.2 → 10.1.0.1, forward at a/n1
            . a/kube/far-agent → ip:198.51.100.7, 192.0.2.2 → 198.51.100.7
            . ip:192.0.2.1 → a/shop/web, 192.0.2.1 → 10.1.0.1
            . ip:192.0.2.1 → a/kube/agent, 192.0.2.1 → 192.0.2.1
            . ip:192.0.2.1 → a/kube/far-agent, 192.0.2.1 → 192.0.2.2
            . ip:192.0.2.1 → ip:192.0.2.1, 192.0.2.1 → 192.0.2.1
            . ip:192.0.2.1 → ip:10.1.0.1, 192.0.2.1 → 10.1.0.1
            . ip:192.0.2.1 → ip:198.51.100.7, 192.0.2.1 → 198.51.100.7
            . ip:10.1.0.1 → a/shop/web, 10.1.0.1 → 10.1.0.1
            . ip:10.1.0.1 → a/kube/agent, 10.1.0.1 → 192.0.2.1
            X ip:10.1.0.1 → a/kube/far-agent, 10.1.0.1 → 192.0.2.2, forward at a/n1
            . ip:10.1.0.1 → ip:192.0.2.1, 10.1.0.1 → 192.0.2.1
            . ip:10.1.0.1 → ip:10.1.0.1, 10.1.0.1 → 10.1.0.1
            X ip:10.1.0.1 → ip:198.51.100.7, 10.1.0.1 → 198.51.100.7, forward at a/n1
            X ip:198.51.100.7 → a/shop/web, 198.51.100.7 → 10.1.0.1, forward at a/n1
            . ip:198.51.100.7 → a/kube/agent, 198.51.100.7 → 192.0.2.1
            . ip:198.51.100.7 → a/kube/far-agent, 198.51.100.7 → 192.0.2.2
            . ip:198.51.100.7 → ip:192.0.2.1, 198.51.100.7 → 192.0.2.1
            X ip:198.51.100.7 → ip:10.1.0.1, 198.51.100.7 → 10.1.0.1, forward at a/n1
            - ip:198.51.100.7 → ip:198.51.100.7
        "#]],
    );
}

/// S68: with the switch, what a pod sends to its own node is judged, and what the node sends to the pod is not.
#[test]
fn the_own_node_with_the_switch() {
    let switches = Switches {
        egress_to_local_node: EgressToLocalNode::Policy,
        ..Switches::default()
    };
    let names = ["a/shop/web", "a/kube/agent", "ip:192.0.2.1"];
    check(
        (&[("a", PODS), ("a", DENY)], switches),
        &names,
        "TCP/80",
        expect![[r#"
            . a/shop/web → a/shop/web, 10.1.0.1 → 10.1.0.1
            X a/shop/web → a/kube/agent, 10.1.0.1 → 192.0.2.1, input at a/n1
            X a/shop/web → ip:192.0.2.1, 10.1.0.1 → 192.0.2.1, input at a/n1
            . a/kube/agent → a/shop/web, 192.0.2.1 → 10.1.0.1
            . a/kube/agent → a/kube/agent, 192.0.2.1 → 192.0.2.1
            . a/kube/agent → ip:192.0.2.1, 192.0.2.1 → 192.0.2.1
            . ip:192.0.2.1 → a/shop/web, 192.0.2.1 → 10.1.0.1
            . ip:192.0.2.1 → a/kube/agent, 192.0.2.1 → 192.0.2.1
            . ip:192.0.2.1 → ip:192.0.2.1, 192.0.2.1 → 192.0.2.1
        "#]],
    );
}

/// S93, S97, I3: of several addresses of a family the first usable one that is listed; IPv4 where both ends have it, else
/// IPv6, else nothing.
#[test]
fn families_and_lists() {
    let pods = "
apiVersion: v1
kind: Pod
metadata: {name: both}
spec: {nodeName: n}
status: {podIP: 10.0.0.9, podIPs: [{ip: 127.0.0.1}, {ip: 10.0.0.9}, {ip: 10.0.0.1}, {ip: fd00::9}, {ip: fd00::1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: six}
spec: {nodeName: n}
status: {podIP: 'fd00::2'}
---
apiVersion: v1
kind: Pod
metadata: {name: four}
spec: {nodeName: n}
status: {podIPs: [{ip: 10.0.0.3}]}
";
    let names = ["a/default/both", "a/default/six", "a/default/four", "ip:2001:db8::7"];
    check(
        (&[("a", pods)], Switches::default()),
        &names,
        "TCP/80",
        expect![[r#"
            . a/default/both → a/default/both, 10.0.0.9 → 10.0.0.9
            . a/default/both → a/default/six, fd00::9 → fd00::2, forward at a/n
            . a/default/both → a/default/four, 10.0.0.9 → 10.0.0.3, forward at a/n
            . a/default/both → ip:2001:db8::7, fd00::9 → 2001:db8::7, forward at a/n
            . a/default/six → a/default/both, fd00::2 → fd00::9, forward at a/n
            . a/default/six → a/default/six, fd00::2 → fd00::2
            - a/default/six → a/default/four
            . a/default/six → ip:2001:db8::7, fd00::2 → 2001:db8::7, forward at a/n
            . a/default/four → a/default/both, 10.0.0.3 → 10.0.0.9, forward at a/n
            - a/default/four → a/default/six
            . a/default/four → a/default/four, 10.0.0.3 → 10.0.0.3
            - a/default/four → ip:2001:db8::7
            . ip:2001:db8::7 → a/default/both, 2001:db8::7 → fd00::9, forward at a/n
            . ip:2001:db8::7 → a/default/six, 2001:db8::7 → fd00::2, forward at a/n
            - ip:2001:db8::7 → a/default/four
            - ip:2001:db8::7 → ip:2001:db8::7
        "#]],
    );
    check(
        (&[("a", pods)], Switches::default()),
        &names[..2],
        "ICMP/0/4",
        expect![[r#"
            . a/default/both → a/default/both, 10.0.0.9 → 10.0.0.9
            - a/default/both → a/default/six
            - a/default/six → a/default/both
            - a/default/six → a/default/six
        "#]],
    );
}

/// S81, S83, S90, I2, I7, I12: finished pods have no address, a terminating one yields its, an address of a node is no pod's,
/// and a pod without node is a peer whom nobody isolates.
#[test]
fn addresses_that_are_no_more_or_never_were() {
    let pods = "
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Succeeded, podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: shop, deletionTimestamp: '2026-01-01T00:00:00Z'}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.1.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: new, namespace: shop}
spec: {nodeName: n2}
status: {phase: Running, podIP: 10.1.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: lost, namespace: shop, labels: {app: web}}
spec: {nodeName: n2}
status: {phase: Unknown, podIP: 10.1.0.6}
---
apiVersion: v1
kind: Pod
metadata: {name: forger, namespace: shop}
spec: {nodeName: n1}
status: {phase: Running, podIP: 192.0.2.2}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unbound, namespace: shop, labels: {app: web}}
status: {podIP: 10.1.0.7}
";
    let names = [
        "a/shop/done",
        "a/shop/old",
        "a/shop/new",
        "a/shop/lost",
        "a/shop/forger",
        "a/shop/unbound",
        "ip:10.1.0.5",
    ];
    check(
        (&[("a", pods), ("a", DENY)], Switches::default()),
        &names,
        "TCP/80",
        expect![[r#"
            - a/shop/done → a/shop/done
            - a/shop/done → a/shop/old
            - a/shop/done → a/shop/new
            - a/shop/done → a/shop/lost
            - a/shop/done → a/shop/forger
            - a/shop/done → a/shop/unbound
            - a/shop/done → ip:10.1.0.5
            - a/shop/old → a/shop/done
            - a/shop/old → a/shop/old
            - a/shop/old → a/shop/new
            - a/shop/old → a/shop/lost
            - a/shop/old → a/shop/forger
            - a/shop/old → a/shop/unbound
            - a/shop/old → ip:10.1.0.5
            - a/shop/new → a/shop/done
            - a/shop/new → a/shop/old
            . a/shop/new → a/shop/new, 10.1.0.5 → 10.1.0.5
            X a/shop/new → a/shop/lost, 10.1.0.5 → 10.1.0.6, forward at a/n2
            - a/shop/new → a/shop/forger
            . a/shop/new → a/shop/unbound, 10.1.0.5 → 10.1.0.7, forward at a/n2
            . a/shop/new → ip:10.1.0.5, 10.1.0.5 → 10.1.0.5
            - a/shop/lost → a/shop/done
            - a/shop/lost → a/shop/old
            X a/shop/lost → a/shop/new, 10.1.0.6 → 10.1.0.5, forward at a/n2
            . a/shop/lost → a/shop/lost, 10.1.0.6 → 10.1.0.6
            - a/shop/lost → a/shop/forger
            X a/shop/lost → a/shop/unbound, 10.1.0.6 → 10.1.0.7, forward at a/n2
            X a/shop/lost → ip:10.1.0.5, 10.1.0.6 → 10.1.0.5, forward at a/n2
            - a/shop/forger → a/shop/done
            - a/shop/forger → a/shop/old
            - a/shop/forger → a/shop/new
            - a/shop/forger → a/shop/lost
            - a/shop/forger → a/shop/forger
            - a/shop/forger → a/shop/unbound
            - a/shop/forger → ip:10.1.0.5
            - a/shop/unbound → a/shop/done
            - a/shop/unbound → a/shop/old
            . a/shop/unbound → a/shop/new, 10.1.0.7 → 10.1.0.5, forward at a/n2
            X a/shop/unbound → a/shop/lost, 10.1.0.7 → 10.1.0.6, forward at a/n2
            - a/shop/unbound → a/shop/forger
            . a/shop/unbound → a/shop/unbound, 10.1.0.7 → 10.1.0.7
            . a/shop/unbound → ip:10.1.0.5, 10.1.0.7 → 10.1.0.5, forward at a/n2
            - ip:10.1.0.5 → a/shop/done
            - ip:10.1.0.5 → a/shop/old
            . ip:10.1.0.5 → a/shop/new, 10.1.0.5 → 10.1.0.5
            X ip:10.1.0.5 → a/shop/lost, 10.1.0.5 → 10.1.0.6, forward at a/n2
            - ip:10.1.0.5 → a/shop/forger
            . ip:10.1.0.5 → a/shop/unbound, 10.1.0.5 → 10.1.0.7, forward at a/n2
            . ip:10.1.0.5 → ip:10.1.0.5, 10.1.0.5 → 10.1.0.5
        "#]],
    );
}

/// S99, S114, I6: nodes and pods of the same names in two clusters are not the same; an address that live pods of both
/// claim is judged by both.
#[test]
fn the_same_names_in_two_clusters() {
    let pods = |address: &str| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec: {{nodeName: n1}}
status: {{phase: Running, podIP: {address}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shared, namespace: shop}}
spec: {{nodeName: n1}}
status: {{phase: Running, podIP: 10.9.0.9}}
"
        )
    };
    let (a, b) = (pods("10.1.0.1"), pods("10.2.0.1"));
    let names = ["a/shop/web", "b/shop/web", "b/shop/shared", "ip:10.9.0.9"];
    check(
        (&[("a", &a), ("b", &b), ("a", DENY)], Switches::default()),
        &names,
        "TCP/80",
        expect![[r#"
            . a/shop/web → a/shop/web, 10.1.0.1 → 10.1.0.1
            X a/shop/web → b/shop/web, 10.1.0.1 → 10.2.0.1, forward at a/n1, forward at b/n1
            X a/shop/web → b/shop/shared, 10.1.0.1 → 10.9.0.9, forward at a/n1, forward at b/n1
            X a/shop/web → ip:10.9.0.9, 10.1.0.1 → 10.9.0.9, forward at a/n1, forward at b/n1
            X b/shop/web → a/shop/web, 10.2.0.1 → 10.1.0.1, forward at a/n1, forward at b/n1
            . b/shop/web → b/shop/web, 10.2.0.1 → 10.2.0.1
            . b/shop/web → b/shop/shared, 10.2.0.1 → 10.9.0.9, forward at b/n1
            . b/shop/web → ip:10.9.0.9, 10.2.0.1 → 10.9.0.9, forward at a/n1, forward at b/n1
            X b/shop/shared → a/shop/web, 10.9.0.9 → 10.1.0.1, forward at a/n1, forward at b/n1
            . b/shop/shared → b/shop/web, 10.9.0.9 → 10.2.0.1, forward at b/n1
            . b/shop/shared → b/shop/shared, 10.9.0.9 → 10.9.0.9
            . b/shop/shared → ip:10.9.0.9, 10.9.0.9 → 10.9.0.9, forward at a/n1, forward at b/n1
            X ip:10.9.0.9 → a/shop/web, 10.9.0.9 → 10.1.0.1, forward at a/n1, forward at b/n1
            . ip:10.9.0.9 → b/shop/web, 10.9.0.9 → 10.2.0.1, forward at a/n1, forward at b/n1
            . ip:10.9.0.9 → b/shop/shared, 10.9.0.9 → 10.9.0.9, forward at a/n1, forward at b/n1
            . ip:10.9.0.9 → ip:10.9.0.9, 10.9.0.9 → 10.9.0.9, forward at a/n1, forward at b/n1
        "#]],
    );
}

/// P1, P23, I1, S127: void pieces are named with file, document and field.
#[test]
fn void_pieces_are_named() {
    let set = clusterset(
        &[(
            "a",
            "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: odd}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}], hosts: [x]}, {ports: [{port: 0}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: 7}}
status: {podIP: 127.0.0.1}
---
apiVersion: v1
kind: Namespace
metadata: {name: n, labels: [x]}
",
        )],
        Switches::default(),
    );
    let complaints: Vec<String> = set.complaints().iter().map(ToString::to_string).collect();
    expect![[r#"
        world.yaml, document 1, NetworkPolicy default/odd, spec.ingress[0].hosts: unknown field; the rule admits nothing
        world.yaml, document 1, NetworkPolicy default/odd, spec.ingress[1].ports[0].port: 0 is no port: expected a number from 1 to 65535; the port matches nothing
        world.yaml, document 2, Pod default/p, metadata.labels["app"]: unexpected number; it is left out
        world.yaml, document 2, Pod default/p, status.podIP: "127.0.0.1" is a loopback address; it is left out
        world.yaml, document 3, Namespace n, metadata.labels: unexpected list; it is left out"#]].assert_eq(&complaints.join("\n"));
}
