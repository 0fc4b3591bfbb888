//! What the two ends of Bailey must agree on.
//!
//! The messages (`bailey/v1/*.proto`), the model they carry, how Kubernetes' objects become that model, who owns an
//! address, what a label selector selects, and the two feeds (a cluster's API server, a hub) with the mirror the
//! second one fills. Hub and enforcer both import this crate and never each other.

pub mod backoff;
pub mod convert;
pub mod kubeconfig;
pub mod mirror;
pub mod model;
pub mod observe;
pub mod peer;
pub mod pods;
pub mod selector;
pub mod subscribe;
pub mod syntax;
pub mod tls;
pub mod watch;
pub mod wire;

/// The encoded `FileDescriptorSet` of `bailey/v1/*.proto`, comments included, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
