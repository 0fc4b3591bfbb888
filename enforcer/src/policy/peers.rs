//! `from` and `to`: who the peers are.
//!
//! Pure. Knows no pods: what a selector selects is [`proto::selector`]'s.

use super::blocks::{self, NoBlock};
use super::fields::{Field, Problem, Report, members, shown, text};
use super::selectors::selector;
use super::written::{List, Peer};
use super::{Kind, PolicyPeer};
use ipnet::IpNet;
use serde_json::Value;

/// The list `from` or `to`.
pub(super) fn peers(value: &Value, field: &Field<'_>, report: &mut Report) -> List<Peer> {
    report.list(value, field, "the peer matches nothing", |value, field, _| {
        peer(value, field).map_err(|problem| problem.of(Kind::Peer))
    })
}

fn peer(value: &Value, field: &Field<'_>) -> Result<Peer, Problem> {
    let [pods, namespaces, block] = members(value, field, ["podSelector", "namespaceSelector", "ipBlock"])?;
    match (pods, namespaces, block) {
        (None, None, None) => Err(field.problem("it names no podSelector, namespaceSelector or ipBlock".to_owned())),
        (None, None, Some(block)) => {
            ip_block(block, &field.member("ipBlock")).map_err(|problem| problem.of(Kind::IpBlock))
        }
        (_, _, Some(_)) => Err(field.problem("ipBlock beside a selector".to_owned())),
        (pods, namespaces, None) => {
            let read =
                |value: Option<&Value>, name| value.map(|value| selector(value, &field.member(name))).transpose();
            Ok(Peer::Pods {
                pods: read(pods, "podSelector")?,
                namespaces: read(namespaces, "namespaceSelector")?,
            })
        }
    }
}

fn ip_block(value: &Value, field: &Field<'_>) -> Result<Peer, Problem> {
    let [cidr, except] = members(value, field, ["cidr", "except"])?;
    let net = match cidr {
        None => return Err(field.problem("cidr is missing".to_owned())),
        Some(value) => cidr_block(value, &field.member("cidr"))?,
    };
    let except = match except {
        None => Vec::new(),
        Some(value) => excepts(value, &field.member("except"))?,
    };
    Ok(Peer::Block { net, except })
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

/// The same peers, sorted, each once, without the blocks of which their excepts leave nothing (P14).
pub(super) fn merged<'a>(peers: impl Iterator<Item = &'a Peer>) -> Vec<PolicyPeer> {
    let peers = peers.filter_map(|peer| match peer {
        Peer::Pods { pods, namespaces } => Some(PolicyPeer::Pods {
            pods: pods.clone(),
            namespaces: namespaces.clone(),
        }),
        Peer::Block { net, except } => {
            blocks::effective(*net, except).map(|except| PolicyPeer::Block { net: *net, except })
        }
    });
    let mut peers: Vec<PolicyPeer> = peers.collect();
    peers.sort();
    peers.dedup();
    peers
}
