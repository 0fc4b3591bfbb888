//! Changes → numbered, framed, encoded once.

use bytes::Bytes;
use proto::model::Revision;
use std::sync::Arc;

/// The inventory at one revision, as frames for a new subscriber.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What a subscriber holds once all frames are applied.
    pub revision: Revision,
    /// The chunks, shared by all who begin at this revision.
    pub chunks: Arc<[Bytes]>,
    /// The end, whose cluster ages are of the moment it was asked for.
    pub end: Bytes,
}
