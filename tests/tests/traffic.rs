//! What passes and what does not beside the opening of a connection, by packets in both layouts: replies, errors about
//! allowed connections, fragments, neighbour discovery, a pod's own node, and connections whose address is translated.
//!
//! Rules come from the enforcer's own compiler. Everything that must be refused has passed before there were policies.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod traffic {
    mod errors;
    mod forged;
    mod fragments;
    mod nat;
    mod own_node;
    mod raw;
    mod replies;
    mod scene;
    mod services;
    mod translated;
}
