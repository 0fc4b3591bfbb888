//! Reads back what the kernel holds of ours.

use super::message::Messages;
use super::nft::dump::{self, Chain, Named};
use super::socket::{Errno, Socket, SocketError};
use super::{Kernel, KernelError, ipset};
use crate::plan::{Actual, ActualTable};
use crate::ruleset::{ChainName, CounterName, Set, SetName, TABLE, TableFamily, WhyDropped};
use std::collections::{BTreeMap, BTreeSet};
use tracing::warn;

impl Kernel {
    /// What the kernel holds of ours: sets with their members, chains with the tags of their rules, dispatch maps.
    pub fn read(&mut self) -> Result<Actual, KernelError> {
        let sets = self.read_sets()?;
        let mut tables = BTreeMap::new();
        for family in TableFamily::ALL {
            if self.has_table(family)? {
                tables.insert(family, self.read_table(family)?);
            }
        }
        Ok(Actual { sets, tables })
    }

    /// How many packets the rules of ours that count have dropped, since they were made.
    ///
    /// # Errors
    /// If the kernel does not answer, or answers something else.
    pub fn dropped(&mut self) -> Result<BTreeMap<WhyDropped, u64>, KernelError> {
        let mut dropped = BTreeMap::new();
        for family in TableFamily::ALL {
            if !self.has_table(family)? {
                continue;
            }
            for why in WhyDropped::ALL {
                let attempt = KernelError::refused(format!("count what {family} {TABLE} {} drops", why.chain()));
                *dropped.entry(why).or_default() += self.dropped_by(family, &why.chain()).map_err(attempt)?;
            }
        }
        Ok(dropped)
    }

    /// How many packets each counter of ours has counted, in all families together, since it was made. Neither needs nor
    /// disturbs the thread that owns the kernel: a dump waits for no transaction.
    ///
    /// # Errors
    /// If the kernel does not answer, or answers something else.
    pub fn counted() -> Result<BTreeMap<CounterName, u64>, KernelError> {
        let attempt = || KernelError::refused("read the counters");
        let mut socket = Socket::open().map_err(|error| attempt()(error.into()))?;
        let mut counted = BTreeMap::new();
        for family in TableFamily::ALL {
            for (name, packets) in counters(&mut socket, family).map_err(attempt())? {
                *counted.entry(name).or_default() += packets;
            }
        }
        Ok(counted)
    }

    fn dropped_by(&mut self, family: TableFamily, chain: &ChainName) -> Result<u64, SocketError> {
        let mut dropped = 0;
        for part in self.socket.dump(&dump::list_rules_of(family, chain))? {
            dropped += dump::read_counted(&part, chain)?.unwrap_or_default();
        }
        Ok(dropped)
    }

    /// Whether there is a table of ours in a family.
    pub(super) fn has_table(&mut self, family: TableFamily) -> Result<bool, KernelError> {
        let attempt = KernelError::refused("list the tables");
        let parts = match self.socket.dump(&dump::list_tables(family)) {
            Err(error) if error.errno() == Some(Errno::FAMILY_UNKNOWN) => return Ok(false),
            other => other.map_err(attempt)?,
        };
        let mut names = parts.iter().map(|part| dump::read_table(part));
        names
            .try_fold(false, |found, name| Ok(found || name? == TABLE))
            .map_err(|error: super::Malformed| KernelError::refused("list the tables")(error.into()))
    }

    /// The names of all sets with our prefix, of whatever kind.
    pub(super) fn our_sets(&mut self) -> Result<BTreeSet<SetName>, KernelError> {
        let mut messages = Messages::default();
        ipset::list_names(&mut messages);
        self.parts_of_sets(&messages, |part, names: &mut BTreeSet<SetName>| {
            names.extend(SetName::ours(part.name));
            Ok(())
        })
    }

