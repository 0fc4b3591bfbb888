//! Code generation from `bailey/v1/*.proto`, without protoc, and nothing else.

use prost::Message;
use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "OUT_DIR is how cargo tells a build script where to write"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["bailey/v1/sync.proto", "bailey/v1/inventory.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    // Comments stay in the descriptors: reflection serves them to `grpcurl … describe`.
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".bailey.v1.Owners.ipv6")
        .btree_map(".bailey.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
