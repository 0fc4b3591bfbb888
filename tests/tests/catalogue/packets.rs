//! Cases by packets. Those that need the same hosts share a network, one after the other, so that each is also an update
//! of the one before; several networks work side by side.

use crate::judges::{self, Answer};
use enforcer::offline::ends::{End, Probe, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;
use tests::catalogue::{Case, State};
use tests::lab::direct;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::Range;
use tests::worlds::ClusterSet;

/// How many networks stand at once. Their time is spent waiting for packets that do not come.
const NETWORKS: usize = 4;

/// A state to show, with its case.
type Scene<'a> = (&'a Case, &'a State);

/// Every case that a network can show.
///
/// # Panics
/// If packets do otherwise than a case expects.
pub fn judge_all(cases: &[Case], layout: Layout) {
    let mut by_hosts: BTreeMap<String, Vec<Scene<'_>>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.no_packets.is_none()) {
        for state in &case.states {
            by_hosts.entry(hosts(state)).or_default().push((case, state));
        }
    }
    let most = by_hosts.values().map(Vec::len).sum::<usize>().div_ceil(NETWORKS).max(1);
    let mut shows: Vec<Vec<Scene<'_>>> = by_hosts
        .values()
        .flat_map(|scenes| scenes.chunks(most).map(<[_]>::to_vec))
        .collect();
    shows.sort_by_key(Vec::len);
    let queue = std::sync::Mutex::new(shows);
    let next = || queue.lock().expect("nobody panics with it").pop();
    let wrong: String = thread::scope(|scope| {
        let work = || -> String { std::iter::from_fn(next).map(|scenes| show(&scenes, layout)).collect() };
        let workers: Vec<_> = (0..NETWORKS).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(|worker| worker.join());
        results
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    assert!(wrong.is_empty(), "{layout:?}\n{wrong}");
}

/// All that the network of a state hangs on.
fn hosts(state: &State) -> String {
    let lab = judges::lab_world(&state.world);
    format!("{:?} {:?} {:?}", lab.pods(), lab.nodes(), outside(&state.ends))
}

fn outside(ends: &[End]) -> BTreeSet<IpAddr> {
    let addresses = ends.iter().filter_map(|end| match end {
        End::Address(address) => Some(*address),
        End::Pod(_) => None,
    });
    addresses.collect()
}

/// The scenes in a network of their own; what is wrong.
fn show(scenes: &[Scene<'_>], layout: Layout) -> String {
    let host = Netns::leave().expect("these tests make network namespaces: run them as root");
    let (_, first) = scenes[0];
    let fabric = Fabric::build(Blueprint {
        world: &judges::lab_world(&first.world),
        outside: &outside(&first.ends),
        api_servers: 0,
        layout,
    })
    .unwrap();
    let wrong = netns::block_on(async {
        let probes: BTreeSet<Probe> = scenes
            .iter()
            .flat_map(|(_, state)| &state.expected)
            .map(|table| table.probe)
            .collect();
        let located: Vec<usize> = (0..first.ends.len())
            .filter(|&end| fabric.locate(&first.ends[end]).is_some())
            .collect();
        let ends: Vec<End> = located.iter().map(|&end| first.ends[end].clone()).collect();
        let range = Range::open(&fabric, ends, probes.into_iter().collect()).await.unwrap();
        range.baseline().await.unwrap();
        let mut wrong = String::new();
        for (case, state) in scenes {
            enforce(&fabric, case, &state.world);
            let expected: Vec<Table> = state.expected.iter().map(|table| only(table, &located)).collect();
            let probes: Vec<Probe> = expected.iter().map(|table| table.probe).collect();
            let got = range.judge_these(&probes).await.unwrap();
            let answer = Answer {
                judge: "packets",
                ends: range.ends(),
                expected: &expected,
                got: &got,
            };
            wrong += &answer.differences(case, state);
        }
        wrong
    });
    host.enter().unwrap();
    wrong
}

/// A table of the ends that are in the network alone.
fn only(table: &Table, ends: &[usize]) -> Table {
    let row = |&from: &usize| ends.iter().map(|&to| table.rows[from][to]).collect();
    Table {
        probe: table.probe,
        rows: ends.iter().map(row).collect(),
    }
}

/// The state's rules into the nodes' kernels. Nodes have addresses here that are the lab's own.
fn enforce(fabric: &Fabric, case: &Case, world: &ClusterSet) {
    let rulesets = direct::rulesets_with_links(&judges::lab_world(world), fabric, case.switches).unwrap();
    direct::enforce(fabric, &rulesets).unwrap();
}
