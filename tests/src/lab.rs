//! The lab: clusters, nodes and pods in network namespaces of one machine, with real packets.
//!
//! [`world`] reads manifests, [`fabric`] builds the network that they describe, [`probe`] sends packets through it. All
//! of it is gone when the process is, however it ends; nothing outside the lab's own network namespaces changes.

pub mod address;
pub mod admin;
pub mod args;
pub mod bench;
pub mod cluster;
pub mod control;
pub mod demo;
pub mod direct;
pub mod doors;
pub mod ends;
pub mod fabric;
pub mod layout;
pub mod links;
pub mod live;
pub mod matrix;
pub mod measure;
pub mod netns;
pub mod probe;
pub mod process;
pub mod programs;
pub mod scene;
pub mod screen;
pub mod settle;
pub mod setup;
pub mod sockets;
pub mod station;
pub mod story;
pub mod up;
pub mod wait;
pub mod world;
