//! The API's writing half: create, update, patch, delete.
//!
//! Pure. What becomes of an object as it is written, and when a deleted one is gone: as the real server does it when no
//! controller and no kubelet is there.

use super::admission;
use super::api::{Api, key};
use super::failure::{Cause, Failure};
use super::patch;
use super::request::Target;
use super::resource::{Resource, Subresource};
use super::store::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// The body of a delete.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    /// For pods: how long the kubelet may take.
    pub grace_period_seconds: Option<i64>,
    /// What must be true of the object.
    pub preconditions: Option<Preconditions>,
}

/// What must be true of an object that is deleted.
#[derive(Clone, Default, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preconditions {
    /// Its UID.
    pub uid: Option<String>,
    /// Its resourceVersion.
    pub resource_version: Option<String>,
}

/// Namespaces that cannot be deleted.
const PERMANENT_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];

/// Kubernetes' default for `spec.terminationGracePeriodSeconds`.
const GRACE_SECONDS: i64 = 30;

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

impl Api {
    /// Creates an object.
    pub fn create(&mut self, target: &Target, body: Value, now: Timestamp) -> Result<Arc<Value>, Failure> {
        let resource = target.resource;
        let mut object = self.understand(target, body)?;
        if object["metadata"]["resourceVersion"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
        {
            return Err(Failure::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or("");
        if object["metadata"]["name"].is_null() && !prefix.is_empty() {
            object["metadata"]["name"] = json!(format!("{prefix}{}", self.suffix()));
        }
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(self.uid());
        metadata["creationTimestamp"] = time(now);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            remove(metadata, field);
        }
        match resource {
            Resource::Namespaces => {
                object["spec"]["finalizers"] = json!(["kubernetes"]);
                object["status"] = json!({"phase": "Active"});
            }
            Resource::Pods => object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
            Resource::Events | Resource::Nodes | Resource::NetworkPolicies => {}
        }
        if has_generation(resource) {
            object["metadata"]["generation"] = json!(1);
        }
        let object = admitted(resource, object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let key = Key { name, ..key(target) };
        self.namespace_is_open(&key)?;
        if self.store.find(&key).is_some() {
            return Err(Failure::already_exists(resource, &key.name));
        }
        Ok(self.store.put(key, object))
    }

    /// Replaces an object, or a part of it.
    pub fn update(&mut self, target: &Target, body: Value) -> Result<Arc<Value>, Failure> {
        let new = self.understand(target, body)?;
        let old = self.get(target)?.clone();
        self.replace(target, &old, new)
    }

    /// Changes an object, or a part of it.
    pub fn patch(&mut self, target: &Target, kind: patch::Kind, change: Value) -> Result<Arc<Value>, Failure> {
        let old = self.get(target)?.clone();
        let mut new = Value::clone(&old);
        patch::apply(kind, &mut new, change);
        let new = self.understand(target, new)?;
        if new["metadata"]["uid"] != old["metadata"]["uid"] {
            let cause = Cause {
                reason: "FieldValueInvalid",
                field: "metadata.uid".to_owned(),
                message: format!("Invalid value: {}: field is immutable", new["metadata"]["uid"]),
            };
            return Err(Failure::invalid(
                target.resource,
                text(&old["metadata"]["name"]),
                &[cause],
            ));
        }
        self.replace(target, &old, new)
    }

    /// Deletes an object, or begins to. The answer is the object, or that it is gone.
    pub fn delete(&mut self, target: &Target, options: &DeleteOptions, now: Timestamp) -> Result<Value, Failure> {
        let old = self.get(target)?.clone();
        let key = key(target);
        precondition(&key, &old, options)?;
        match target.resource {
            Resource::Namespaces => self.delete_namespace(&key, &old, now),
            Resource::Pods => self.delete_pod(&key, &old, options, now),
            Resource::Events | Resource::Nodes | Resource::NetworkPolicies => self.delete_plain(&key, &old, now),
        }
    }

    fn delete_plain(&mut self, key: &Key, old: &Value, now: Timestamp) -> Result<Value, Failure> {
        match (has_finalizers(old), is_deleting(old)) {
            (false, _) => {
                self.store.remove(key);
                Ok(gone(key, old))
            }
            (true, false) => Ok(self.mark(key, old, 0, now)),
            (true, true) => Ok(old.clone()),
        }
    }

    fn delete_namespace(&mut self, key: &Key, old: &Value, now: Timestamp) -> Result<Value, Failure> {
        if PERMANENT_NAMESPACES.contains(&key.name.as_str()) {
            return Err(Failure::forbidden(
                key.resource,
                &key.name,
                "this namespace may not be deleted",
            ));
        }
        if !is_held(key.resource, old) {
            self.store.remove(key);
            return Ok(gone(key, old));
        }
        if is_deleting(old) {
            return Ok(old.clone());
        }
        let mut new = old.clone();
        new["metadata"]["deletionTimestamp"] = time(now);
        new["status"]["phase"] = json!("Terminating");
        Ok(Value::clone(&self.store.put(key.clone(), new)))
    }

    fn delete_pod(
        &mut self,
        key: &Key,
        old: &Value,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let own = old["spec"]["terminationGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(GRACE_SECONDS);
        // No kubelet will ever confirm the end of a pod that is on no node or has finished.
        let finished = matches!(old["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let unattended = old["spec"]["nodeName"].is_null() || finished;
        let grace = if unattended {
            0
        } else {
            options.grace_period_seconds.unwrap_or(own).max(0)
        };
        let left = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
        if is_deleting(old) && left.is_some_and(|left| grace >= left) {
            return Ok(old.clone());
        }
        let marked = self.mark(key, old, grace, now);
        if grace > 0 || has_finalizers(old) {
            return Ok(marked);
        }
        // Watchers see both: the pod that ends at once, and its end.
        Ok(self.store.remove(key).expect("it was marked a moment ago"))
    }

    /// Begins the end of an object that something holds.
    fn mark(&mut self, key: &Key, old: &Value, grace: i64, now: Timestamp) -> Value {
        let mut new = old.clone();
        new["metadata"]["deletionTimestamp"] = time(now + SignedDuration::from_secs(grace));
        new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        if let (false, Some(generation)) = (is_deleting(old), old["metadata"]["generation"].as_i64()) {
            new["metadata"]["generation"] = json!(generation + 1);
        }
        Value::clone(&self.store.put(key.clone(), new))
    }

    /// The body as an object of the target's type, in the target's place.
    fn understand(&self, target: &Target, mut body: Value) -> Result<Value, Failure> {
        let (resource, kind) = (target.resource, target.resource.kind());
        if !body.is_object() {
            return Err(Failure::bad_request(format!("the body is not a {kind}")));
        }
        for (field, expected) in [("apiVersion", resource.api_version()), ("kind", kind)] {
            if body[field].is_null() {
                body[field] = json!(expected);
            } else if body[field] != expected {
                let found = &body[field];
                let message = format!("the {field} in the data ({found}) does not match the expected one ({expected})");
                return Err(Failure::bad_request(message));
            }
        }
        let mut object = resource.decode(body).map_err(|error| {
            let version = resource.api_version();
            Failure::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"
            ))
        })?;
        remove(&mut object["metadata"], "managedFields");
        for (field, place) in [("namespace", &target.namespace), ("name", &target.name)] {
            let Some(place) = place else { continue };
            if object["metadata"][field].is_null() {
                object["metadata"][field] = json!(place);
            } else if object["metadata"][field] != *place {
                let found = object["metadata"][field].as_str().unwrap_or("").to_owned();
                let message =
                    format!("the {field} of the object ({found}) does not match the {field} on the URL ({place})");
                return Err(Failure::bad_request(message));
            }
        }
        Ok(object)
    }

    fn replace(&mut self, target: &Target, old: &Arc<Value>, new: Value) -> Result<Arc<Value>, Failure> {
        let key = key(target);
        let (seen, current) = (&new["metadata"]["resourceVersion"], &old["metadata"]["resourceVersion"]);
        if seen.as_str().is_some_and(|seen| !seen.is_empty()) && seen != current {
            return Err(Failure::conflict(key.resource, &key.name, MODIFIED));
        }
        let (named, uid) = (&new["metadata"]["uid"], &old["metadata"]["uid"]);
        if !named.is_null() && named != uid {
            let (path, named, uid) = (key.path(), text(named), text(uid));
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{path}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {named}, UID in object meta: {uid}"
            );
            return Err(Failure::conflict(key.resource, &key.name, &why));
        }
        let next = admitted(key.resource, combined(target, old, new)?)?;
        if next == **old {
            return Ok(old.clone());
        }
        let grace_left = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
        if is_deleting(old) && !is_held(key.resource, &next) && !grace_left {
            // As the real server does it: the last write is answered but never seen by watchers.
            self.store.remove(&key);
            return Ok(Arc::new(next));
        }
        Ok(self.store.put(key, next))
    }

    fn namespace_is_open(&self, key: &Key) -> Result<(), Failure> {
        if key.namespace.is_empty() {
            return Ok(());
        }
        let home = Key {
            resource: Resource::Namespaces,
            namespace: String::new(),
            name: key.namespace.clone(),
        };
        match self.store.find(&home) {
            None => Err(Failure::not_found(Resource::Namespaces, &key.namespace)),
            Some(namespace) if is_deleting(namespace) => {
                let why = format!(
                    "unable to create new content in namespace {} because it is being terminated",
                    key.namespace
                );
                Err(Failure::forbidden(key.resource, &key.name, &why))
            }
            Some(_) => Ok(()),
        }
    }

    fn uid(&mut self) -> String {
        let r = self.random.u128(..);
        let (a, b, c) = ((r >> 96) as u32, (r >> 80) as u16, (r >> 64) as u16 & 0xfff);
        let (d, e) = ((r >> 48) as u16 & 0x3fff | 0x8000, r as u64 & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }

    /// What `generateName` is completed with: Kubernetes' alphabet, which spells no words.
    fn suffix(&mut self) -> String {
        let mut letter = || {
            *self
                .random
                .choice(b"bcdfghjklmnpqrstvwxz2456789")
                .expect("it is not empty")
        };
        (0..5).map(|_| char::from(letter())).collect()
    }
}

/// The object that a write of `new`, or of a part of it, makes of `old`.
fn combined(target: &Target, old: &Value, mut new: Value) -> Result<Value, Failure> {
    let resource = target.resource;
    match target.subresource {
        None => {
            keep(&mut new, old, "status");
            if resource == Resource::Namespaces {
                new["spec"] = old["spec"].clone();
            }
        }
        Some(Subresource::Status) => {
            keep(&mut new, old, "spec");
            keep(&mut new["metadata"], &old["metadata"], "ownerReferences");
        }
        Some(Subresource::Finalize) => keep(&mut new, old, "status"),
    }
    let fixed = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ];
    for field in fixed.into_iter().chain(["generateName", "resourceVersion"]) {
        keep(&mut new["metadata"], &old["metadata"], field);
    }
    if has_generation(resource) && new["spec"] != old["spec"] {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = json!(generation);
    }
    if resource == Resource::Pods && frozen_spec(&new) != frozen_spec(old) {
        let cause = Cause {
            reason: "FieldValueForbidden",
            field: "spec".to_owned(),
            message: "Forbidden: pod updates may not change fields other than `spec.containers[*].image`".to_owned(),
        };
        return Err(Failure::invalid(
            resource,
            old["metadata"]["name"].as_str().unwrap_or(""),
            &[cause],
        ));
    }
    Ok(new)
}

/// What of a pod's specification can never change.
fn frozen_spec(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            remove(container, "image");
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
        remove(&mut spec, field);
    }
    spec
}

/// Defaults and validation.
fn admitted(resource: Resource, mut object: Value) -> Result<Value, Failure> {
    admission::default(resource, &mut object);
    let faults = admission::validate(resource, &object);
    if faults.is_empty() {
        return Ok(object);
    }
    Err(Failure::invalid(
        resource,
        object["metadata"]["name"].as_str().unwrap_or(""),
        &faults,
    ))
}

fn precondition(key: &Key, old: &Value, options: &DeleteOptions) -> Result<(), Failure> {
    let Some(wanted) = &options.preconditions else {
        return Ok(());
    };
    let differs = |wanted: &Option<String>, field: &str| wanted.is_some() && old["metadata"][field] != json!(wanted);
    let why = if differs(&wanted.uid, "uid") {
        let (wanted, found) = (wanted.uid.as_deref().unwrap_or(""), text(&old["metadata"]["uid"]));
        format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({found}). The object might have \
             been deleted and then recreated"
        )
    } else if differs(&wanted.resource_version, "resourceVersion") {
        MODIFIED.to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::precondition(key.resource, &key.name, &why))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// The answer to a delete that is complete.
fn gone(key: &Key, old: &Value) -> Value {
    let mut details = json!({"name": key.name, "kind": key.resource.plural(), "uid": old["metadata"]["uid"]});
    if !key.resource.group().is_empty() {
        details["group"] = json!(key.resource.group());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Kinds whose `metadata.generation` counts changes of the specification.
fn has_generation(resource: Resource) -> bool {
    match resource {
        Resource::Pods | Resource::NetworkPolicies => true,
        Resource::Events | Resource::Namespaces | Resource::Nodes => false,
    }
}

fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|finalizers| !finalizers.is_empty())
}

/// Whether a deleted object has to wait.
fn is_held(resource: Resource, object: &Value) -> bool {
    let by_kubernetes = object["spec"]["finalizers"]
        .as_array()
        .is_some_and(|finalizers| !finalizers.is_empty());
    has_finalizers(object) || (resource == Resource::Namespaces && by_kubernetes)
}

/// Gives `new` the `field` of `old`, or its absence.
fn keep(new: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => new[field] = value.clone(),
        None => remove(new, field),
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

fn time(at: Timestamp) -> Value {
    serde_json::to_value(Time(at)).expect("a timestamp is always a string")
}
