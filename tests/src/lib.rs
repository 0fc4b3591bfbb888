//! What the tests share: the lab with its clusters, nodes and pods, and the API servers it runs.

pub mod apiserver;
pub mod assets;
pub mod lab;
