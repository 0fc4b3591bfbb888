//! `deploy/cluster-label`: namespaces say which cluster they are of, whoever makes them, and none says another's.

use super::{Cluster, deploy, kustomize};
use serde_json::{Value, json};

const LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";

/// How long an API server may take to have its policies in force: it reads them by a watch.
const TRIES: usize = 600;

impl Cluster {
    /// The cluster label of a namespace.
    fn label_of(&self, namespace: &str) -> Value {
        let namespace = self.kubectl(&format!("get namespace {namespace} --output=json"));
        serde_json::from_str::<Value>(&namespace).unwrap()["metadata"]["labels"][LABEL].take()
    }

    fn try_kubectl(&self, arguments: &str) -> Result<String, String> {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.run("kubectl", &arguments)
    }

    /// Returns once a namespace that is only tried gets the label `id`.
    fn labels_with(&self, id: &str) {
        let tried = || {
            let tried = self.kubectl("create namespace tried --dry-run=server --output=json");
            serde_json::from_str::<Value>(&tried).unwrap()["metadata"]["labels"][LABEL].take()
        };
        assert!((0..TRIES).any(|_| tried() == json!(id)), "{:?} is no {id}", tried());
    }
}

#[tokio::test]
async fn a_namespace_gets_the_label_keeps_it_and_cannot_have_another_clusters() {
    let cluster = Cluster::start().await;
    cluster.kubectl("create namespace bailey");
    cluster.kubectl("create namespace old");
    cluster.kubectl(&format!("label namespace old {LABEL}=elsewhere"));
    let manifests = kustomize(&deploy().join("cluster-label")).replace("cluster-a", "cluster-b");
    cluster.apply(&manifests, &[]).unwrap();
    cluster.labels_with("cluster-b");

    cluster.kubectl("create namespace new");
    assert_eq!(cluster.label_of("new"), "cluster-b");
    cluster.kubectl(&format!("label namespace new {LABEL}-"));
    assert_eq!(cluster.label_of("new"), "cluster-b");

    let words = "this is cluster cluster-b: the label cluster.clusterset.k8s.io/cluster-name of a namespace may be cluster-b \
                 or left away (it is then added), not cluster-a";
    let refused = cluster
        .try_kubectl(&format!("label namespace new {LABEL}=cluster-a --overwrite"))
        .unwrap_err();
    assert!(refused.contains(words), "{refused}");
    assert_eq!(cluster.label_of("new"), "cluster-b");
    let lying =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lying", "labels": {LABEL: "cluster-a"}}});
    let refused = cluster.apply(&lying.to_string(), &[]).unwrap_err();
    assert!(refused.contains(words), "{refused}");

    // What was false before the policies came does not keep anybody from changing something else, or from putting it right.
    cluster.kubectl("label namespace old app=x");
    assert_eq!(cluster.label_of("old"), "elsewhere");
    cluster.kubectl(&format!("label namespace old {LABEL}=cluster-b --overwrite"));
    assert_eq!(cluster.label_of("old"), "cluster-b");

    // Where the id is not known, namespaces are made all the same.
    cluster.kubectl("delete configmap bailey-cluster --namespace=bailey");
    let made = (0..TRIES).any(|number| {
        cluster.kubectl(&format!("create namespace unnamed-{number}"));
        cluster.label_of(&format!("unnamed-{number}")) == Value::Null
    });
    assert!(made);
    cluster
        .try_kubectl(&format!("label namespace new {LABEL}=cluster-a --overwrite"))
        .unwrap();
}
