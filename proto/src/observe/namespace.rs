//! Reading a Namespace.

use super::Namespace;
use super::field::{Field, Rejected};
use super::metadata::RawMetadata;
use serde::de::{Deserialize, Deserializer, Error};

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct RawNamespace<'a> {
    #[serde(borrow)]
    metadata: Field<RawMetadata<'a>>,
}

impl<'de> Deserialize<'de> for Namespace {
    /// Fails only on what is no JSON object or has no name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawNamespace::deserialize(deserializer)?;
        let mut rejected = Rejected::default();
        let metadata = raw.metadata.read(&mut rejected).map_err(D::Error::custom)?;
        Ok(Self {
            name: metadata.name,
            uid: metadata.uid,
            labels: metadata.labels,
            rejected: rejected.into_lines(),
        })
    }
}
