//! What the API server says of itself: version and discovery documents.
//!
//! Pure. The plain discovery documents only; clients that prefer the aggregated ones fall back. Of OpenAPI just what
//! kubectl looks for before it applies a manifest: that the server itself says which fields it does not know.

use super::resource::{Resource, Scope};
use serde_json::{Value, json};

/// The Kubernetes version whose behaviour is imitated; the one that tests/assets builds.
const VERSION: &str = "v1.37.2";

/// What a path outside the objects' answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Document {
    /// Plain text, open to everybody.
    Health,
    /// JSON, open to everybody.
    Public(Value),
    /// JSON for those with a token.
    Private(Value),
}

/// The document at a path.
pub fn find(path: &str) -> Option<Document> {
    Some(match path {
        "/readyz" | "/livez" | "/healthz" => Document::Health,
        "/version" => Document::Public(version()),
        "/api" => Document::Private(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => Document::Private(
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group("networking.k8s.io")]}),
        ),
        "/apis/networking.k8s.io" => {
            let mut group = group("networking.k8s.io");
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            Document::Private(group)
        }
        "/api/v1" => Document::Private(resources("")),
        "/apis/networking.k8s.io/v1" => Document::Private(resources("networking.k8s.io")),
        "/openapi/v3" => Document::Private(openapi_index()),
        "/openapi/v3/api/v1" => Document::Private(openapi("")),
        "/openapi/v3/apis/networking.k8s.io/v1" => Document::Private(openapi("networking.k8s.io")),
        _ => return None,
    })
}

fn version() -> Value {
    let minor = VERSION.split('.').nth(1);
    json!({"major": "1", "minor": minor, "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "",
           "buildDate": "", "goVersion": "", "compiler": "", "platform": "embedded"})
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str) -> Value {
    let mut list = Vec::new();
    for resource in Resource::ALL.into_iter().filter(|resource| resource.group() == group) {
        let (kind, namespaced) = (resource.kind(), resource.scope() == Scope::Namespaced);
        list.push(json!({
            "name": resource.plural(), "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind,
            "shortNames": [resource.short_name()],
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }));
        for part in resource.subresources() {
            list.push(json!({
                "name": format!("{}/{}", resource.plural(), part.as_str()), "singularName": "",
                "namespaced": namespaced, "kind": kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}

fn openapi_index() -> Value {
    let paths = ["api/v1", "apis/networking.k8s.io/v1"];
    let entry = |path: &str| {
        (
            path.to_owned(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}")}),
        )
    };
    json!({"paths": paths.map(entry).into_iter().collect::<serde_json::Map<String, Value>>()})
}

fn openapi(group: &str) -> Value {
    let parameters = json!([{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]);
    let path = |resource: Resource| {
        let base = if group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{group}/v1")
        };
        let place = match resource.scope() {
            Scope::Cluster => "",
            Scope::Namespaced => "/namespaces/{namespace}",
        };
        let kind = json!({"group": group, "version": "v1", "kind": resource.kind()});
        let patch = json!({"parameters": parameters, "x-kubernetes-group-version-kind": kind, "responses": {}});
        (
            format!("{base}{place}/{}/{{name}}", resource.plural()),
            json!({ "patch": patch }),
        )
    };
    let served = Resource::ALL.into_iter().filter(|resource| resource.group() == group);
    let paths: serde_json::Map<String, Value> = served.map(path).collect();
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths})
}
