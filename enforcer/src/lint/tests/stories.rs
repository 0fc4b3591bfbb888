//! The three stories, whole: what an administrator is told of policies that are as they should be.

use super::*;
use crate::offline::{ClusterSet, Manifests};
use crate::switches::Switches;
use expect_test::expect;
use std::path::{Path, PathBuf};

/// The stories' clusters, and the policies of one of them, as one folder.
fn story(name: &str) -> String {
    let worlds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/worlds");
    let folder = tempfile::tempdir().unwrap();
    for (world, prefix) in [("stories", ""), (name, "story-")] {
        for cluster in folders(&worlds.join(world)) {
            let into = folder.path().join(cluster.file_name().unwrap());
            std::fs::create_dir_all(&into).unwrap();
            for file in std::fs::read_dir(&cluster).unwrap() {
                let file = file.unwrap();
                let name = format!("{prefix}{}", file.file_name().to_str().unwrap());
                std::fs::copy(file.path(), into.join(name)).unwrap();
            }
        }
    }
    let manifests = Manifests::read(folder.path()).unwrap();
    text(
        &lint(&manifests, &ClusterSet::new(&manifests, Switches::default())),
        Ink::Plain,
    )
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[test]
fn story_1() {
    expect![[r#"
        NetworkPolicy cluster-a/shop/database-from-frontends   cluster-a/story-policy.yaml:1
          note     spec.ingress[0].from[0].namespaceSelector   every-cluster
                   a namespaceSelector without the cluster label reaches every cluster: it now admits 2 pods of cluster-b (cluster-b/shop/frontend-0, cluster-b/shop/frontend-1)
                   to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a}
                   to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

        0 errors, 0 warnings, 1 note
    "#]].assert_eq(&story("story-1"));
    expect![[r#"
        NetworkPolicy cluster-a/shop/database-from-frontends   cluster-a/story-policy.yaml:1
          warning  spec.ingress[0].from[0]   bare-pod-selector
                   a bare podSelector reaches namespace shop of every cluster: it now admits 2 pods of cluster-b (cluster-b/shop/frontend-0, cluster-b/shop/frontend-1)
                   to keep it local add  namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a, kubernetes.io/metadata.name: shop}}
                   to say that every cluster is meant add  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}, matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]}

        0 errors, 1 warning, 0 notes
    "#]].assert_eq(&story("story-1-bare-selector"));
}

#[test]
fn story_2() {
    expect![[r#"
        NetworkPolicy pci/billing/billing-to-ledger-only   pci/story-policy.yaml:1
          note     spec.egress   no-dns
                   no egress rule of any policy admits UDP/53 for 1 pod (pci/billing/billing-0): no resolver off their node answers them
                   to let them look up names add a rule  {to: [{namespaceSelector: {matchLabels: {cluster.clusterset.k8s.io/cluster-name: pci, kubernetes.io/metadata.name: kube-system}}}], ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}

        0 errors, 0 warnings, 1 note
    "#]].assert_eq(&story("story-2"));
}

#[test]
fn story_2_with_a_false_claim() {
    expect![[r#"
        Namespace cluster-b/billing   cluster-b/story-namespace.yaml:1
          error    metadata.labels["cluster.clusterset.k8s.io/cluster-name"]   foreign-cluster-label
                   the label says "pci", but this namespace is cluster-b's; the claim does not count, its pods are matched as cluster-b's
                   write  labels: {cluster.clusterset.k8s.io/cluster-name: cluster-b}
          warning  taken-otherwise
                   the same object stands in cluster-b/namespaces.yaml, document 2: the last one counts

        1 error, 1 warning, 0 notes
    "#]].assert_eq(&story("story-2-false-claim"));
}

#[test]
fn story_3() {
    expect![[r#"
        0 errors, 0 warnings, 0 notes
    "#]]
    .assert_eq(&story("story-3"));
    expect![[r#"
        NetworkPolicy cluster-a/shop/too-broad   cluster-a/story-policy.yaml:1
          warning  spec.ingress[0].from[0].namespaceSelector   every-cluster
                   an empty namespaceSelector is every namespace of the whole ClusterSet: it now admits 6 pods of cluster-b (cluster-b/billing/billing-0, cluster-b/default/debug, cluster-b/shop/batch-0 and 3 more) and 3 pods of pci (pci/billing/billing-0, pci/billing/report-0, pci/default/debug)
                   to keep it local add  matchLabels: {cluster.clusterset.k8s.io/cluster-name: cluster-a}
                   to say that every cluster is meant add  matchExpressions: [{key: cluster.clusterset.k8s.io/cluster-name, operator: Exists}]

        0 errors, 1 warning, 0 notes
    "#]].assert_eq(&story("story-3-too-broad"));
    expect![[r#"
        0 errors, 0 warnings, 0 notes
    "#]]
    .assert_eq(&story("story-3-deny-all"));
}
