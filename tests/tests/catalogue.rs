//! The catalogue's cases, each judged three times: by `enforcer matrix`, by the oracle, and by packets in both layouts.
//! And its numbers: each is proven by a test or a case that names it.
//!
//! `CASE=<text>` judges only the cases whose file, title or numbers contain the text, and prints what is expected.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

mod catalogue {
    pub mod numbers;
    pub mod packets;
}
#[path = "catalogue/judges.rs"]
mod judges;

use tests::catalogue::{Case, State, case};
use tests::lab::ends::{End, Table};
use tests::lab::layout::Layout;

/// How many cases no network may be able to show.
const MOST_WITHOUT_PACKETS: usize = 12;

/// The cases to judge.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn cases() -> Vec<Case> {
    let mut cases = case::read_all().unwrap();
    if let Ok(wanted) = std::env::var("CASE") {
        cases.retain(|case| {
            case.file.contains(&wanted)
                || case.title.contains(&wanted)
                || case.numbers.iter().any(|number| number.to_string() == wanted)
        });
        for state in cases.iter().flat_map(|case| &case.states) {
            for table in &state.expected {
                println!("{}", tests::lab::screen::table(&state.ends, table));
            }
        }
    }
    assert!(!cases.is_empty(), "no case");
    cases
}

/// What a judge says otherwise than a case expects: the case, and a line for each cell.
fn differences(judge: &str, case: &Case, state: &State, ends: &[End], expected: &[Table], got: &[Table]) -> String {
    let mut cells = String::new();
    for (expected, got) in expected.iter().zip(got) {
        for (from, row) in ends.iter().enumerate() {
            for (to, column) in ends.iter().enumerate() {
                let [meant, is] = [expected, got].map(|table| table.rows[from][to]);
                if meant != is {
                    let probe = expected.probe;
                    cells += &format!("  {row} -> {column} {probe}: {meant:?} expected, {is:?} by {judge}\n");
                }
            }
        }
    }
    if cells.is_empty() {
        return cells;
    }
    let then = if state.title.is_empty() { "" } else { " Then: " };
    format!("{}: {}{then}{}\n{cells}", case.file, case.title, state.title)
}

/// Every case by a judge that answers at once.
fn judge_all(judge: &str, tables: impl Fn(&judges::Question<'_>) -> Vec<Table>) {
    let mut wrong = String::new();
    for case in cases() {
        for state in &case.states {
            let question = judges::Question {
                world: &state.world,
                switches: case.switches,
                ends: &state.ends,
                probes: &state.expected.iter().map(|table| table.probe).collect::<Vec<_>>(),
            };
            wrong += &differences(judge, &case, state, &state.ends, &state.expected, &tables(&question));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn enforcer_matrix_judges_every_case_as_the_catalogue_says() {
    judge_all("enforcer matrix", judges::by_matrix);
}

#[test]
fn the_oracle_judges_every_case_as_the_catalogue_says() {
    judge_all("the oracle", judges::by_oracle);
}

#[test]
fn packets_do_in_every_case_as_the_catalogue_says_on_bridges() {
    catalogue::packets::judge_all(Layout::Bridge);
}

#[test]
fn packets_do_in_every_case_as_the_catalogue_says_on_routed_links() {
    catalogue::packets::judge_all(Layout::Routed);
}

#[test]
fn a_network_shows_nearly_every_case() {
    let cases = case::read_all().unwrap();
    let without: Vec<_> = cases
        .iter()
        .filter_map(|case| Some((&case.title, case.no_packets.as_ref()?)))
        .collect();
    assert!(without.len() <= MOST_WITHOUT_PACKETS, "{}: {without:#?}", without.len());
}
