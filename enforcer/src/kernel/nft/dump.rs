//! What nf_tables is asked and answers: requests for dumps, and their parts.
//!
//! Pure. Only what lies in tables of ours is read; chains and rules of others are passed over.

use super::expression::{COUNTER_PACKETS, EXPRESSION_COUNTER, EXPRESSION_DATA, EXPRESSION_NAME, VERDICT_GOTO};
use super::{
    CHAIN_HOOK, CHAIN_NAME, CHAIN_POLICY, CHAIN_TABLE, CHAIN_TYPE, CHAIN_TYPE_FILTER, DATA_VALUE, DATA_VERDICT,
    ELEM_DATA, ELEM_KEY, ELEM_LIST_ELEMENTS, ELEM_LIST_SET, ELEM_LIST_TABLE, HOOK_HOOKNUM, HOOK_PRIORITY, NF_ACCEPT,
    OBJECT_DATA, OBJECT_NAME, OBJECT_TABLE, OBJECT_TYPE, RULE_CHAIN, RULE_EXPRESSIONS, RULE_TABLE, RULE_USERDATA,
    SET_NAME, SET_TABLE, SUBSYSTEM, TABLE_NAME, TYPE_COUNTER, USERDATA_COMMENT, VERDICT_CHAIN, VERDICT_CODE,
    family_number, hook_number,
};
use crate::kernel::message::{Attributes, Body, Header, Malformed, Messages, NLM_F_DUMP};
use crate::ruleset::{Base, ChainName, CounterName, Direction, Key, LinkName, TABLE, TableFamily, TableSet};
use std::net::IpAddr;

const MSG_GETTABLE: u16 = 1;
const MSG_GETCHAIN: u16 = 4;
pub(super) const MSG_GETRULE: u16 = 7;
const MSG_GETSET: u16 = 10;
const MSG_GETSETELEM: u16 = 13;
const MSG_GETOBJ: u16 = 19;

/// `NFPROTO_UNSPEC`.
const FAMILY_ALL: u8 = 0;

/// A request for all objects of a kind.
pub(super) fn dump(message: u16, family: u8, body: impl FnOnce(&mut Body<'_>)) -> Messages {
    let mut messages = Messages::default();
    let header = Header {
        kind: SUBSYSTEM << 8 | message,
        flags: NLM_F_DUMP,
        family,
        resource: 0,
    };
    messages.push(header, body);
    messages
}

/// `nft list tables FAMILY`; [`read_table`] reads the parts.
pub(in crate::kernel) fn list_tables(family: TableFamily) -> Messages {
    dump(MSG_GETTABLE, family_number(family), |_| {})
}

/// The name of a table.
pub(in crate::kernel) fn read_table(payload: &[u8]) -> Result<&str, Malformed> {
    Attributes::of_message(payload)?.text(TABLE_NAME)
}

/// `nft list tables`, of all families; [`read_any_table`] reads the parts.
pub(in crate::kernel) fn list_all_tables() -> Messages {
    dump(MSG_GETTABLE, FAMILY_ALL, |_| {})
}

/// `nft list chains`, of all families; [`read_any_chain`] reads the parts.
pub(in crate::kernel) fn list_all_chains() -> Messages {
    dump(MSG_GETCHAIN, FAMILY_ALL, |_| {})
}

/// The family and the name of a table, whoever's it is.
pub(in crate::kernel) fn read_any_table(payload: &[u8]) -> Result<(&'static str, String), Malformed> {
    let name = Attributes::of_message(payload)?.text(TABLE_NAME)?;
    Ok((family_of(payload), name.to_owned()))
}

/// The family, the table and the name of a chain, whoever's it is.
pub(in crate::kernel) fn read_any_chain(payload: &[u8]) -> Result<(&'static str, String, String), Malformed> {
    let attributes = Attributes::of_message(payload)?;
    let (table, chain) = (attributes.text(CHAIN_TABLE)?, attributes.text(CHAIN_NAME)?);
    Ok((family_of(payload), table.to_owned(), chain.to_owned()))
}

/// As nft calls the family in a message's header.
fn family_of(payload: &[u8]) -> &'static str {
    match payload.first().map(|family| i32::from(*family)) {
        Some(libc::NFPROTO_INET) => "inet",
        Some(libc::NFPROTO_IPV4) => "ip",
        Some(libc::NFPROTO_ARP) => "arp",
        Some(libc::NFPROTO_NETDEV) => "netdev",
        Some(libc::NFPROTO_BRIDGE) => "bridge",
        Some(libc::NFPROTO_IPV6) => "ip6",
        _ => "unknown",
    }
}

