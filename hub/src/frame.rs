//! Facts → wire messages of bounded size.
//!
//! Pure. Facts are added in the order in which they must be known; a message is closed before it would grow past
//! [`FRAME_LIMIT`], and what one message uses is defined in it or in one before.

use crate::numbers::{Definition, Retired};
use prost::Message;
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
    /// Upper bound of the encoded size of what is not in `full` yet, in bytes.
    size: usize,
}

impl Deltas {
    /// A number and what it stands for. Strings come in ascending order.
    pub fn define(&mut self, definition: Definition) {
        match definition {
            Definition::String(number, string) => {
                self.make_room(string.len() + 2 * VARINT);
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

    /// The owners of an address, ascending. Addresses come in ascending order, each once.
    pub fn owners(&mut self, address: IpAddr, claimants: Claimants) {
        // 16 bytes of address and one number, or a message of its own for several.
        self.make_room(16 + VARINT * (claimants.len() + 2));
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
