//! The hub: one inventory of all member clusters, streamed to every enforcer.

pub mod handle;
pub mod inventory;
pub mod log;
pub mod registry;
