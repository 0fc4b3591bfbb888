//! What each rule finds, and what it passes over. The goldens are the text that people see, of the rules in question.

mod addresses;
mod labels;
mod pieces;
mod reach;
mod report;
mod stories;
mod world;

use super::*;
use crate::screen::Ink;
use expect_test::Expect;
use world::World;

/// What some rules find in a world.
#[track_caller]
fn check(world: &World, rules: &[&Rule], expected: Expect) {
    expected.assert_eq(&found(world, rules));
}

/// Some rules find nothing in a world.
#[track_caller]
fn silent(world: &World, rules: &[&Rule]) {
    assert_eq!(found(world, rules), "0 errors, 0 warnings, 0 notes\n");
}

fn found(world: &World, rules: &[&Rule]) -> String {
    let mut of_rules = Findings::default();
    for finding in world.lint().iter().filter(|finding| rules.contains(&finding.rule)) {
        of_rules.add(finding.clone());
    }
    text(&of_rules, Ink::Plain)
}
