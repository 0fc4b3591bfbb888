//! NetworkPolicies: what their manifests say, less the pieces that say nothing.
//!
//! Pure. A void piece matches nothing (S127), so it is simply not there: a void peer is missing in its list, a void rule
//! in its direction. A list of void pieces is an empty list, which is not the same as no list (S60).

use super::blocks::Block;
use super::selectors::Selector;
use super::text::is_port_name;
use super::{Direction, Transport};
use serde_json::{Map, Value};

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The namespace whose pods it may select.
    pub namespace: String,
    /// The pods it selects there.
    pub subjects: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// A rule of one direction.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Who; `None`: anybody.
    pub peers: Option<Vec<Peer>>,
    /// What; `None`: anything.
    pub ports: Option<Vec<PortEntry>>,
}

/// An entry of `from` or `to`.
#[derive(Clone, Debug)]
pub enum Peer {
    /// Pods.
    Pods {
        /// `namespaceSelector`; `None`: the policy's own namespace.
        namespaces: Option<Selector>,
        /// `podSelector`; `None`: all.
        pods: Option<Selector>,
    },
    /// Addresses.
    Block(Block),
}

/// An entry of `ports`.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// Its protocol.
    pub transport: Transport,
    /// Its ports.
    pub which: Which,
}

/// The ports of an entry.
#[derive(Clone, Debug)]
pub enum Which {
    /// Every port of the protocol.
    Any,
    /// From the first to the last.
    Range(u16, u16),
    /// Those that the destination pod calls so.
    Name(String),
}

type Object = Map<String, Value>;

impl Policy {
    /// Reads a manifest.
    pub fn read(manifest: &Value) -> Self {
        let spec = &manifest["spec"];
        let mut policy = Self {
            namespace: manifest["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            subjects: Selector::everything(),
            ingress: isolates(spec, Direction::Ingress).then(|| rules(spec, Direction::Ingress)),
            egress: isolates(spec, Direction::Egress).then(|| rules(spec, Direction::Egress)),
        };
        match read_optional(&spec["podSelector"], Selector::read) {
            Some(Some(selector)) => policy.subjects = selector,
            // S2: absent is everything.
            Some(None) => {}
            // S127: a bad podSelector isolates the namespace and allows nothing.
            None => {
                policy.ingress.as_mut().map(Vec::clear);
                policy.egress.as_mut().map(Vec::clear);
            }
        }
        policy
    }

    /// Its rules of a direction; `None`: it does not isolate in it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// S5, S6: what `policyTypes` says; where it says nothing (P21), ingress, and egress if there is an egress rule.
fn isolates(spec: &Value, direction: Direction) -> bool {
    let given = spec["policyTypes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let known: Vec<_> = given.filter(|name| ["Ingress", "Egress"].contains(name)).collect();
    match direction {
        Direction::Ingress => known.is_empty() || known.contains(&"Ingress"),
        // What is no list counts as one of rules nobody understands.
        Direction::Egress if known.is_empty() => match &spec["egress"] {
            Value::Null => false,
            Value::Array(rules) => !rules.is_empty(),
            _ => true,
        },
        Direction::Egress => known.contains(&"Egress"),
    }
}

fn rules(spec: &Value, direction: Direction) -> Vec<Rule> {
    let (list, peers) = match direction {
        Direction::Ingress => (&spec["ingress"], "from"),
        Direction::Egress => (&spec["egress"], "to"),
    };
    let rules = list.as_array().into_iter().flatten();
    rules.filter_map(|rule| read_rule(rule, peers)).collect()
}

/// `None`: void.
fn read_rule(rule: &Value, peers: &str) -> Option<Rule> {
    let rule = only_fields(rule, &[peers, "ports"])?;
    Some(Rule {
        peers: read_list(rule.get(peers), read_peer)?,
        ports: read_list(rule.get("ports"), read_port)?,
    })
}

/// S10: absent, null and empty lists are no list. `None`: it is no list at all.
fn read_list<T>(list: Option<&Value>, read: fn(&Value) -> Option<T>) -> Option<Option<Vec<T>>> {
    match list {
        None | Some(Value::Null) => Some(None),
        Some(Value::Array(entries)) if entries.is_empty() => Some(None),
        Some(Value::Array(entries)) => Some(Some(entries.iter().filter_map(read).collect())),
        Some(_) => None,
    }
}

/// S22 to S24, S42: selectors, or a block; both or neither is void.
fn read_peer(peer: &Value) -> Option<Peer> {
    let peer = only_fields(peer, &["podSelector", "namespaceSelector", "ipBlock"])?;
    let field = |name| peer.get(name).unwrap_or(&Value::Null);
    let pods = read_optional(field("podSelector"), Selector::read)?;
    let namespaces = read_optional(field("namespaceSelector"), Selector::read)?;
    let block = read_optional(field("ipBlock"), Block::read)?;
    match (pods, namespaces, block) {
        (None, None, Some(block)) => Some(Peer::Block(block)),
        (None, None, None) | (_, _, Some(_)) => None,
        (pods, namespaces, None) => Some(Peer::Pods { namespaces, pods }),
    }
}

/// P17 to P20.
fn read_port(entry: &Value) -> Option<PortEntry> {
    let entry = only_fields(entry, &["protocol", "port", "endPort"])?;
    let field = |name| entry.get(name).unwrap_or(&Value::Null);
    let transport = match field("protocol") {
        Value::Null => Transport::Tcp,
        Value::String(name) if name.is_empty() => Transport::Tcp,
        protocol => Transport::read(protocol.as_str()?)?,
    };
    let which = match (field("port"), field("endPort")) {
        (Value::Null, Value::Null) => Which::Any,
        (Value::String(name), Value::Null) if is_port_name(name) => Which::Name(name.clone()),
        (first, Value::Null) => Which::Range(number(first)?, number(first)?),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Which::Range(first, last))?
        }
    };
    Some(PortEntry { transport, which })
}

/// A port's number.
fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64()?;
    (1..=65535)
        .contains(&number)
        .then(|| u16::try_from(number).ok())
        .flatten()
}

/// Null is `Some(None)`; what cannot be read is `None`.
fn read_optional<T>(value: &Value, read: fn(&Value) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() {
        Some(None)
    } else {
        read(value).map(Some)
    }
}

/// P23: an unknown field may be what restricts the piece that has it.
fn only_fields<'a>(value: &'a Value, known: &[&str]) -> Option<&'a Object> {
    let object = value.as_object()?;
    object
        .keys()
        .all(|field| known.contains(&field.as_str()))
        .then_some(object)
}
