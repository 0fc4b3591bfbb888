//! How sentences list things of which there may be many.
//!
//! Pure.

use std::fmt::Display;

/// The first few of some things, with commas, and how many there are beyond: `a, b, c and 4 more`.
pub(crate) fn first_of<T: Display>(things: impl IntoIterator<Item = T>, most: usize) -> String {
    let all: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    match all.len().checked_sub(most) {
        Some(more @ 1..) => format!("{} and {more} more", all[..most].join(", ")),
        Some(0) | None => all.join(", "),
    }
}
