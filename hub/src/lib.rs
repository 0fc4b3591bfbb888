//! The hub: one inventory of all member clusters, streamed to every enforcer.

pub mod admin;
pub mod authorize;
pub mod certs;
pub mod clusters;
pub mod config;
pub mod eventloop;
pub mod file_limit;
pub mod frame;
pub mod handle;
pub mod inventory;
pub mod log;
pub mod machine;
pub mod metrics;
pub mod numbers;
pub mod query;
pub mod registry;
pub mod ring;
#[cfg(test)]
mod sample;
pub mod selector_syntax;
pub mod server;
pub mod shutdown;
pub mod stderr;
pub mod stream;
