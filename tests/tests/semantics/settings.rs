//! How much is judged, and from which seed on.

use std::num::ParseIntError;
use std::sync::LazyLock;

/// What the environment says, once for all tests.
static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::from_env);

/// What the environment may change.
#[derive(Clone, Copy)]
pub struct Settings {
    /// How many connections to judge, at least.
    pub verdicts: u64,
    /// How many worlds are reached in several ways.
    pub worlds: u64,
    /// The seed of the first world; the next ones follow.
    pub seed: u64,
}

impl Settings {
    /// How many connections are judged by default: in the release profile more than a million in a minute or less.
    pub const VERDICTS: u64 = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };

    /// How many worlds happen by default.
    pub const WORLDS: u64 = if cfg!(debug_assertions) { 200 } else { 2000 };

    /// The first world, where nothing else is said.
    const SEED: u64 = 1;

    /// How many hexadecimal digits of a commit make a seed: few enough that it can be counted up from and multiplied.
    const DIGITS: usize = 12;

    /// As the environment says.
    pub fn get() -> Self {
        *SETTINGS
    }

    /// From `VERDICTS`, `WORLDS` and `SEED`, or, for the last, from `COMMIT`: each commit is judged in worlds of its own. Says
    /// which seed it is.
    fn from_env() -> Self {
        let seed = match (number("SEED"), variable("COMMIT")) {
            (Some(seed), _) => seed,
            (None, Some(commit)) => {
                let seed = Self::seed_of(&commit).unwrap_or_else(|_| panic!("COMMIT must be a hash, not {commit:?}"));
                println!("SEED={seed}, from commit {commit}");
                seed
            }
            (None, None) => {
                println!("SEED={}, as no COMMIT is given", Self::SEED);
                Self::SEED
            }
        };
        Self {
            verdicts: number("VERDICTS").unwrap_or(Self::VERDICTS),
            worlds: number("WORLDS").unwrap_or(Self::WORLDS),
            seed,
        }
    }

    fn seed_of(commit: &str) -> Result<u64, ParseIntError> {
        u64::from_str_radix(commit.get(..Self::DIGITS).unwrap_or(commit), 16)
    }
}

fn number(name: &str) -> Option<u64> {
    let value = variable(name)?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
