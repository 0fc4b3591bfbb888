//! What worlds compile to: golden rulesets, and the verdicts of the interpreter on them.

mod always;
mod counted;
mod held;
mod large;
mod manifests;
#[expect(clippy::too_many_lines, reason = "golden rulesets are long")]
mod pieces;
mod sources;
mod stories;
#[expect(clippy::too_many_lines, reason = "golden rulesets are long")]
mod subjects;
mod void;
