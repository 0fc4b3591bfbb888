use super::*;
use crate::frame::FRAME_LIMIT;
use crate::ring::{Next, Ring};
use crate::sample::{cluster, labels, pod, some_instant};
use prost::Message;
use proto::convert::GRPC_PREFIX;
use proto::mirror::Mirror;
use proto::pods::identity;
use std::collections::BTreeSet;
use std::time::Duration;

fn log() -> Log {
    Log::new(Epoch(7))
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn owner(id: &str, app: &str) -> Identity {
    identity(&cluster(id), &pod("shop/web", &[], &format!("app={app}")))
}

fn name(id: &str, name: &str) -> NamespaceName {
    NamespaceName {
        cluster: cluster(id),
        name: name.into(),
    }
}

fn decode(bytes: &Bytes) -> wire::Frame {
    wire::Frame::decode(bytes.slice(GRPC_PREFIX..)).unwrap()
}

fn delta(sealed: &Sealed) -> wire::Delta {
    match decode(&sealed.bytes).body {
        Some(Body::Delta(delta)) => delta,
        other => panic!("a delta: {other:?}"),
    }
}

/// The last bytes of nodes' addresses.
const NODES: [u8; 2] = [1, 2];

/// What a mirror or a log holds, with identities in full.
#[derive(Clone, PartialEq, Debug, Default)]
struct State {
    owners: BTreeMap<IpAddr, BTreeSet<Identity>>,
    /// Of which cluster they are and at which address.
    nodes: BTreeSet<(ClusterName, IpAddr)>,
    namespaces: BTreeMap<NamespaceName, Labels>,
    clusters: BTreeMap<ClusterName, ClusterState>,
}

impl State {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Owners(address, owners) if owners.is_empty() => drop(self.owners.remove(address)),
            Change::Owners(address, owners) => {
                self.owners.insert(*address, owners.iter().cloned().collect());
            }
            Change::NodeAddress(of, address, true) => drop(self.nodes.insert((of.clone(), *address))),
            Change::NodeAddress(of, address, false) => drop(self.nodes.remove(&(of.clone(), *address))),
            Change::Namespace(name, Some(labels)) => drop(self.namespaces.insert(name.clone(), (**labels).clone())),
            Change::Namespace(name, None) => drop(self.namespaces.remove(name)),
            Change::Cluster(cluster, state) => drop(self.clusters.insert(cluster.clone(), *state)),
        }
    }

    /// What a mirror of a cluster without pods makes of it: nobody owns a node's address (I7, S113), and one that is a node's
    /// of several clusters is its own cluster's.
    fn seen(&self) -> Self {
        let mut seen = self.clone();
        seen.owners
            .retain(|address, _| self.nodes.iter().all(|(_, node)| node != address));
        seen.nodes
            .retain(|(of, address)| *of == cluster("own") || !self.nodes.contains(&(cluster("own"), *address)));
        seen
    }

    fn of(mirror: &Mirror) -> Self {
        let own = NODES.map(address).into_iter().filter(|node| mirror.is_nodes(*node));
        let own = own.map(|node| (cluster("own"), node));
        let others = mirror.nodes_of_others().into_iter().map(|node| (cluster("a"), node));
        let identity = |id: &proto::mirror::IdentityId| mirror.identity(*id).clone();
        Self {
            owners: mirror
                .owners()
                .map(|(address, claims)| (address, claims.iter().map(identity).collect()))
                .collect(),
            nodes: own.chain(others).collect(),
            namespaces: mirror
                .namespaces()
                .map(|(name, labels)| (name.clone(), labels.clone()))
                .collect(),
            clusters: mirror.clusters().clone(),
        }
    }
}

fn begin(snapshot: &Snapshot) -> Mirror {
    let mut mirror = Mirror::new(cluster("own"));
    for bytes in snapshot.chunks.iter().chain([&snapshot.end]) {
        mirror.apply(&decode(bytes)).unwrap();
    }
    assert_eq!(mirror.revision(), Some(snapshot.revision));
    mirror
}

