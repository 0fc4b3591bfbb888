//! Reading a NetworkPolicy object: its metadata, and its spec unread.

use super::{NetworkPolicy, PolicyName};
use proto::observe::field::{Field, Rejected};
use proto::observe::metadata::RawMetadata;
use proto::observe::{Key, Kind, Observe};
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct RawNetworkPolicy<'a> {
    #[serde(borrow)]
    metadata: Field<RawMetadata<'a>>,
    spec: Value,
}

impl<'de> Deserialize<'de> for NetworkPolicy {
    /// Fails only on what is no JSON object or has no name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawNetworkPolicy::deserialize(deserializer)?;
        // What is odd in the metadata is of no account: nothing of it but names has an effect (S15).
        let metadata = raw.metadata.read(&mut Rejected::default()).map_err(D::Error::custom)?;
        Ok(Self {
            name: PolicyName {
                namespace: metadata.namespace,
                name: metadata.name,
            },
            uid: metadata.uid,
            generation: metadata.generation,
            spec: raw.spec,
        })
    }
}

impl Observe for NetworkPolicy {
    const KIND: Kind = Kind {
        group: "networking.k8s.io",
        version: "v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
    };

    fn key(&self) -> Key {
        (self.name.namespace.clone(), self.name.name.clone())
    }
}
