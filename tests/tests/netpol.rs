//! The cases of Kubernetes' own "Netpol" suite, told by their names, over two clusters of x/y/z × a/b/c.
//!
//! Each is judged with its policies in cluster a, and with the same in cluster b beside them: by `enforcer matrix`, by the
//! oracle, and by packets in both layouts. `CASE=<text>` judges only those whose name contains the text.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

#[path = "catalogue/judges.rs"]
mod judges;
#[path = "catalogue/packets.rs"]
mod packets;

use enforcer::offline::ends::{End, Table, Verdict};
use serde_json::Value;
use tests::catalogue::case::{Cases, read_all};
use tests::catalogue::{Case, State};
use tests::lab::layout::Layout;

/// How many cases upstream has: 42 of TCP, three each of UDP and SCTP.
const CASES: usize = 48;

/// Of how many cases one is shown by packets with policies in both clusters.
const SAMPLE: usize = 6;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
fn cases() -> Vec<Case> {
    let mut cases = read_all(Cases::Upstream).unwrap();
    assert_eq!(cases.len(), CASES);
    if let Ok(wanted) = std::env::var("CASE") {
        cases.retain(|case| case.title.contains(&wanted));
    }
    assert!(!cases.is_empty(), "no case");
    cases
}

/// The cases with the same policies in both clusters. Each enforces its own half (S116), so what passes is what passes
/// with either alone.
fn twins() -> Vec<Case> {
    let mut cases = cases();
    for case in &mut cases {
        case.title += " (in both clusters)";
        for state in &mut case.states {
            join(state);
        }
    }
    cases
}

fn join(state: &mut State) {
    let of_a = state.world.clusters["a"].objects.iter();
    let policies: Vec<Value> = of_a
        .filter(|object| object["kind"] == "NetworkPolicy")
        .map(|policy| serde_json::from_str(&addresses_of_b(&policy.to_string())).unwrap())
        .collect();
    let b = state.world.clusters.get_mut("b").unwrap();
    b.objects.extend(policies);
    let place_of = |end: &End| state.ends.iter().position(|one| one == end).unwrap();
    let mirror: Vec<usize> = state
        .ends
        .iter()
        .map(|end| place_of(&in_the_other_cluster(end)))
        .collect();
    for table in &mut state.expected {
        *table = both(table, &mirror);
    }
}

/// Blocks name pods of a; for b its own.
fn addresses_of_b(policy: &str) -> String {
    policy.replace("\"10.1.", "\"10.2.").replace("\"fd01:", "\"fd02:")
}

fn in_the_other_cluster(end: &End) -> End {
    let text = end.to_string();
    let swapped = match text.split_once('/') {
        Some(("a", pod)) => format!("b/{pod}"),
        Some(("b", pod)) => format!("a/{pod}"),
        _ => text,
    };
    swapped.parse().unwrap()
}

/// What a table allows that is also allowed if the clusters change places.
fn both(table: &Table, mirror: &[usize]) -> Table {
    let cell = |from: usize, to: usize| match (table.rows[from][to], table.rows[mirror[from]][mirror[to]]) {
        (Verdict::Absent, _) | (_, Verdict::Absent) => Verdict::Absent,
        (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
        (Verdict::Refused, _) | (_, Verdict::Refused) => Verdict::Refused,
    };
    let ends = 0..mirror.len();
    Table {
        probe: table.probe,
        rows: ends
            .clone()
            .map(|from| ends.clone().map(|to| cell(from, to)).collect())
            .collect(),
    }
}

#[test]
fn enforcer_matrix_judges_upstreams_cases() {
    judges::judge_all("enforcer matrix", &cases(), judges::by_matrix);
    judges::judge_all("enforcer matrix", &twins(), judges::by_matrix);
}

#[test]
fn the_oracle_judges_upstreams_cases() {
    judges::judge_all("the oracle", &cases(), judges::by_oracle);
    judges::judge_all("the oracle", &twins(), judges::by_oracle);
}

/// Some with policies in both clusters, the others with policies in a.
fn shown(cases: Vec<Case>, twins: Vec<Case>) -> Vec<Case> {
    let pairs = cases.into_iter().zip(twins).enumerate();
    pairs
        .map(|(number, (case, twin))| if number % SAMPLE == 0 { twin } else { case })
        .collect()
}

#[test]
fn packets_do_as_upstream_says_on_bridges() {
    packets::judge_all(&shown(cases(), twins()), Layout::Bridge);
}

#[test]
fn packets_do_as_upstream_says_on_routed_links() {
    packets::judge_all(&shown(cases(), twins()), Layout::Routed);
}
