//! What a cluster's controllers do, in a cluster that has none.

use super::Cluster;
use anyhow::{Context, Result};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

/// Deletions under way at once.
const DELETIONS: usize = 16;

impl Cluster {
    /// A namespace's phase: `Active` or `Terminating`; none: there is no such namespace.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn phase(&self, namespace: &str) -> Result<Option<String>> {
        let found = self.namespaces().get_opt(namespace).await?;
        Ok(found.map(|found| found.status.and_then(|status| status.phase).unwrap_or_default()))
    }

    /// Deletes the pods of a namespace, at once as after their grace period.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn delete_pods(&self, namespace: &str) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let listed = pods.list(&ListParams::default()).await?;
        let names = listed.items.into_iter().filter_map(|pod| pod.metadata.name);
        let deletions = stream::iter(names).map(async |name| {
            let deleted = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
            deleted.with_context(|| format!("deleting pod {namespace}/{name}"))
        });
        deletions
            .buffer_unordered(DELETIONS)
            .try_for_each(async |_| Ok(()))
            .await
    }

    /// Says that nothing holds a deleted namespace back any more: with that it is gone.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn finalize(&self, namespace: &str) -> Result<()> {
        let nothing = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}, "spec": {"finalizers": []},
        });
        let finalized = self
            .namespaces()
            .replace_subresource("finalize", namespace, &PostParams::default(), &nothing)
            .await;
        finalized
            .map(drop)
            .with_context(|| format!("finalizing namespace {namespace}"))
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }
}
