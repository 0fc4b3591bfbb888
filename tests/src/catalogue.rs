//! The catalogue of what a verdict must be and of what awkward input must do, as data: its numbers, and its cases.
//!
//! A case is a small ClusterSet, the verdicts that the catalogue's text demands of it, and the numbers it is about. Cases
//! are files, `tests/catalogue/*.yaml`, written from the text and not from what any program does. [`case`] reads them,
//! [`expect`] reads what they expect; [`number`] and [`scan`] know which numbers there are and who names them. Nothing here
//! judges.

pub mod case;
pub mod expect;
pub mod number;
pub mod scan;

pub use case::{Case, State};
pub use number::Number;
