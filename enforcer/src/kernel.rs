//! The kernel: reads what it holds of ours, applies plans. Blocking; owned by one thread.
//!
//! `kernel/socket.rs` alone does I/O; the codecs (`kernel/ipset.rs`, `kernel/nft.rs`) are pure, values ⇄ bytes. Nothing
//! here decides what is wanted. Stopping leaves everything in the kernel as it is; only [`Kernel::cleanup`] takes it out.

mod ipset;
mod message;
mod nft;
mod probe;
mod read;
mod socket;
mod survey;

pub use message::Malformed;
pub use probe::Missing;
pub use socket::{Errno, Fault, SocketError};
pub use survey::survey;

use crate::plan::{Plan, TableChange};
use crate::ruleset::{Direction, Element, Set, SetName, TableFamily};
use message::Messages;
use nft::Batch;
use socket::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// Sets whose indexes are asked for in one request: two answers each, of about 1 KiB of the receive buffer.
const INDEXES_PER_REQUEST: usize = 1_000;

/// The kernel lets go of a set 17 to 34 ms after the last rule that referred to it (measured).
const RELEASE_INTERVAL: Duration = Duration::from_millis(10);
/// How many intervals [`Kernel::cleanup`] waits for that: a loaded machine takes longer, something that holds the set for
/// good would take for ever.
const RELEASE_ATTEMPTS: usize = 200;

/// Why the kernel could not be read or changed.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The kernel refused. The rules in force are those of before or, if only sets were still to be changed, those of
    /// after; sets may be anywhere between. Read, plan and apply again, later.
    #[error("cannot {attempt}")]
    Refused {
        /// What was attempted, for people.
        attempt: String,
        /// What the kernel says.
        #[source]
        source: SocketError,
    },
    /// Something stands under one of our names that no version of this program puts there. It is left as it is: a person
    /// must look at it.
    #[error(
        "{object} is none that this version makes; if nothing else on this node should own it: enforcer cleanup, then start again"
    )]
    Foreign {
        /// What it is.
        object: String,
    },
}

impl KernelError {
    fn refused(attempt: impl Into<String>) -> impl FnOnce(SocketError) -> Self {
        let attempt = attempt.into();
        move |source| Self::Refused { attempt, source }
    }
}

/// The netfilter of one network namespace.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    bridges: Bridges,
}

/// Whether frames on bridges can be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bridges {
    /// The kernel has nf_tables for the family bridge.
    Checked,
    /// It has not, and policies are in force without.
    Unchecked,
}

impl Kernel {
    /// Opens the netfilter of the calling thread's network namespace, and tries all that plans need of it, without a trace.
    pub fn open() -> Result<Self, Missing> {
        let mut socket = probe::socket()?;
        probe::probe(&mut socket)?;
        let bridges = probe::bridges(&mut socket);
        Ok(Self { socket, bridges })
    }

    /// Opens it where an enforcer is at work, which has tried all of that when it began. What another process tries, it would
    /// take for a change of its own sets, and undo.
    ///
    /// # Errors
    /// If this process may not, or the kernel has no netlink interface to netfilter.
    pub fn open_beside_enforcer() -> Result<Self, Missing> {
        let mut socket = probe::socket()?;
        let bridges = probe::bridges(&mut socket);
        Ok(Self { socket, bridges })
    }

    /// Whether frames on bridges can be checked.
    pub const fn bridges(&self) -> Bridges {
        self.bridges
    }

    /// Makes a request to come fail, for tests and drills.
    pub const fn inject(&mut self, fault: Fault) {
        self.socket.inject(fault);
    }

    /// Does what a plan says, in its order, up to the first failure. Gives the sets that could not be destroyed yet: the
    /// kernel lets go of a set some time after the rules that referred to it. They are unchanged, and for
    /// [`Kernel::destroy`] later.
    pub fn apply(&mut self, plan: &Plan) -> Result<BTreeSet<SetName>, KernelError> {
        for (name, set) in &plan.create {
            self.create(name, set)?;
        }
        for (name, members) in &plan.add {
            self.add(name, members)?;
        }
        self.transact(&plan.transaction)?;
        for (name, members) in &plan.remove {
            let mut messages = Messages::default();
            ipset::remove(&mut messages, name.as_str(), members);
            let attempt = KernelError::refused(format!("remove {} members of ipset {name}", members.len()));
            self.socket.request(&messages).map_err(attempt)?;
        }
        self.destroy(&plan.destroy)
    }

