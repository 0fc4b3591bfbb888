//! The kernel: reads what it holds of ours, applies plans. Blocking; owned by one thread.
//!
//! `kernel/socket.rs` alone does I/O; the codecs (`kernel/ipset.rs`, `kernel/nft.rs`) are pure, values ⇄ bytes.
