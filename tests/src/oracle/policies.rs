//! NetworkPolicies: what their manifests say.
//!
//! Pure. A piece that is not understood stays where it is, as a [`Void`] (S127): a list of void pieces is a list, which is
//! not the same as no list (S60).

use super::blocks::{self, Block};
use super::selectors::{self, Selector};
use super::text::is_port_name;
use super::{Direction, Transport};
use serde_json::{Map, Value};

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The namespace whose pods it may select.
    pub namespace: String,
    /// The pods it selects there.
    pub subjects: Piece<Selector>,
    /// The known words of `policyTypes`.
    pub types: Vec<Direction>,
    /// `ingress`.
    pub ingress: Rules,
    /// `egress`.
    pub egress: Rules,
}

/// What a piece says, if it is understood.
pub(super) type Piece<T> = Result<T, Void>;

/// S127: a piece that is not understood, and the rule that says so.
#[derive(Clone, Copy, Debug)]
pub struct Void(pub u8);

/// The rules of a direction; `None`: there is no list, or an empty one.
pub type Rules = Option<Vec<Piece<Rule>>>;

/// A rule of one direction.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Who; `None`: anybody.
    pub peers: Option<Vec<Piece<Peer>>>,
    /// What; `None`: anything.
    pub ports: Option<Vec<Piece<PortEntry>>>,
}

/// An entry of `from` or `to`.
#[derive(Clone, Debug)]
pub enum Peer {
    /// S19: `podSelector` alone: pods of the policy's own namespace.
    Own(Selector),
    /// S21: `namespaceSelector` alone: all pods of these namespaces.
    All(Selector),
    /// S22: both: of these namespaces these pods.
    Some {
        /// `namespaceSelector`.
        namespaces: Selector,
        /// `podSelector`.
        pods: Selector,
    },
    /// `ipBlock`.
    Block(Block),
}

/// An entry of `ports`.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// Its protocol; `None`: not given.
    pub transport: Option<Transport>,
    /// Its ports.
    pub which: Which,
}

/// The ports of an entry.
#[derive(Clone, Debug)]
pub enum Which {
    /// Every port of the protocol.
    Any,
    /// One.
    One(u16),
    /// From the first to the last.
    Range(u16, u16),
    /// Those that the destination pod calls so.
    Name(String),
}

type Object = Map<String, Value>;

impl Policy {
    /// Reads a manifest.
    pub(super) fn read(manifest: &Value) -> Self {
        let namespace = manifest["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let spec = &manifest["spec"];
        if !spec.is_object() && !spec.is_null() {
            return Self::unreadable(namespace);
        }
        Self {
            namespace,
            subjects: match &spec["podSelector"] {
                // S2.
                Value::Null => Ok(Selector::everything()),
                selector => selectors::read(selector),
            },
            types: policy_types(&spec["policyTypes"]),
            ingress: rules(&spec["ingress"], "from"),
            egress: rules(&spec["egress"], "to"),
        }
    }

    /// What it selects and isolates nobody knows: it isolates all, and allows nothing (S127).
    fn unreadable(namespace: String) -> Self {
        Self {
            namespace,
            subjects: Err(Void(127)),
            types: vec![Direction::Ingress, Direction::Egress],
            ingress: None,
            egress: None,
        }
    }

    /// Its rules of a direction.
    pub fn rules(&self, direction: Direction) -> &Rules {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// Unknown words are ignored (P21).
fn policy_types(types: &Value) -> Vec<Direction> {
    let words = types.as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = words.filter_map(|word| match word {
        "Ingress" => Some(Direction::Ingress),
        "Egress" => Some(Direction::Egress),
        _ => None,
    });
    known.collect()
}

/// What is no list counts as one of rules that nobody understands.
fn rules(list: &Value, peers: &str) -> Rules {
    let rules = match list {
        Value::Null => Vec::new(),
        Value::Array(rules) => rules.iter().map(|rule| read_rule(rule, peers)).collect(),
        _ => vec![Err(Void(127))],
    };
    (!rules.is_empty()).then_some(rules)
}

fn read_rule(rule: &Value, peers: &str) -> Piece<Rule> {
    let rule = only_fields(rule, &[peers, "ports"])?;
    Ok(Rule {
        peers: read_list(field(rule, peers), read_peer)?,
        ports: read_list(field(rule, "ports"), read_port)?,
    })
}

/// S10: absent, null and empty lists are no list.
fn read_list<T>(list: &Value, read: fn(&Value) -> Piece<T>) -> Piece<Option<Vec<Piece<T>>>> {
    match list {
        Value::Null => Ok(None),
        Value::Array(entries) if entries.is_empty() => Ok(None),
        Value::Array(entries) => Ok(Some(entries.iter().map(read).collect())),
        _ => Err(Void(127)),
    }
}

/// S23: an absent selector and an empty one are not the same.
fn read_peer(peer: &Value) -> Piece<Peer> {
    let peer = only_fields(peer, &["podSelector", "namespaceSelector", "ipBlock"])?;
    let [pods, namespaces, block] = ["podSelector", "namespaceSelector", "ipBlock"].map(|name| field(peer, name));
    match (pods, namespaces, block) {
        // S24: an entry with nothing set.
        (Value::Null, Value::Null, Value::Null) => Err(Void(24)),
        (Value::Null, Value::Null, block) => Ok(Peer::Block(blocks::read(block)?)),
        (pods, Value::Null, Value::Null) => Ok(Peer::Own(selectors::read(pods)?)),
        (Value::Null, namespaces, Value::Null) => Ok(Peer::All(selectors::read(namespaces)?)),
        (pods, namespaces, Value::Null) => Ok(Peer::Some {
            namespaces: selectors::read(namespaces)?,
            pods: selectors::read(pods)?,
        }),
        // S42: a block beside a selector.
        (_, _, _) => Err(Void(42)),
    }
}

/// P17 to P20.
fn read_port(entry: &Value) -> Piece<PortEntry> {
    let entry = only_fields(entry, &["protocol", "port", "endPort"])?;
    let transport = match field(entry, "protocol") {
        Value::Null => None,
        Value::String(name) if name.is_empty() => None,
        protocol => Some(protocol.as_str().and_then(Transport::read).ok_or(Void(127))?),
    };
    let which = match (field(entry, "port"), field(entry, "endPort")) {
        (Value::Null, Value::Null) => Which::Any,
        (Value::String(name), Value::Null) if is_port_name(name) => Which::Name(name.clone()),
        // S63: a number in quotes is a name, and no name looks like this.
        (Value::String(digits), _) if digits.parse::<i64>().is_ok() => return Err(Void(63)),
        (one, Value::Null) => Which::One(number(one)?),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(Void(127));
            }
            Which::Range(first, last)
        }
    };
    Ok(PortEntry { transport, which })
}

/// A port's number.
fn number(value: &Value) -> Piece<u16> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(Void(127))
}

/// P23: an unknown field may be what restricts the piece that has it.
fn only_fields<'a>(value: &'a Value, known: &[&str]) -> Piece<&'a Object> {
    let object = value.as_object().ok_or(Void(127))?;
    let all_known = object.keys().all(|field| known.contains(&field.as_str()));
    all_known.then_some(object).ok_or(Void(127))
}

fn field<'a>(object: &'a Object, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}
