//! Kubernetes objects as these commands handle them: JSON that has a place in a cluster. Pure.

use proto::observe::Kind;
use serde_json::Value;
use std::fmt;

const fn core(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "",
        version: "v1",
        kind,
        plural,
    }
}

const fn rbac(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "rbac.authorization.k8s.io",
        version: "v1",
        kind,
        plural,
    }
}

pub const NAMESPACE: Kind = core("Namespace", "namespaces");
pub const SERVICE_ACCOUNT: Kind = core("ServiceAccount", "serviceaccounts");
pub const SECRET: Kind = core("Secret", "secrets");
pub const POD: Kind = core("Pod", "pods");
pub const ENDPOINT_SLICE: Kind = Kind {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
};
pub const CLUSTER_ROLE: Kind = rbac("ClusterRole", "clusterroles");
pub const CLUSTER_ROLE_BINDING: Kind = rbac("ClusterRoleBinding", "clusterrolebindings");

/// The kinds that manifests of ours may hold.
const MADE: [Kind; 5] = [NAMESPACE, SERVICE_ACCOUNT, SECRET, CLUSTER_ROLE, CLUSTER_ROLE_BINDING];

/// Where an object is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// Its namespace, if its kind has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Place {
    /// In no namespace.
    pub fn global(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// In a namespace.
    pub fn within(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::global(kind, name)
        }
    }

    /// The API's path of the object.
    pub fn path(&self) -> String {
        format!("{}/{}", collection(self.kind, self.namespace.as_deref()), self.name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.kind)?;
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name),
            None => write!(f, " {}", self.name),
        }
    }
}

/// The API's path of all objects of a kind, of one namespace or of all.
pub fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let Some(namespace) = namespace else {
        return kind.path();
    };
    let all = kind.path();
    let root = all.strip_suffix(kind.plural).unwrap_or(&all);
    format!("{root}namespaces/{namespace}/{}", kind.plural)
}

/// A kind as RBAC rules name it.
pub fn resource(kind: Kind) -> String {
    match kind.group {
        "" => kind.plural.to_owned(),
        group => format!("{}.{group}", kind.plural),
    }
}

/// A manifest.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// Where it belongs.
    pub place: Place,
    /// All of it.
    pub json: Value,
}

impl Object {
    /// Of a manifest that comes with the program, or is made by it.
    ///
    /// # Panics
    /// If it has no name or is of a kind that these commands do not make.
    pub fn new(json: Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let kind = MADE.into_iter().find(|kind| json["kind"] == kind.kind);
        let place = Place {
            kind: kind.expect("the manifest is of a kind that is made here"),
            namespace: text(&json["metadata"]["namespace"]),
            name: text(&json["metadata"]["name"]).expect("the manifest has a name"),
        };
        Self { place, json }
    }
}

/// What is to be done about an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is not there.
    Create,
    /// It is there and is not as it should be.
    Change,
    /// It is there and has all that it should have.
    Keep,
}

/// What is to be done so that an object has what `wanted` says. What it has beyond that is others' and stays.
pub fn fate(wanted: &Value, there: Option<&Value>) -> Fate {
    match there {
        None => Fate::Create,
        Some(there) if has(there, wanted) => Fate::Keep,
        Some(_) => Fate::Change,
    }
}

/// Lists are compared as a whole: whoever adds a rule to a role of ours has changed what it grants.
fn has(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| there.get(key).is_some_and(|there| has(there, wanted))),
        (there, wanted) => there == wanted,
    }
}
