//! Facts → wire messages of bounded size.
//!
//! Pure. Facts are added in the order in which they must be known; a message is closed before it would grow past
//! [`FRAME_LIMIT`], and what one message uses is defined in it or in one before.

use crate::numbers::{Definition, Retired};
use prost::Message;
use prost::encoding::encoded_len_varint;
use proto::convert::{self, Claimants};
use proto::wire;
use std::net::IpAddr;
use std::sync::Arc;

/// No message is bigger, except for a single object that is: small enough to share a connection and to be taken by any
/// gRPC client (4 MiB), big enough that its cost per message does not show.
pub const FRAME_LIMIT: usize = 256 * 1024;

/// What a frame holds besides the parts of its delta: gRPC's prefix, revision, age, tags and lengths.
const OVERHEAD: usize = 128;

/// The longest encoding of a `uint32`, or of a tag with a length.
const VARINT: usize = 5;

/// Collects facts into deltas that fit a frame.
#[derive(Debug, Default)]
pub struct Deltas {
    full: Vec<wire::Delta>,
    current: wire::Delta,
    strings: Vec<(u32, Arc<str>)>,
    owners: Vec<(IpAddr, Claimants)>,
    /// Encoded size of what is not in `full` yet, in bytes; rather too much than too little.
    size: usize,
}

impl Deltas {
    /// A number and what it stands for. Strings come in ascending order.
    pub fn define(&mut self, definition: Definition) {
        match definition {
            Definition::String(number, string) => {
                let before = self.strings.last().map_or(0, |(before, _)| *before);
                self.make_room(varint(number - before) + string.len() + VARINT);
                self.strings.push((number, string));
            }
            Definition::Identity(identity) => {
                self.make_room(identity.encoded_len() + VARINT);
                self.current.identities.push(identity);
            }
        }
    }

    /// The labels of a namespace, or its end.
    pub fn namespace(&mut self, namespace: wire::NamespaceLabels) {
        self.make_room(namespace.encoded_len() + VARINT);
        self.current.namespaces.push(namespace);
    }

    /// An address that is a node's, or is no more.
    pub fn node(&mut self, node: wire::NodeAddress) {
        self.make_room(node.encoded_len() + VARINT);
        self.current.node_addresses.push(node);
    }

    /// The owners of an address, ascending. Addresses come in ascending order, each once.
    pub fn owners(&mut self, address: IpAddr, claimants: Claimants) {
        let size = match (address, claimants.as_slice()) {
            (_, [_, _, ..]) => 16 + VARINT * (claimants.len() + 4),
            (IpAddr::V4(address), one) => {
                let before = self.owners.last().and_then(|(before, _)| match before {
                    IpAddr::V4(before) => Some(before.to_bits()),
                    IpAddr::V6(_) => None,
                });
                varint(address.to_bits() - before.unwrap_or(0)) + number_size(one)
            }
            (IpAddr::V6(_), one) => 16 + number_size(one),
        };
        self.make_room(size);
        self.owners.push((address, claimants));
    }

    /// Numbers that are used no more.
    pub fn retire(&mut self, retired: Retired) {
        for number in retired.identities {
            self.make_room(VARINT);
            self.current.retired_identities.push(number);
        }
        for number in retired.strings {
            self.make_room(VARINT);
            self.current.retired_strings.push(number);
        }
    }

    /// The state of a cluster.
    pub fn cluster(&mut self, cluster: wire::ClusterStatus) {
        self.make_room(cluster.encoded_len() + VARINT);
        self.current.clusters.push(cluster);
    }

    /// All deltas; none if nothing was said.
    pub fn finish(mut self) -> Vec<wire::Delta> {
        if self.size > 0 {
            self.cut();
        }
        self.full
    }

    fn make_room(&mut self, more: usize) {
        if self.size > 0 && self.size + more > FRAME_LIMIT - OVERHEAD {
            self.cut();
        }
        self.size += more;
    }

    fn cut(&mut self) {
        let mut delta = std::mem::take(&mut self.current);
        let strings = std::mem::take(&mut self.strings);
        let owners = std::mem::take(&mut self.owners);
        if !strings.is_empty() {
            let strings = strings.iter().map(|(number, string)| (*number, &**string));
            delta.strings = Some(convert::encode_strings(strings));
        }
        if !owners.is_empty() {
            let owners = owners.iter().map(|(address, claimants)| (*address, &**claimants));
            delta.owners = Some(convert::encode_owners(owners));
        }
        self.full.push(delta);
        self.size = 0;
    }
}

fn varint(number: u32) -> usize {
    encoded_len_varint(number.into())
}

/// Of the number of the one claimant, or of 0 for none.
fn number_size(one: &[u32]) -> usize {
    varint(one.first().copied().unwrap_or(0))
}
