//! Addresses, nodes, and what the reader complains of.

use super::*;
use crate::lint::{addresses, unread};
use expect_test::expect;

/// I5, I6, S113: an address that pods of one cluster, or of several, claim at once.
#[test]
fn claimed_twice() {
    let world = World::new()
        .pod("a/x/p", "{}", &["10.0.0.1", "10.0.0.2"])
        .pod("a/x/q", "{}", &["10.0.0.1"])
        .pod("a/z/r", "{}", &["10.0.0.1"])
        .pod("b/x/p", "{}", &["10.0.0.2", "10.0.0.3"]);
    check(
        &world,
        &[&addresses::CLAIMED_TWICE],
        expect![[r#"
            Pod a/x/p   a/all.yaml:2
              error    status.podIPs   address-claimed-twice
                       10.0.0.1 is claimed by 3 live pods of a (a/x/p, a/x/q, a/z/r): selectors match it only where they match all of them, and each one's isolation holds for all
                       find out which pod has the address (kubectl get pods -A -o wide) and delete the others' stale objects
              error    status.podIPs   address-claimed-twice
                       10.0.0.2 is claimed by live pods of several clusters (a/x/p, b/x/p): policies of a and b go by their own pod, those of other clusters match only what all claimants match
                       an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own

            2 errors, 0 warnings, 0 notes
        "#]],
    );
}

/// S81, S83, S71: what has finished, is ending or is on the host network claims nothing.
#[test]
fn an_address_that_moves_on_is_claimed_once() {
    let world = World::new()
        .pod("a/x/now", "{}", &["10.0.0.1"])
        .pod_with("a/x/done", "{}", &["10.0.0.1"], ["nodeName: node-1", "phase: Succeeded"])
        .document(
            "a",
            "{apiVersion: v1, kind: Pod, metadata: {name: ending, namespace: x, deletionTimestamp: '2026-01-01T00:00:00Z'}, \
             spec: {nodeName: node-1}, status: {phase: Running, podIP: 10.0.0.1}}",
        )
        .pod_with("b/x/agent", "{}", &["10.0.0.1"], ["hostNetwork: true", "phase: Running"]);
    silent(&world, &[&addresses::CLAIMED_TWICE]);
}

/// I6: clusters whose pod ranges overlap are told so once, not for each address.
#[test]
fn overlapping_ranges() {
    let mut world = World::new();
    for number in 1..=9 {
        let address = format!("10.0.0.{number}");
        for cluster in ["a", "b", "c"] {
            if cluster != "c" || number > 5 {
                world = world.pod(&format!("{cluster}/x/p{number}"), "{}", &[&address]);
            }
        }
    }
    check(
        &world,
        &[&addresses::CLAIMED_TWICE],
        expect![[r#"
            Pod a/x/p1   a/all.yaml:2
              error    status.podIPs   address-claimed-twice
                       5 addresses are claimed by live pods of a and b, 10.0.0.1 first: their pod ranges overlap, so this network is not flat; policies of a and b go by their own pod, those of other clusters match only what all claimants match
                       give each cluster of the ClusterSet a pod range of its own

            Pod a/x/p6   a/all.yaml:12
              error    status.podIPs   address-claimed-twice
                       10.0.0.6 is claimed by live pods of several clusters (a/x/p6, b/x/p6, c/x/p6): policies of a, b and c go by their own pod, those of other clusters match only what all claimants match
                       an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own

            Pod a/x/p7   a/all.yaml:14
              error    status.podIPs   address-claimed-twice
                       10.0.0.7 is claimed by live pods of several clusters (a/x/p7, b/x/p7, c/x/p7): policies of a, b and c go by their own pod, those of other clusters match only what all claimants match
                       an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own

            Pod a/x/p8   a/all.yaml:16
              error    status.podIPs   address-claimed-twice
                       10.0.0.8 is claimed by live pods of several clusters (a/x/p8, b/x/p8, c/x/p8): policies of a, b and c go by their own pod, those of other clusters match only what all claimants match
                       an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own

            Pod a/x/p9   a/all.yaml:18
              error    status.podIPs   address-claimed-twice
                       10.0.0.9 is claimed by live pods of several clusters (a/x/p9, b/x/p9, c/x/p9): policies of a, b and c go by their own pod, those of other clusters match only what all claimants match
                       an address is one pod's in the whole ClusterSet: give each cluster a pod range of its own

            5 errors, 0 warnings, 0 notes
        "#]],
    );
}

/// I7: a pod with its node's address.
#[test]
fn node_addresses() {
    let world = World::new()
        .document(
            "a",
            "{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}",
        )
        .pod("a/x/p", "{}", &["192.168.0.1"])
        .pod("a/x/q", "{}", &["10.0.0.1"])
        .pod("b/x/r", "{}", &["192.168.0.1"])
        .pod_with("a/x/thief", "{}", &["192.168.0.1"], ["nodeName: node-2", "phase: Running"])
        .pod_with("a/x/agent", "{}", &["192.168.0.1"], ["nodeName: node-1, hostNetwork: true", "phase: Running"]);
    check(
        &world,
        &[&addresses::NODES],
        expect![[r#"
            Pod a/x/p   a/all.yaml:4
              error    status.podIPs   node-address
                       192.168.0.1 is node node-1's: the pod has no identity by it, no policy isolates it there and no selector matches it
                       if the pod is meant to share its node's network, say so:  spec.hostNetwork: true; else give it an address of its own

            Pod a/x/thief   a/all.yaml:8
              error    status.podIPs   node-address
                       192.168.0.1 is node node-1's: the pod has no identity by it, no policy isolates it there and no selector matches it
                       if the pod is meant to share its node's network, say so:  spec.hostNetwork: true; else give it an address of its own

            Pod b/x/r   b/all.yaml:2
              error    status.podIPs   node-address
                       192.168.0.1 is node a/node-1's as well: no selector of another cluster's policies matches the pod by it
                       if the pod is meant to share its node's network, say so:  spec.hostNetwork: true; else give it an address of its own

            3 errors, 0 warnings, 0 notes
        "#]],
    );
}

/// I1, I2, I4, S92: addresses of no use, and other fields that are not read.
#[test]
fn unusable_addresses() {
    let world = World::new()
        .pod("a/x/p", "{}", &["127.0.0.1", "10.0.0.1"])
        .pod("a/x/q", "{}", &["::ffff:10.0.0.2"])
        .pod_with(
            "a/x/r",
            "{}",
            &["10.0.0.3"],
            [
                "nodeName: [n], containers: [{ports: [{name: http, containerPort: 0}]}]",
                "phase: 7",
            ],
        )
        .pod_with("a/x/s", "{}", &["10.0.0.4"], ["nodeName: node-1", "phase: Lost"]);
    check(
        &world,
        &[&addresses::UNUSABLE, &addresses::ODD_FIELD],
        expect![[r#"
            Pod a/x/p   a/all.yaml:2
              warning  status.podIPs[0]   unusable-address
                       "127.0.0.1" is a loopback address; the pod's other addresses stand

            Pod a/x/q   a/all.yaml:4
              warning  status.podIPs[0]   unusable-address
                       "::ffff:10.0.0.2" is an IPv4 address in IPv6 form, which is ambiguous; it has no other, so no policy isolates the pod and no selector matches it

            Pod a/x/r   a/all.yaml:6
              warning  spec.containers[0].ports[0].containerPort   odd-field
                       0 is no port; it is left out
              warning  spec.nodeName   odd-field
                       unexpected list; it is left out
              warning  status.phase   odd-field
                       unexpected number; it is left out

            0 errors, 5 warnings, 0 notes
        "#]],
    );
}

/// I12: a pod without a node that policies select; one that none selects, or without an address.
#[test]
fn pods_without_a_node() {
    let world = World::new()
        .pod_with("a/x/p", "{app: p}", &["10.0.0.1"], ["containers: []", "phase: Running"])
        .pod_with("a/x/q", "{app: q}", &["10.0.0.2"], ["containers: []", "phase: Running"])
        .pod_with("a/x/r", "{app: p}", &[], ["containers: []", "phase: Pending"])
        .policy("a/x/one", "{podSelector: {matchLabels: {app: p}}}")
        .policy("a/x/two", "{podSelector: {matchLabels: {app: p}}}");
    check(
        &world,
        &[&addresses::NO_NODE],
        expect![[r#"
            Pod a/x/p   a/all.yaml:2
              warning  spec.nodeName   pod-without-node
                       2 policies select this pod, and as it is on no node nobody isolates it: its own end allows every connection
                       write  spec.nodeName

            0 errors, 1 warning, 0 notes
        "#]],
    );
}

/// W10: what cannot be read is an error and takes nothing else with it; what is read otherwise is a warning.
#[test]
fn unread_documents() {
    let world = World::new()
        .document("a", "{apiVersion: v1, kind: Pod, metadata: {}}")
        .document("a", "kind: [")
        .document("a", "{apiVersion: v1, kind: pod, metadata: {name: p}}")
        .document("a", "{apiVersion: v1, kind: Namespace, metadata: {name: 7, labels: {cluster.clusterset.k8s.io/cluster-name: a}}}")
        .document("a", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: fine}}")
        .pod("a/x/p", "{}", &["10.0.0.1"])
        .pod("a/x/p", "{}", &["10.0.0.2"]);
    check(
        &world,
        &[&unread::UNREADABLE, &unread::TAKEN_OTHERWISE],
        expect![[r#"
            a/all.yaml:2
              error    metadata.name   unreadable
                       Pod: missing: no API server takes such an object; it is left out

            a/all.yaml:4
              error    unreadable
                       unclosed bracket '[' at line 4, column 7; nothing of this document is judged, and no policy in it is in force

            a/all.yaml:6
              error    unreadable
                       kind "pod" is none: write Pod; the object is left out

            a/all.yaml:8
              warning  metadata.name   taken-otherwise
                       Namespace: 7 is no string, which an API server refuses; it is read as "7"

            Pod a/x/p   a/all.yaml:14
              warning  taken-otherwise
                       the same object stands in a/all.yaml, document 6: the last one counts

            3 errors, 2 warnings, 0 notes
        "#]],
    );
}
