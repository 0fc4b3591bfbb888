//! Waiting for something, with a limit, and saying on stderr what for once it takes longer than one expects.

use anyhow::{Result, bail};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);
/// Silence before the first word.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two words.
const REMINDER: Duration = Duration::from_secs(5);

/// What a look found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look<T> {
    /// What was waited for.
    Done(T),
    /// Not yet, and what is missing, for people.
    NotYet(String),
}

/// Looks until it is done.
///
/// # Errors
/// If a look fails, or `limit` is over: what is still missing then.
pub async fn until<T>(limit: Duration, mut look: impl AsyncFnMut() -> Result<Look<T>>) -> Result<T> {
    let start = Instant::now();
    let mut next_word = start + PATIENCE;
    loop {
        let missing = match look().await? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(missing) => missing,
        };
        if start.elapsed() >= limit {
            bail!("after {} s still waiting for {missing}", limit.as_secs());
        }
        if Instant::now() >= next_word {
            eprintln!("lab: waiting for {missing} ({} s)", start.elapsed().as_secs());
            next_word += REMINDER;
        }
        sleep(POLL).await;
    }
}
