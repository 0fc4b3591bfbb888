mod nodes;
mod random;
mod world;

use super::{Applied, FrameError, Mirror, Part, Tenure, counting};
use crate::convert;
use crate::model::{ClusterState, Identity};
use crate::wire;
use crate::wire::frame::Body;
use std::net::IpAddr;
use std::sync::Arc;
use world::{Hub, World, cluster, identity, labels, namespace, world};

const TWO_CLUSTERS: &str = "
    a Live
    b Live
    a/x team=shop
    b/x team=shop
    10.0.0.1 a/x app=web http:TCP/8080
    10.0.0.2 b/x app=web
    10.0.0.3 a/x app=db
    10.0.0.3 b/x app=db
    fd00::1 a/x app=web http:TCP/8080
";

fn hub(text: &str) -> Hub {
    let mut hub = Hub::new(1);
    hub.seal(world(text));
    hub
}

fn feed(mirror: &mut Mirror, frames: &[wire::Frame]) -> Vec<Applied> {
    frames.iter().map(|frame| mirror.apply(frame).unwrap()).collect()
}

fn mirror_of(hub: &Hub) -> Mirror {
    let mut mirror = Mirror::new(cluster("a"));
    feed(&mut mirror, &hub.snapshot());
    mirror
}

#[track_caller]
fn assert_world(mirror: &Mirror, text: &str) {
    assert_eq!(World::of(mirror), world(text).seen_from(&cluster("a")));
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// C7, S126: An unfinished snapshot changes nothing.
#[test]
fn a_snapshot_counts_when_its_end_has_come() {
    let hub = hub(TWO_CLUSTERS);
    let mut mirror = Mirror::new(cluster("a"));
    assert!(!mirror.is_complete());
    let (end, chunks) = hub
        .snapshot()
        .split_last()
        .map(|(end, chunks)| (end.clone(), chunks.to_vec()))
        .unwrap();
    for chunk in &chunks {
        assert_eq!(mirror.apply(chunk), Ok(Applied::Same));
        assert_world(&mirror, "");
        assert_eq!(mirror.revision(), None);
    }
    assert_eq!(mirror.apply(&end), Ok(Applied::Changed));
    assert_world(&mirror, TWO_CLUSTERS);
    assert_eq!(mirror.revision(), Some(hub.revision));
    assert!(mirror.is_complete());
    assert_eq!(feed(&mut mirror, &hub.snapshot()).last(), Some(&Applied::Same));
}

/// C7: A snapshot that was cut off leaves nothing in the next.
#[test]
fn a_snapshot_that_begins_takes_the_place_of_one_that_never_ended() {
    let (old, new) = (hub(TWO_CLUSTERS), hub("a Live\n10.0.0.9 a/x app=web"));
    let mut mirror = Mirror::new(cluster("a"));
    feed(&mut mirror, &old.snapshot()[..3]);
    feed(&mut mirror, &new.snapshot());
    assert_eq!(World::of(&mirror), new.world);
    assert_eq!(mirror.identities.len(), 1, "nothing of the unfinished one is kept");
}

#[test]
fn a_snapshot_of_nothing_is_a_world_without_clusters() {
    let mut mirror = mirror_of(&hub(TWO_CLUSTERS));
    let empty = Hub::new(2);
    let end = empty.frame(Body::End(wire::SnapshotEnd::default()));
    assert_eq!(mirror.apply(&end), Ok(Applied::Changed));
    assert_world(&mirror, "");
    assert_eq!(mirror.identities.len(), 0);
}

#[test]
fn deltas_add_change_and_remove() {
    let mut hub = hub(TWO_CLUSTERS);
    let mut mirror = mirror_of(&hub);
    let steps = [
        "a Live\nb Stale\na/x team=shop\na/y\n10.0.0.1 a/x app=db\n10.0.0.3 b/x app=db",
        "a Live\nb Live\na/y\n10.0.0.3 a/x app=web\nfd00::1 a/x app=web http:TCP/8080\nfd00::1 b/x",
        "a Live\nb Live",
    ];
    for step in steps {
        let delta = hub.seal(world(step));
        assert_eq!(mirror.apply(&delta), Ok(Applied::Changed));
        assert_world(&mirror, step);
        assert_eq!(mirror.apply(&hub.heartbeat()), Ok(Applied::Same));
    }
    assert_eq!(mirror.identities.len(), 0, "numbers are freed with their last use");
}

/// C6: A snapshot of a new epoch that says the same changes nothing.
#[test]
fn identities_keep_their_numbers_across_epochs() {
    let mut mirror = mirror_of(&hub(TWO_CLUSTERS));
    let before: Vec<_> = mirror
        .owners()
        .map(|(address, claims)| (address, claims.to_vec()))
        .collect();
    let mut restarted = Hub::new(2);
    restarted.seal(world("a Live\nb Live\n192.0.2.1 b/z app=other"));
    restarted.seal(world(TWO_CLUSTERS));
    assert_eq!(feed(&mut mirror, &restarted.snapshot()).last(), Some(&Applied::Same));
    let after: Vec<_> = mirror
        .owners()
        .map(|(address, claims)| (address, claims.to_vec()))
        .collect();
    assert_eq!(before, after);
}

/// C7, S126: What was known of a cluster is kept until the hub has listed it, whatever restarts meanwhile.
#[test]
fn what_was_known_of_a_syncing_cluster_is_kept_until_it_is_live() {
    let mut mirror = mirror_of(&hub(TWO_CLUSTERS));
    let mut restarted = Hub::new(2);
    restarted.seal(world("a Live\nb Syncing\n10.0.0.1 a/x app=new"));
    feed(&mut mirror, &restarted.snapshot());
    let kept = "
        a Live\nb Syncing\nb/x team=shop
        10.0.0.1 a/x app=new
        10.0.0.2 b/x app=web
        10.0.0.3 b/x app=db
    ";
    assert_world(&mirror, kept);
    assert!(!mirror.is_complete());

    // Said again while SYNCING: the new word counts, and stays away once it is taken back.
    let said = "a Live\nb Syncing\nb/x team=ops\n10.0.0.1 a/x app=new\n10.0.0.2 b/x app=db";
    mirror.apply(&restarted.seal(world(said))).unwrap();
    assert_world(&mirror, &format!("{said}\n10.0.0.3 b/x app=db"));
    let silent = "a Live\nb Syncing\n10.0.0.1 a/x app=new";
    mirror.apply(&restarted.seal(world(silent))).unwrap();
    assert_world(&mirror, &format!("{silent}\n10.0.0.3 b/x app=db"));

    // A second restart in between changes nothing of this.
    let mut again = Hub::new(3);
    again.seal(world(silent));
    feed(&mut mirror, &again.snapshot());
    assert_world(&mirror, &format!("{silent}\n10.0.0.3 b/x app=db"));

    let live = "a Live\nb Live\nb/x team=shop\n10.0.0.1 a/x app=new\n10.0.0.4 b/x app=web";
    mirror.apply(&again.seal(world(live))).unwrap();
    assert_world(&mirror, live);
    assert!(mirror.is_complete());
}

/// S111: A cluster that left goes with everything.
#[test]
fn a_cluster_that_left_or_is_not_mentioned_goes_with_everything() {
    let only_a = "a Live\na/x team=shop\n10.0.0.1 a/x app=web http:TCP/8080\n10.0.0.3 a/x app=db\n\
                  fd00::1 a/x app=web http:TCP/8080";
    let mut mirror = mirror_of(&hub(TWO_CLUSTERS));
    let mut unmentioned = Hub::new(2);
    unmentioned.seal(world(only_a));
    feed(&mut mirror, &unmentioned.snapshot());
    assert_world(&mirror, only_a);

    let left = format!("{only_a}\nb Left");
    let mut hub = hub(TWO_CLUSTERS);
    let mut mirror = mirror_of(&hub);
    mirror.apply(&hub.seal(world(&left))).unwrap();
    assert_world(&mirror, &left);

    // Even where the hub still names something of it.
    let mut hub = self::hub(TWO_CLUSTERS);
    let mut mirror = mirror_of(&hub);
    let mut forgetful = world(TWO_CLUSTERS);
    forgetful.clusters.insert(cluster("b"), ClusterState::Left);
    mirror.apply(&hub.seal(forgetful)).unwrap();
    assert_world(&mirror, &left);

    let mut mirror = mirror_of(&self::hub(TWO_CLUSTERS));
    let mut syncing = Hub::new(2);
    syncing.seal(world(&format!("{only_a}\nb Syncing")));
    feed(&mut mirror, &syncing.snapshot());
    mirror.apply(&syncing.seal(world(&left))).unwrap();
    assert_world(&mirror, &left);
}

fn part(text: &str) -> Part {
    let World {
        owners,
        nodes,
        namespaces,
        ..
    } = world(text);
    let owners = owners
        .into_iter()
        .map(|(address, claims)| (address, claims.into_iter().collect()));
    let namespaces = namespaces
        .into_iter()
        .map(|(name, labels)| (name.name, Arc::new(labels)));
    Part {
        owners: owners.collect(),
        nodes: nodes.into_iter().map(|(_, address)| address).collect(),
        namespaces: namespaces.collect(),
    }
}

#[test]
fn a_part_from_elsewhere_counts_instead_of_the_hubs_word() {
    let mut hub = hub(TWO_CLUSTERS);
    let mut mirror = mirror_of(&hub);
    let own = "a/x team=new\na/y\n10.0.0.3 a/y app=web\n10.0.0.9 a/x app=web http:TCP/8080";
    let outcome = "a Live\nb Live\nb/x team=shop\n10.0.0.2 b/x app=web\n10.0.0.3 b/x app=db";
    assert!(mirror.set_part(&cluster("a"), Some(part(own))));
    assert_world(&mirror, &format!("{outcome}\n{own}"));
    assert!(!mirror.set_part(&cluster("a"), Some(part(own))));

    // The hub goes on speaking of it meanwhile, unheard.
    let changed = TWO_CLUSTERS.replace("app=web http:TCP/8080", "app=changed");
    mirror.apply(&hub.seal(world(&changed))).unwrap();
    assert_world(&mirror, &format!("{outcome}\n{own}"));

    assert!(mirror.set_part(&cluster("a"), Some(part("10.0.0.9 a/x app=web"))));
    assert_world(&mirror, &format!("{outcome}\n10.0.0.9 a/x app=web"));
    assert!(mirror.set_part(&cluster("a"), None));
    assert_world(&mirror, &changed);
    assert!(!mirror.set_part(&cluster("a"), None));
}

/// I7, S44, S113: An address that the own cluster calls a node's is nobody's, whoever says so: the hub, the cluster itself,
/// or the node whose pod claims it. One that another cluster calls a node's is only a pod's of the own cluster.
#[test]
fn an_address_of_a_node_is_no_pods() {
    let nodes =
        format!("{TWO_CLUSTERS}\n10.0.0.1 node of a\n10.0.0.2 node of c\n10.0.0.3 node of a\nfd00::1 node of b");
    let mut hub = hub(&nodes);
    let mut mirror = mirror_of(&hub);
    let claimed = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];
    let claims = |mirror: &Mirror| claimed.map(|text| mirror.claims(address(text)).len());
    assert_eq!(claims(&mirror), [0, 0, 0, 1]);
    let pod = identity("a/x app=web http:TCP/8080");
    for tenure in [Tenure::Staying, Tenure::Terminating] {
        assert!(!mirror.set_local(address("10.0.0.1"), vec![pod.clone()], tenure));
    }
    assert_world(&mirror, &nodes);
    for tenure in [Tenure::Staying, Tenure::Terminating] {
        assert!(mirror.set_local(address("10.0.0.2"), vec![pod.clone()], tenure));
        assert_eq!(
            claims(&mirror)[1],
            2,
            "the own pod's, and that of the pod it yields to elsewhere"
        );
        assert!(mirror.set_local(address("10.0.0.2"), Vec::new(), tenure));
    }
    assert_world(&mirror, &nodes);

    // The own cluster's word counts instead, and in both directions.
    let own = part("10.0.0.1 a/x app=web http:TCP/8080\n10.0.0.2 a/x\n10.0.0.3 node of a");
    assert!(mirror.set_part(&cluster("a"), Some(own.clone())));
    assert_eq!(claims(&mirror), [1, 2, 0, 0]);
    let node = Part {
        nodes: [address("10.0.0.1")].into(),
        ..own
    };
    assert!(mirror.set_part(&cluster("a"), Some(node)));
    assert_eq!(claims(&mirror), [0, 2, 1, 0]);
    mirror.set_part(&cluster("a"), None);
    assert_world(&mirror, &nodes);

    assert_eq!(mirror.apply(&hub.seal(world(TWO_CLUSTERS))), Ok(Applied::Changed));
    assert_eq!(claims(&mirror), [1, 1, 2, 1]);
}

