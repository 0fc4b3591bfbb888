//! Reading a Pod.

use super::field::{Field, List, Record, Rejected, Text};
use super::metadata::{Metadata, RawMetadata};
use super::{Phase, Pod};
use crate::model::{NamedPort, Protocol};
use serde::de::{Deserialize, Deserializer, Error};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct RawPod<'a> {
    #[serde(borrow)]
    metadata: Field<RawMetadata<'a>>,
    #[serde(borrow)]
    spec: Field<RawSpec<'a>>,
    #[serde(borrow)]
    status: Field<RawStatus<'a>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawSpec<'a> {
    #[serde(borrow)]
    node_name: Field<Text<'a>>,
    host_network: Field<bool>,
    #[serde(borrow)]
    containers: Field<List<RawContainer<'a>>>,
    #[serde(borrow)]
    init_containers: Field<List<RawContainer<'a>>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawContainer<'a> {
    #[serde(borrow)]
    ports: Field<List<RawPort<'a>>>,
    #[serde(borrow)]
    restart_policy: Field<Text<'a>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawPort<'a> {
    #[serde(borrow)]
    name: Field<Text<'a>>,
    container_port: Field<i64>,
    #[serde(borrow)]
    protocol: Field<Text<'a>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus<'a> {
    #[serde(borrow)]
    phase: Field<Text<'a>>,
    #[serde(borrow, rename = "podIP")]
    pod_ip: Field<Text<'a>>,
    #[serde(borrow, rename = "podIPs")]
    pod_ips: Field<List<RawIp<'a>>>,
    #[serde(borrow, rename = "hostIP")]
    host_ip: Field<Text<'a>>,
    #[serde(borrow, rename = "hostIPs")]
    host_ips: Field<List<RawIp<'a>>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct RawIp<'a> {
    #[serde(borrow)]
    ip: Field<Text<'a>>,
}

impl Record for RawSpec<'_> {}
impl Record for RawContainer<'_> {}
impl Record for RawPort<'_> {}
impl Record for RawStatus<'_> {}
impl Record for RawIp<'_> {}

impl<'de> Deserialize<'de> for Pod {
    /// Fails only on what is no JSON object or has no name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawPod::deserialize(deserializer)?;
        let mut rejected = Rejected::default();
        let metadata = raw.metadata.read(&mut rejected).map_err(D::Error::custom)?;
        Ok(read(metadata, raw.spec, raw.status, rejected))
    }
}

fn read(metadata: Metadata, spec: Field<RawSpec<'_>>, status: Field<RawStatus<'_>>, mut rejected: Rejected) -> Pod {
    let rejected = &mut rejected;
    let spec = spec.take_or_default("spec", rejected);
    let status = status.take_or_default("status", rejected);
    let ports = ports(spec.containers, spec.init_containers, rejected);
    Pod {
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        labels: metadata.labels,
        node: spec
            .node_name
            .take("spec.nodeName", rejected)
            .filter(|node| !node.is_empty())
            .map(Into::into),
        addresses: addresses(
            (status.pod_ips, "status.podIPs"),
            (status.pod_ip, "status.podIP"),
            rejected,
        ),
        host_addresses: addresses(
            (status.host_ips, "status.hostIPs"),
            (status.host_ip, "status.hostIP"),
            rejected,
        ),
        host_network: spec.host_network.take_or_default("spec.hostNetwork", rejected),
        phase: phase(status.phase, rejected),
        terminating: metadata.terminating,
        ports: ports.into_iter().collect(),
        rejected: std::mem::take(rejected).into_lines(),
    }
}

/// A list such as `status.podIPs`, or, where that has nothing of use, the field that came before it, `status.podIP` (I2,
/// S93). Each with its path.
fn addresses(
    (list, list_path): (Field<List<RawIp<'_>>>, &str),
    (single, single_path): (Field<Text<'_>>, &str),
    rejected: &mut Rejected,
) -> Vec<IpAddr> {
    let mut addresses = BTreeSet::new();
    let entries = list.take_or_default(list_path, rejected);
    for (i, entry) in entries.into_iter().enumerate() {
        let path = format_args!("{list_path}[{i}]");
        if let Some(entry) = entry.take(path, rejected)
            && let Some(text) = entry.ip.take(path, rejected)
        {
            addresses.extend(usable(&text, path, rejected));
        }
    }
    if addresses.is_empty()
        && let Some(text) = single.take(single_path, rejected)
    {
        addresses.extend(usable(&text, single_path, rejected));
    }
    addresses.into_iter().collect()
}

/// The address, if a pod can have it (S92, I1, I4).
fn usable(text: &str, path: impl fmt::Display, rejected: &mut Rejected) -> Option<IpAddr> {
    let address = pod_address(text);
    if let Err(problem) = address {
        rejected.push(path, format_args!("{text:?} is {problem}"));
    }
    address.ok()
}

/// An address that a pod can have (S92, I1, I4).
///
/// # Errors
/// What it is instead.
pub fn pod_address(text: &str) -> Result<IpAddr, &'static str> {
    let Ok(address) = text.parse() else {
        return Err("no address");
    };
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() => Err("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err("an IPv4 address in IPv6 form, which is ambiguous"),
        _ if address.is_unspecified() => Err("the unspecified address"),
        _ if address.is_loopback() => Err("a loopback address"),
        _ if address.is_multicast() => Err("a multicast address"),
        _ => Ok(address),
    }
}

/// Named ports of containers and of restartable init containers, not of other init containers (S61).
fn ports(
    containers: Field<List<RawContainer<'_>>>,
    init_containers: Field<List<RawContainer<'_>>>,
    rejected: &mut Rejected,
) -> BTreeSet<NamedPort> {
    let mut found = BTreeSet::new();
    let containers = containers.take_or_default("spec.containers", rejected);
    for (i, container) in containers.into_iter().enumerate() {
        let path = format_args!("spec.containers[{i}]");
        if let Some(container) = container.take(path, rejected) {
            container_ports(container.ports, path, &mut found, rejected);
        }
    }
    let init_containers = init_containers.take_or_default("spec.initContainers", rejected);
    for (i, container) in init_containers.into_iter().enumerate() {
        let path = format_args!("spec.initContainers[{i}]");
        if let Some(container) = container.take(path, rejected)
            && matches!(container.restart_policy, Field::Is(policy) if policy == "Always")
        {
            container_ports(container.ports, path, &mut found, rejected);
        }
    }
    found
}

fn container_ports(
    ports: Field<List<RawPort<'_>>>,
    container: fmt::Arguments<'_>,
    found: &mut BTreeSet<NamedPort>,
    rejected: &mut Rejected,
) {
    let list = format_args!("{container}.ports");
    for (i, port) in ports.take_or_default(list, rejected).into_iter().enumerate() {
        let path = format_args!("{list}[{i}]");
        let Some(port) = port.take(path, rejected) else {
            continue;
        };
        let Some(name) = port.name.take(format_args!("{path}.name"), rejected) else {
            continue;
        };
        let (number, protocol) = (port.container_port, port.protocol);
        if name.is_empty() {
            continue;
        }
        match (number_of(number), protocol_of(protocol)) {
            (Ok(port), Ok(protocol)) => {
                found.insert(NamedPort {
                    name: name.into(),
                    protocol,
                    port,
                });
            }
            (Err(problem), _) => rejected.push(format_args!("{path}.containerPort"), problem),
            (_, Err(problem)) => rejected.push(format_args!("{path}.protocol"), problem),
        }
    }
}

fn number_of(field: Field<i64>) -> Result<u16, String> {
    match field {
        Field::Absent => Err("missing".to_owned()),
        Field::Odd(what) => Err(format!("unexpected {what}")),
        Field::Is(number) => match u16::try_from(number) {
            Ok(port @ 1..) => Ok(port),
            Ok(0) | Err(_) => Err(format!("{number} is no port")),
        },
    }
}

/// Absent and empty mean TCP (I16).
fn protocol_of(field: Field<Text<'_>>) -> Result<Protocol, String> {
    match field {
        Field::Absent => Ok(Protocol::Tcp),
        Field::Odd(what) => Err(format!("unexpected {what}")),
        Field::Is(name) if name.is_empty() => Ok(Protocol::Tcp),
        Field::Is(name) => Protocol::from_kubernetes(&name).ok_or_else(|| format!("{name:?} is no protocol")),
    }
}

/// Absent is Pending, as in a manifest; what is not understood is not finished (I13).
fn phase(field: Field<Text<'_>>, rejected: &mut Rejected) -> Phase {
    match field {
        Field::Absent => Phase::Pending,
        Field::Is(name) if name.is_empty() => Phase::Pending,
        odd @ Field::Odd(_) => {
            odd.take("status.phase", rejected);
            Phase::Unknown
        }
        Field::Is(name) => match &*name {
            "Pending" => Phase::Pending,
            "Running" => Phase::Running,
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            _ => Phase::Unknown,
        },
    }
}

#[cfg(test)]
mod tests;
