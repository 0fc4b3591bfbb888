//! A world as a folder of manifests has it.
//!
//! Nothing but [`ClusterSet::write`] touches files.

use super::{Cluster, ClusterSet};
use enforcer::offline::Manifests;
use enforcer::offline::manifests::parse;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;

impl ClusterSet {
    /// This world, with the Node objects that say its nodes' addresses.
    #[must_use]
    pub fn with_node_objects(mut self) -> Self {
        for cluster in self.clusters.values_mut() {
            let nodes = nodes(cluster);
            cluster.objects.extend(nodes);
        }
        self
    }

    /// As `enforcer matrix` and its like read it.
    ///
    /// # Panics
    /// If a cluster's id is none.
    pub fn manifests(&self) -> Manifests {
        let mut manifests = Manifests::default();
        for (name, cluster) in &self.clusters {
            let name = ClusterName::new(name).expect("worlds have good ids");
            let parsed = parse::file(&name, Path::new("world.json").into(), &list(&cluster.objects));
            let objects = parsed.objects.into_iter().map(Into::into).collect();
            manifests.clusters.insert(name, objects);
        }
        manifests
    }

    /// The same as files: `dir/<cluster>/<number>.json`, a few objects in each.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        for (name, cluster) in &self.clusters {
            let folder = dir.join(name);
            std::fs::create_dir(&folder)?;
            for (number, objects) in cluster.objects.chunks(3).enumerate() {
                std::fs::write(folder.join(format!("{number}.json")), list(objects))?;
            }
        }
        Ok(())
    }
}

fn list(objects: &[Value]) -> Vec<u8> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    list.to_string().into_bytes()
}

fn nodes(cluster: &Cluster) -> Vec<Value> {
    let node = |(name, addresses): (&String, &BTreeSet<IpAddr>)| {
        let addresses = addresses
            .iter()
            .map(|address| json!({"type": "InternalIP", "address": address}));
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"addresses": addresses.collect::<Vec<_>>()},
        })
    };
    cluster.nodes.iter().map(node).collect()
}
