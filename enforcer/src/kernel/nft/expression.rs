//! What a rule does, as nf_tables' expressions.
//!
//! Pure. Conditions load something into a register and compare it; one that does not hold ends the rule.

use super::{DATA_VERDICT, TYPE_COUNTER, VERDICT_CHAIN, VERDICT_CODE, octets, value};
use crate::kernel::message::Body;
use crate::ruleset::{ChainName, Family, Match, Rule, SetKind, SetName, Side, TableFamily, TableSet, Verdict};
use ipnet::IpNet;

const LIST_EXPRESSION: u16 = 1;
pub(super) const EXPRESSION_NAME: u16 = 1;
pub(super) const EXPRESSION_DATA: u16 = 2;
pub(super) const EXPRESSION_COUNTER: &str = "counter";
pub(super) const COUNTER_PACKETS: u16 = 2;

/// The register of verdicts.
const REG_VERDICT: u32 = 0;
/// The first register, of 16 bytes; no rule needs two.
const REG_1: u32 = 1;

const META_DREG: u16 = 1;
const META_KEY: u16 = 2;
const META_KEY_PROTOCOL: u32 = 1;
const META_KEY_IIFNAME: u32 = 6;
const META_KEY_L4PROTO: u32 = 16;

/// `ETH_P_IP` and `ETH_P_IPV6`.
const ETHER_TYPE_IP: u16 = 0x0800;
const ETHER_TYPE_IPV6: u16 = 0x86dd;

const FIB_DREG: u16 = 1;
const FIB_RESULT: u16 = 2;
const FIB_FLAGS: u16 = 3;
const FIB_RESULT_OIF: u32 = 1;
/// `NFTA_FIB_F_SADDR`, `NFTA_FIB_F_IIF` and `NFTA_FIB_F_PRESENT`: the answer is one byte, whether there is one.
const FIB_FLAGS_SOURCE_BACK_EXISTS: u32 = 1 | 1 << 3 | 1 << 5;

