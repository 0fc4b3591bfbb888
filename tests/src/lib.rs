//! What the tests share: the lab with its clusters, nodes and pods, the API servers it runs, a hub without a lab, random
//! worlds with an oracle that says what their policies mean, and the rights of a role one by one.

pub mod apiserver;
pub mod assets;
pub mod catalogue;
pub mod hub;
pub mod lab;
pub mod oracle;
pub mod rights;
pub mod worlds;
