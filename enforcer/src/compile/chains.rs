//! The chains of one table: from the hook by the dispatch map to an address's own chain, and on to the rules of policies.
//!
//! Pure. A policy's rules stand in a chain that is named after them and only ever accepts: policies and pods with equal
//! rules share it. Only the chain of an address drops, at its end (S8, S96), where it counts for its pod what it drops, or
//! hands it to a chain that counts for a reason.

use super::Cut;
use super::rules::{self, Names};
use super::sets::Sets;
use super::subjects::Subject;
use crate::policy::{Policy, PolicyName, PolicyRule};
use crate::ruleset::{
    Base, Chain, ChainName, Counted, CounterName, Direction, Family, Match, Rule, Table, Verdict, WhyDropped,
};
use crate::switches::EgressToLocalNode;
use ipnet::IpNet;
use proto::model::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// IANA's number of ICMPv6.
const ICMPV6: u8 = 58;

/// Neighbour discovery (RFC 4861: 133-137) and multicast listener discovery (RFC 2710: 130-132, RFC 3810: 143), without
/// which a link does not work (S74).
const NEIGHBOURS: [u8; 9] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/// The most rules that an address is given of which several pods claim to be the owner; beyond, it admits nothing
/// and is told of ([`Cut`]).
pub const MAX_SHARED_RULES: usize = 1 << 12;

/// The table of one family, as it grows.
pub(super) struct Chains<'a, 's> {
    family: Family,
    sets: &'s mut Sets<'a>,
    table: Table,
    /// The chains of the policies seen so far, for the direction that [`Names`] implies; `None`: it admits nothing.
    policies: BTreeMap<(&'a PolicyName, Names<'a>), Option<ChainName>>,
    cut: BTreeSet<Cut>,
}

impl<'a, 's> Chains<'a, 's> {
    /// The base chains, which let everything pass.
    pub(super) fn new(family: Family, sets: &'s mut Sets<'a>) -> Self {
        let common = ChainName::fixed("common");
        let mut table = Table::default();
        let held: Vec<IpNet> = sets
            .held()
            .iter()
            .copied()
            .filter(|range| Family::of(range.addr()) == family)
            .collect();
        if !held.is_empty() {
            let rules = vec![always(Verdict::CountedDrop)];
            table.chains.insert(WhyDropped::UnknownPod.chain(), Chain { rules });
        }
        for direction in Direction::ALL {
            let mut chain = dispatching(&common, direction);
            chain.rules.extend(held.iter().map(|range| hold(*range, direction)));
            table.chains.insert(base(direction), chain);
            table.dispatch.insert(direction, BTreeMap::new());
        }
        match sets.switches().egress_to_local_node {
            EgressToLocalNode::Allow => {}
            // A packet is forwarded or for the node: the chain of its source judges it once, in either.
            EgressToLocalNode::Policy => {
                let input = ChainName::fixed(Base::Input.name());
                table.chains.insert(input, dispatching(&common, Direction::Egress));
            }
        }
        table.chains.insert(
            common,
            Chain {
                rules: self::common(family),
            },
        );
        Self {
            family,
            sets,
            table,
            policies: BTreeMap::new(),
            cut: BTreeSet::new(),
        }
    }