    /// Destroys sets; gives those that something still refers to.
    pub fn destroy(&mut self, sets: &BTreeSet<SetName>) -> Result<BTreeSet<SetName>, KernelError> {
        let mut left = BTreeSet::new();
        for name in sets {
            match self.destroy_one(name.as_str()) {
                Ok(()) => {}
                Err(error) if error.errno() == Some(Errno::SET_BUSY) => {
                    left.insert(name.clone());
                }
                Err(error) => return Err(KernelError::refused(format!("destroy ipset {name}"))(error)),
            }
        }
        Ok(left)
    }

    /// Removes all that is ours, and nothing else. Waits for the kernel to let go of sets.
    pub fn cleanup(&mut self) -> Result<(), KernelError> {
        self.delete_tables()?;
        let mut left = self.our_sets()?;
        for _ in 0..RELEASE_ATTEMPTS {
            left = self.destroy(&left)?;
            if left.is_empty() {
                return Ok(());
            }
            thread::sleep(RELEASE_INTERVAL);
        }
        let names: Vec<&str> = left.iter().map(SetName::as_str).collect();
        let attempt = format!("destroy {}: rules of other programs refer to them", names.join(", "));
        Err(KernelError::refused(attempt)(SocketError::refused(Errno::SET_BUSY)))
    }

    /// Creates a set with its members, or leaves none.
    fn create(&mut self, name: &SetName, set: &Set) -> Result<(), KernelError> {
        match self.create_empty(name, set) {
            Err(error) if error.errno() == Some(Errno::SET_EXISTS) => {
                // Not what its name says, or left half made: what nothing refers to can be replaced.
                let attempt = format!("replace ipset {name}, which is not what its name says");
                self.destroy_one(name.as_str()).map_err(KernelError::refused(attempt))?;
                self.create_empty(name, set)
            }
            other => other,
        }
        .map_err(KernelError::refused(format!("create ipset {name}")))?;
        self.add(name, &set.members).inspect_err(|_| {
            // The error that counts is the first; what stays of the set is met again under its name.
            drop(self.destroy_one(name.as_str()));
        })
    }

    fn create_empty(&mut self, name: &SetName, set: &Set) -> Result<(), SocketError> {
        let mut messages = Messages::default();
        ipset::create(&mut messages, name.as_str(), set);
        self.socket.request(&messages).map(drop)
    }

    fn add(&mut self, name: &SetName, members: &BTreeSet<Element>) -> Result<(), KernelError> {
        if members.is_empty() {
            return Ok(());
        }
        let mut messages = Messages::default();
        ipset::add(&mut messages, name.as_str(), members);
        let attempt = KernelError::refused(format!("add {} members to ipset {name}", members.len()));
        self.socket.request(&messages).map_err(attempt).map(drop)
    }

    fn destroy_one(&mut self, name: &str) -> Result<(), SocketError> {
        let mut messages = Messages::default();
        ipset::destroy(&mut messages, name);
        self.socket.request(&messages).map(drop)
    }

    /// Commits one transaction.
    fn transact(&mut self, changes: &[TableChange]) -> Result<(), KernelError> {
        if changes.is_empty() {
            return Ok(());
        }
        let indexes = self.indexes(changes)?;
        let (batch, ends) = encode(changes, &indexes);
        self.socket.request(&batch.commit()).map(drop).map_err(|error| {
            let attempt = match error {
                SocketError::Refused { message, .. } => changes
                    .get(ends.partition_point(|end| *end <= message))
                    .map(TableChange::to_string),
                SocketError::Socket(_) | SocketError::Silent | SocketError::Unsteady | SocketError::Malformed(_) => {
                    None
                }
            };
            KernelError::refused(attempt.unwrap_or_else(|| "commit the transaction".to_owned()))(error)
        })
    }

