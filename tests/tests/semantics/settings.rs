//! How much is judged, and from which seed on.

/// What the environment may change.
pub struct Settings {
    /// How many connections to judge, at least.
    pub verdicts: u64,
    /// How many worlds are reached in several ways.
    pub worlds: u64,
    /// The seed of the first world; the next ones follow.
    pub seed: u64,
}

impl Settings {
    /// How many connections are judged by default: a few seconds' work.
    pub const VERDICTS: u64 = 200_000;

    /// How many worlds happen by default.
    pub const WORLDS: u64 = 200;

    /// The first world by default.
    const SEED: u64 = 1;

    /// From `VERDICTS`, `WORLDS` and `SEED`.
    pub fn from_env() -> Self {
        Self {
            verdicts: variable("VERDICTS").unwrap_or(Self::VERDICTS),
            worlds: variable("WORLDS").unwrap_or(Self::WORLDS),
            seed: variable("SEED").unwrap_or(Self::SEED),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}")),
    )
}
