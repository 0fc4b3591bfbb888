//! What a member cluster grants the hub: the objects, and the kubeconfig that uses them. Pure.
//!
//! The objects are those of `deploy/member.yaml`, the one place that says which rights a hub needs.

use super::object::{Object, Place, SECRET};
use proto::model::ClusterName;
use serde::Deserialize;
use serde_json::{Value, json};

/// ServiceAccount, rights and namespace, as people apply them who use kubectl alone.
const MANIFESTS: &str = include_str!("../../../deploy/member.yaml");

/// The namespace that the manifests are written for.
pub const NAMESPACE_NAME: &str = "bailey";

/// The hub's ServiceAccount in a member, and the beginning of the names of its tokens' Secrets.
pub const SERVICE_ACCOUNT_NAME: &str = "bailey-hub";

/// The Secret of the hub's cluster that holds a kubeconfig for each member.
pub const CLUSTERS_SECRET: &str = "bailey-clusters";

/// What a Secret has that a token hangs on.
pub const TOKEN_LABEL: (&str, &str) = ("app.kubernetes.io/component", "hub-token");

/// A Secret for which the cluster makes a token that does not expire.
pub const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

/// The objects to be made in a member, in the order in which each finds what it needs.
///
/// # Panics
/// Never: the manifests are part of the program.
pub fn objects(namespace: &str) -> Vec<Object> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFESTS).expect("deploy/member.yaml is YAML");
    documents
        .into_iter()
        .map(|mut json| {
            if json["kind"] == "Namespace" {
                json["metadata"]["name"] = namespace.into();
            }
            if json["metadata"]["namespace"] == NAMESPACE_NAME {
                json["metadata"]["namespace"] = namespace.into();
            }
            let subjects = json.get_mut("subjects").and_then(Value::as_array_mut);
            for subject in subjects.into_iter().flatten() {
                subject["namespace"] = namespace.into();
            }
            Object::new(json)
        })
        .collect()
}

/// The Namespace alone, for the hub's cluster.
pub fn namespace(namespace: &str) -> Object {
    let mut objects = objects(namespace);
    objects.swap_remove(0)
}

/// The Secret that a token hangs on: while it is there the token is valid, and no longer.
pub fn token_secret(namespace: &str, name: &str, lasting: bool) -> Object {
    let (label, component) = TOKEN_LABEL;
    let mut json = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "bailey", label: component},
        },
    });
    if lasting {
        json["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": SERVICE_ACCOUNT_NAME});
        json["type"] = TOKEN_TYPE.into();
    }
    Object::new(json)
}

/// The Secret of kubeconfigs, with one of them or none.
pub fn clusters_secret(namespace: &str, kubeconfig: Option<(&str, &str)>) -> Object {
    let mut json = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CLUSTERS_SECRET,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "bailey", "app.kubernetes.io/component": "hub"},
        },
    });
    if let Some((key, text)) = kubeconfig {
        json["stringData"] = json!({key: text});
    }
    Object::new(json)
}

/// Where the kubeconfigs are.
pub fn clusters_place(namespace: &str) -> Place {
    Place::within(SECRET, namespace, CLUSTERS_SECRET)
}

/// How the hub reaches a member's API server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// `https://HOST:PORT`.
    pub url: String,
    /// PEM of the CAs that may have signed its certificate.
    pub ca: String,
    /// The name in its certificate, if it is not the URL's.
    pub tls_name: Option<String>,
}

/// The kubeconfig with which the hub reads a member. `secret` is the name of the Secret that the token hangs on: it
/// stands as the user's name, so that a later run knows which one is in use.
pub fn kubeconfig(id: &ClusterName, server: &Server, secret: &str, token: &str) -> String {
    // JSON's strings are YAML's, and an id may look like a number.
    let quoted = |text: &str| Value::from(text).to_string();
    let (id, user) = (quoted(id.as_str()), quoted(secret));
    let ca = serde_json::to_string(&k8s_openapi::ByteString(server.ca.clone().into_bytes()));
    let ca = ca.expect("bytes are always base64");
    let tls_name = match &server.tls_name {
        Some(name) => format!("    tls-server-name: {}\n", quoted(name)),
        None => String::new(),
    };
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {id}
  cluster:
    server: {url}
    certificate-authority-data: {ca}
{tls_name}users:
- name: {user}
  user:
    token: {token}
contexts:
- name: {id}
  context:
    cluster: {id}
    user: {user}
current-context: {id}
",
        url = quoted(&server.url),
        token = quoted(token),
    )
}

/// What a kubeconfig says that the hub has already.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// The API server's URL.
    pub server: String,
    /// The user's name, which is that of the token's Secret if it is one of ours.
    pub user: String,
    /// The token.
    pub token: String,
}

impl Held {
    /// What can be read of a kubeconfig; of one that is none, nothing.
    pub fn read(text: &str) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Config {
            clusters: Vec<NamedCluster>,
            users: Vec<NamedUser>,
        }
        #[derive(Deserialize)]
        struct NamedCluster {
            cluster: Cluster,
        }
        #[derive(Deserialize)]
        struct Cluster {
            server: String,
        }
        #[derive(Deserialize)]
        struct NamedUser {
            name: String,
            user: User,
        }
        #[derive(Deserialize)]
        struct User {
            #[serde(default)]
            token: String,
        }
        let config: Config = serde_saphyr::from_str(text).unwrap_or_default();
        let cluster = config.clusters.into_iter().next();
        let user = config.users.into_iter().next();
        let (user, token) = user.map(|named| (named.name, named.user.token)).unwrap_or_default();
        Self {
            server: cluster
                .map(|named| named.cluster.server.trim_end_matches('/').to_owned())
                .unwrap_or_default(),
            user,
            token,
        }
    }
}
