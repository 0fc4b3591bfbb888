//! Whether an entry of `ports` means the port of a connection.
//!
//! Pure.

use super::connection::{Direction, Transport};
use super::objects::Pod;
use super::place::Place;
use super::policies::{Peer, PortEntry, Rule, Which};

impl Place<'_, '_> {
    /// S51: each entry is for one protocol, and for any port, one, a range of them or a name, and says nothing of the others.
    pub(super) fn port_matches(&self, rule: &Rule, entry: &PortEntry, transport: Transport, port: u16) -> bool {
        if rule
            .ports
            .iter()
            .flatten()
            .flatten()
            .any(|other| other.transport != entry.transport)
        {
            self.cite(51);
        }
        self.is_of_protocol(entry, transport)
            && match &entry.which {
                Which::Any => self.any_port(),
                Which::One(one) => self.one_port(*one, port),
                Which::Range(first, last) => self.in_range(*first, *last, port),
                Which::Name(name) => self.called(rule, name, transport, port),
            }
    }

    /// S52: what is said of one protocol is not said of another.
    fn is_of_protocol(&self, entry: &PortEntry, transport: Transport) -> bool {
        let same = self.protocol(entry) == transport;
        if !same {
            self.cite(52);
        }
        same
    }

    /// S47: without a word it is TCP.
    fn protocol(&self, entry: &PortEntry) -> Transport {
        entry.transport.unwrap_or_else(|| {
            self.cite(47);
            Transport::Tcp
        })
    }

    /// S48: a protocol without port is all ports of the protocol.
    fn any_port(&self) -> bool {
        self.cite(48);
        true
    }

    /// S49: a number is the destination's, whether or not a container says that it has it.
    fn one_port(&self, one: u16, port: u16) -> bool {
        self.cite(49);
        one == port
    }

    /// S50: a range includes its ends.
    fn in_range(&self, first: u16, last: u16, port: u16) -> bool {
        self.cite(50);
        first <= port && port <= last
    }

    /// S53: a name is looked up on the destination: the subject for ingress, the peer for egress.
    fn called(&self, rule: &Rule, name: &str, transport: Transport, port: u16) -> bool {
        match self.direction {
            Direction::Ingress => self.calls(self.pod, name, transport, port),
            Direction::Egress => self.peer_calls(rule, name, transport, port),
        }
    }

    /// S58: for egress it may be any pod of any cluster. S59: also one that a block means. S57: an address with no live pod
    /// behind it has no names. S113: where there are several, each of them must have it.
    fn peer_calls(&self, rule: &Rule, name: &str, transport: Transport, port: u16) -> bool {
        let claimants = self.claimants();
        let mut peers = rule.peers.iter().flatten().flatten();
        self.cite(match (claimants.is_empty(), &rule.peers) {
            (true, _) => 57,
            (false, None) => 58,
            (false, Some(_)) if peers.any(|peer| matches!(peer, Peer::Block(_))) => 59,
            (false, Some(_)) => 53,
        });
        !claimants.is_empty() && claimants.into_iter().all(|pod| self.calls(pod, name, transport, port))
    }

    /// S56: a name that several containers use means the ports of all of them.
    fn calls(&self, pod: &Pod, name: &str, transport: Transport, port: u16) -> bool {
        let ports: Vec<u16> = pod
            .ports
            .iter()
            .filter(|(called, of, _)| called == name && self.is_for(*of, transport))
            .map(|(_, _, port)| *port)
            .collect();
        match ports.len() {
            0 => self.not_called(pod, name),
            1 => self.cite(53),
            _ => self.cite(56),
        }
        ports.contains(&port)
    }

    /// S54: and the protocol must be the one of the name.
    fn is_for(&self, of: Transport, transport: Transport) -> bool {
        if of != transport {
            self.cite(54);
        }
        of == transport
    }

    /// S55: a name that the pod does not have means none of its ports. S61: one of an ordinary init container it has not.
    fn not_called(&self, pod: &Pod, name: &str) {
        self.cite(55);
        if pod.init_ports.iter().any(|(called, ..)| called == name) {
            self.cite(61);
        }
    }
}
