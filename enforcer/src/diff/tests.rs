//! What is said of differences.
