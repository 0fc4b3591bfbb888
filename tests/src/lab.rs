//! The lab: clusters, nodes and pods in network namespaces of one machine, with real packets.
//!
//! From the ground up: [`netns`] and [`links`] are the kernel's; [`station`] is a host; [`world`] reads manifests;
//! [`address`], [`layout`] and [`fabric`] make the network that they describe; [`sctp`], [`sockets`] and [`probe`] send
//! packets through it, between the ends and by the probes of all that judges traffic. [`process`], [`programs`], [`launch`], [`cluster`] and [`control`] run the real programs on it; [`direct`] has
//! their rules without them. [`runtime`] is a container runtime to them. [`setup`] puts all together for the commands [`demo`], [`up`], [`matrix`] and [`bench`].
//!
//! All of it is gone when the process is, however it ends; nothing outside the lab's own network namespaces changes, but
//! for [`doors`].

pub mod address;
pub mod admin;
pub mod args;
pub mod bench;
pub mod cluster;
pub mod control;
pub mod demo;
pub mod direct;
pub mod doors;
pub mod fabric;
pub mod launch;
pub mod layout;
pub mod links;
pub mod live;
pub mod matrix;
pub mod measure;
pub mod netns;
pub mod probe;
pub mod process;
pub mod programs;
pub mod runtime;
pub mod scene;
pub mod sctp;
pub mod settle;
pub mod setup;
pub mod sockets;
pub mod station;
pub mod story;
pub mod up;
pub mod wait;
pub mod world;
