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
}
#[path = "catalogue/judges.rs"]
mod judges;
#[path = "catalogue/packets.rs"]
mod packets;

use tests::catalogue::Case;
use tests::catalogue::case::{Cases, read_all};
use tests::lab::layout::Layout;

/// How many cases no network may be able to show.
const MOST_WITHOUT_PACKETS: usize = 12;

/// The cases to judge.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn cases() -> Vec<Case> {
    let mut cases = read_all(Cases::Catalogue).unwrap();
    if let Ok(wanted) = std::env::var("CASE") {
        cases.retain(|case| {
            case.file.contains(&wanted)
                || case.title.contains(&wanted)
                || case.numbers.iter().any(|number| number.to_string() == wanted)
        });
        for state in cases.iter().flat_map(|case| &case.states) {
            for table in &state.expected {
                println!(
                    "{}",
                    enforcer::offline::grid::table(&state.ends, table, enforcer::screen::Ink::Plain)
                );
            }
        }
    }
    assert!(!cases.is_empty(), "no case");
    cases
}

#[test]
fn enforcer_matrix_judges_every_case_as_the_catalogue_says() {
    judges::judge_all("enforcer matrix", &cases(), judges::by_matrix);
}

#[test]
fn the_oracle_judges_every_case_as_the_catalogue_says() {
    judges::judge_all("the oracle", &cases(), judges::by_oracle);
}

#[test]
fn packets_do_in_every_case_as_the_catalogue_says_on_bridges() {
    packets::judge_all(&cases(), Layout::Bridge);
}

#[test]
fn packets_do_in_every_case_as_the_catalogue_says_on_routed_links() {
    packets::judge_all(&cases(), Layout::Routed);
}

#[test]
fn a_network_shows_nearly_every_case() {
    let cases = read_all(Cases::Catalogue).unwrap();
    let without: Vec<_> = cases
        .iter()
        .filter_map(|case| Some((&case.title, case.no_packets.as_ref()?)))
        .collect();
    assert!(without.len() <= MOST_WITHOUT_PACKETS, "{}: {without:#?}", without.len());
}