    /// Our sets with their members. One of a kind that we do not have is not ours but for its name: it is said, and left
    /// alone until a set of that name is to be created or all is cleaned up.
    ///
    /// # Errors
    /// If the kernel does not answer, or answers something else.
    pub fn read_sets(&mut self) -> Result<BTreeMap<SetName, Set>, KernelError> {
        let mut messages = Messages::default();
        ipset::list(&mut messages);
        self.parts_of_sets(&messages, |part, sets: &mut BTreeMap<SetName, Set>| {
            let Some(name) = SetName::ours(part.name) else {
                return Ok(());
            };
            match part.head() {
                Some(Ok((kind, family))) => {
                    sets.entry(name.clone()).or_insert_with(|| Set {
                        kind,
                        family,
                        members: BTreeSet::new(),
                    });
                }
                Some(Err(kind)) => warn!(%name, kind, "an ipset has a name of ours and a kind that is none of ours"),
                None => {}
            }
            if let Some(set) = sets.get_mut(&name) {
                set.members.extend(part.members(set.kind)?);
            }
            Ok(())
        })
    }

    fn parts_of_sets<T: Default>(
        &mut self,
        request: &Messages,
        mut take: impl FnMut(ipset::Part<'_>, &mut T) -> Result<(), super::Malformed>,
    ) -> Result<T, KernelError> {
        let read = |parts: Vec<Vec<u8>>| {
            let mut taken = T::default();
            for part in &parts {
                take(ipset::Part::parse(part)?, &mut taken)?;
            }
            Ok(taken)
        };
        self.socket
            .dump(request)
            .and_then(read)
            .map_err(KernelError::refused("list the ipsets"))
    }

    fn read_table(&mut self, family: TableFamily) -> Result<ActualTable, KernelError> {
        let attempt = KernelError::refused(format!("read table {family} {TABLE}"));
        let (table, foreign) = self.read_parts(family).map_err(attempt)?;
        match foreign {
            Some(chain) => Err(KernelError::Foreign {
                object: format!("chain {family} {TABLE} {}", chain.name),
            }),
            None => Ok(table),
        }
    }

    /// The table, and a chain in it that is not as it was created, if there is one.
    fn read_parts(&mut self, family: TableFamily) -> Result<(ActualTable, Option<Chain>), SocketError> {
        let mut table = ActualTable::default();
        let mut foreign = None;
        for part in self.socket.dump(&dump::list_chains(family))? {
            if let Some(chain) = Chain::parse(&part)? {
                table.chains.insert(chain.name.clone(), Vec::new());
                if !chain.as_created {
                    foreign = Some(chain);
                }
            }
        }
        for part in self.socket.dump(&dump::list_rules(family))? {
            if let Some((chain, tag)) = dump::read_rule(&part)? {
                table.chains.entry(chain).or_default().push(tag);
            }
        }
        for part in self.socket.dump(&dump::list_sets(family))? {
            let Some(named) = Named::parse(&part)? else {
                continue;
            };
            let parts = self.socket.dump(&dump::list_elements(family, named))?;
            match named {
                Named::Dispatch(direction) => {
                    let map = table.dispatch.entry(direction).or_default();
                    for part in &parts {
                        map.extend(dump::read_dispatch(part)?);
                    }
                }
                Named::Set(set) => {
                    let keys = table.sets.entry(set).or_default();
                    for part in &parts {
                        keys.extend(dump::read_keys(set, part)?);
                    }
                }
            }
        }
        let counters = counters(&mut self.socket, family)?;
        table.counters = counters.into_iter().map(|(name, _)| name).collect();
        Ok((table, foreign))
    }
}

/// The counters of our table of a family, and how many packets each has counted.
fn counters(socket: &mut Socket, family: TableFamily) -> Result<Vec<(CounterName, u64)>, SocketError> {
    let parts = match socket.dump(&dump::list_counters(family)) {
        Err(error) if error.errno() == Some(Errno::FAMILY_UNKNOWN) => return Ok(Vec::new()),
        other => other?,
    };
    parts
        .iter()
        .filter_map(|part| dump::read_counter(part).transpose())
        .map(|read| Ok(read?))
        .collect()
}
