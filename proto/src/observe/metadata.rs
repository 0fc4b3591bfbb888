//! `metadata`, as far as anything of Bailey looks at it.

use super::field::{Field, Map, Record, Rejected, Text};
use crate::model::Labels;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;

/// `metadata` as an object has it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct RawMetadata<'a> {
    #[serde(borrow)]
    name: Field<Text<'a>>,
    #[serde(borrow)]
    namespace: Field<Text<'a>>,
    #[serde(borrow)]
    uid: Field<Text<'a>>,
    generation: Field<i64>,
    #[serde(borrow)]
    labels: Field<Map<Text<'a>>>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl Record for RawMetadata<'_> {}

/// `metadata`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// `name`, never empty.
    pub name: Arc<str>,
    /// `namespace`; empty on an object that is in none.
    pub namespace: Arc<str>,
    /// `uid`; empty on an object that never saw an API server, such as a manifest.
    pub uid: Arc<str>,
    /// `generation`; 0 if absent.
    pub generation: i64,
    /// `labels`.
    pub labels: Arc<Labels>,
    /// Whether there is a `deletionTimestamp` (S82).
    pub terminating: bool,
}

/// An object has no name, so there is nothing to call it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("metadata.name: missing")]
pub struct Nameless;

impl Field<RawMetadata<'_>> {
    /// # Errors
    /// If the object has no name.
    pub fn read(self, rejected: &mut Rejected) -> Result<Metadata, Nameless> {
        let raw = self.take_or_default("metadata", rejected);
        let name = raw.name.take_or_default("metadata.name", rejected);
        if name.is_empty() {
            return Err(Nameless);
        }
        let mut labels = Labels::new();
        for (key, value) in raw.labels.take_or_default("metadata.labels", rejected).0 {
            if let Some(value) = value.take(format_args!("metadata.labels[{key:?}]"), rejected) {
                labels.insert(key.into(), value.into());
            }
        }
        Ok(Metadata {
            name: name.into(),
            namespace: raw.namespace.take_or_default("metadata.namespace", rejected).into(),
            uid: raw.uid.take_or_default("metadata.uid", rejected).into(),
            generation: raw.generation.take_or_default("metadata.generation", rejected),
            labels: Arc::new(labels),
            terminating: raw.deletion_timestamp.is_some(),
        })
    }
}
