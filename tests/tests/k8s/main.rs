//! Proofs on real clusters: a rig (`tests/k8s/up`) with Bailey installed on it as the README says.
//!
//! `tests/k8s/run` brings up what they need and runs them, one at a time, from the rig's desk; `cargo test --workspace`
//! leaves them out. They do what a user does, with kubectl, and believe packets between pods alone.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod check;
mod faults;
mod first_packet;
mod flow;
mod hub;
mod neighbours;
mod readme;
mod rig;
mod sizes;
mod stories;
mod times;
