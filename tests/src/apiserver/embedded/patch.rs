//! JSON merge patch and Kubernetes' strategic merge patch.
//!
//! Pure. The strategic one knows the lists that kubectl merges by key in the kinds served here; every other list is
//! replaced. Element order (`$setElementOrder`) and `$retainKeys` are ignored: no test hangs on either.

use serde_json::{Map, Value};

/// How to read a patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// RFC 7386.
    Merge,
    /// Kubernetes' own.
    Strategic,
}

/// Applies a patch.
pub fn apply(kind: Kind, target: &mut Value, patch: Value) {
    match kind {
        Kind::Merge => merge(target, patch),
        Kind::Strategic => strategic(target, patch),
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    let fields = object_of(target);
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// The value as an object; anything else becomes an empty one.
fn object_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it is an object by the lines above")
}

/// The keys by which lists of objects merge, by the list's field name (`patchMergeKey` in the API's types).
const MERGE_KEYS: &[(&str, &str)] = &[
    ("addresses", "type"),
    ("conditions", "type"),
    ("containers", "name"),
    ("env", "name"),
    ("ephemeralContainers", "name"),
    ("hostAliases", "ip"),
    ("hostIPs", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ownerReferences", "uid"),
    ("podIPs", "ip"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// The merge key of a list. `ports` merge in a container but are replaced in a network policy, whose entries have none.
fn merge_key(field: &str, patch: &[Value]) -> Option<&'static str> {
    if field == "ports" && patch.iter().any(|port| port.get("containerPort").is_some()) {
        return Some("containerPort");
    }
    MERGE_KEYS.iter().find(|(name, _)| *name == field).map(|(_, key)| *key)
}

fn strategic(target: &mut Value, patch: Value) {
    let Value::Object(mut patch) = patch else {
        *target = patch;
        return;
    };
    match patch.remove("$patch").as_ref().and_then(Value::as_str) {
        Some("replace") => {
            *target = Value::Object(patch);
            return;
        }
        Some("delete") => {
            *target = Value::Null;
            return;
        }
        _ => {}
    }
    let fields = object_of(target);
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !value.as_array().is_some_and(|gone| gone.contains(item)));
            }
        } else if key.starts_with('$') {
            continue;
        } else if value.is_null() {
            fields.remove(&key);
        } else if let Value::Array(items) = value {
            strategic_list(&key, fields.entry(key.clone()).or_insert(Value::Null), items);
        } else {
            strategic(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn strategic_list(field: &str, target: &mut Value, patch: Vec<Value>) {
    let key = merge_key(field, &patch);
    let (Some(items), true) = (target.as_array_mut(), key.is_some() || field == "finalizers") else {
        *target = Value::Array(patch.into_iter().filter(|item| item.get("$patch").is_none()).collect());
        return;
    };
    if patch.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    for item in patch.into_iter().filter(|item| item["$patch"] != "replace") {
        let same = |other: &&mut Value| key.map_or_else(|| **other == item, |key| other[key] == item[key]);
        let deleted = item["$patch"] == "delete";
        match items.iter_mut().find(same) {
            Some(_) if deleted => items.retain(|other| key.is_none_or(|key| other[key] != item[key])),
            Some(found) => strategic(found, item),
            None if deleted => {}
            None => items.push(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(kind: Kind, mut target: Value, patch: Value) -> Value {
        apply(kind, &mut target, patch);
        target
    }

    #[test]
    fn merge_replaces_lists_and_removes_nulls() {
        let target = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"});
        let patch = json!({"a": {"b": null, "c": [3]}, "d": {"e": 1}});
        assert_eq!(
            patched(Kind::Merge, target, patch),
            json!({"a": {"c": [3]}, "d": {"e": 1}})
        );
    }

    #[test]
    fn strategic_merges_lists_by_their_key() {
        let target = json!({"spec": {"containers": [
            {"name": "a", "image": "1", "ports": [{"containerPort": 80, "name": "http"}]}, {"name": "b", "image": "1"}]}});
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [
            {"name": "a", "ports": [{"containerPort": 81, "name": "more"}]}, {"name": "b", "$patch": "delete"},
            {"name": "c", "image": "2"}]}});
        let merged = json!({"spec": {"containers": [
            {"name": "a", "image": "1",
             "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "more"}]},
            {"name": "c", "image": "2"}]}});
        assert_eq!(patched(Kind::Strategic, target, patch), merged);
    }

    #[test]
    fn strategic_replaces_the_lists_of_a_policy() {
        let target = json!({"spec": {"ingress": [{"ports": [{"port": 80}]}, {}]}});
        let patch = json!({"spec": {"ingress": [{"ports": [{"port": 81}]}]}});
        assert_eq!(patched(Kind::Strategic, target, patch.clone()), patch);
    }

    #[test]
    fn strategic_directives() {
        let target = json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"],
                           "labels": {"$patch": "replace", "z": "3"}}});
        let merged = json!({"metadata": {"finalizers": ["b", "c"], "labels": {"z": "3"}}});
        assert_eq!(patched(Kind::Strategic, target, patch), merged);
    }
}
