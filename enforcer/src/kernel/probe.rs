//! Whether this kernel has what plans need, found out by trying.
//!
//! Sets are made and destroyed again; rules are sent in a transaction that ends before its end, which the kernel checks
//! and forgets (as `nft --check` does).

use super::message::Messages;
use super::nft::Batch;
use super::socket::{Errno, Socket, SocketError};
use super::{Bridges, RELEASE_ATTEMPTS, RELEASE_INTERVAL, ipset};
use crate::ruleset::{
    Base, ChainName, CounterName, Family, Match, Rule, SET_PREFIX, Set, SetKind, SetName, Side, TableFamily, TableSet,
    Verdict,
};
use std::collections::BTreeSet;
use std::io;
use std::process;
use std::thread;
use thiserror::Error;

/// What this process or this kernel lacks.
#[derive(Debug, Error)]
pub enum Missing {
    /// The right to change netfilter.
    #[error(
        "no CAP_NET_ADMIN in this network namespace: run as root on the node; in a pod, set hostNetwork: true and \
         securityContext.capabilities.add: [NET_ADMIN]"
    )]
    Capability,
    /// Netfilter's netlink family.
    #[error("this kernel has no netlink interface to netfilter: modprobe nfnetlink")]
    Netlink(#[source] io::Error),
    /// ipset, or a type of it.
    #[error(
        "this kernel has no ipset of type {kind}: modprobe ip_set ip_set_hash_ip ip_set_hash_net ip_set_hash_ipport"
    )]
    Ipset {
        /// The type.
        kind: SetKind,
        /// What the kernel says.
        #[source]
        source: SocketError,
    },
    /// nf_tables, or a part of it.
    #[error(
        "this kernel has no nf_tables for family {family}, or not all of it: modprobe nf_tables nft_ct nft_objref nft_fib_ipv4 \
         nft_fib_ipv6"
    )]
    NfTables {
        /// The family.
        family: Family,
        /// What the kernel says.
        #[source]
        source: SocketError,
    },
    /// The bridge between the two.
    #[error("this kernel has no ipset match for nf_tables (nft_compat with xt_set): modprobe xt_set nft_compat")]
    SetMatch(#[source] SocketError),
}

/// Opens a socket.
pub(super) fn socket() -> Result<Socket, Missing> {
    Socket::open().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Missing::Capability,
        _ => Missing::Netlink(error),
    })
}

/// Tries a set of each kind in each family, and a rule that refers to one.
pub(super) fn probe(socket: &mut Socket) -> Result<(), Missing> {
    for family in Family::ALL {
        for kind in [SetKind::Ports, SetKind::Blocks, SetKind::Addresses] {
            let set = Set {
                kind,
                family,
                members: BTreeSet::new(),
            };
            // A name of ours, so that what a crash here leaves is swept; of this process, so that two may try. In a container
            // it is the next process's too: what is left of this one must not keep that from trying.
            let name = format!("{SET_PREFIX}-probe-{}", process::id());
            destroy(socket, &name).map_err(|source| lacking(source, |source| Missing::Ipset { kind, source }))?;
            let mut messages = Messages::default();
            ipset::create(&mut messages, &name, &set);
            socket
                .request(&messages)
                .map_err(|source| lacking(source, |source| Missing::Ipset { kind, source }))?;
            let rules = match kind {
                SetKind::Addresses => try_rules(socket, family, &name),
                SetKind::Blocks | SetKind::Ports => Ok(()),
            };
            destroy(socket, &name).map_err(|source| lacking(source, |source| Missing::Ipset { kind, source }))?;
            rules?;
        }
    }
    Ok(())
}

fn lacking(source: SocketError, missing: impl FnOnce(SocketError) -> Missing) -> Missing {
    if source.errno() == Some(Errno::PERMISSION) {
        Missing::Capability
    } else {
        missing(source)
    }
}

fn try_rules(socket: &mut Socket, family: Family, set: &str) -> Result<(), Missing> {
    let mut messages = Messages::default();
    ipset::index(&mut messages, set);
    let answers = socket.request(&messages).map_err(Missing::SetMatch)?;
    let index = answers.first().map(|answer| ipset::read_index(answer)).transpose();
    let index = index
        .map_err(|error| Missing::SetMatch(error.into()))?
        .unwrap_or_default();

    let chain = ChainName::fixed("probe");
    let rule = |condition| Rule {
        matches: vec![condition],
        verdict: Verdict::Accept,
    };
    let name = SetName::ours(set).expect("a name with our prefix");
    let mut batch = Batch::begin();
    let table = TableFamily::of(family);
    batch.add_table(table);
    batch.add_chain(table, &chain);
    batch.add_rule(table, &chain, &rule(Match::Established), &|_| index);
    batch.add_rule(table, &chain, &rule(Match::RouteBack), &|_| index);
    let counter = CounterName::read_back("probe");
    batch.add_counter(table, &counter);
    let counting = Rule {
        matches: Vec::new(),
        verdict: Verdict::Count(counter),
    };
    batch.add_rule(table, &chain, &counting, &|_| index);
    let before = batch.count();
    batch.add_rule(
        table,
        &chain,
        &rule(Match::InSet(Side::Source, name, SetKind::Addresses)),
        &|_| index,
    );
    match socket.request(&batch.check()) {
        Ok(_) => Ok(()),
        Err(source) => Err(lacking(source, |source| match source {
            SocketError::Refused { message, .. } if message >= before => Missing::SetMatch(source),
            source => Missing::NfTables { family, source },
        })),
    }
}

/// Tries a rule of each condition that only frames on bridges are checked by. Nodes whose pods hang on links of their own
/// need none of it.
pub(super) fn bridges(socket: &mut Socket) -> Bridges {
    let (table, chain) = (TableFamily::Bridge, ChainName::fixed(Base::Prerouting.name()));
    let mut batch = Batch::begin();
    batch.add_table(table);
    batch.add_set(table, TableSet::Links);
    batch.add_chain(table, &chain);
    let rule = Rule {
        matches: vec![Match::InTableSet(TableSet::Links), Match::Carries(Family::V4)],
        verdict: Verdict::CountedDrop,
    };
    batch.add_rule(table, &chain, &rule, &|_| 0);
    match socket.request(&batch.check()) {
        Ok(_) => Bridges::Checked,
        Err(_refused) => Bridges::Unchecked,
    }
}

/// The rule that referred to the set was never in force; the kernel may hold the set a moment longer all the same.
fn destroy(socket: &mut Socket, name: &str) -> Result<(), SocketError> {
    let mut messages = Messages::default();
    ipset::destroy(&mut messages, name);
    for _ in 0..RELEASE_ATTEMPTS {
        match socket.request(&messages) {
            Err(error) if error.errno() == Some(Errno::SET_BUSY) => thread::sleep(RELEASE_INTERVAL),
            other => return other.map(drop),
        }
    }
    Err(SocketError::refused(Errno::SET_BUSY))
}
