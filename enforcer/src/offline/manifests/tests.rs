//! Awkward manifests.
