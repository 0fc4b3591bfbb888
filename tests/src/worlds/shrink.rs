//! The smallest world in which something is still so: what a person has to read of a failure.
//!
//! Pure. Removes whole objects, then entries of lists and fields of what is left, for as long as it stays so.

use super::ClusterSet;
use serde_json::Value;

/// What may be removed from an object: its labels, addresses, ports and rules, never what it is called.
const ROOTS: [&str; 3] = ["/metadata/labels", "/spec", "/status"];

/// Removes from the world whatever can go while `still` holds.
pub fn shrink(mut world: ClusterSet, still: impl Fn(&ClusterSet) -> bool) -> ClusterSet {
    while let Some(smaller) = smaller_worlds(&world).into_iter().find(&still) {
        world = smaller;
    }
    world
}

/// Every world that is this one less one piece, large pieces first.
fn smaller_worlds(world: &ClusterSet) -> Vec<ClusterSet> {
    let mut smaller = Vec::new();
    for name in world.clusters.keys() {
        let mut without = world.clone();
        without.clusters.remove(name);
        smaller.push(without);
    }
    for (name, cluster) in &world.clusters {
        for index in 0..cluster.objects.len() {
            let mut without = world.clone();
            let objects = without.clusters.get_mut(name).map(|cluster| &mut cluster.objects);
            objects.map(|objects| objects.remove(index));
            smaller.push(without);
        }
    }
    for (name, cluster) in &world.clusters {
        for (index, object) in cluster.objects.iter().enumerate() {
            for object in smaller_objects(object) {
                let mut without = world.clone();
                if let Some(cluster) = without.clusters.get_mut(name) {
                    cluster.objects[index] = object;
                }
                smaller.push(without);
            }
        }
    }
    smaller
}

fn smaller_objects(object: &Value) -> Vec<Value> {
    let mut smaller = Vec::new();
    for root in ROOTS {
        let Some(piece) = object.pointer(root) else { continue };
        for piece in smaller_values(piece) {
            let mut without = object.clone();
            if let Some(place) = without.pointer_mut(root) {
                *place = piece;
            }
            smaller.push(without);
        }
    }
    smaller
}

/// Every value that is this one less one entry or field, at any depth.
fn smaller_values(value: &Value) -> Vec<Value> {
    let mut smaller = Vec::new();
    match value {
        Value::Array(entries) => {
            for index in 0..entries.len() {
                let mut without = entries.clone();
                without.remove(index);
                smaller.push(Value::Array(without));
                for entry in smaller_values(&entries[index]) {
                    let mut with = entries.clone();
                    with[index] = entry;
                    smaller.push(Value::Array(with));
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut without = fields.clone();
                without.remove(name);
                smaller.push(Value::Object(without));
                for field in smaller_values(field) {
                    let mut with = fields.clone();
                    with.insert(name.clone(), field);
                    smaller.push(Value::Object(with));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    smaller
}
