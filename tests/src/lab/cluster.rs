//! One cluster's API server, and the objects written to it.
//!
//! Objects go the way of `kubectl`: created, or merged into what is there; then what a kubelet would report, as status.
//! A pod that its manifest says is terminating is deleted then, and held by a finalizer of the lab's.

mod controllers;

use super::address::Service;
use crate::apiserver::{ApiServer, Kind, Lists, Role, Site, embedded};
use anyhow::{Context, Result, bail};
use futures::stream::{self, StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port of every API server on the fabric.
const PORT: u16 = 6443;
/// Objects written at once.
const WRITES: usize = 16;
/// Holds a terminating pod: no kubelet is there that would end it, and one that has finished or is on no node would be
/// gone at once.
const FINALIZER: &str = "lab.bailey.invalid/terminating";
/// What the API server answers to the creation of something that is there.
const CONFLICT: u16 = 409;
/// What the API server answers about something that is not there.
const NOT_FOUND: u16 = 404;

/// The kinds the lab knows, in the order in which they must be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Written {
    /// Namespaces.
    Namespace,
    /// Nodes.
    Node,
    /// Pods.
    Pod,
    /// NetworkPolicies.
    NetworkPolicy,
}

/// A running API server.
pub struct Cluster {
    name: ClusterName,
    server: ApiServer,
    client: kube::Client,
    address: SocketAddr,
}

impl Written {
    const ALL: [Self; 4] = [Self::Namespace, Self::Node, Self::Pod, Self::NetworkPolicy];

