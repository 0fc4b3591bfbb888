//! `hub members`: a cluster becomes a member, is looked at, and leaves, by one command each.
//!
//! ```text
//!  user's kubeconfig ─→ context ─→ api ─→ what is there ┐
//!                        grant, held: what is wanted    ├─→ tokens, object, labels: what follows ─→ add, remove ─→ api
//!                                                       ┘
//!  hub ─→ ask ─→ table                                                                              list
//! ```
//!
//! What is to be done is decided by pure modules from what is there and what is wanted; the commands carry it out step by
//! step, and say of each what became of it. Every step may be repeated: a command that failed is run again. Nothing here
//! runs in a serving hub, which has no rights in any cluster but to read the members.

use crate::config::members::MembersTask;
use object::Place;
use std::fmt;
use std::io::{self, Write};

pub mod add;
pub(crate) mod api;
mod ask;
pub(crate) mod context;
mod grant;
mod held;
mod labels;
pub mod list;
pub(crate) mod manifest;
pub(crate) mod object;
pub(crate) mod pem;
mod probe;
pub mod remove;
mod table;
mod tokens;

pub(crate) use grant::namespace;
pub use tokens::Lifetime;

/// Why a command did not do what it should. What it did before stands, and it may be run again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's kubeconfig, or what the command line says of it.
    #[error("kubeconfig: {problem}")]
    Kubeconfig {
        /// What is wrong.
        problem: String,
    },
    /// An API server refused or did not answer.
    #[error("{cluster}: {what}: {reason}")]
    Api {
        /// Which cluster.
        cluster: String,
        /// Verb and object.
        what: String,
        /// The HTTP status, if there was an answer.
        code: Option<u16>,
        /// Why, and what to do.
        reason: String,
    },
    /// It would do harm.
    #[error("{0}")]
    Refused(String),
    /// The hub does not say how the members are.
    #[error("{0}")]
    Hub(String),
    /// stdout is closed.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether the command line is to blame.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, Self::Kubeconfig { .. })
    }
}

/// How a command ended that did what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// Everything is as it was asked for.
    All,
    /// But for namespaces that name another cluster, which were left as they are.
    ButLabels,
}

/// Does what the command line says; the answer goes to `out`.
///
/// # Errors
/// If it cannot be done; the message says at what it failed and what to do.
pub async fn run(task: MembersTask, out: &mut dyn Write) -> Result<Done, Error> {
    match task {
        MembersTask::Add(order) => add::run(*order, out).await,
        MembersTask::Remove(order) => remove::run(order, out).await,
        MembersTask::List(order) => list::run(order, out).await.map(|()| Done::All),
    }
}

/// Whether a command acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It does.
    Act,
    /// It prints what it would do, or the manifests of it.
    DryRun,
}

/// What became of a step, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Created,
    Changed,
    Unchanged,
    Deleted,
    Absent,
    Checked,
    Left,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Absent => "not there",
            Self::Checked => "checked",
            Self::Left => "left",
        })
    }
}

/// Says of a step what became of it.
pub(crate) fn tell(out: &mut dyn Write, outcome: Outcome, what: &dyn fmt::Display, note: &str) -> io::Result<()> {
    match note {
        "" => writeln!(out, "  {outcome:9}  {what}"),
        note => writeln!(out, "  {outcome:9}  {:45}  {note}", what.to_string()),
    }
}

/// The same of an object.
fn tell_place(out: &mut dyn Write, outcome: Outcome, place: &Place) -> io::Result<()> {
    tell(out, outcome, place, "")
}
