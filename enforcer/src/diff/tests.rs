//! What is said of differences.

use super::changes::{Changes, between};
use super::{json, text};
use crate::offline::tests::clusterset;
use crate::screen::Ink;
use crate::switches::Switches;
use expect_test::{Expect, expect};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;

const A: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: blue}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n}
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n}
status: {podIP: 10.1.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: shop, labels: {app: job}}
spec: {nodeName: n}
status: {podIP: 10.1.0.3}
";

const B: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n}
status: {podIP: 10.2.0.1}
";

const DENY: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}}
";

const ALLOW: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-web, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
";

fn changes(before: &[(&str, &str)], after: &[(&str, &str)], probes: &[&str]) -> Changes {
    let [before, after] = [before, after].map(|manifests| clusterset(manifests, Switches::default()));
    let ends: BTreeSet<_> = before.ends().into_iter().chain(after.ends()).collect();
    let ends: Vec<_> = ends.into_iter().collect();
    let probes: Vec<_> = probes.iter().map(|probe| probe.parse().unwrap()).collect();
    between(&before, &after, &ends, &probes, NonZeroUsize::MIN)
}

#[track_caller]
fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&text::answer(&changes(before, after, &["TCP/80"]), Ink::Plain));
}

#[test]
fn the_same_manifests() {
    let same = [("a", A), ("a", ALLOW)];
    check(&same, &same, expect!["no verdict changes (9 compared)"]);
}