/// K11: Nodes of other clusters, whoever says so, at addresses that nobody of the own cluster and no pod has.
#[test]
fn addresses_of_nodes_of_other_clusters() {
    let nodes = |mirror: &Mirror| -> Vec<String> {
        let nodes = mirror.nodes_of_others().into_iter();
        nodes.map(|address| address.to_string()).collect()
    };
    let text =
        "a Live\nb Live\n10.0.0.1 a/x\n10.0.0.1 node of b\n10.0.0.2 node of a\n10.0.0.2 node of b\n10.0.0.9 node of b";
    let mut hub = hub(text);
    let mut mirror = mirror_of(&hub);
    assert_eq!(nodes(&mirror), ["10.0.0.9"]);
    let change = |mirror: &mut Mirror, frame: &wire::Frame| mirror.apply(frame).unwrap();
    let more = hub.seal(world(&format!("{text}\n10.0.0.8 node of c")));
    assert_eq!(change(&mut mirror, &more), Applied::Changed);
    assert_eq!(nodes(&mirror), ["10.0.0.8", "10.0.0.9"]);
    // A part of a cluster counts instead of the hub's word on it.
    let part = |nodes: &[&str]| Part {
        nodes: nodes.iter().map(|text| address(text)).collect(),
        ..Part::default()
    };
    assert!(mirror.set_part(&cluster("b"), Some(part(&["10.0.0.7"]))));
    assert!(!mirror.set_part(&cluster("b"), Some(part(&["10.0.0.7"]))));
    assert_eq!(nodes(&mirror), ["10.0.0.7", "10.0.0.8"]);
    assert!(mirror.set_part(&cluster("b"), Some(part(&[]))));
    assert_eq!(nodes(&mirror), ["10.0.0.8"]);
    assert!(mirror.set_part(&cluster("b"), None));
    // A new epoch says the same but for a node; while it does not know a cluster, what was known of it is kept.
    let mut restarted = Hub::new(2);
    restarted.seal(world("a Live\nb Syncing\n10.0.0.1 a/x\n10.0.0.2 node of a"));
    assert_eq!(feed(&mut mirror, &restarted.snapshot()).last(), Some(&Applied::Changed));
    assert_eq!(nodes(&mirror), ["10.0.0.9"]);
    let live = restarted.seal(world("a Live\nb Live\n10.0.0.1 a/x\n10.0.0.2 node of a"));
    assert_eq!(change(&mut mirror, &live), Applied::Changed);
    assert_eq!(nodes(&mirror), [""; 0]);
}

