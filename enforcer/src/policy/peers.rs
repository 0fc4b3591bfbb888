//! `from` and `to`: who the peers are.
//!
//! Pure. Knows no pods: what a selector selects is [`proto::selector`]'s.

use super::blocks::{self, NoBlock};
use super::fields::{Field, Problem, Report, members, shown, text};
use super::selectors::selector;
use super::{Peers, PolicyPeer};
use ipnet::IpNet;
use serde_json::Value;

/// The list `from` or `to`; empty: anybody.
pub(super) fn peers(value: &Value, field: &Field<'_>, report: &mut Report) -> Peers {
    if value.as_array().is_some_and(Vec::is_empty) {
        return Peers::Any;
    }
    let peers = report.list(value, field, "the peer matches nothing", |value, field, _| {
        peer(value, field)
    });
    let mut peers: Vec<PolicyPeer> = peers.into_iter().flatten().collect();
    peers.sort();
    peers.dedup();
    Peers::Of(peers)
}

/// An entry; `None`: a block of which its excepts leave nothing, which is no error.
fn peer(value: &Value, field: &Field<'_>) -> Result<Option<PolicyPeer>, Problem> {
    let [pods, namespaces, block] = members(value, field, ["podSelector", "namespaceSelector", "ipBlock"])?;
    match (pods, namespaces, block) {
        (None, None, None) => Err(field.problem("it names no podSelector, namespaceSelector or ipBlock".to_owned())),
        (None, None, Some(block)) => ip_block(block, &field.member("ipBlock")),
        (_, _, Some(_)) => Err(field.problem("ipBlock beside a selector".to_owned())),
        (pods, namespaces, None) => {
            let read =
                |value: Option<&Value>, name| value.map(|value| selector(value, &field.member(name))).transpose();
            Ok(Some(PolicyPeer::Pods {
                pods: read(pods, "podSelector")?,
                namespaces: read(namespaces, "namespaceSelector")?,
            }))
        }
    }
}

fn ip_block(value: &Value, field: &Field<'_>) -> Result<Option<PolicyPeer>, Problem> {
    let [cidr, except] = members(value, field, ["cidr", "except"])?;
    let net = match cidr {
        None => return Err(field.problem("cidr is missing".to_owned())),
        Some(value) => cidr_block(value, &field.member("cidr"))?,
    };
    let excepts = match except {
        None => Vec::new(),
        Some(value) => excepts(value, &field.member("except"))?,
    };
    Ok(blocks::effective(net, &excepts).map(|except| PolicyPeer::Block { net, except }))
}

/// A list without void entries: to leave one out would widen the block (P13).
fn excepts(value: &Value, field: &Field<'_>) -> Result<Vec<IpNet>, Problem> {
    const FOLLOWS: &str = "the whole block matches nothing, so that nothing is admitted by mistake";
    let Some(entries) = value.as_array() else {
        return Err(field.problem(format!("{} is no list", shown(value))).with(FOLLOWS));
    };
    let read = |(index, entry)| cidr_block(entry, &Field::Entry(field, index)).map_err(|problem| problem.with(FOLLOWS));
    entries.iter().enumerate().map(read).collect()
}

fn cidr_block(value: &Value, field: &Field<'_>) -> Result<IpNet, Problem> {
    blocks::block(text(value, field)?).map_err(|error| match error {
        NoBlock::Malformed => field.problem(format!("{} is no CIDR", shown(value))),
        NoBlock::Mapped => field.problem(format!(
            "{} is an IPv4-mapped address, which may mean IPv4 or IPv6",
            shown(value)
        )),
    })
}
