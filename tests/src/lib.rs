//! What the tests share: the lab with its clusters, nodes and pods, the API servers it runs, a hub without a lab, and random
//! worlds with an oracle that says what their policies mean.

pub mod apiserver;
pub mod assets;
pub mod catalogue;
pub mod hub;
pub mod lab;
pub mod oracle;
pub mod worlds;
