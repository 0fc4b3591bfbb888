//! The kinds of objects that the embedded API server has.
//!
//! Pure. Names, groups and scopes as Kubernetes' discovery gives them; nothing about behaviour.

use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A kind of object, ordered as lists of kinds show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Resource {
    /// Events.
    Events,
    /// Namespaces.
    Namespaces,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
    /// NetworkPolicies of networking.k8s.io.
    NetworkPolicies,
}

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One per cluster and name.
    Cluster,
    /// One per namespace and name.
    Namespaced,
}

/// A part of an object with a path of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subresource {
    /// `status`: all but the specification.
    Status,
    /// `finalize`: a namespace's `spec.finalizers`.
    Finalize,
}

impl Subresource {
    /// Its last path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Subresource::Status => "status",
            Subresource::Finalize => "finalize",
        }
    }
}

impl Resource {
    /// All kinds.
    pub const ALL: [Resource; 5] = [
        Resource::Events,
        Resource::Namespaces,
        Resource::Nodes,
        Resource::Pods,
        Resource::NetworkPolicies,
    ];

    /// The kind that a path names.
    pub fn find(group: &str, plural: &str) -> Option<Resource> {
        Resource::ALL
            .into_iter()
            .find(|resource| resource.group() == group && resource.plural() == plural)
    }

    /// The name in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Resource::Events => "events",
            Resource::Namespaces => "namespaces",
            Resource::Nodes => "nodes",
            Resource::Pods => "pods",
            Resource::NetworkPolicies => "networkpolicies",
        }
    }

    /// The `kind` of its objects.
    pub fn kind(self) -> &'static str {
        match self {
            Resource::Events => "Event",
            Resource::Namespaces => "Namespace",
            Resource::Nodes => "Node",
            Resource::Pods => "Pod",
            Resource::NetworkPolicies => "NetworkPolicy",
        }
    }

    /// What kubectl lets people type instead.
    pub fn short_name(self) -> &'static str {
        match self {
            Resource::Events => "ev",
            Resource::Namespaces => "ns",
            Resource::Nodes => "no",
            Resource::Pods => "po",
            Resource::NetworkPolicies => "netpol",
        }
    }

    /// Its API group; the core group is empty.
    pub fn group(self) -> &'static str {
        match self {
            Resource::Events | Resource::Namespaces | Resource::Nodes | Resource::Pods => "",
            Resource::NetworkPolicies => "networking.k8s.io",
        }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(self) -> &'static str {
        match self {
            Resource::Events | Resource::Namespaces | Resource::Nodes | Resource::Pods => "v1",
            Resource::NetworkPolicies => "networking.k8s.io/v1",
        }
    }

    /// Where its objects live.
    pub fn scope(self) -> Scope {
        match self {
            Resource::Namespaces | Resource::Nodes => Scope::Cluster,
            Resource::Events | Resource::Pods | Resource::NetworkPolicies => Scope::Namespaced,
        }
    }

    /// The parts with paths of their own.
    pub fn subresources(self) -> &'static [Subresource] {
        match self {
            Resource::Namespaces => &[Subresource::Status, Subresource::Finalize],
            Resource::Nodes | Resource::Pods => &[Subresource::Status],
            Resource::Events | Resource::NetworkPolicies => &[],
        }
    }

    /// The name with its group, as messages say it: `networkpolicies.networking.k8s.io`.
    pub fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// The object as its type understands it: unknown fields are dropped, wrong types are an error.
    pub fn decode(self, object: Value) -> Result<Value, serde_json::Error> {
        match self {
            Resource::Events => through::<Event>(object),
            Resource::Namespaces => through::<Namespace>(object),
            Resource::Nodes => through::<Node>(object),
            Resource::Pods => through::<Pod>(object),
            Resource::NetworkPolicies => through::<NetworkPolicy>(object),
        }
    }
}

fn through<T: DeserializeOwned + Serialize>(object: Value) -> Result<Value, serde_json::Error> {
    let mut object = serde_json::to_value(serde_json::from_value::<T>(object)?)?;
    drop_empty(&mut object);
    Ok(object)
}

/// Maps that the API's types leave out when they are empty. (Other empty objects, selectors above all, mean something.)
const OPTIONAL_MAPS: [&str; 3] = ["annotations", "labels", "matchLabels"];

/// Leaves out what the API's types leave out: nulls, empty lists and some empty maps.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| match field {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !(map.is_empty() && OPTIONAL_MAPS.contains(&name.as_str())),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            });
            fields.values_mut().for_each(drop_empty);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
