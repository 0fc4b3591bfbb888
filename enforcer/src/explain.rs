//! Why a connection is allowed or refused.
//!
//! Pure. [`evaluate`] holds the policies as they are written against a connection; the verdict that counts is the compiled
//! ruleset's ([`crate::offline::judge`]).

pub mod evaluate;
pub mod peers;
pub mod ports;
