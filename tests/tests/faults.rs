//! The running system, broken on purpose as its user would see it break: programs killed, API servers and hub away or
//! wrong, bad files, missing rights. Real programs, real packets; what is judged is packets, the kernel's own tables, what
//! the programs answer and what they log.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

#[path = "../../enforcer/tests/kernel/foreign.rs"]
mod foreign;

#[path = "faults/addresses.rs"]
mod addresses;
#[path = "faults/cleanup.rs"]
mod cleanup;
#[path = "faults/clusters.rs"]
mod clusters;
#[path = "faults/first_packet.rs"]
mod first_packet;
#[path = "faults/hubs.rs"]
mod hubs;
#[path = "faults/kernel_state.rs"]
mod kernel_state;
#[path = "faults/restarts.rs"]
mod restarts;
#[path = "faults/rig.rs"]
mod rig;
#[path = "faults/traffic.rs"]
mod traffic;
#[path = "faults/upgrade.rs"]
mod upgrade;
