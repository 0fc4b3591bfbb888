//! Small worlds, written as manifests.

use crate::lint::estate::{Case, Estate};
use crate::lint::{Findings, lint};
use crate::offline::{ClusterSet, Manifests, manifests::parse};
use crate::switches::Switches;
use proto::model::{CLUSTER_LABEL, ClusterName};
use proto::selector::{BarePodSelector, ClusterLabelMode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Manifests of some clusters. Each namespace that is named has an object with its cluster's label, if it is not
/// written otherwise; each cluster is a file.
#[derive(Clone, Default)]
pub struct World {
    switches: Switches,
    named: BTreeSet<(String, String)>,
    written: BTreeSet<(String, String)>,
    files: BTreeMap<String, String>,
}

impl World {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn bare_pod_selector(mut self, reach: BarePodSelector) -> Self {
        self.switches.selectors.bare_pod_selector = reach;
        self
    }

    pub fn mode(mut self, mode: ClusterLabelMode) -> Self {
        self.switches.selectors.cluster_label = mode;
        self
    }

    /// A document of a cluster, as it is.
    pub fn document(mut self, cluster: &str, yaml: &str) -> Self {
        let file = self.files.entry(cluster.to_owned()).or_default();
        *file += &format!("---\n{yaml}\n");
        self
    }

    /// A cluster without objects.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.files.entry(cluster.to_owned()).or_default();
        self
    }

    /// `cluster/name`, with these labels.
    pub fn namespace(mut self, path: &str, labels: &str) -> Self {
        let (cluster, name) = path.split_once('/').unwrap();
        self.written.insert((cluster.to_owned(), name.to_owned()));
        let yaml = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name:?}, labels: {labels}}}}}");
        self.document(cluster, &yaml)
    }

    /// `cluster/name` has no object.
    pub fn no_namespace(mut self, path: &str) -> Self {
        let (cluster, name) = path.split_once('/').unwrap();
        self.written.insert((cluster.to_owned(), name.to_owned()));
        self
    }

    /// `cluster/namespace/name` on `node-1`, with labels and addresses.
    pub fn pod(self, path: &str, labels: &str, addresses: &[&str]) -> Self {
        self.pod_with(path, labels, addresses, ["nodeName: node-1", "phase: Running"])
    }

    /// Also with what else stands in `spec` and `status`.
    pub fn pod_with(self, path: &str, labels: &str, addresses: &[&str], [spec, status]: [&str; 2]) -> Self {
        let addresses: Vec<String> = addresses
            .iter()
            .map(|address| format!("{{ip: \"{address}\"}}"))
            .collect();
        let status = format!("{status}, podIPs: [{}]", addresses.join(", "));
        let rest = format!("spec: {{{spec}}}, status: {{{status}}}");
        self.object("v1, kind: Pod", path, &format!(", labels: {labels}"), &rest)
    }

    /// `cluster/namespace/name`, with its `spec`.
    pub fn policy(self, path: &str, spec: &str) -> Self {
        self.object(
            "networking.k8s.io/v1, kind: NetworkPolicy",
            path,
            "",
            &format!("spec: {spec}"),
        )
    }

    fn object(mut self, kind: &str, path: &str, metadata: &str, rest: &str) -> Self {
        let [cluster, namespace, name] = path.split('/').collect::<Vec<_>>().try_into().unwrap();
        self.named.insert((cluster.to_owned(), namespace.to_owned()));
        let yaml =
            format!("{{apiVersion: {kind}, metadata: {{namespace: {namespace:?}, name: {name:?}{metadata}}}, {rest}}}");
        self.document(cluster, &yaml)
    }

    /// The pods that the peers of all policies mean.
    pub fn reached(&self) -> Vec<String> {
        let set = ClusterSet::new(&self.manifests(), self.switches);
        let estate = Estate::of(&set);
        let cases = estate.policies.iter().map(|policy| Case::new(&estate, policy));
        let reached = cases.flat_map(|case| {
            let reach = case.peers().flat_map(|peer| &peer.reach).map(ToString::to_string);
            reach.collect::<Vec<_>>()
        });
        reached.collect()
    }

    /// What lint finds.
    pub fn lint(&self) -> Findings {
        let manifests = self.manifests();
        lint(&manifests, &ClusterSet::new(&manifests, self.switches))
    }

    fn manifests(&self) -> Manifests {
        let mut world = self.clone();
        for (cluster, name) in self.named.difference(&self.written) {
            world = world.namespace(
                &format!("{cluster}/{name}"),
                &format!("{{{CLUSTER_LABEL}: {cluster:?}}}"),
            );
        }
        let mut manifests = Manifests::default();
        for (cluster, yaml) in &world.files {
            let id = ClusterName::new(cluster).unwrap();
            let file = Path::new(cluster).join("all.yaml");
            let parsed = parse::file(&id, file.into(), yaml.as_bytes());
            manifests.complaints.extend(parsed.complaints);
            let objects = parse::once(&id, parsed.objects, &mut manifests.complaints);
            manifests.clusters.insert(id, objects);
        }
        manifests
    }
}