    /// The kind of an object; none: nothing that Bailey reads.
    pub fn of(object: &Value) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| object["kind"] == kind.resource().kind.as_str())
    }

    fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Namespace => ("", "Namespace", "namespaces"),
            Self::Node => ("", "Node", "nodes"),
            Self::Pod => ("", "Pod", "pods"),
            Self::NetworkPolicy => ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
        };
        let api_version = if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        };
        ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    const fn is_namespaced(self) -> bool {
        match self {
            Self::Namespace | Self::Node => false,
            Self::Pod | Self::NetworkPolicy => true,
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts an API server on the fabric, in the caller's network namespace.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(kind: Kind, name: ClusterName, service: Service, dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let [v4, v6] = service.addresses();
        let site = Site {
            name: name.to_string(),
            listen: SocketAddr::new(v4, PORT),
            // The last one is a person's way in, by a door of the machine's own network.
            reached_by: vec![v4, v6, IpAddr::from(Ipv4Addr::LOCALHOST)],
            dir,
        };
        let address = site.listen;
        let server = ApiServer::start(kind, site)
            .await
            .with_context(|| format!("the API server of {name}"))?;
        let client = server.client().await?;
        Ok(Self {
            name,
            server,
            client,
            address,
        })
    }

    /// Its id.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// The embedded API server, which has knobs for faults, if it is that one.
    pub fn embedded(&self) -> Option<&embedded::Server> {
        match &self.server {
            ApiServer::Embedded(server) => Some(server),
            ApiServer::Real(_) => None,
        }
    }

    /// Where its API server listens on the fabric.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends its API server as `kill -9` would; what was written stays.
    ///
    /// # Errors
    /// If it cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    /// Starts its API server again, with what was written; it is ready when this returns.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn restart_with(&mut self, lists: Lists) -> Result<()> {
        self.server.restart_with(lists).await
    }

    /// Puts another cluster in its place, empty, behind the same address and with the same credentials.
    ///
    /// # Errors
    /// If the API server is a real one.
    pub async fn rebuild(&mut self) -> Result<()> {
        match &mut self.server {
            ApiServer::Embedded(server) => server.rebuild().await,
            ApiServer::Real(_) => bail!("only the embedded API server can be another cluster's"),
        }
    }

    /// How its API server answers who wants a list as a stream: by asking for one.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn lists(&self) -> Result<Lists> {
        let path = "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                    &allowWatchBookmarks=true&timeoutSeconds=1";
        let request = http::Request::get(path).body(kube::client::Body::empty())?;
        Ok(if self.client.send(request).await?.status().is_success() {
            Lists::Streamed
        } else {
            Lists::Paged
        })
    }

    /// A user's kubeconfig, for use on the fabric.
    pub fn kubeconfig(&self, role: Role) -> String {
        self.server.kubeconfig(role)
    }

    /// The same for use where the API server is reached at `door`.
    pub fn kubeconfig_through(&self, role: Role, door: SocketAddr) -> String {
        self.kubeconfig(role)
            .replace(&format!("https://{}", self.address), &format!("https://{door}"))
    }

    /// Writes objects of the kinds that Bailey reads, and the namespaces they are in. Others are passed over.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub async fn write(&self, objects: &[Value]) -> Result<()> {
        for kind in Written::ALL {
            if kind == Written::Node {
                self.make_namespaces(objects).await?;
            }
            let of_kind = objects.iter().filter(|object| Written::of(object) == Some(kind));
            let writes = stream::iter(of_kind).map(|object| self.write_one(kind, object));
            writes.buffer_unordered(WRITES).try_collect::<Vec<()>>().await?;
        }
        Ok(())
    }

    /// Deletes an object; that it is not there is fine.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let Some(kind) = Written::of(object) else { return Ok(()) };
        let name = name_of(object);
        let deleted = self.api(kind, object).delete(name, &DeleteParams::default()).await;
        match deleted {
            Err(kube::Error::Api(status)) if status.code == NOT_FOUND => Ok(()),
            other => other.map(drop).with_context(|| self.describe(object)),
        }
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn patch(&self, object: &Value, patch: &Value) -> Result<()> {
        let kind = Written::of(object).context("the lab writes no such kind")?;
        let patched = self
            .api(kind, object)
            .patch(name_of(object), &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.map(drop).with_context(|| self.describe(object))
    }

    /// The pods of an object's namespace.
    pub fn pods(&self, object: &Value) -> Api<k8s_openapi::api::core::v1::Pod> {
        Api::namespaced(self.client.clone(), namespace_of(object))
    }

    async fn write_one(&self, kind: Written, object: &Value) -> Result<()> {
        let api = self.api(kind, object);
        let mut spoken = object.clone();
        prepare(kind, &mut spoken);
        let status = spoken.as_object_mut().and_then(|fields| fields.remove("status"));
        let create: DynamicObject = serde_json::from_value(spoken.clone()).with_context(|| self.describe(object))?;
        match api.create(&PostParams::default(), &create).await {
            Err(kube::Error::Api(answer)) if answer.code == CONFLICT => self.patch(object, &spoken).await?,
            other => drop(other.with_context(|| self.describe(object))?),
        }
        if let (Some(status), Written::Pod | Written::Node) = (status, kind) {
            let patch = Patch::Merge(json!({ "status": status }));
            let patched = api.patch_status(name_of(object), &PatchParams::default(), &patch).await;
            patched.with_context(|| format!("status of {}", self.describe(object)))?;
        }
        if is_terminating(kind, object) {
            self.delete(object).await?;
        }
        Ok(())
    }

    /// Namespaces that objects are in and no object of the manifests makes.
    async fn make_namespaces(&self, objects: &[Value]) -> Result<()> {
        let made = objects
            .iter()
            .filter(|object| Written::of(object) == Some(Written::Namespace))
            .map(name_of);
        let made: BTreeSet<&str> = made.chain(["default", "kube-system"]).collect();
        let namespaced = objects
            .iter()
            .filter(|object| Written::of(object).is_some_and(Written::is_namespaced));
        let missing: BTreeSet<&str> = namespaced
            .map(namespace_of)
            .filter(|name| !made.contains(name))
            .collect();
        for name in missing {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.write_one(Written::Namespace, &namespace).await?;
        }
        Ok(())
    }

    fn api(&self, kind: Written, object: &Value) -> Api<DynamicObject> {
        let resource = kind.resource();
        if kind.is_namespaced() {
            Api::namespaced_with(self.client.clone(), namespace_of(object), &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    fn describe(&self, object: &Value) -> String {
        let kind = object["kind"].as_str().unwrap_or("?");
        format!("{}: {kind} {}/{}", self.name, namespace_of(object), name_of(object))
    }
}

/// Whether a manifest says of a pod that somebody has deleted it (S82). Of namespaces and policies that says nothing about
/// packets.
fn is_terminating(kind: Written, object: &Value) -> bool {
    kind == Written::Pod && object["metadata"]["deletionTimestamp"].is_string()
}

/// What `kubectl get -o yaml` adds and no creation may carry goes; what the API server insists on and no packet shows
/// is put in.
fn prepare(kind: Written, object: &mut Value) {
    if is_terminating(kind, object) {
        let held = &mut object["metadata"]["finalizers"];
        match held.as_array_mut() {
            Some(held) => held.push(FINALIZER.into()),
            None => *held = json!([FINALIZER]),
        }
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
        ] {
            metadata.remove(field);
        }
    }
    if kind == Written::Pod && object["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
        object["spec"]["containers"] = json!([{"name": "main", "image": "none"}]);
    }
    let resource = kind.resource();
    if object["apiVersion"].is_null() {
        object["apiVersion"] = resource.api_version.into();
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace_of(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or("default")
}