/// `nft list chains FAMILY`; [`Chain::parse`] reads the parts. Older kernels do not filter by table, so nor do we.
pub(in crate::kernel) fn list_chains(family: TableFamily) -> Messages {
    dump(MSG_GETCHAIN, family_number(family), |_| {})
}

/// A chain as the kernel has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::kernel) struct Chain {
    /// Its name.
    pub name: ChainName,
    /// Whether it has the type, hook, priority and policy that its name promises, if it is a base chain's.
    pub as_created: bool,
}

impl Chain {
    /// Reads a part; `None` if the chain is of another table.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        let attributes = Attributes::of_message(payload)?;
        if attributes.text(CHAIN_TABLE)? != TABLE {
            return Ok(None);
        }
        let name = ChainName::read_back(attributes.text(CHAIN_NAME)?);
        let as_created = match (Base::of(&name), attributes.find(CHAIN_HOOK)) {
            (None, _) => true, // hooked by somebody or not: by what is desired it stays or goes
            (Some(base), Some(hook)) => {
                let hook = Attributes::of_nest(hook);
                hook.be32(HOOK_HOOKNUM)? == hook_number(base.hook())
                    && hook.be32(HOOK_PRIORITY)? == base.priority().cast_unsigned()
                    && attributes.be32(CHAIN_POLICY)? == NF_ACCEPT
                    && attributes.text(CHAIN_TYPE)? == CHAIN_TYPE_FILTER
            }
            (Some(_), None) => false,
        };
        Ok(Some(Self { name, as_created }))
    }
}

/// `nft list table FAMILY bailey`, the rules; [`read_rule`] reads the parts, in the order of the rules.
pub(in crate::kernel) fn list_rules(family: TableFamily) -> Messages {
    dump(MSG_GETRULE, family_number(family), |rule| rule.text(RULE_TABLE, TABLE))
}

/// The chain and the tag of a rule; `None` if the rule is of another table.
pub(in crate::kernel) fn read_rule(payload: &[u8]) -> Result<Option<(ChainName, String)>, Malformed> {
    let attributes = Attributes::of_message(payload)?;
    if attributes.text(RULE_TABLE)? != TABLE {
        return Ok(None);
    }
    let chain = ChainName::read_back(attributes.text(RULE_CHAIN)?);
    Ok(Some((
        chain,
        tag(attributes.find(RULE_USERDATA).unwrap_or_default()).to_owned(),
    )))
}

/// `nft list chain FAMILY bailey CHAIN`, the rules; [`read_counted`] reads the parts.
pub(in crate::kernel) fn list_rules_of(family: TableFamily, chain: &ChainName) -> Messages {
    dump(MSG_GETRULE, family_number(family), |rule| {
        rule.text(RULE_TABLE, TABLE);
        rule.text(RULE_CHAIN, chain.as_str());
    })
}

/// How many packets a rule of a chain has counted, if it counts. Older kernels do not filter by chain.
pub(in crate::kernel) fn read_counted(payload: &[u8], chain: &ChainName) -> Result<Option<u64>, Malformed> {
    let attributes = Attributes::of_message(payload)?;
    if (attributes.text(RULE_TABLE)?, attributes.text(RULE_CHAIN)?) != (TABLE, chain.as_str()) {
        return Ok(None);
    }
    for (_, expression) in attributes.nest(RULE_EXPRESSIONS) {
        let expression = Attributes::of_nest(expression);
        if expression.text(EXPRESSION_NAME)? == EXPRESSION_COUNTER {
            return expression.nest(EXPRESSION_DATA).be64(COUNTER_PACKETS).map(Some);
        }
    }
    Ok(None)
}

/// `nft list counters FAMILY`; [`read_counter`] reads the parts.
pub(in crate::kernel) fn list_counters(family: TableFamily) -> Messages {
    dump(MSG_GETOBJ, family_number(family), |object| {
        object.text(OBJECT_TABLE, TABLE);
        object.be32(OBJECT_TYPE, TYPE_COUNTER);
    })
}

