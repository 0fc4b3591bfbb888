//! What of NRI's messages is used (github.com/containerd/nri, `pkg/api/api.proto`); fields that are not named are skipped.
//!
//! Written by hand: it is a twentieth of a file of 900 lines that belongs to others.

use std::collections::BTreeMap;

/// The service of the runtime.
pub const RUNTIME: &str = "nri.pkg.api.v1alpha1.Runtime";
/// The service of a plugin.
pub const PLUGIN: &str = "nri.pkg.api.v1alpha1.Plugin";

/// Nothing, as several answers are.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// A plugin registers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterPluginRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// Two digits: plugins are asked in their order.
    #[prost(string, tag = "2")]
    pub plugin_idx: String,
}

/// The runtime names itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfigureRequest {
    /// Its name.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Its release.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
    /// How long it waits for an answer, in milliseconds.
    #[prost(int64, tag = "5")]
    pub request_timeout: i64,
}

/// What a plugin wants to be told.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ConfigureResponse {
    /// Bit `event - 1` for each.
    #[prost(int32, tag = "2")]
    pub events: i32,
}

/// Some of the runtime's sandboxes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SynchronizeRequest {
    /// They.
    #[prost(message, repeated, tag = "1")]
    pub pods: Vec<PodSandbox>,
    /// Whether there are more to come.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// The answer to [`SynchronizeRequest`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SynchronizeResponse {
    /// As asked: whoever answers otherwise knows nothing of sandboxes in several messages.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// `RunPodSandboxRequest`, `StopPodSandboxRequest` and `RemovePodSandboxRequest`, which are alike.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PodSandboxRequest {
    /// The sandbox.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
}

/// The same three, as runtimes up to NRI 0.11 (containerd 2.2) tell them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StateChangeEvent {
    /// Which of them.
    #[prost(enumeration = "Event", tag = "1")]
    pub event: i32,
    /// The sandbox.
    #[prost(message, optional, tag = "2")]
    pub pod: Option<PodSandbox>,
}

/// What happens to a sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum Event {
    /// None.
    Unknown = 0,
    /// It has its network, and no container yet.
    RunPodSandbox = 1,
    /// Its containers are stopped; its network goes next.
    StopPodSandbox = 2,
    /// It goes.
    RemovePodSandbox = 3,
}

/// A sandbox.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PodSandbox {
    /// What the runtime calls it.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The pod's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its UID.
    #[prost(string, tag = "3")]
    pub uid: String,
    /// Its namespace.
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// Its labels, and some of kubelet's.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations, and some of kubelet's.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
    /// What it is on Linux.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandbox>,
    /// Its addresses.
    #[prost(string, repeated, tag = "10")]
    pub ips: Vec<String>,
}

/// What a sandbox is on Linux.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LinuxPodSandbox {
    /// Which kinds of kernel namespaces it has of its own.
    #[prost(message, repeated, tag = "5")]
    pub namespaces: Vec<LinuxNamespace>,
}

/// A kernel namespace.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LinuxNamespace {
    /// `network`, `ipc` and others.
    #[prost(string, tag = "1")]
    pub r#type: String,
}
