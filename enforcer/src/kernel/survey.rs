//! What the kernel holds of everybody: the names of tables and chains of nf_tables, for who asks whether others are at work.

use super::nft::dump;
use super::{KernelError, socket::Socket};
use crate::check::facts::TableId;
use std::collections::{BTreeMap, BTreeSet};

/// All tables of nf_tables, whoever's they are, with the names of their chains. In a socket of its own: it neither needs nor
/// disturbs the thread that owns the kernel.
///
/// # Errors
/// If the kernel does not answer, or answers something else.
pub fn survey() -> Result<BTreeMap<TableId, BTreeSet<String>>, KernelError> {
    let attempt = || KernelError::refused("list the tables and chains");
    let mut socket = Socket::open().map_err(|error| attempt()(error.into()))?;
    let mut tables: BTreeMap<TableId, BTreeSet<String>> = BTreeMap::new();
    for part in socket.dump(&dump::list_all_tables()).map_err(attempt())? {
        let (family, name) = dump::read_any_table(&part).map_err(|error| attempt()(error.into()))?;
        tables.entry(TableId { family, name }).or_default();
    }
    for part in socket.dump(&dump::list_all_chains()).map_err(attempt())? {
        let (family, table, chain) = dump::read_any_chain(&part).map_err(|error| attempt()(error.into()))?;
        tables.entry(TableId { family, name: table }).or_default().insert(chain);
    }
    Ok(tables)
}
