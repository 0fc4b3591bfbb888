//! Judging manifests: what the clusters of a folder would do with a connection, without a cluster, a kernel or root.
//!
//! ```text
//! DIR/<cluster id>/*.yaml ─→ manifests ─→ clusterset ─→ connection ─→ judge, tables ─→ verdicts
//! ```
//!
//! [`manifests`] reads the objects, [`clusterset`] holds what API servers, hub and enforcers would make of them,
//! [`connection`] says who two ends are and which nodes are between them, [`judge`] and [`tables`] compile the rulesets of
//! these nodes as their enforcers would and walk them. [`ends`] are the words of all that judges traffic, [`grid`] shows
//! verdicts, [`load`] is how every such command begins. Policies are read by [`crate::policy`], addresses owned as
//! [`proto::pods`] says, rulesets compiled by [`crate::compile`]: nothing here knows what a policy means.

pub mod clusterset;
pub mod connection;
pub mod ends;
pub mod grid;
pub mod judge;
pub mod load;
pub mod manifests;
pub mod tables;

pub use clusterset::ClusterSet;
pub use ends::{End, Exchange, NodeName, PodName, Probe, Table, Transport, Verdict};
pub use judge::Judge;
pub use manifests::Manifests;

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "golden verdicts are long")]
pub mod tests;