/// Owners, labels and states from pools so small that everything overlaps. Clusters are live from the start and no
/// namespace or owner is of another.
fn random_change(random: &mut fastrand::Rng) -> Change {
    let id = ["a", "b"][random.usize(0..2)];
    match random.u8(0..11) {
        10 => {
            let of = cluster(["a", "own", "own"][random.usize(0..3)]);
            Change::NodeAddress(of, address(NODES[random.usize(0..2)]), random.bool())
        }
        0..=6 => {
            let owners: BTreeSet<Identity> = (0..random.usize(0..3))
                .map(|_| owner(["a", "b"][random.usize(0..2)], ["x", "y", "z"][random.usize(0..3)]))
                .collect();
            let address = if random.bool() {
                address(random.u8(0..6))
            } else {
                IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, random.u16(0..3)])
            };
            Change::Owners(address, owners.into_iter().collect())
        }
        7..=8 => {
            let name = name(id, ["shop", "pay"][random.usize(0..2)]);
            let text = ["team=x", "team=y,app=z", ""][random.usize(0..3)];
            Change::Namespace(name, random.bool().then(|| labels(text)))
        }
        _ => Change::Cluster(
            cluster(id),
            [ClusterState::Live, ClusterState::Stale][random.usize(0..2)],
        ),
    }
}

#[test]
fn wherever_a_subscriber_begins_or_resumes_it_ends_with_the_same_state() {
    let now = some_instant();
    let heard = LastHeard::new();
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut log = log();
        let mut ring = Ring::new(log.revision(), usize::MAX);
        let mut truth = State::default();
        // One mirror that began at each revision, and stopped listening there.
        let mut mirrors: Vec<Mirror> = Vec::new();
        for id in ["a", "b"] {
            let live = Change::Cluster(cluster(id), ClusterState::Live);
            truth.take(&live);
            log.record(live, now);
        }
        for _ in 0..30 {
            for _ in 0..random.usize(0..6) {
                let change = random_change(&mut random);
                truth.take(&change);
                log.record(change, now);
            }
            for sealed in log.seal(&heard, now) {
                ring.push(sealed);
            }
            let mirror = begin(&log.snapshot(&heard, now));
            assert_eq!(
                State::of(&mirror),
                truth.seen(),
                "seed {seed}, snapshot {}",
                log.revision()
            );
            mirrors.push(mirror);
            ring.push(log.heartbeat(&heard, now));
        }
        for mut mirror in mirrors {
            let began = mirror.revision().unwrap();
            let mut position = ring.since(began).expect("the ring holds everything");
            while let Next::Frames(frames, next) = ring.next(position) {
                for bytes in frames {
                    mirror.apply(&decode(&bytes)).unwrap();
                }
                position = next;
            }
            assert_eq!(mirror.revision(), Some(log.revision()), "seed {seed}, from {began}");
            assert_eq!(State::of(&mirror), truth.seen(), "seed {seed}, from {began}");
        }
    }
}

#[test]
fn no_number_is_defined_twice_or_used_after_it_was_retired() {
    let now = some_instant();
    let mut random = fastrand::Rng::with_seed(1);
    let mut log = log();
    let (mut strings, mut identities) = (BTreeSet::new(), BTreeSet::new());
    let (mut retired_strings, mut retired_identities) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2000 {
        log.record(random_change(&mut random), now);
        for sealed in log.seal(&LastHeard::new(), now) {
            let delta = delta(&sealed);
            let columns = delta.strings.unwrap_or_default();
            for (number, _) in convert::decode_strings(&columns).unwrap() {
                assert!(strings.insert(number), "string {number}");
            }
            for identity in delta.identities {
                assert!(identities.insert(identity.id), "identity {}", identity.id);
                let uses = [identity.cluster, identity.namespace]
                    .into_iter()
                    .chain(identity.labels);
                assert!(uses.into_iter().all(|number| !retired_strings.contains(&number)));
            }
            for (_, claimants) in convert::decode_owners(&delta.owners.unwrap_or_default()).unwrap() {
                assert!(claimants.iter().all(|number| !retired_identities.contains(number)));
            }
            retired_strings.extend(delta.retired_strings);
            retired_identities.extend(delta.retired_identities);
        }
    }
    assert!(
        retired_identities.len() > 100,
        "{} are no test",
        retired_identities.len()
    );
    assert!(retired_strings.is_subset(&strings) && retired_identities.is_subset(&identities));
}

