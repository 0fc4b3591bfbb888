//! What worlds compile to: golden rulesets, and the verdicts of the interpreter on them.

mod manifests;
mod stories;
