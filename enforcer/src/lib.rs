//! A Bailey enforcer.

pub mod compile;
pub mod interpret;
pub mod kernel;
pub mod plan;
pub mod policy;
pub mod ruleset;
