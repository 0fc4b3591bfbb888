//! The own Node object, as far as its pods' addresses go.
//!
//! Pure.

use ipnet::IpNet;
use proto::observe::field::{Field, List, Record, Rejected, Text};
use proto::observe::metadata::RawMetadata;
use proto::observe::{Key, Kind, Observe};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is kept of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnNode {
    /// Its name.
    pub name: Arc<str>,
    /// `spec.podCIDRs` (else `spec.podCIDR`), as far as they can be read.
    pub pod_ranges: BTreeSet<IpNet>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawNode<'a> {
    #[serde(borrow)]
    metadata: Field<RawMetadata<'a>>,
    #[serde(borrow)]
    spec: Field<RawSpec<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSpec<'a> {
    #[serde(borrow, rename = "podCIDR")]
    pod_cidr: Field<Text<'a>>,
    #[serde(borrow, rename = "podCIDRs")]
    pod_cidrs: Field<List<Text<'a>>>,
}

impl Record for RawSpec<'_> {}

impl<'de> Deserialize<'de> for OwnNode {
    /// Fails only on what is no JSON object or has no name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawNode::deserialize(deserializer)?;
        let mut rejected = Rejected::default();
        let metadata = raw.metadata.read(&mut rejected).map_err(D::Error::custom)?;
        let spec = raw.spec.take_or_default("spec", &mut rejected);
        let mut texts: Vec<Text<'_>> = Vec::new();
        for range in spec.pod_cidrs.take_or_default("spec.podCIDRs", &mut rejected) {
            texts.extend(range.take("spec.podCIDRs", &mut rejected));
        }
        texts.extend(spec.pod_cidr.take("spec.podCIDR", &mut rejected));
        let ranges = texts.iter().filter_map(|text| text.parse::<IpNet>().ok());
        Ok(Self {
            name: metadata.name,
            pod_ranges: ranges.map(|range| range.trunc()).collect(),
        })
    }
}

impl Observe for OwnNode {
    const KIND: Kind = Kind {
        group: "",
        version: "v1",
        kind: "Node",
        plural: "nodes",
    };

    fn key(&self) -> Key {
        ("".into(), self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ranges(spec: &Value) -> Vec<String> {
        let node: OwnNode = serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec})).unwrap();
        node.pod_ranges.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_ranges_of_both_fields_are_read_as_far_as_they_can_be() {
        let both = json!({"podCIDR": "10.1.2.0/24", "podCIDRs": ["10.1.2.0/24", "fd00:1:2::/64"]});
        assert_eq!(ranges(&both), ["10.1.2.0/24", "fd00:1:2::/64"]);
        assert_eq!(ranges(&json!({"podCIDR": "10.1.2.3/24"})), ["10.1.2.0/24"]);
        assert_eq!(
            ranges(&json!({"podCIDRs": ["10.0.0.0/33", 7, "10.1.0.0/16"]})),
            ["10.1.0.0/16"]
        );
        assert!(ranges(&json!({})).is_empty());
    }
}
