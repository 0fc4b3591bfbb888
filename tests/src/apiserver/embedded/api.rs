//! The API's reading half: get and list, paged.
//!
//! Pure. Writing is in [`super::write`], watching in [`super::watch`].

use super::failure::Failure;
use super::request::{Options, Request, Target};
use super::resource::Resource;
use super::store::{Key, Store};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The namespaces that a real server makes for itself.
const OWN_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// One API server's state and what may be done with it.
#[derive(Debug)]
pub struct Api {
    /// The objects.
    pub(super) store: Store,
    /// Where UIDs come from.
    pub(super) random: fastrand::Rng,
}

/// Where a list goes on: in which state of the world (0: the present one), after which object.
struct Continue {
    revision: u64,
    namespace: String,
    name: String,
}

impl Api {
    /// An API server with its own namespaces. `random` makes UIDs: two clusters must not share them.
    pub fn new(random: fastrand::Rng, now: Timestamp) -> Api {
        let mut api = Api {
            store: Store::default(),
            random,
        };
        for name in OWN_NAMESPACES {
            let target = Target {
                resource: Resource::Namespaces,
                namespace: None,
                name: None,
                subresource: None,
            };
            api.create(&target, json!({"metadata": {"name": name}}), now)
                .expect("the store is empty");
        }
        api
    }

    /// The objects and their history.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Forgets all history: who watches from before now is told 410.
    pub fn forget(&mut self) {
        self.store.forget();
    }

    /// One object.
    pub fn get(&self, target: &Target) -> Result<&Arc<Value>, Failure> {
        let key = key(target);
        self.store
            .find(&key)
            .ok_or_else(|| Failure::not_found(key.resource, &key.name))
    }

    /// A list, or a page of one.
    pub fn list(&self, request: &Request) -> Result<Value, Failure> {
        let (resource, options) = (request.target.resource, &request.options);
        let from = from(options)?;
        // A list of "any state will do" comes whole from the real server's cache.
        let limit = options
            .limit
            .filter(|limit| *limit > 0 && options.resource_version != "0");
        let (revision, objects) = self.state(resource, options, from.as_ref())?;
        let after = from.map_or(Bound::Unbounded, |from| {
            Bound::Excluded(Key {
                resource,
                namespace: from.namespace,
                name: from.name,
            })
        });
        let mut selected = objects.range((after, Bound::Unbounded)).filter(|(key, object)| {
            request
                .target
                .namespace
                .as_ref()
                .is_none_or(|namespace| key.namespace == *namespace)
                && request.selection.matches(object)
        });
        let page: Vec<(&Key, &Arc<Value>)> = selected.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
        let left = selected.count();

        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let (true, Some((last, _))) = (left > 0, page.last()) {
            metadata["continue"] = json!(token(revision, &last.namespace, &last.name));
            if request.selection.is_everything() {
                metadata["remainingItemCount"] = json!(left);
            }
        }
        let items: Vec<Value> = page.into_iter().map(|(_, object)| without_type(object)).collect();
        Ok(json!({
            "kind": format!("{}List", resource.kind()), "apiVersion": resource.api_version(),
            "metadata": metadata, "items": items,
        }))
    }

    /// The objects of the state that a list asks for, and its revision.
    fn state(
        &self,
        resource: Resource,
        options: &Options,
        from: Option<&Continue>,
    ) -> Result<(u64, BTreeMap<Key, Arc<Value>>), Failure> {
        let (current, asked) = (self.store.revision(), options.revision()?);
        if asked > current {
            return Err(Failure::too_large_resource_version(asked, current));
        }
        let exact = match options.resource_version_match.as_str() {
            "Exact" => true,
            "" => options.limit.is_some(),
            _ => false,
        };
        let past = match from {
            Some(from) => from.revision,
            None if exact => asked,
            None => 0,
        };
        if past == 0 {
            return Ok((current, self.store.list(resource)));
        }
        let objects = self.store.list_at(resource, past).map_err(|_expired| match from {
            Some(from) => Failure::expired(EXPIRED_CONTINUE).with_continue(&token(0, &from.namespace, &from.name)),
            None => Failure::expired(format!("The resourceVersion for the provided list is too old: {past}")),
        })?;
        Ok((past, objects))
    }
}

const EXPIRED_CONTINUE: &str = "The provided continue parameter is too old to display a consistent list result. You \
can start a new list without the continue parameter, or use the continue token in this response to retrieve the \
remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// The key of the object that a target names.
pub(super) fn key(target: &Target) -> Key {
    Key {
        resource: target.resource,
        namespace: target.namespace.clone().unwrap_or_default(),
        name: target.name.clone().unwrap_or_default(),
    }
}

fn token(revision: u64, namespace: &str, name: &str) -> String {
    format!("{revision}:{namespace}/{name}")
}

fn from(options: &Options) -> Result<Option<Continue>, Failure> {
    if options.continue_token.is_empty() {
        return Ok(None);
    }
    let parsed = options.continue_token.split_once(':').and_then(|(revision, rest)| {
        let (namespace, name) = rest.split_once('/')?;
        Some(Continue {
            revision: revision.parse().ok()?,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    });
    parsed
        .map(Some)
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))
}

/// An object as an item of a list: the list says the type once.
fn without_type(object: &Value) -> Value {
    let mut item = object.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}
