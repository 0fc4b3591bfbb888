//! The cluster's label on its namespaces: which lack it, and which say something else. Pure.

use super::object::{NAMESPACE, Place};
use proto::model::{CLUSTER_LABEL, ClusterName};
use serde_json::{Value, json};

/// Namespaces by what is to be done about them, each list sorted as the API sorts them: by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels {
    /// To be labelled.
    pub missing: Vec<String>,
    /// They have the id.
    pub labelled: usize,
    /// They have another value.
    pub other: Vec<(String, String)>,
}

impl Labels {
    /// Of the API's objects.
    pub fn of(namespaces: &[Value], id: &ClusterName) -> Self {
        let mut labels = Self::default();
        for namespace in namespaces {
            let metadata = &namespace["metadata"];
            let name = metadata["name"].as_str().unwrap_or_default().to_owned();
            match metadata["labels"][CLUSTER_LABEL].as_str() {
                None => labels.missing.push(name),
                Some(value) if value == id.as_str() => labels.labelled += 1,
                Some(value) => labels.other.push((name, value.to_owned())),
            }
        }
        labels
    }

    /// The names of those that have the id.
    pub fn with(namespaces: &[Value], id: &ClusterName) -> Vec<String> {
        let labelled = namespaces
            .iter()
            .filter(|namespace| namespace["metadata"]["labels"][CLUSTER_LABEL] == id.as_str());
        labelled
            .filter_map(|namespace| namespace["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The namespace of this name.
pub fn place(name: &str) -> Place {
    Place::global(NAMESPACE, name)
}

/// So many, for people.
pub fn count(namespaces: usize) -> String {
    match namespaces {
        1 => "1 Namespace".to_owned(),
        many => format!("{many} Namespaces"),
    }
}

/// What puts the label there, or takes it away.
pub fn patch(id: Option<&ClusterName>) -> Value {
    json!({"metadata": {"labels": {CLUSTER_LABEL: id.map(ClusterName::as_str)}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_apart_by_the_label() {
        let namespace = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
        let namespaces = [
            namespace("bare", Value::Null),
            namespace("mine", json!({CLUSTER_LABEL: "cluster-b"})),
            namespace("odd", json!({CLUSTER_LABEL: ""})),
            namespace("theirs", json!({CLUSTER_LABEL: "cluster-a"})),
            namespace("web", json!({"team": "web"})),
        ];
        let id: ClusterName = "cluster-b".parse().unwrap();
        let expected = Labels {
            missing: vec!["bare".to_owned(), "web".to_owned()],
            labelled: 1,
            other: vec![
                ("odd".to_owned(), String::new()),
                ("theirs".to_owned(), "cluster-a".to_owned()),
            ],
        };
        assert_eq!(Labels::of(&namespaces, &id), expected);
        assert_eq!(Labels::with(&namespaces, &id), ["mine"]);
    }
}