#[test]
fn parts_alone_make_an_inventory() {
    let mut mirror = Mirror::new(cluster("a"));
    let (a, b) = ("a/x\n10.0.0.1 a/x app=web", "b/x\n10.0.0.1 b/x app=web\nfd00::1 b/x");
    assert!(mirror.set_part(&cluster("a"), Some(part(a))));
    assert!(mirror.set_part(&cluster("b"), Some(part(b))));
    assert_world(&mirror, &format!("{a}\n{b}"));
    assert!(mirror.set_part(&cluster("b"), None));
    assert_world(&mirror, a);
}

#[test]
fn a_part_from_elsewhere_completes_a_syncing_cluster() {
    let mut mirror = mirror_of(&hub("a Syncing\nb Live"));
    assert!(!mirror.is_complete());
    mirror.set_part(&cluster("a"), Some(Part::default()));
    assert!(mirror.is_complete());
}

/// C9: The node's own word counts for its own addresses.
#[test]
fn the_own_nodes_word_on_its_addresses() {
    let web = || identity("a/x app=web http:TCP/8080");
    let new = || identity("a/x app=new");
    let claims = |mirror: &Mirror, text: &str| -> Vec<String> {
        let claims = mirror.claims(address(text)).iter();
        let shown = |id| {
            let Identity { namespace, labels, .. } = mirror.identity(id);
            format!("{}/{} {labels:?}", namespace.cluster, namespace.name)
        };
        let mut claims: Vec<_> = claims.copied().map(shown).collect();
        claims.sort();
        claims
    };
    let mut mirror = mirror_of(&hub(TWO_CLUSTERS));
    // It includes what the hub says, or the hub includes it: nothing changes.
    assert!(!mirror.set_local(address("10.0.0.1"), vec![web()], Tenure::Staying));
    // The node knows the pod's new labels before the hub does.
    assert!(mirror.set_local(address("10.0.0.1"), vec![new()], Tenure::Staying));
    assert_eq!(claims(&mirror, "10.0.0.1"), [r#"a/x {"app": "new"}"#]);
    assert!(mirror.set_local(address("10.0.0.1"), vec![], Tenure::Staying));
    assert_world(&mirror, TWO_CLUSTERS);
    // Claims of other clusters stand beside it.
    assert!(mirror.set_local(address("10.0.0.3"), vec![new()], Tenure::Staying));
    assert_eq!(
        claims(&mirror, "10.0.0.3"),
        [r#"a/x {"app": "new"}"#, r#"b/x {"app": "db"}"#]
    );
    // A pod nobody else has named.
    assert!(mirror.set_local(address("10.0.0.77"), vec![new()], Tenure::Staying));
    assert_eq!(claims(&mirror, "10.0.0.77"), [r#"a/x {"app": "new"}"#]);
    // It counts beside a part from the own API server by the same rule.
    mirror.set_part(
        &cluster("a"),
        Some(part("10.0.0.77 a/x app=new\n10.0.0.77 a/x app=other")),
    );
    assert_eq!(
        claims(&mirror, "10.0.0.77"),
        [r#"a/x {"app": "new"}"#, r#"a/x {"app": "other"}"#]
    );
    // One that is terminating counts until its cluster names another.
    assert!(mirror.set_local(address("10.0.0.78"), vec![web()], Tenure::Terminating));
    assert_eq!(claims(&mirror, "10.0.0.78"), [r#"a/x {"app": "web"}"#]);
    mirror.set_part(&cluster("a"), Some(part("10.0.0.78 a/x app=other")));
    assert_eq!(claims(&mirror, "10.0.0.78"), [r#"a/x {"app": "other"}"#]);
    assert!(!mirror.set_local(address("10.0.0.78"), vec![], Tenure::Terminating));
}

/// S113, I6: At home the own cluster's claims count alone.
#[test]
fn at_home_the_own_clusters_claims_count_alone() {
    let mirror = mirror_of(&hub(TWO_CLUSTERS));
    let homes = |home: &str, text: &str| -> Vec<String> {
        let claims = mirror.claims_for(&cluster(home), address(text)).collect::<Vec<_>>();
        let mut homes: Vec<_> = claims
            .into_iter()
            .map(|id| mirror.identity(id).namespace.cluster.to_string())
            .collect();
        homes.sort();
        homes
    };
    assert_eq!(homes("a", "10.0.0.3"), ["a"]);
    assert_eq!(homes("b", "10.0.0.3"), ["b"]);
    assert_eq!(homes("c", "10.0.0.3"), ["a", "b"]);
    assert_eq!(homes("b", "10.0.0.1"), ["a"]);
    let clusters = [cluster("a"), cluster("b")];
    let counted: Vec<_> = counting(&clusters[1], &clusters, |claim| claim).collect();
    assert_eq!(counted, [&clusters[1]]);
}

/// S102, N9: Namespaces of one name in two clusters are two.
#[test]
fn namespaces_of_one_name_in_two_clusters_are_two() {
    let mirror = mirror_of(&hub("a Live\nb Live\na/x team=one\nb/x team=two"));
    assert_eq!(mirror.namespace_labels(&namespace("a", "x")), Some(&labels("team=one")));
    assert_eq!(mirror.namespace_labels(&namespace("b", "x")), Some(&labels("team=two")));
    assert_eq!(mirror.namespace_labels(&namespace("c", "x")), None);
}

/// C8, C16: Frames that are missing, repeated, reordered or another epoch's are refused, and change nothing.
#[test]
fn frames_out_of_turn_are_refused_and_change_nothing() {
    let mut hub = hub(TWO_CLUSTERS);
    let start = hub.clone();
    let first = hub.seal(world("a Live\nb Live"));
    let second = hub.seal(world(TWO_CLUSTERS));
    let snapshot = start.snapshot();
    let mut foreign = Hub::new(9);
    foreign.seal(world("a Live"));
    let foreign = foreign.seal(world("a Live\nb Live"));
    let (chunk, end) = (|index: usize| snapshot[index].clone(), snapshot.last().unwrap().clone());
    let due = |sequence: u64| format!("where {:032x}/{sequence} was due", 1);
    let cases = [
        ("a delta is missing", vec![second], due(2)),
        ("a delta twice", vec![first.clone(), first.clone()], due(3)),
        ("another epoch's delta", vec![foreign], due(2)),
        (
            "a delta within a snapshot",
            vec![chunk(0), first],
            "within a snapshot".to_owned(),
        ),
        (
            "a chunk is missing",
            vec![chunk(0), chunk(2)],
            "where chunk 1".to_owned(),
        ),
        (
            "an end too early",
            vec![chunk(0), end.clone()],
            "should have had".to_owned(),
        ),
        ("an end alone", vec![end], "should have had".to_owned()),
        ("a later heartbeat", vec![hub.heartbeat()], "never reached".to_owned()),
    ];
    for (name, frames, expected) in cases {
        let mut mirror = mirror_of(&start);
        let (last, before) = frames.split_last().unwrap();
        for frame in before {
            mirror.apply(frame).unwrap();
        }
        let held = (World::of(&mirror), mirror.revision());
        let FrameError(error) = mirror.apply(last).unwrap_err();
        assert!(error.contains(&expected), "{name}: {error}");
        assert_eq!((World::of(&mirror), mirror.revision()), held, "{name}");
        // A new snapshot mends everything.
        feed(&mut mirror, &hub.snapshot());
        assert_eq!(World::of(&mirror), hub.world, "{name}");
    }
}

/// C14: Garbage is refused and changes nothing.
#[test]
fn garbage_is_refused_and_changes_nothing() {
    type Spoil = fn(&mut wire::Delta);
    let cases: [(&str, Spoil); 17] = [
        ("string 77 is not defined", |delta| delta.identities[0].namespace = 77),
        ("identity 0 is nobody", |delta| delta.identities[0].id = 0),
        ("identity 1 is defined twice", |delta| delta.identities[0].id = 1),
        ("a label key without a value", |delta| {
            delta.identities[0].labels = vec![1]
        }),
        ("label a is there twice", |delta| {
            delta.identities[0].labels = vec![1, 1, 1, 1]
        }),
        ("65536 is no port", |delta| {
            delta.identities[0].ports = vec![convert::encode_port(1, crate::model::Protocol::Tcp, 1)];
            delta.identities[0].ports[0].port = 65536;
        }),
        ("\"\" is no cluster id", |delta| {
            delta.strings.as_mut().unwrap().values[0] = String::new();
            delta.identities[0].cluster = delta.strings.as_ref().unwrap().gaps[0];
        }),
        ("columns of strings differ", |delta| {
            delta.strings.as_mut().unwrap().gaps.truncate(1)
        }),
        ("string 1 is defined twice", |delta| {
            delta.strings.as_mut().unwrap().gaps[0] = 1
        }),
        ("namespace with name", |delta| {
            delta.namespaces.push(delta.namespaces[0].clone())
        }),
        ("has identity 77, which is not defined", |delta| {
            delta.owners.as_mut().unwrap().ipv4_identities[0] = 77;
        }),
        ("columns of IPv4 addresses differ", |delta| {
            delta.owners.as_mut().unwrap().ipv4_identities.push(1);
        }),
        ("IPv4 address number 1 is there twice", |delta| {
            delta.owners.as_mut().unwrap().ipv4_gaps[1] = 0;
        }),
        ("columns of bytes of IPv6 addresses differ", |delta| {
            delta.owners.as_mut().unwrap().ipv6 = vec![1; 15].into();
        }),
        ("retires identity 77", |delta| delta.retired_identities.push(77)),
        ("retires string 77", |delta| delta.retired_strings.push(77)),
        ("cluster b is there twice", |delta| {
            let status = convert::encode_status(&cluster("b"), ClusterState::Live, 0);
            delta.clusters = vec![status.clone(), status];
        }),
    ];
    for (expected, spoil) in cases {
        let mut hub = hub(TWO_CLUSTERS);
        let mut mirror = mirror_of(&hub);
        let mut delta = hub.seal(world(
            "a Live\nb Stale\nc/new\n10.0.0.1 c/new app=new\n10.0.0.2 b/x app=web",
        ));
        let Some(Body::Delta(content)) = &mut delta.body else {
            panic!("a delta");
        };
        spoil(content);
        let FrameError(error) = mirror.apply(&delta).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_world(&mirror, TWO_CLUSTERS);
    }
}

/// C13: What a newer hub adds never matches more.
#[test]
fn what_a_newer_hub_adds_never_matches_more() {
    let mut hub = hub("a Live\n10.0.0.1 a/x app=web http:TCP/80");
    let mut mirror = mirror_of(&hub);
    let mut delta = hub.seal(world("a Live\nb Live\n10.0.0.1 a/x app=new http:TCP/80"));
    let Some(Body::Delta(content)) = &mut delta.body else {
        panic!("a delta");
    };
    content.identities[0].ports[0].protocol = 99;
    content.clusters[0].state = 99;
    assert_eq!(mirror.apply(&delta), Ok(Applied::Changed));
    assert_world(&mirror, "a Live\nb Syncing\n10.0.0.1 a/x app=new");

    let mut kindless = hub.heartbeat();
    kindless.body = None;
    assert_eq!(mirror.apply(&kindless), Ok(Applied::Same));
    let mut omitting = hub.heartbeat();
    if let Some(Body::Heartbeat(heartbeat)) = &mut omitting.body {
        heartbeat.omitted_label_keys.push("app".to_owned());
    }
    let FrameError(error) = mirror.apply(&omitting).unwrap_err();
    assert!(error.contains("leaves out label \"app\""), "{error}");
}