const CT_DREG: u16 = 1;
const CT_KEY: u16 = 2;
const CT_KEY_STATE: u32 = 0;
/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)` and `NF_CT_STATE_BIT(IP_CT_RELATED)`.
const CT_STATE_ESTABLISHED_RELATED: u32 = 1 << 1 | 1 << 2;

const PAYLOAD_DREG: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;
const PAYLOAD_LINK_HEADER: u32 = 0;
const PAYLOAD_NETWORK_HEADER: u32 = 1;
const PAYLOAD_TRANSPORT_HEADER: u32 = 2;

const CMP_SREG: u16 = 1;
const CMP_OP: u16 = 2;
const CMP_DATA: u16 = 3;
const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;
const CMP_LTE: u32 = 3;
const CMP_GTE: u32 = 5;

const BITWISE_SREG: u16 = 1;
const BITWISE_DREG: u16 = 2;
const BITWISE_LEN: u16 = 3;
const BITWISE_MASK: u16 = 4;
const BITWISE_XOR: u16 = 5;

const LOOKUP_SET: u16 = 1;
const LOOKUP_SREG: u16 = 2;
const LOOKUP_DREG: u16 = 3;
const LOOKUP_SET_ID: u16 = 4;

const OBJREF_TYPE: u16 = 1;
const OBJREF_NAME: u16 = 2;

const IMMEDIATE_DREG: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;

const MATCH_NAME: u16 = 1;
const MATCH_REV: u16 = 2;
const MATCH_INFO: u16 = 3;
/// Revision 4 of xtables' `set` match takes a `struct xt_set_info_match_v4`.
const XT_SET_REVISION: u32 = 4;
const XT_SET_INFO_BYTES: usize = 48;

/// `IPPROTO_ICMPV6`.
const ICMPV6: u8 = 58;

const VERDICT_DROP: u32 = 0;
const VERDICT_ACCEPT: u32 = 1;
const VERDICT_JUMP: u32 = (-3_i32).cast_unsigned();
pub(super) const VERDICT_GOTO: u32 = (-4_i32).cast_unsigned();

/// Tells the kernel's index of a set.
pub(in crate::kernel) type IndexOf<'a> = &'a dyn Fn(&SetName) -> u16;

/// What a rule's expressions refer to other than by name.
#[derive(Clone, Copy)]
pub(super) struct Sets<'a> {
    /// The ipsets.
    pub index_of: IndexOf<'a>,
    /// The anonymous set of its ICMPv6 types, by its id in the transaction.
    pub icmpv6_types: Option<u32>,
}

/// All expressions of a rule.
///
/// # Panics
/// If a rule of the bridge table dispatches: there are no dispatch maps in it.
pub(super) fn rule(list: &mut Body<'_>, family: TableFamily, rule: &Rule, sets: Sets<'_>) {
    for condition in &rule.matches {
        match condition {
            Match::Established => established(list),
            Match::L4Proto(number) => l4proto(list, *number),
            Match::Icmpv6Type(_) => {
                l4proto(list, ICMPV6);
                payload(list, PAYLOAD_TRANSPORT_HEADER, 0, 1);
                lookup(list, super::ANONYMOUS_NAME, |lookup| {
                    lookup.be32(
                        LOOKUP_SET_ID,
                        sets.icmpv6_types.expect("the set is made before the rule"),
                    );
                });
            }
            Match::SourcePort(port) => {
                payload(list, PAYLOAD_TRANSPORT_HEADER, 0, 2);
                cmp(list, CMP_EQ, &port.to_be_bytes());
            }
            Match::DestinationPort(first, last) => destination_port(list, *first, *last),
            Match::Address(side, address) => {
                load_address(list, Family::of(*address), *side);
                cmp(list, CMP_EQ, &octets(*address));
            }
            Match::InSet(side, name, kind) => in_set(list, *side, (sets.index_of)(name), *kind),
            Match::Block(side, net) => block(list, *side, *net),
            Match::InTableSet(set) => in_table_set(list, *set),
            Match::RouteBack => route_back(list),
            Match::Carries(family) => {
                meta(list, META_KEY_PROTOCOL);
                let number = match family {
                    Family::V4 => ETHER_TYPE_IP,
                    Family::V6 => ETHER_TYPE_IPV6,
                };
                cmp(list, CMP_EQ, &number.to_be_bytes());
            }
            Match::EtherType(number) => {
                payload(list, PAYLOAD_LINK_HEADER, 12, 2);
                cmp(list, CMP_EQ, &number.to_be_bytes());
            }
        }
    }
    match &rule.verdict {
        Verdict::Accept => immediate(list, VERDICT_ACCEPT, None),
        Verdict::Drop => immediate(list, VERDICT_DROP, None),
        Verdict::CountedDrop => {
            expression(list, EXPRESSION_COUNTER, |_| {});
            immediate(list, VERDICT_DROP, None);
        }
        Verdict::Count(counter) => expression(list, "objref", |objref| {
            objref.be32(OBJREF_TYPE, TYPE_COUNTER);
            objref.text(OBJREF_NAME, counter.as_str());
        }),
        Verdict::Jump(chain) => immediate(list, VERDICT_JUMP, Some(chain)),
        Verdict::Dispatch(direction) => {
            let family = family
                .addresses()
                .expect("a table with dispatch maps is of one kind of address");
            load_address(list, family, direction.local_side());
            lookup(list, &direction.to_string(), |lookup| {
                lookup.be32(LOOKUP_DREG, REG_VERDICT)
            });
        }
    }
}

fn expression(list: &mut Body<'_>, name: &str, data: impl FnOnce(&mut Body<'_>)) {
    list.nest(LIST_EXPRESSION, |expression| {
        expression.text(EXPRESSION_NAME, name);
        expression.nest(EXPRESSION_DATA, data);
    });
}

/// `ct state established,related`: any of the bits.
fn established(list: &mut Body<'_>) {
    expression(list, "ct", |ct| {
        ct.be32(CT_KEY, CT_KEY_STATE);
        ct.be32(CT_DREG, REG_1);
    });
    expression(list, "bitwise", |bitwise| {
        bitwise.be32(BITWISE_SREG, REG_1);
        bitwise.be32(BITWISE_DREG, REG_1);
        bitwise.be32(BITWISE_LEN, 4);
        value(bitwise, BITWISE_MASK, &CT_STATE_ESTABLISHED_RELATED.to_ne_bytes());
        value(bitwise, BITWISE_XOR, &[0; 4]);
    });
    cmp(list, CMP_NEQ, &[0; 4]);
}

/// `meta l4proto NUMBER`.
fn l4proto(list: &mut Body<'_>, number: u8) {
    meta(list, META_KEY_L4PROTO);
    cmp(list, CMP_EQ, &[number]);
}

fn meta(list: &mut Body<'_>, key: u32) {
    expression(list, "meta", |meta| {
        meta.be32(META_KEY, key);
        meta.be32(META_DREG, REG_1);
    });
}

/// `SIDE NET`.
fn block(list: &mut Body<'_>, side: Side, net: IpNet) {
    load_address(list, Family::of(net.addr()), side);
    let mask = octets(net.netmask());
    expression(list, "bitwise", |bitwise| {
        bitwise.be32(BITWISE_SREG, REG_1);
        bitwise.be32(BITWISE_DREG, REG_1);
        bitwise.be32(
            BITWISE_LEN,
            u32::try_from(mask.len()).expect("an address has 4 or 16 bytes"),
        );
        value(bitwise, BITWISE_MASK, &mask);
        value(bitwise, BITWISE_XOR, &vec![0; mask.len()]);
    });
    cmp(list, CMP_EQ, &octets(net.network()));
}

/// `iifname @links`, `IP saddr @sources4`.
fn in_table_set(list: &mut Body<'_>, set: TableSet) {
    match set {
        TableSet::Links => meta(list, META_KEY_IIFNAME),
        TableSet::Sources(family) => load_address(list, family, Side::Source),
    }
    lookup(list, &set.to_string(), |_| {});
}

/// `fib saddr . iif oif exists`.
fn route_back(list: &mut Body<'_>) {
    expression(list, "fib", |fib| {
        fib.be32(FIB_DREG, REG_1);
        fib.be32(FIB_RESULT, FIB_RESULT_OIF);
        fib.be32(FIB_FLAGS, FIB_FLAGS_SOURCE_BACK_EXISTS);
    });
    cmp(list, CMP_EQ, &[1]);
}

/// `th dport FIRST-LAST`. Ports compare as bytes, for they are in network byte order.
fn destination_port(list: &mut Body<'_>, first: u16, last: u16) {
    payload(list, PAYLOAD_TRANSPORT_HEADER, 2, 2);
    if first == last {
        cmp(list, CMP_EQ, &first.to_be_bytes());
    } else {
        cmp(list, CMP_GTE, &first.to_be_bytes());
        cmp(list, CMP_LTE, &last.to_be_bytes());
    }
}

fn load_address(list: &mut Body<'_>, family: Family, side: Side) {
    let (offset, length) = match (family, side) {
        (Family::V4, Side::Source) => (12, 4),
        (Family::V4, Side::Destination) => (16, 4),
        (Family::V6, Side::Source) => (8, 16),
        (Family::V6, Side::Destination) => (24, 16),
    };
    payload(list, PAYLOAD_NETWORK_HEADER, offset, length);
}

fn payload(list: &mut Body<'_>, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |payload| {
        payload.be32(PAYLOAD_DREG, REG_1);
        payload.be32(PAYLOAD_BASE, base);
        payload.be32(PAYLOAD_OFFSET, offset);
        payload.be32(PAYLOAD_LEN, length);
    });
}

fn cmp(list: &mut Body<'_>, operator: u32, bytes: &[u8]) {
    expression(list, "cmp", |cmp| {
        cmp.be32(CMP_SREG, REG_1);
        cmp.be32(CMP_OP, operator);
        value(cmp, CMP_DATA, bytes);
    });
}

fn lookup(list: &mut Body<'_>, set: &str, more: impl FnOnce(&mut Body<'_>)) {
    expression(list, "lookup", |lookup| {
        lookup.text(LOOKUP_SET, set);
        lookup.be32(LOOKUP_SREG, REG_1);
        more(lookup);
    });
}

/// `match set NAME src`, `dst` or `dst,dst`: xtables' match through nft_compat, which the kernel has for the families ip
/// and ip6 only. It does not check that set and table are of one family; names with a family in them do.
fn in_set(list: &mut Body<'_>, side: Side, index: u16, kind: SetKind) {
    let dimensions = match kind {
        SetKind::Addresses | SetKind::Blocks => 1,
        SetKind::Ports => 2,
    };
    // Bit n: dimension n is the source's. The port is always the destination's.
    let flags = match side {
        Side::Source => 1 << 1,
        Side::Destination => 0,
    };
    let mut info = [0; XT_SET_INFO_BYTES];
    info[..2].copy_from_slice(&index.to_ne_bytes());
    info[2] = dimensions;
    info[3] = flags;
    expression(list, "match", |xt| {
        xt.text(MATCH_NAME, "set");
        xt.be32(MATCH_REV, XT_SET_REVISION);
        xt.bytes(MATCH_INFO, &info);
    });
}

fn immediate(list: &mut Body<'_>, code: u32, chain: Option<&ChainName>) {
    expression(list, "immediate", |immediate| {
        immediate.be32(IMMEDIATE_DREG, REG_VERDICT);
        immediate.nest(IMMEDIATE_DATA, |data| verdict(data, code, chain));
    });
}

/// A verdict, as data.
pub(super) fn verdict(data: &mut Body<'_>, code: u32, chain: Option<&ChainName>) {
    data.nest(DATA_VERDICT, |verdict| {
        verdict.be32(VERDICT_CODE, code);
        if let Some(chain) = chain {
            verdict.text(VERDICT_CHAIN, chain.as_str());
        }
    });
}