/// N8, W11: Of many changes the last one is sent, and none if nothing is changed.
#[test]
fn the_last_change_of_an_address_wins_and_one_that_changes_nothing_is_no_frame() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    for app in ["x", "y", "z"] {
        log.record(Change::Owners(address(1), vec![owner("a", app)]), now);
    }
    let [sealed] = &log.seal(&heard, now + Duration::from_millis(3))[..] else {
        panic!("one frame");
    };
    assert_eq!(
        sealed.kind,
        Kind::Delta {
            changes: 1,
            oldest: Duration::from_millis(3)
        }
    );
    assert_eq!(decode(&sealed.bytes).oldest_age_us, 3000);
    let values = delta(sealed).strings.unwrap().values;
    assert_eq!(values, ["a", "shop", "app", "z"], "x and y were never said");

    for app in ["x", "z"] {
        log.record(Change::Owners(address(1), vec![owner("a", app)]), now);
    }
    assert_eq!(log.seal(&heard, now), []);
    assert_eq!(log.revision().sequence, 1);
    assert_eq!(log.pending_since(), None);
}

#[test]
fn a_big_cluster_comes_in_frames_of_bounded_size_and_is_live_in_the_last() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    for index in 0..60_000u32 {
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + index * 7));
        let app = format!("application-number-{}", index / 4);
        log.record(Change::Owners(address, vec![owner("a", &app)]), now);
    }
    log.record(Change::Cluster(cluster("a"), ClusterState::Live), now);
    let sealed = log.seal(&heard, now);
    assert!(sealed.len() > 3, "{} frames", sealed.len());
    let biggest = sealed.iter().map(|frame| frame.bytes.len()).max().unwrap();
    assert!((FRAME_LIMIT / 2..=FRAME_LIMIT).contains(&biggest), "{biggest} bytes");
    let sequences: Vec<u64> = sealed.iter().map(|frame| frame.revision.sequence).collect();
    assert_eq!(sequences, (1..=sealed.len() as u64).collect::<Vec<_>>());
    let live: Vec<bool> = sealed.iter().map(|frame| !delta(frame).clusters.is_empty()).collect();
    assert_eq!(live.iter().position(|live| *live), Some(sealed.len() - 1));

    let snapshot = log.snapshot(&heard, now);
    let biggest = snapshot.chunks.iter().map(Bytes::len).max().unwrap();
    assert!((FRAME_LIMIT / 2..=FRAME_LIMIT).contains(&biggest), "{biggest} bytes");
    assert_eq!(begin(&snapshot).owners().count(), 60_000);
}

#[test]
fn nodes_addresses_make_frames_of_bounded_size() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    for index in 0..60_000u32 {
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + index));
        log.record(Change::NodeAddress(cluster("a"), address, true), now);
    }
    log.seal(&heard, now);
    let snapshot = log.snapshot(&heard, now);
    let biggest = snapshot.chunks.iter().map(Bytes::len).max().unwrap();
    assert!((FRAME_LIMIT / 2..=FRAME_LIMIT).contains(&biggest), "{biggest} bytes");
    assert_eq!(begin(&snapshot).nodes_of_others().len(), 60_000);
}

/// C20: All who begin at a revision share its chunks.
#[test]
fn the_chunks_of_a_revision_are_cut_once_and_the_ages_of_each_end_are_its_own() {
    let now = some_instant();
    let mut log = log();
    log.record(Change::Cluster(cluster("a"), ClusterState::Live), now);
    log.record(Change::Owners(address(1), vec![owner("a", "x")]), now);
    let heard = LastHeard::from([(cluster("a"), now)]);
    log.seal(&heard, now);
    let first = log.snapshot(&heard, now);
    let second = log.snapshot(&heard, now + Duration::from_secs(2));
    assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
    let age = |snapshot: &Snapshot| match decode(&snapshot.end).body {
        Some(Body::End(end)) => end.clusters[0].age_ms,
        other => panic!("an end: {other:?}"),
    };
    assert_eq!((age(&first), age(&second)), (0, 2000));

    log.record(Change::Owners(address(1), Vec::new()), now);
    log.seal(&heard, now);
    assert!(!Arc::ptr_eq(&first.chunks, &log.snapshot(&heard, now).chunks));
}

