//! A Bailey enforcer: keeps its cluster's NetworkPolicies in force on its node, against the pods of every cluster.
//!
//! ```text
//! hub ══gRPC══ proto::subscribe ──────────────→ proto::mirror ─┐
//! own API server ── proto::watch ──→ policy, pods of the node ─┴→ compile ─→ plan ─→ kernel
//!                                                                                     │
//!                                              hub ←── report ←── applied revision ←──┘
//! ```
//!
//! [`machine`] decides (pure), [`eventloop`] owns and feeds it, [`dataplane`] is the thread that talks to the kernel. The
//! data goes one way: `policy` and the mirror know nothing of `compile`, `compile` nothing of `plan`, `plan` nothing of
//! `kernel`. What is deliberately absent: no packet ever enters this process, no policy leaves its cluster, and stopping
//! changes nothing in the kernel.

pub mod admin;
pub mod check;
pub mod compile;
pub mod config;
pub mod dataplane;
pub mod diff;
pub mod eventloop;
pub mod events;
pub mod explain;
pub mod interpret;
pub mod kernel;
pub mod links;
pub mod lint;
mod listing;
pub mod local_pods;
pub mod lock;
pub mod machine;
pub mod matrix;
pub mod metrics;
pub mod node;
pub mod notice;
pub mod nri;
pub mod offline;
pub mod own_cluster;
pub mod own_node;
pub mod plan;
pub mod policy;
pub mod recorder;
pub mod report;
pub mod ruleset;
pub mod sandbox;
pub mod screen;
pub mod status;
pub mod stderr;
pub mod switches;

mod cleanup;
mod run;

pub use cleanup::cleanup;
pub use run::{Unfit, run};
