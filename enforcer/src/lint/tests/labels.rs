//! Namespaces, and selectors on the cluster label.

use super::*;
use crate::lint::{cluster_label, namespaces};
use expect_test::expect;
use proto::selector::ClusterLabelMode;

/// N4, S105: an unlabelled namespace is named, unless the label is not read.
#[test]
fn namespace_without_the_label() {
    let world = World::new()
        .namespace("a/shop", "{}")
        .namespace("a/pay", "{cluster.clusterset.k8s.io/cluster-name: a}")
        .pod("a/shop/web", "{}", &["10.1.0.1"]);
    check(
        &world,
        &[&namespaces::UNLABELLED, &namespaces::FOREIGN, &namespaces::MISSPELT],
        expect![[r#"
            Namespace a/shop   a/all.yaml:2
              warning  metadata.labels   namespace-without-cluster-label
                       no cluster label: selectors that name a do not match its 1 pod, NotIn and DoesNotExist on the label do
                       write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

            0 errors, 1 warning, 0 notes
        "#]],
    );
    silent(&world.mode(ClusterLabelMode::Assert), &[&namespaces::UNLABELLED]);
}

/// S106, N5, N7: a label that names another cluster, by mistake, by capitals or on purpose.
#[test]
fn foreign_label() {
    let world = World::new()
        .namespace("a/shop", "{cluster.clusterset.k8s.io/cluster-name: pci}")
        .namespace("a/caps", "{cluster.clusterset.k8s.io/cluster-name: A}")
        .namespace("a/pay", "{cluster.clusterset.k8s.io/cluster-name: a}")
        .pod("a/shop/web", "{}", &["10.1.0.1"]);
    for (mode, expected) in [
        (
            ClusterLabelMode::Verify,
            expect![[r#"
                Namespace a/caps   a/all.yaml:4
                  error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "A", which is not "a": ids are compared exactly; the claim does not count, its pods are matched as a's
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                Namespace a/shop   a/all.yaml:2
                  error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "pci", but this namespace is a's; the claim does not count, its pods are matched as a's
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                2 errors, 0 warnings, 0 notes
            "#]],
        ),
        (
            ClusterLabelMode::Literal,
            expect![[r#"
                Namespace a/caps   a/all.yaml:4
                  error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "A", which is not "a": ids are compared exactly; the claim is believed: what names "A" matches its pods, what names a does not
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                Namespace a/shop   a/all.yaml:2
                  error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "pci", but this namespace is a's; the claim is believed: what names "pci" matches 1 pod (a/shop/web), what names a does not
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                2 errors, 0 warnings, 0 notes
            "#]],
        ),
        (
            ClusterLabelMode::Assert,
            expect![[r#"
                Namespace a/caps   a/all.yaml:4
                  warning  metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "A", which is not "a": ids are compared exactly; the label is not read, its pods are matched as a's
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                Namespace a/shop   a/all.yaml:2
                  warning  metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                           the label says "pci", but this namespace is a's; the label is not read, its pods are matched as a's
                           write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

                0 errors, 2 warnings, 0 notes
            "#]],
        ),
    ] {
        check(&world.clone().mode(mode), &[&namespaces::FOREIGN], expected);
    }
}

/// N7: a key that is nearly the label's.
#[test]
fn misspelt_key() {
    let world = World::new()
        .namespace("a/caps", "{cluster.clusterset.k8s.io/Cluster-Name: a}")
        .namespace("a/short", "{cluster.clusterset.k8s.io: a}")
        .namespace("a/both", "{cluster.clusterset.k8s.io/cluster-name: a, cluster.clusterset.k8s.io/zone: b}")
        .namespace("a/other", "{example.com/cluster-name: a, cluster.clusterset.k8s.io/cluster-name: a}")
        .policy(
            "a/both/p",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {clusterset.k8s.io/cluster-name: a}}}, \
             {namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/zone: b}}}]}]}",
        );
    check(
        &world,
        &[&namespaces::MISSPELT],
        expect![[r#"
            Namespace a/caps   a/all.yaml:2
              warning  metadata.labels["cluster.clusterset.k8s.io/Cluster-Name"]   cluster-label-misspelt
                       "cluster.clusterset.k8s.io/Cluster-Name" is not the cluster label: no policy sees the cluster in it
                       write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

            Namespace a/short   a/all.yaml:4
              warning  metadata.labels["cluster.clusterset.k8s.io"]   cluster-label-misspelt
                       "cluster.clusterset.k8s.io" is not the cluster label: no policy sees the cluster in it
                       write  labels: {cluster.clusterset.k8s.io/cluster-name: a}

            NetworkPolicy a/both/p   a/all.yaml:10
              warning  spec.ingress[0].from[0].namespaceSelector   cluster-label-misspelt
                       "clusterset.k8s.io/cluster-name" is not the cluster label, and no namespace has it
                       write  cluster.clusterset.k8s.io/cluster-name

            0 errors, 3 warnings, 0 notes
        "#]],
    );
}

/// N6, S29: the name wins over a label that contradicts it.
#[test]
fn name_label() {
    let world = World::new()
        .namespace("a/shop", "{kubernetes.io/metadata.name: other}")
        .namespace("a/pay", "{kubernetes.io/metadata.name: pay}");
    check(
        &world,
        &[&namespaces::NAME],
        expect![[r#"
            Namespace a/shop   a/all.yaml:2
              warning  metadata.labels["kubernetes.io/metadata.name"]   name-label-contradicts
                       the label says "other", the name is "shop": selectors see the name
                       write  kubernetes.io/metadata.name: shop, or leave it away

            0 errors, 1 warning, 0 notes
        "#]],
    );
}

/// N1, S31, P27: pods and policies without a Namespace object.
#[test]
fn namespace_without_an_object() {
    let world = World::new()
        .no_namespace("a/shop")
        .no_namespace("b/late")
        .pod("a/shop/web", "{}", &["10.1.0.1"])
        .pod("a/pay/web", "{}", &["10.1.0.2"])
        .policy("b/late/p", "{podSelector: {}}");
    check(
        &world,
        &[&namespaces::MISSING],
        expect![[r#"
            Namespace a/shop   a/all.yaml:2
              warning  namespace-missing
                       there is no such Namespace object: no namespaceSelector but the empty one matches 1 pod (a/shop/web)
                       add  {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {cluster.clusterset.k8s.io/cluster-name: a}}}

            Namespace b/late   b/all.yaml:2
              warning  namespace-missing
                       there is no such Namespace object, and no live pod in it; policies in it take effect with the first
                       add  {apiVersion: v1, kind: Namespace, metadata: {name: late, labels: {cluster.clusterset.k8s.io/cluster-name: b}}}

            0 errors, 2 warnings, 0 notes
        "#]],
    );
}

/// S107: NotIn and DoesNotExist on the cluster label widen by themselves; beside In they do not.
#[test]
fn negative_requirements() {
    let peer = |expressions: &str| {
        let key = "key: cluster.clusterset.k8s.io/cluster-name";
        format!(
            "{{namespaceSelector: {{matchExpressions: [{}]}}}}",
            expressions.replace("KEY", key)
        )
    };
    let spec = format!(
        "{{podSelector: {{}}, ingress: [{{from: [{}, {}, {}, {}, {}]}}]}}",
        peer("{KEY, operator: NotIn, values: [c]}"),
        peer("{KEY, operator: DoesNotExist}"),
        peer("{KEY, operator: NotIn, values: [c]}, {KEY, operator: Exists}"),
        peer("{KEY, operator: In, values: [a, b]}"),
        peer("{key: other, operator: NotIn, values: [c]}"),
    );
    let world = World::new()
        .pod("a/shop/web", "{}", &["10.1.0.1"])
        .pod("b/shop/web", "{}", &["10.2.0.1"])
        .namespace("b/plain", "{}")
        .pod("b/plain/web", "{}", &["10.2.0.2"])
        .cluster("c")
        .policy("a/shop/p", &spec);
    check(
        &world,
        &[&cluster_label::NOT_IN],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:4
              warning  spec.ingress[0].from[0].namespaceSelector   cluster-label-not-in
                       NotIn matches every cluster that joins later and every namespace without the label; of other clusters it now matches 2 pods of b (b/plain/web, b/shop/web)
                       name those that are meant:  {key: cluster.clusterset.k8s.io/cluster-name, operator: In, values: [a, b]}
              warning  spec.ingress[0].from[1].namespaceSelector   cluster-label-not-in
                       DoesNotExist matches the namespaces of every cluster that nobody labelled; of other clusters it now matches 1 pod of b (b/plain/web)
                       label the namespaces and name their cluster:  {key: cluster.clusterset.k8s.io/cluster-name, operator: In, values: [a]}

            0 errors, 2 warnings, 0 notes
        "#]],
    );
}

/// S119: a policy that names an id which no cluster has.
#[test]
fn unknown_clusters() {
    let spec = "{podSelector: {}, egress: [{to: [
        {namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: PCI}}},
        {namespaceSelector: {matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: In, values: [a, elsewhere]}]}},
        {namespaceSelector: {matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: NotIn, values: [pcl, a]}]}},
        {namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: pci}}}]}]}";
    let world = World::new().cluster("pci").policy("a/shop/p", spec);
    check(
        &world,
        &[&cluster_label::UNKNOWN],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:2
              warning  spec.egress[0].to[0].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "PCI": it matches nobody
                       write  pci
              warning  spec.egress[0].to[1].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "elsewhere": it matches nobody
                       the clusters are a and pci
              warning  spec.egress[0].to[2].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "pcl": it excludes nobody
                       write  pci

            0 errors, 3 warnings, 0 notes
        "#]],
    );
    let claimed = world.namespace("a/claims", "{cluster.clusterset.k8s.io/cluster-name: elsewhere}");
    check(
        &claimed.clone().mode(ClusterLabelMode::Literal),
        &[&cluster_label::UNKNOWN],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:2
              warning  spec.egress[0].to[0].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "PCI": it matches nobody
                       write  pci
              warning  spec.egress[0].to[2].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "pcl": it excludes nobody
                       write  pci

            0 errors, 2 warnings, 0 notes
        "#]],
    );
    check(
        &claimed,
        &[&cluster_label::UNKNOWN],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:2
              warning  spec.egress[0].to[0].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "PCI": it matches nobody
                       write  pci
              warning  spec.egress[0].to[1].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "elsewhere": it matches nobody
                       the clusters are a and pci
              warning  spec.egress[0].to[2].namespaceSelector   unknown-cluster
                       no cluster of these manifests is called "pcl": it excludes nobody
                       write  pci

            0 errors, 3 warnings, 0 notes
        "#]],
    );
}

