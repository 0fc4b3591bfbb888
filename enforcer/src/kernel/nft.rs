//! nf_tables' messages: values ⇄ bytes (`linux/netfilter/nf_tables.h`).
//!
//! Pure. One function per message; each names the command it is equivalent to. Here is what changes something, all of it
//! in transactions; what a rule does is written by `expression`, what is asked and answered is in `dump`.

pub(super) mod dump;
mod expression;

use super::ipset;
use super::message::{Body, Header, Messages, NLM_F_APPEND, NLM_F_CREATE};
use crate::ruleset::{
    Base, ChainName, CounterName, Direction, Family, Hook, Key, Match, Rule, SetName, TABLE, TableFamily, TableSet,
};
use expression::{IndexOf, VERDICT_GOTO, verdict};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A subsystem's number, and with it the first byte of its messages' kinds.
const SUBSYSTEM: u16 = 10;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const MSG_NEWTABLE: u16 = 0;
const MSG_DELTABLE: u16 = 2;
const MSG_NEWCHAIN: u16 = 3;
const MSG_DELCHAIN: u16 = 5;
const MSG_NEWRULE: u16 = 6;
const MSG_DELRULE: u16 = 8;
const MSG_NEWSET: u16 = 9;
const MSG_DELSET: u16 = 11;
const MSG_NEWSETELEM: u16 = 12;
const MSG_DELSETELEM: u16 = 14;

const MSG_NEWOBJ: u16 = 18;
const MSG_DELOBJ: u16 = 20;

const TABLE_NAME: u16 = 1;

const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_HOOKNUM: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;

const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LEN: u16 = 7;
const SET_ID: u16 = 10;

const ELEM_LIST_TABLE: u16 = 1;
const ELEM_LIST_SET: u16 = 2;
const ELEM_LIST_ELEMENTS: u16 = 3;
const ELEM_LIST_SET_ID: u16 = 4;
const LIST_ELEM: u16 = 1;
const ELEM_KEY: u16 = 1;
const ELEM_DATA: u16 = 2;

const OBJECT_TABLE: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
/// `NFT_OBJECT_COUNTER`.
const TYPE_COUNTER: u32 = 1;

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

const NF_INET_PRE_ROUTING: u32 = 0;
const NF_INET_LOCAL_IN: u32 = 1;
const NF_INET_FORWARD: u32 = 2;
const NF_ACCEPT: u32 = 1;
const CHAIN_TYPE_FILTER: &str = "filter";

const SET_ANONYMOUS: u32 = 1;
const SET_CONSTANT: u32 = 2;
const SET_MAP: u32 = 8;
const DATA_TYPE_VERDICT: u32 = 0xffff_ff00;
const DATA_LEN_VERDICT: u32 = 16;

/// The kernel replaces `%d` by the first free number.
const ANONYMOUS_NAME: &str = "__set%d";

/// nft's own numbers of data types, for `nft list` to print keys by.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_IPV6_ADDR: u32 = 8;
const TYPE_ICMPV6: u32 = 29;
const TYPE_IFNAME: u32 = 41;

/// `IFNAMSIZ`.
const IFNAME_BYTES: usize = 16;

/// nft's limit for a comment, its NUL included; it shows nothing of a longer one.
const COMMENT_BYTES: usize = 128;
/// The kind of a comment among the entries of a rule's userdata (`NFTNL_UDATA_RULE_COMMENT`).
const USERDATA_COMMENT: u8 = 0;

/// `NFPROTO_BRIDGE`.
const FAMILY_BRIDGE: u8 = 7;

/// nf_tables' number of a family.
pub(super) const fn family_number(family: TableFamily) -> u8 {
    match family {
        TableFamily::Ip => ipset::family_number(Family::V4),
        TableFamily::Ip6 => ipset::family_number(Family::V6),
        TableFamily::Bridge => FAMILY_BRIDGE,
    }
}

/// A hook's number; the bridge family's are the same.
const fn hook_number(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => NF_INET_PRE_ROUTING,
        Hook::Input => NF_INET_LOCAL_IN,
        Hook::Forward => NF_INET_FORWARD,
    }
}

