//! The feed from a hub.