/// S108, I17: on pods the cluster label is an ordinary label.
#[test]
fn on_pods_and_in_pod_selectors() {
    let label = "{cluster.clusterset.k8s.io/cluster-name: pci}";
    let world = World::new()
        .cluster("pci")
        .pod("a/shop/web-0", label, &["10.1.0.1"])
        .pod("a/shop/web-1", label, &["10.1.0.2"])
        .pod("a/shop/web-2", label, &["10.1.0.3"])
        .pod("a/pay/web", label, &["10.1.0.4"])
        .pod_with("a/done/job", label, &["10.1.0.5"], ["nodeName: node-1", "phase: Succeeded"])
        .policy(
            "a/shop/p",
            &format!("{{podSelector: {{matchLabels: {label}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {label}}}}}, \
             {{namespaceSelector: {{matchLabels: {label}}}}}]}}]}}"),
        );
    check(
        &world,
        &[&cluster_label::ON_POD, &cluster_label::IN_POD_SELECTOR],
        expect![[r#"
            NetworkPolicy a/shop/p   a/all.yaml:12
              warning  spec.ingress[0].from[0].podSelector   cluster-label-in-pod-selector
                       a podSelector sees the labels of pods, not those of their namespaces: this does not say in which cluster they are
                       ask for cluster.clusterset.k8s.io/cluster-name in a namespaceSelector of the same entry
              warning  spec.podSelector   cluster-label-in-pod-selector
                       a podSelector sees the labels of pods, not those of their namespaces: this does not say in which cluster they are
                       leave it away: a policy selects pods of its own cluster only

            Pod a/pay/web   a/all.yaml:8
              note     metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   cluster-label-on-pod
                       this pod carries the cluster label: no namespaceSelector sees it there
                       label the Namespace:  cluster.clusterset.k8s.io/cluster-name: a

            Pod a/shop/web-0   a/all.yaml:2
              note     metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   cluster-label-on-pod
                       this pod carries the cluster label, as do 2 other pods of its namespace: no namespaceSelector sees it there
                       label the Namespace:  cluster.clusterset.k8s.io/cluster-name: a

            0 errors, 2 warnings, 2 notes
        "#]],
    );
}

/// S115: one cluster under two ids.
#[test]
fn the_same_cluster_twice() {
    let system =
        |uid: &str| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: kube-system, uid: '{uid}'}}}}");
    let world = World::new()
        .document("a", &system("7f9c"))
        .document("b", &system("7f9c"))
        .document("c", &system("0d11"))
        .document("d", &system(""))
        .document("e", &system(""));
    check(
        &world,
        &[&namespaces::SAME_CLUSTER],
        expect![[r#"
        Namespace b/kube-system   b/all.yaml:2
          error    metadata.uid   same-cluster
                   a has the same kube-system namespace, UID 7f9c: both are one cluster
                   remove the manifests of one of them

        1 error, 0 warnings, 0 notes
    "#]],
    );
}