/// A transaction: all of it or nothing.
///
/// The tables have no owner flag: an owned table dies with the socket of its owner unless the kernel knows `persist`
/// (6.9), and protection must outlive the process on every kernel. What somebody else breaks is seen when it is read
/// back.
#[derive(Debug)]
pub(super) struct Batch {
    messages: Messages,
    /// Of the last anonymous set; an id names it within the transaction.
    set_id: u32,
}

impl Batch {
    /// An empty transaction.
    pub fn begin() -> Self {
        let mut messages = Messages::default();
        messages.push(batch_header(BATCH_BEGIN), |_| {});
        Self { messages, set_id: 0 }
    }

    /// How many messages there are so far.
    pub const fn count(&self) -> u32 {
        self.messages.count()
    }

    /// The transaction, to be committed.
    pub fn commit(mut self) -> Messages {
        self.messages.acknowledge_last();
        self.messages.push(batch_header(BATCH_END), |_| {});
        self.messages
    }

    /// The transaction, to be checked and then forgotten, as `nft --check` does.
    pub fn check(mut self) -> Messages {
        self.messages.acknowledge_last();
        self.messages
    }

    fn push(&mut self, (message, flags): (u16, u16), family: u8, body: impl FnOnce(&mut Body<'_>)) {
        self.messages.push(
            Header {
                kind: SUBSYSTEM << 8 | message,
                flags,
                family,
                resource: 0,
            },
            body,
        );
    }

    /// `add table FAMILY bailey`.
    pub fn add_table(&mut self, family: TableFamily) {
        self.push((MSG_NEWTABLE, NLM_F_CREATE), family_number(family), |table| {
            table.text(TABLE_NAME, TABLE)
        });
    }

    /// `delete table FAMILY bailey`.
    pub fn delete_table(&mut self, family: TableFamily) {
        self.push((MSG_DELTABLE, 0), family_number(family), |table| {
            table.text(TABLE_NAME, TABLE)
        });
    }

    /// `add map FAMILY bailey DIRECTION { type ipv4_addr : verdict; }`.
    pub fn add_map(&mut self, family: Family, direction: Direction) {
        let (key_type, key_len) = address_type(family);
        self.set_id += 1;
        let id = self.set_id;
        self.push((MSG_NEWSET, NLM_F_CREATE), ipset::family_number(family), |set| {
            set.text(SET_TABLE, TABLE);
            set.text(SET_NAME, &direction.to_string());
            set.be32(SET_FLAGS, SET_MAP);
            set.be32(SET_KEY_TYPE, key_type);
            set.be32(SET_KEY_LEN, key_len);
            set.be32(SET_DATA_TYPE, DATA_TYPE_VERDICT);
            set.be32(SET_DATA_LEN, DATA_LEN_VERDICT);
            set.be32(SET_ID, id);
        });
    }

    /// `add set FAMILY bailey SET { type ifname; }`, or of addresses.
    pub fn add_set(&mut self, family: TableFamily, set: TableSet) {
        let (key_type, key_len) = match set {
            TableSet::Links => (TYPE_IFNAME, IFNAME_BYTES as u32),
            TableSet::Sources(family) => address_type(family),
        };
        self.set_id += 1;
        let id = self.set_id;
        self.push((MSG_NEWSET, NLM_F_CREATE), family_number(family), |attributes| {
            attributes.text(SET_TABLE, TABLE);
            attributes.text(SET_NAME, &set.to_string());
            attributes.be32(SET_FLAGS, 0);
            attributes.be32(SET_KEY_TYPE, key_type);
            attributes.be32(SET_KEY_LEN, key_len);
            attributes.be32(SET_ID, id);
        });
    }

    /// `delete set FAMILY bailey SET`.
    pub fn delete_set(&mut self, family: TableFamily, set: TableSet) {
        self.push((MSG_DELSET, 0), family_number(family), |attributes| {
            attributes.text(SET_TABLE, TABLE);
            attributes.text(SET_NAME, &set.to_string());
        });
    }

    /// `add element FAMILY bailey SET { KEY }`.
    pub fn add_key(&mut self, family: TableFamily, set: TableSet, key: &Key) {
        self.elements((MSG_NEWSETELEM, NLM_F_CREATE), family, &set.to_string(), |element| {
            value(element, ELEM_KEY, &key_bytes(key))
        });
    }

    /// `delete element FAMILY bailey SET { KEY }`.
    pub fn remove_key(&mut self, family: TableFamily, set: TableSet, key: &Key) {
        self.elements((MSG_DELSETELEM, 0), family, &set.to_string(), |element| {
            value(element, ELEM_KEY, &key_bytes(key))
        });
    }

    /// `add chain FAMILY bailey CHAIN`; with `{ type filter hook … priority …; policy accept; }` if its name is a
    /// [`Base`]'s.
    pub fn add_chain(&mut self, family: TableFamily, chain: &ChainName) {
        self.push((MSG_NEWCHAIN, NLM_F_CREATE), family_number(family), |attributes| {
            attributes.text(CHAIN_TABLE, TABLE);
            attributes.text(CHAIN_NAME, chain.as_str());
            if let Some(base) = Base::of(chain) {
                attributes.nest(CHAIN_HOOK, |hook| {
                    hook.be32(HOOK_HOOKNUM, hook_number(base.hook()));
                    hook.be32(HOOK_PRIORITY, base.priority().cast_unsigned());
                });
                attributes.be32(CHAIN_POLICY, NF_ACCEPT);
                attributes.text(CHAIN_TYPE, CHAIN_TYPE_FILTER);
            }
        });
    }

    /// `delete chain FAMILY bailey CHAIN`; its rules are to be flushed before.
    pub fn delete_chain(&mut self, family: TableFamily, chain: &ChainName) {
        self.push((MSG_DELCHAIN, 0), family_number(family), |attributes| {
            attributes.text(CHAIN_TABLE, TABLE);
            attributes.text(CHAIN_NAME, chain.as_str());
        });
    }

    /// `add counter FAMILY bailey COUNTER`: at zero, if there is none; one that is there stays as it is.
    pub fn add_counter(&mut self, family: TableFamily, counter: &CounterName) {
        self.push((MSG_NEWOBJ, NLM_F_CREATE), family_number(family), |object| {
            object.text(OBJECT_TABLE, TABLE);
            object.text(OBJECT_NAME, counter.as_str());
            object.be32(OBJECT_TYPE, TYPE_COUNTER);
            object.nest(OBJECT_DATA, |_| {});
        });
    }

    /// `delete counter FAMILY bailey COUNTER`. No rule may refer to it.
    pub fn delete_counter(&mut self, family: TableFamily, counter: &CounterName) {
        self.push((MSG_DELOBJ, 0), family_number(family), |object| {
            object.text(OBJECT_TABLE, TABLE);
            object.text(OBJECT_NAME, counter.as_str());
            object.be32(OBJECT_TYPE, TYPE_COUNTER);
        });
    }

    /// `flush chain FAMILY bailey CHAIN`.
    pub fn flush_chain(&mut self, family: TableFamily, chain: &ChainName) {
        self.push((MSG_DELRULE, 0), family_number(family), |attributes| {
            attributes.text(RULE_TABLE, TABLE);
            attributes.text(RULE_CHAIN, chain.as_str());
        });
    }

    /// `add rule FAMILY bailey CHAIN RULE`, with the rule's tag and text as its comment, and with the anonymous sets that
    /// it needs. `index_of` knows the index of each set that the rule refers to.
    pub fn add_rule(&mut self, family: TableFamily, chain: &ChainName, rule: &Rule, index_of: IndexOf<'_>) {
        let mut types_id = None;
        for condition in &rule.matches {
            if let Match::Icmpv6Type(types) = condition {
                types_id = Some(self.add_icmpv6_types(family, types));
            }
        }
        self.push(
            (MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND),
            family_number(family),
            |attributes| {
                attributes.text(RULE_TABLE, TABLE);
                attributes.text(RULE_CHAIN, chain.as_str());
                attributes.nest(RULE_EXPRESSIONS, |list| {
                    expression::rule(
                        list,
                        family,
                        rule,
                        expression::Sets {
                            index_of,
                            icmpv6_types: types_id,
                        },
                    );
                });
                attributes.bytes(RULE_USERDATA, &comment(rule));
            },
        );
    }

    /// The `{ 133, 134 }` of a rule; gives its id.
    fn add_icmpv6_types(&mut self, family: TableFamily, types: &BTreeSet<u8>) -> u32 {
        self.set_id += 1;
        let id = self.set_id;
        self.push((MSG_NEWSET, NLM_F_CREATE), family_number(family), |set| {
            set.text(SET_TABLE, TABLE);
            set.text(SET_NAME, ANONYMOUS_NAME);
            set.be32(SET_FLAGS, SET_ANONYMOUS | SET_CONSTANT);
            set.be32(SET_KEY_TYPE, TYPE_ICMPV6);
            set.be32(SET_KEY_LEN, 1);
            set.be32(SET_ID, id);
        });
        self.push((MSG_NEWSETELEM, NLM_F_CREATE), family_number(family), |list| {
            list.text(ELEM_LIST_TABLE, TABLE);
            list.text(ELEM_LIST_SET, ANONYMOUS_NAME);
            list.be32(ELEM_LIST_SET_ID, id);
            list.nest(ELEM_LIST_ELEMENTS, |elements| {
                for of_type in types {
                    elements.nest(LIST_ELEM, |element| value(element, ELEM_KEY, &[*of_type]));
                }
            });
        });
        id
    }

    /// `add element FAMILY bailey DIRECTION { ADDRESS : goto CHAIN }`.
    pub fn add_dispatch(&mut self, family: TableFamily, direction: Direction, address: IpAddr, chain: &ChainName) {
        self.elements(
            (MSG_NEWSETELEM, NLM_F_CREATE),
            family,
            &direction.to_string(),
            |element| {
                value(element, ELEM_KEY, &octets(address));
                element.nest(ELEM_DATA, |data| verdict(data, VERDICT_GOTO, Some(chain)));
            },
        );
    }

    /// `delete element FAMILY bailey DIRECTION { ADDRESS }`.
    pub fn remove_dispatch(&mut self, family: TableFamily, direction: Direction, address: IpAddr) {
        self.elements((MSG_DELSETELEM, 0), family, &direction.to_string(), |element| {
            value(element, ELEM_KEY, &octets(address))
        });
    }

    fn elements(&mut self, message: (u16, u16), family: TableFamily, set: &str, body: impl FnOnce(&mut Body<'_>)) {
        self.push(message, family_number(family), |list| {
            list.text(ELEM_LIST_TABLE, TABLE);
            list.text(ELEM_LIST_SET, set);
            list.nest(ELEM_LIST_ELEMENTS, |elements| elements.nest(LIST_ELEM, body));
        });
    }
}

const fn batch_header(kind: u16) -> Header {
    Header {
        kind,
        flags: 0,
        family: 0,
        resource: SUBSYSTEM,
    }
}

/// The type and length of an address as a set's key.
const fn address_type(family: Family) -> (u32, u32) {
    match family {
        Family::V4 => (TYPE_IPV4_ADDR, 4),
        Family::V6 => (TYPE_IPV6_ADDR, 16),
    }
}

/// A key as sets and registers hold it: names are padded with NULs.
fn key_bytes(key: &Key) -> Vec<u8> {
    match key {
        Key::Link(name) => {
            let mut bytes = name.as_str().as_bytes().to_vec();
            bytes.resize(IFNAME_BYTES, 0);
            bytes
        }
        Key::Address(address) => octets(*address),
    }
}

fn value(body: &mut Body<'_>, kind: u16, bytes: &[u8]) {
    body.nest(kind, |data| data.bytes(DATA_VALUE, bytes));
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A rule's userdata: a comment, as nft writes it, of the rule's tag and as much of its text as there is room for. The
/// text tells people which set is meant: `nft list` prints no more of it than `xt match "set"`.
fn comment(rule: &Rule) -> Vec<u8> {
    let mut text = format!("{} {rule}", rule.tag());
    while text.len() >= COMMENT_BYTES {
        text.pop();
    }
    let length = u8::try_from(text.len() + 1).expect("shorter than COMMENT_BYTES");
    [&[USERDATA_COMMENT, length], text.as_bytes(), &[0]].concat()
}

/// ipsets that rules refer to.
pub(super) fn sets_of(rule: &Rule) -> impl Iterator<Item = &SetName> {
    rule.matches.iter().filter_map(Match::set)
}

#[cfg(test)]
mod tests;