#[test]
fn a_policy_that_comes_and_one_that_goes() {
    check(
        &[("a", A), ("b", B)],
        &[("a", A), ("b", B), ("a", ALLOW)],
        expect![[r#"
            policy a/shop/allow-web   closes 1
              closes  TCP/80  a/shop/job → a/shop/db

            in all closes 1 (16 verdicts compared)"#]],
    );
    check(
        &[("a", A), ("a", DENY)],
        &[("a", A)],
        expect![[r#"
        policy a/shop/deny   opens 2
          opens   TCP/80  a/shop/job, a/shop/web → a/shop/db

        in all opens 2 (9 verdicts compared)"#]],
    );
    check(
        &[("a", A), ("a", DENY)],
        &[("a", A), ("a", DENY), ("a", ALLOW)],
        expect![[r#"
            policy a/shop/allow-web   opens 1
              opens   TCP/80  a/shop/web → a/shop/db

            in all opens 1 (9 verdicts compared)"#]],
    );
    // Of two that come at once, both isolate.
    check(
        &[("a", A)],
        &[("a", A), ("a", DENY), ("a", ALLOW)],
        expect![[r#"
        policy a/shop/allow-web, policy a/shop/deny   closes 1
          closes  TCP/80  a/shop/job → a/shop/db

        in all closes 1 (9 verdicts compared)"#]],
    );
}

#[test]
fn a_policy_that_says_something_else() {
    let narrower = ALLOW.replace("app: web}}}", "app: job}}}");
    check(
        &[("a", A), ("a", ALLOW)],
        &[("a", A), ("a", &narrower)],
        expect![[r#"
            policy a/shop/allow-web   opens 1, closes 1
              opens   TCP/80  a/shop/job → a/shop/db
              closes  TCP/80  a/shop/web → a/shop/db

            in all opens 1, closes 1 (9 verdicts compared)"#]],
    );
    // What means the same is no difference.
    let reordered = ALLOW.replace("ingress: [", "policyTypes: [Ingress], ingress: [{from: [null]}, ");
    check(
        &[("a", A), ("a", ALLOW)],
        &[("a", A), ("a", &reordered)],
        expect!["no verdict changes (9 compared)"],
    );
}

#[test]
fn labels_that_change() {
    let relabelled = A.replace("app: job", "app: web");
    check(
        &[("a", A), ("a", ALLOW)],
        &[("a", &relabelled), ("a", ALLOW)],
        expect![[r#"
            pod a/shop/job   opens 1
              opens   TCP/80  a/shop/job → a/shop/db

            in all opens 1 (9 verdicts compared)"#]],
    );
    let team = ALLOW.replace(
        "podSelector: {matchLabels: {app: web}}}]",
        "namespaceSelector: {matchLabels: {team: blue}}}]",
    );
    let green = A.replace("team: blue", "team: green");
    check(
        &[("a", A), ("a", &team)],
        &[("a", &green), ("a", &team)],
        expect![[r#"
            labels of namespace a/shop   closes 2
              closes  TCP/80  a/shop/job, a/shop/web → a/shop/db

            in all closes 2 (9 verdicts compared)"#]],
    );
}

/// S110, S111: a cluster that joins, and one that leaves.
#[test]
fn clusters_and_pods_that_come_and_go() {
    check(
        &[("a", A), ("a", ALLOW)],
        &[("a", A), ("a", ALLOW), ("b", B)],
        expect![[r#"
            cluster b   7 new
              new     TCP/80  a/shop/db, a/shop/job, a/shop/web and 1 more → b/shop/web
              new     TCP/80  b/shop/web → a/shop/db, a/shop/job, a/shop/web

            in all 7 new (16 verdicts compared)"#]],
    );
    check(
        &[("a", A), ("b", B)],
        &[("a", A)],
        expect![[r#"
        cluster b   7 gone
          gone    TCP/80  a/shop/db, a/shop/job, a/shop/web and 1 more → b/shop/web
          gone    TCP/80  b/shop/web → a/shop/db, a/shop/job, a/shop/web

        in all 7 gone (16 verdicts compared)"#]],
    );
    let finished = A.replace("{podIP: 10.1.0.3}", "{phase: Failed, podIP: 10.1.0.3}");
    check(
        &[("a", A)],
        &[("a", &finished)],
        expect![[r#"
        pods that come and go   5 gone
          gone    TCP/80  a/shop/db, a/shop/job, a/shop/web → a/shop/job
          gone    TCP/80  a/shop/job → a/shop/db, a/shop/web

        in all 5 gone (9 verdicts compared)"#]],
    );
}

/// S83: a pod that shares the address of another shares what policies say of it, and its going is why that changes.
#[test]
fn an_address_that_two_pods_had() {
    let twin = "
---
apiVersion: v1
kind: Pod
metadata: {name: twin, namespace: shop, labels: {app: twin}}
spec: {nodeName: n}
status: {podIP: 10.1.0.1}
";
    let deny = DENY.replace("app: db", "app: twin");
    check(
        &[("a", A), ("a", twin), ("a", &deny)],
        &[("a", A), ("a", &deny)],
        expect![[r#"
            pods that come and go   7 gone
              gone    TCP/80  a/shop/db, a/shop/job, a/shop/twin and 1 more → a/shop/twin
              gone    TCP/80  a/shop/twin → a/shop/db, a/shop/job, a/shop/web

            owner of 10.1.0.1   opens 2
              opens   TCP/80  a/shop/job, a/shop/web → a/shop/db

            in all opens 2, 7 gone (16 verdicts compared)"#]],
    );
}

/// An address sends itself something only while somebody in the ClusterSet has it.
#[test]
fn an_address_that_becomes_a_pods() {
    let [before, after] =
        [vec![("b", B)], vec![("a", A), ("b", B)]].map(|manifests| clusterset(&manifests, Switches::default()));
    let changes = between(
        &before,
        &after,
        &["ip:10.1.0.1".parse().unwrap()],
        &["TCP/80".parse().unwrap()],
        NonZeroUsize::MIN,
    );
    expect![[r#"
        owner of 10.1.0.1   1 new
          new     TCP/80  ip:10.1.0.1 → ip:10.1.0.1

        in all 1 new (1 verdict compared)"#]]
    .assert_eq(&text::answer(&changes, Ink::Plain));
}

#[test]
fn programs_are_told_everything() {
    let changes = changes(&[("a", A)], &[("a", A), ("a", DENY)], &["TCP/80", "UDP/53/4"]);
    expect![[r#"{"compared":18,"groups":[{"causes":["policy a/shop/deny"],"changes":[{"probe":"TCP/80","from":"a/shop/job","to":"a/shop/db","before":".","after":"X"},{"probe":"TCP/80","from":"a/shop/web","to":"a/shop/db","before":".","after":"X"},{"probe":"UDP/53/4","from":"a/shop/job","to":"a/shop/db","before":".","after":"X"},{"probe":"UDP/53/4","from":"a/shop/web","to":"a/shop/db","before":".","after":"X"}]}]}"#]].assert_eq(&json::answer(&changes).unwrap());
}