    /// Isolates an address of the family as its owners' policies say; `itself` are the addresses that are the same pod.
    pub(super) fn isolate(&mut self, address: IpAddr, owners: &[&Subject<'a>], itself: &[IpAddr]) {
        for direction in Direction::ALL {
            // An owner that is not isolated admits everything: only the others limit what all admit.
            let isolated: Vec<&Subject<'a>> = owners
                .iter()
                .copied()
                .filter(|owner| owner.isolating(direction).next().is_some())
                .collect();
            let admitting = match isolated.as_slice() {
                [] => {
                    self.open(address, direction);
                    continue;
                }
                [owner] => self.policy_chains(owner, direction),
                owners => self.shared_chain(owners, address, direction),
            };
            let own = itself.iter().map(|own| Rule {
                matches: vec![Match::Address(direction.peer_side(), *own)],
                verdict: Verdict::Accept,
            });
            let jumps = admitting.into_iter().map(|chain| always(Verdict::Jump(chain)));
            // In an order that does not depend on which of several owners was heard of first (invariant 1).
            let counters = isolated.iter().map(|owner| self.count(owner, direction));
            let counters: BTreeSet<CounterName> = counters.collect();
            let counted = counters.into_iter().map(|counter| always(Verdict::Count(counter)));
            let other_nodes = match direction {
                Direction::Egress => None,
                Direction::Ingress => self.count_other_nodes(),
            };
            let drop = [always(Verdict::Drop)];
            let rules = own.chain(jumps).chain(counted).chain(other_nodes).chain(drop);
            let rules = rules.collect();
            let name = ChainName::of_address(direction, address);
            self.table.chains.insert(name.clone(), Chain { rules });
            self.table.dispatch.entry(direction).or_default().insert(address, name);
        }
    }

    /// Lets everything of an address pass that nobody isolates. It needs a chain only where those are held that have none.
    fn open(&mut self, address: IpAddr, direction: Direction) {
        if self.sets.held().iter().any(|range| range.contains(&address)) {
            let rules = vec![always(Verdict::Accept)];
            let name = ChainName::of_address(direction, address);
            self.table.chains.insert(name.clone(), Chain { rules });
            self.table.dispatch.entry(direction).or_default().insert(address, name);
        }
    }

    /// The table, and what of it is cut.
    pub(super) fn finish(self) -> (Table, BTreeSet<Cut>) {
        (self.table, self.cut)
    }

    /// The counter of what is dropped at a pod's end.
    fn count(&mut self, owner: &Subject<'_>, direction: Direction) -> CounterName {
        let counted = Counted {
            direction,
            namespace: &owner.pod.namespace,
            pod: &owner.pod.name,
        };
        let counter = CounterName::of_pod(counted, &owner.pod.uid);
        self.table.counters.insert(counter.clone());
        counter
    }

    /// The rule that counts what is dropped although a node of another cluster sent it (K11).
    fn count_other_nodes(&mut self) -> Option<Rule> {
        let source = self.sets.other_nodes(self.family)?;
        let chain = WhyDropped::OtherNode.chain();
        self.table.chains.entry(chain.clone()).or_insert_with(|| Chain {
            rules: vec![always(Verdict::CountedDrop)],
        });
        Some(Rule {
            matches: vec![source],
            verdict: Verdict::Jump(chain),
        })
    }

    /// The chains of the policies that isolate a pod.
    fn policy_chains(&mut self, subject: &Subject<'a>, direction: Direction) -> BTreeSet<ChainName> {
        let mut chains = BTreeSet::new();
        for (policy, policy_rules) in subject.isolating(direction) {
            let names = names(direction, policy_rules, subject);
            let key = (&policy.name, names);
            let known = self.policies.get(&key).cloned();
            let chain = known.unwrap_or_else(|| {
                let rules = self.rules(policy, policy_rules, names);
                self.chain(simplified(rules))
            });
            chains.extend(chain.clone());
            self.policies.insert(key, chain);
        }
        chains
    }

    /// The chain of what every one of the pods that claim an address at once admits (I5).
    fn shared_chain(&mut self, owners: &[&Subject<'a>], address: IpAddr, direction: Direction) -> BTreeSet<ChainName> {
        let mut shared = BTreeSet::from([always(Verdict::Accept)]);
        for owner in owners {
            let mut own = BTreeSet::new();
            for (policy, policy_rules) in owner.isolating(direction) {
                own.extend(self.rules(policy, policy_rules, names(direction, policy_rules, owner)));
            }
            if own.len().saturating_mul(shared.len()) > MAX_SHARED_RULES {
                self.cut.insert(Cut { address, direction });
                return BTreeSet::new();
            }
            let pairs = own
                .iter()
                .flat_map(|one| shared.iter().map(move |other| both(one, other)));
            shared = pairs.collect();
        }
        self.chain(simplified(shared)).into_iter().collect()
    }

    /// What a policy admits.
    fn rules(&mut self, policy: &Policy, policy_rules: &[PolicyRule], names: Names<'_>) -> BTreeSet<Rule> {
        let namespace = &policy.name.namespace;
        policy_rules
            .iter()
            .flat_map(|rule| rules::rules(rule, namespace, names, self.family, self.sets))
            .collect()
    }

    /// Makes the chain of these rules; `None`: there is none without rules.
    fn chain(&mut self, rules: Vec<Rule>) -> Option<ChainName> {
        let name = (!rules.is_empty()).then(|| ChainName::of_rules(&rules))?;
        self.table.chains.entry(name.clone()).or_insert(Chain { rules });
        Some(name)
    }
}

/// Where the ports of a policy's destinations have their names. Without names subjects do not differ.
fn names<'a>(direction: Direction, rules: &[PolicyRule], subject: &Subject<'a>) -> Names<'a> {
    match direction {
        Direction::Ingress if rules::name_ports(rules) => Names::OfSubject(&subject.pod.ports),
        Direction::Ingress => Names::OfSubject(&[]),
        Direction::Egress => Names::OfPeers,
    }
}