/// A counter and how many packets it has counted; `None` if the object is of another table, or counts nothing.
pub(in crate::kernel) fn read_counter(payload: &[u8]) -> Result<Option<(CounterName, u64)>, Malformed> {
    let attributes = Attributes::of_message(payload)?;
    if attributes.text(OBJECT_TABLE)? != TABLE || attributes.be32(OBJECT_TYPE)? != TYPE_COUNTER {
        return Ok(None);
    }
    let name = CounterName::read_back(attributes.text(OBJECT_NAME)?);
    let packets = attributes.nest(OBJECT_DATA).be64(COUNTER_PACKETS)?;
    Ok(Some((name, packets)))
}

/// `nft list sets FAMILY`, maps among them; [`Named::parse`] reads the parts.
pub(in crate::kernel) fn list_sets(family: TableFamily) -> Messages {
    dump(MSG_GETSET, family_number(family), |set| set.text(SET_TABLE, TABLE))
}

/// A map or set of nf_tables' own, as it is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::kernel) enum Named {
    /// A dispatch map.
    Dispatch(Direction),
    /// A set.
    Set(TableSet),
}

impl Named {
    /// Reads a part; `None` if it is none of ours.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        let attributes = Attributes::of_message(payload)?;
        if attributes.text(SET_TABLE)? != TABLE {
            return Ok(None);
        }
        let name = attributes.text(SET_NAME)?;
        let maps = Direction::ALL.map(|direction| (direction.to_string(), Self::Dispatch(direction)));
        let sets = TableSet::ALL.map(|set| (set.to_string(), Self::Set(set)));
        let mut known = maps.into_iter().chain(sets);
        Ok(known.find(|(known, _)| known == name).map(|(_, named)| named))
    }
}

/// `nft list set FAMILY bailey NAME`; [`read_dispatch`] and [`read_keys`] read the parts.
pub(in crate::kernel) fn list_elements(family: TableFamily, named: Named) -> Messages {
    dump(MSG_GETSETELEM, family_number(family), |list| {
        list.text(ELEM_LIST_TABLE, TABLE);
        let name = match named {
            Named::Dispatch(direction) => direction.to_string(),
            Named::Set(set) => set.to_string(),
        };
        list.text(ELEM_LIST_SET, &name);
    })
}

/// The members in a part.
pub(in crate::kernel) fn read_keys(set: TableSet, payload: &[u8]) -> Result<Vec<Key>, Malformed> {
    let elements = Attributes::of_message(payload)?.nest(ELEM_LIST_ELEMENTS);
    elements
        .map(|(_, element)| {
            let key = Attributes::of_nest(element)
                .nest(ELEM_KEY)
                .find(DATA_VALUE)
                .unwrap_or_default();
            match set {
                TableSet::Links => {
                    let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
                    let name = str::from_utf8(name).ok().and_then(LinkName::new);
                    name.map(Key::Link).ok_or(Malformed("the name of a link"))
                }
                TableSet::Sources(_) => read_address(key).map(Key::Address),
            }
        })
        .collect()
}

fn read_address(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok().ok_or(Malformed("an address of four or sixteen bytes"))
}

/// The elements in a part: addresses and the chains that they go to.
pub(in crate::kernel) fn read_dispatch(payload: &[u8]) -> Result<Vec<(IpAddr, ChainName)>, Malformed> {
    let elements = Attributes::of_message(payload)?.nest(ELEM_LIST_ELEMENTS);
    elements
        .map(|(_, element)| read_dispatch_element(Attributes::of_nest(element)))
        .collect()
}

fn read_dispatch_element(element: Attributes<'_>) -> Result<(IpAddr, ChainName), Malformed> {
    let address = read_address(element.nest(ELEM_KEY).find(DATA_VALUE).unwrap_or_default())?;
    let verdict = element.nest(ELEM_DATA).nest(DATA_VERDICT);
    // An element that somebody made to do something else must not look like ours: no chain has an empty name.
    let chain = if verdict.be32(VERDICT_CODE)? == VERDICT_GOTO {
        verdict.text(VERDICT_CHAIN)?
    } else {
        ""
    };
    Ok((address, ChainName::read_back(chain)))
}

/// The tag in a rule's userdata; empty if there is none.
pub(super) fn tag(userdata: &[u8]) -> &str {
    let [USERDATA_COMMENT, _, text @ ..] = userdata else {
        return "";
    };
    str::from_utf8(text)
        .unwrap_or_default()
        .split([' ', '\0'])
        .next()
        .unwrap_or_default()
}
