//! What a request asks for: method, path and query → a value.
//!
//! Pure. Knows Kubernetes' paths and query parameters, refuses those that this server cannot honour, and touches no
//! object.

use super::failure::Failure;
use super::resource::{Resource, Scope, Subresource};
use super::select::Selection;
use axum::extract::Query;
use http::{Method, Uri};
use serde::Deserialize;

/// A verb, as RBAC names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "they are RBAC's words")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// RBAC's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }
}

/// The objects that a path names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Their kind.
    pub resource: Resource,
    /// Their namespace; none for objects of the cluster, and for a list of all namespaces.
    pub namespace: Option<String>,
    /// One of them.
    pub name: Option<String>,
    /// A part of it.
    pub subresource: Option<Subresource>,
}

/// A request about objects.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// With what.
    pub target: Target,
    /// Which of them.
    pub selection: Selection,
    /// How.
    pub options: Options,
}

/// The query parameters that are honoured: the API's own, described in its reference.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    pub label_selector: String,
    pub field_selector: String,
    pub resource_version: String,
    pub resource_version_match: String,
    pub limit: Option<usize>,
    #[serde(rename = "continue")]
    pub continue_token: String,
    pub watch: String,
    pub allow_watch_bookmarks: String,
    pub send_initial_events: String,
    pub timeout_seconds: Option<u64>,
    pub grace_period_seconds: Option<i64>,
    pub dry_run: String,
}

/// A boolean query parameter, as the API reads it.
pub fn is_true(parameter: &str) -> bool {
    matches!(parameter, "true" | "1" | "True" | "TRUE" | "t" | "T")
}

impl Options {
    /// `resourceVersion` as a number; 0 if there is none.
    pub fn revision(&self) -> Result<u64, Failure> {
        match self.resource_version.as_str() {
            "" => Ok(0),
            text => text
                .parse()
                .map_err(|error| Failure::bad_request(format!("resourceVersion: Invalid value: {text:?}: {error}"))),
        }
    }
}

/// Reads a request about objects.
pub fn parse(method: &Method, uri: &Uri) -> Result<Request, Failure> {
    let target = target(uri.path()).ok_or_else(Failure::no_such_path)?;
    let Query(options) =
        Query::<Options>::try_from_uri(uri).map_err(|error| Failure::bad_request(error.body_text()))?;
    if !options.dry_run.is_empty() {
        return Err(Failure::bad_request("dryRun is not served by the embedded API server"));
    }
    let verb = match (method, &target.name) {
        (&Method::GET, Some(_)) => Verb::Get,
        (&Method::GET, None) if is_true(&options.watch) => Verb::Watch,
        (&Method::GET, None) => Verb::List,
        (&Method::POST, None) if target.namespace.is_some() == (target.resource.scope() == Scope::Namespaced) => {
            Verb::Create
        }
        (&Method::PUT, Some(_)) => Verb::Update,
        (&Method::PATCH, Some(_)) => Verb::Patch,
        (&Method::DELETE, Some(_)) => Verb::Delete,
        (&Method::DELETE, None) => Verb::DeleteCollection,
        _ => return Err(Failure::method_not_allowed()),
    };
    let whole_only = matches!(verb, Verb::Delete | Verb::Create);
    if whole_only && target.subresource.is_some() {
        return Err(Failure::method_not_allowed());
    }
    let selection = Selection::parse(&options.label_selector, &options.field_selector)?;
    Ok(Request {
        verb,
        target,
        selection,
        options,
    })
}

fn target(path: &str) -> Option<Target> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (group, rest) = match &segments[..] {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, "v1", rest @ ..] if !group.is_empty() => (*group, rest),
        _ => return None,
    };
    let (namespace, resource, rest) = match rest {
        // `namespaces/x/pods` is a list, `namespaces/x/status` a part of the namespace itself.
        ["namespaces", namespace, plural, rest @ ..] if Resource::find(group, plural).is_some() => {
            (Some(*namespace), Resource::find(group, plural)?, rest)
        }
        [plural, rest @ ..] => (None, Resource::find(group, plural)?, rest),
        [] => return None,
    };
    let (name, part) = match rest {
        [] => (None, None),
        [name] => (Some(*name), None),
        [name, part] => (Some(*name), Some(*part)),
        _ => return None,
    };
    let subresource = match part {
        None => None,
        Some(part) => Some(
            *resource
                .subresources()
                .iter()
                .find(|subresource| subresource.as_str() == part)?,
        ),
    };
    let names_one = name.is_some() && resource.scope() == Scope::Namespaced && namespace.is_none();
    let misplaced = namespace.is_some() && resource.scope() == Scope::Cluster;
    let empty = name == Some("") || namespace == Some("");
    if names_one || misplaced || empty {
        return None;
    }
    Some(Target {
        resource,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: Method, uri: &str) -> String {
        match parse(&method, &uri.parse().unwrap()) {
            Ok(Request { verb, target: t, .. }) => {
                let part = t.subresource.map_or("", Subresource::as_str);
                let (namespace, name) = (t.namespace.unwrap_or_default(), t.name.unwrap_or_default());
                format!("{} {} {namespace}/{name}/{part}", verb.as_str(), t.resource.qualified())
            }
            Err(failure) => failure.code.to_string(),
        }
    }

    #[test]
    fn paths_name_objects() {
        let get = |uri| read(Method::GET, uri);
        assert_eq!(get("/api/v1/namespaces"), "list namespaces //");
        assert_eq!(get("/api/v1/namespaces/x"), "get namespaces /x/");
        assert_eq!(get("/api/v1/namespaces/x/status"), "get namespaces /x/status");
        assert_eq!(get("/api/v1/pods?watch=true"), "watch pods //");
        assert_eq!(get("/api/v1/namespaces/x/pods?watch=0"), "list pods x//");
        assert_eq!(get("/api/v1/namespaces/x/pods/p/status"), "get pods x/p/status");
        assert_eq!(
            get("/apis/networking.k8s.io/v1/namespaces/x/networkpolicies/p"),
            "get networkpolicies.networking.k8s.io x/p/"
        );
        for nothing in [
            "/",
            "/api/v1",
            "/api/v1/pods/p",
            "/api/v1/services",
            "/api/v1/namespaces/x/nodes",
            "/api/v1/namespaces/",
            "/apis/networking.k8s.io/v1/pods",
            "/api/v1/namespaces/x/pods/p/log",
        ] {
            assert_eq!(get(nothing), "404", "{nothing}");
        }
    }

    #[test]
    fn methods_are_verbs() {
        assert_eq!(read(Method::POST, "/api/v1/nodes"), "create nodes //");
        assert_eq!(read(Method::POST, "/api/v1/pods"), "405");
        assert_eq!(read(Method::POST, "/api/v1/namespaces/x/pods/p"), "405");
        assert_eq!(
            read(Method::PUT, "/api/v1/namespaces/x/finalize"),
            "update namespaces /x/finalize"
        );
        assert_eq!(
            read(Method::DELETE, "/api/v1/namespaces/x/pods"),
            "deletecollection pods x//"
        );
        assert_eq!(read(Method::DELETE, "/api/v1/namespaces/x/status"), "405");
        assert_eq!(read(Method::DELETE, "/api/v1/namespaces/x?dryRun=All"), "400");
    }
}
