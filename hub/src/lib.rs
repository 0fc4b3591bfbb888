//! The hub: one inventory of all member clusters, streamed to every enforcer.

pub mod certs;
pub mod config;
pub mod handle;
pub mod inventory;
pub mod log;
pub mod registry;
pub mod selector_syntax;
