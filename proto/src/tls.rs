//! Mutual TLS whose certificates reload without a restart.