    /// The kernel's indexes of all sets that the changes' rules refer to.
    fn indexes(&mut self, changes: &[TableChange]) -> Result<BTreeMap<SetName, u16>, KernelError> {
        let rules = changes.iter().flat_map(|change| match change {
            TableChange::SetRules(_, _, rules) => rules.as_slice(),
            TableChange::CreateTable(_)
            | TableChange::CreateSet(..)
            | TableChange::CreateCounter(..)
            | TableChange::CreateChain(..)
            | TableChange::AddKey(..)
            | TableChange::RemoveKey(..)
            | TableChange::AddDispatch(..)
            | TableChange::RemoveDispatch(..)
            | TableChange::DeleteChain(..)
            | TableChange::DeleteSet(..)
            | TableChange::DeleteCounter(..)
            | TableChange::DeleteTable(_) => &[],
        });
        let names: BTreeSet<&SetName> = rules.flat_map(nft::sets_of).collect();
        let names: Vec<&SetName> = names.into_iter().collect();
        let mut indexes = BTreeMap::new();
        for some in names.chunks(INDEXES_PER_REQUEST) {
            let mut messages = Messages::default();
            for name in some {
                ipset::index(&mut messages, name.as_str());
            }
            let attempt = KernelError::refused("find the ipsets that rules refer to");
            let answers = self.socket.request(&messages).and_then(|answers| {
                let found: Result<Vec<u16>, Malformed> =
                    answers.iter().map(|answer| ipset::read_index(answer)).collect();
                match found? {
                    found if found.len() == some.len() => Ok(found),
                    _ => Err(Malformed("one index per ipset").into()),
                }
            });
            indexes.extend(some.iter().map(|name| (*name).clone()).zip(answers.map_err(attempt)?));
        }
        Ok(indexes)
    }

    fn delete_tables(&mut self) -> Result<(), KernelError> {
        let mut batch = Batch::begin();
        let empty = batch.count();
        for family in TableFamily::ALL {
            if self.has_table(family)? {
                batch.delete_table(family);
            }
        }
        if batch.count() == empty {
            return Ok(());
        }
        self.socket
            .request(&batch.commit())
            .map(drop)
            .map_err(KernelError::refused("delete our tables"))
    }
}

/// A transaction, and for each change the number of messages up to its end. Rules of chains that are to be deleted go
/// first: they may refer to one another.
fn encode(changes: &[TableChange], indexes: &BTreeMap<SetName, u16>) -> (Batch, Vec<u32>) {
    let index_of = |name: &SetName| {
        *indexes
            .get(name)
            .expect("the index of each set of each rule was asked for")
    };
    let mut batch = Batch::begin();
    let mut ends = Vec::with_capacity(changes.len());
    let mut flushed = false;
    for change in changes {
        match change {
            TableChange::CreateTable(family) => {
                batch.add_table(*family);
                if let Some(addresses) = family.addresses() {
                    for direction in Direction::ALL {
                        batch.add_map(addresses, direction);
                    }
                }
            }
            TableChange::CreateSet(family, set) => batch.add_set(*family, *set),
            TableChange::CreateCounter(family, counter) => batch.add_counter(*family, counter),
            TableChange::DeleteCounter(family, counter) => batch.delete_counter(*family, counter),
            TableChange::AddKey(family, set, key) => batch.add_key(*family, *set, key),
            TableChange::RemoveKey(family, set, key) => batch.remove_key(*family, *set, key),
            TableChange::DeleteSet(family, set) => batch.delete_set(*family, *set),
            TableChange::DeleteTable(family) => batch.delete_table(*family),
            TableChange::CreateChain(family, chain) => batch.add_chain(*family, chain),
            TableChange::SetRules(family, chain, rules) => {
                batch.flush_chain(*family, chain);
                for rule in rules {
                    batch.add_rule(*family, chain, rule, &index_of);
                }
            }
            TableChange::AddDispatch(family, direction, address, chain) => {
                batch.add_dispatch(*family, *direction, *address, chain);
            }
            TableChange::RemoveDispatch(family, direction, address, _) => {
                batch.remove_dispatch(*family, *direction, *address);
            }
            TableChange::DeleteChain(family, chain) => {
                if !flushed {
                    flush_deleted(&mut batch, changes);
                    flushed = true;
                }
                batch.delete_chain(*family, chain);
            }
        }
        ends.push(batch.count());
    }
    (batch, ends)
}

fn flush_deleted(batch: &mut Batch, changes: &[TableChange]) {
    for change in changes {
        if let TableChange::DeleteChain(family, chain) = change {
            batch.flush_chain(*family, chain);
        }
    }
}
