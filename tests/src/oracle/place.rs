//! Whether a rule of a policy matches, where it is enforced.
//!
//! Pure.

use super::Judge;
use super::connection::{Connection, Direction, NodeName, Probe};
use super::objects::Pod;
use super::policies::{Peer, Piece, Rule, Void};
use std::net::IpAddr;

/// A connection at the pod for which it is judged.
pub(super) struct Place<'a, 'w> {
    pub judge: &'a Judge<'w>,
    /// Where the pod runs.
    pub node: &'a NodeName,
    /// The subject.
    pub pod: &'a Pod,
    pub direction: Direction,
    pub connection: Connection,
}

impl<'w> Place<'_, 'w> {
    pub fn cite(&self, rule: u8) {
        self.judge.cite(rule);
    }

    /// The address of the other end.
    pub fn peer(&self) -> IpAddr {
        match self.direction {
            Direction::Ingress => self.connection.source,
            Direction::Egress => self.connection.destination,
        }
    }

    /// Who is there.
    pub fn claimants(&self) -> Vec<&'w Pod> {
        self.judge.claimants(self.node, self.peer())
    }

    /// S127: what is not understood matches nothing.
    pub fn void(&self, Void(rule): Void) -> bool {
        self.cite(127);
        if rule != 127 {
            self.cite(rule);
        }
        false
    }

    /// S11: within a rule a peer and a port must match.
    pub fn rule_matches(&self, rule: &Piece<Rule>) -> bool {
        let rule = match rule {
            Ok(rule) => rule,
            Err(void) => return self.void(*void),
        };
        if rule.peers.is_none() && rule.ports.is_none() {
            // S13: what the empty rule allows no other policy takes back.
            self.cite(13);
        }
        let (peer, port) = (self.a_peer_matches(rule), self.a_port_matches(rule));
        if peer != port {
            self.cite(11);
        }
        peer && port
    }

    /// S10: no peers given is any peer, inside and outside of every cluster.
    fn a_peer_matches(&self, rule: &Rule) -> bool {
        let Some(peers) = &rule.peers else {
            self.cite(10);
            return true;
        };
        let any = self.any_of(peers, |peer| self.peer_matches(peer));
        let excepts = |peer: &Piece<Peer>| matches!(peer, Ok(Peer::Block(block)) if block.excepts(self.peer(), &self.judge.cited));
        if any && peers.iter().any(excepts) {
            // S35: an except is of its own block, and no word against the others.
            self.cite(35);
        }
        any
    }

    /// S46: no ports given is every port of every protocol.
    fn a_port_matches(&self, rule: &Rule) -> bool {
        match (&rule.ports, self.connection.probe) {
            (None, Probe::Port(..)) => {
                self.cite(46);
                true
            }
            (Some(entries), Probe::Port(transport, port)) => {
                self.any_of(entries, |entry| self.port_matches(rule, entry, transport, port))
            }
            (ports, Probe::Ping | Probe::Other(_)) => {
                // S73: which has no ports is covered where ports do not matter.
                self.cite(73);
                ports.is_none()
            }
        }
    }

    /// S60: a list of which nothing is understood matches nothing.
    fn any_of<T>(&self, list: &[Piece<T>], matches: impl Fn(&T) -> bool) -> bool {
        if list.iter().all(Result::is_err) {
            self.cite(60);
        }
        let matches = |piece: &&Piece<T>| match piece {
            Ok(piece) => matches(piece),
            Err(void) => self.void(*void),
        };
        // All of them, so that each has its say.
        list.iter().filter(matches).count() > 0
    }
}