fn base(direction: Direction) -> ChainName {
    ChainName::fixed(match direction {
        Direction::Egress => "egress",
        Direction::Ingress => "ingress",
    })
}

/// The base chain that sends packets to the chain of their local address in a direction.
fn dispatching(common: &ChainName, direction: Direction) -> Chain {
    Chain {
        rules: vec![
            always(Verdict::Jump(common.clone())),
            always(Verdict::Dispatch(direction)),
        ],
    }
}

/// Holds the addresses of a range for which the dispatch map had no chain: no pod that is known has them.
fn hold(range: IpNet, direction: Direction) -> Rule {
    Rule {
        matches: vec![Match::Block(direction.local_side(), range)],
        verdict: Verdict::Jump(WhyDropped::UnknownPod.chain()),
    }
}

const fn always(verdict: Verdict) -> Rule {
    Rule {
        matches: Vec::new(),
        verdict,
    }
}

/// The rules without those that cannot matter: beside one that accepts everything, all others (S13).
fn simplified(rules: BTreeSet<Rule>) -> Vec<Rule> {
    let everything = always(Verdict::Accept);
    if rules.contains(&everything) {
        return vec![everything];
    }
    rules.into_iter().collect()
}

/// The accepting rule that matches what both match.
fn both(one: &Rule, other: &Rule) -> Rule {
    let matches: BTreeSet<&Match> = one.matches.iter().chain(&other.matches).collect();
    Rule {
        matches: matches.into_iter().cloned().collect(),
        verdict: Verdict::Accept,
    }
}

/// What passes whatever policies say: replies and related errors (S65, S66), and what links and leases need (S74).
fn common(family: Family) -> Vec<Rule> {
    let accept = |matches| Rule {
        matches,
        verdict: Verdict::Accept,
    };
    let mut rules = vec![accept(vec![Match::Established])];
    if family == Family::V6 {
        rules.push(accept(vec![Match::L4Proto(ICMPV6), neighbours()]));
    }
    rules.extend(dhcp(family).map(|matches| accept(matches.into())));
    rules
}

/// Neighbour and multicast listener discovery.
pub(super) fn neighbours() -> Match {
    Match::Icmpv6Type(BTreeSet::from(NEIGHBOURS))
}

/// DHCP: from clients to servers, and back.
pub(super) fn dhcp(family: Family) -> [[Match; 3]; 2] {
    let (client, server) = match family {
        Family::V4 => (68, 67),
        Family::V6 => (546, 547),
    };
    [(client, server), (server, client)].map(|(from, to)| {
        [
            Match::L4Proto(Protocol::Udp.number()),
            Match::SourcePort(from),
            Match::DestinationPort(to, to),
        ]
    })
}