#[test]
fn a_new_epoch_begins_before_numbers_run_out_and_holds_the_same() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    let mut truth = State::default();
    let changes = [
        Change::Cluster(cluster("a"), ClusterState::Live),
        Change::Namespace(name("a", "shop"), Some(labels("team=x"))),
        Change::Owners(address(1), vec![owner("a", "x"), owner("a", "y")]),
        Change::NodeAddress(cluster("own"), address(2), true),
    ];
    for change in changes {
        truth.take(&change);
        log.record(change, now);
    }
    log.seal(&heard, now);
    log.numbers.exhaust();
    let change = Change::Owners(address(2), vec![owner("a", "z")]);
    truth.take(&change);
    log.record(change, now);
    let revisions: Vec<(Revision, bool)> = log
        .seal(&heard, now)
        .iter()
        .map(|sealed| (sealed.revision, sealed.kind == Kind::Heartbeat))
        .collect();
    let revision = |sequence| Revision {
        epoch: Epoch(8),
        sequence,
    };
    assert_eq!(revisions, [(revision(1), true), (revision(2), false)]);
    assert_eq!(State::of(&begin(&log.snapshot(&heard, now))), truth.seen());
    assert!(!log.numbers.is_exhausted());
}

#[test]
fn a_cluster_that_joins_anew_has_left_first() {
    let now = some_instant();
    let mut log = log();
    let change = |state| Change::Cluster(cluster("a"), state);
    assert!(!log.must_seal_before(&change(ClusterState::Syncing)));
    log.record(change(ClusterState::Left), now);
    assert!(log.must_seal_before(&change(ClusterState::Syncing)));
    assert!(!log.must_seal_before(&Change::Cluster(cluster("b"), ClusterState::Syncing)));
    log.seal(&LastHeard::new(), now);
    assert!(!log.must_seal_before(&change(ClusterState::Syncing)));
}

/// I19: A pod that crash-loops for an hour leaves nothing behind.
#[test]
fn a_pod_that_crash_loops_under_new_labels_leaves_nothing_behind() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    log.record(Change::Cluster(cluster("a"), ClusterState::Live), now);
    let mut sizes = BTreeSet::new();
    for restart in 0..3600u32 {
        let last = u8::try_from(restart % 200).unwrap();
        log.record(Change::Owners(address(last), vec![owner("a", "x")]), now);
        log.record(Change::Owners(address(last.wrapping_sub(1)), Vec::new()), now);
        log.record(
            Change::Owners(address(255), vec![owner("a", &format!("restart-{:04}", restart))]),
            now,
        );
        log.seal(&heard, now);
        if restart >= 3000 {
            sizes.insert(log.numbers.all().count());
        }
    }
    // Strings: the cluster, the namespace, the key, x and the newest label; identities: both.
    assert!(sizes.iter().all(|size| *size <= 7), "{sizes:?}");
}

#[test]
fn a_node_address_that_comes_and_goes_leaves_nothing_behind() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    for is_one in [true, false, true, false] {
        log.record(Change::NodeAddress(cluster("a"), address(1), is_one), now);
        let [sealed] = &log.seal(&heard, now)[..] else {
            panic!("one frame")
        };
        assert!(
            matches!(sealed.kind, Kind::Delta { changes: 1, .. }),
            "{:?}",
            sealed.kind
        );
    }
    assert_eq!(log.numbers.all().count(), 0);
}

/// I18: A namespace of 50,000 pods that is relabelled is one change of a few bytes.
#[test]
fn a_namespace_that_is_relabelled_is_one_change_however_many_pods_it_has() {
    let now = some_instant();
    let heard = LastHeard::new();
    let mut log = log();
    log.record(Change::Cluster(cluster("a"), ClusterState::Live), now);
    log.record(Change::Namespace(name("a", "shop"), Some(labels("team=x"))), now);
    for index in 0..50_000u32 {
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + index));
        log.record(
            Change::Owners(address, vec![owner("a", &format!("app-{}", index % 500))]),
            now,
        );
    }
    log.seal(&heard, now);
    log.record(Change::Namespace(name("a", "shop"), Some(labels("team=y"))), now);
    let sealed = log.seal(&heard, now);
    let [sealed] = &sealed[..] else {
        panic!("{} frames", sealed.len());
    };
    assert!(
        matches!(sealed.kind, Kind::Delta { changes: 1, .. }),
        "{:?}",
        sealed.kind
    );
    assert!(sealed.bytes.len() < 200, "{} bytes", sealed.bytes.len());
}
