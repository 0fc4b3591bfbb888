//! Generated from `bailey/v1/*.proto`; see there for the meaning of each field.

#![allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is in the .proto files"
)]

tonic::include_proto!("bailey.v1");
