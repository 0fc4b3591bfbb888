//! Nodes' addresses: what of them is a change, and what is refused.

use super::world::{Hub, cluster, world};
use super::{address, feed, hub, mirror_of};
use crate::mirror::{Applied, FrameError, Mirror, Part};
use crate::model::ClusterState;
use crate::wire;
use crate::wire::frame::Body;

/// The same inventory, or another, from a hub that has restarted.
fn restarted(text: &str) -> Vec<wire::Frame> {
    let mut hub = Hub::new(2);
    hub.seal(world(text));
    hub.snapshot()
}

fn others(mirror: &Mirror) -> Vec<String> {
    let nodes = mirror.nodes_of_others().into_iter();
    nodes.map(|address| address.to_string()).collect()
}

/// C6: A snapshot is a change if it says anything else, of whatever kind, and only then.
#[test]
fn a_snapshot_that_says_something_else_is_a_change() {
    let text = "a Live\nb Live\n10.0.0.2 b/x app=web\n10.0.0.9 node of b";
    for (said, other) in [("web", "db"), ("10.0.0.9", "10.0.0.8"), ("b Live", "b Stale")] {
        let mut mirror = mirror_of(&hub(text));
        let other = restarted(&text.replace(said, other));
        assert_eq!(feed(&mut mirror, &other).last(), Some(&Applied::Changed), "not {said}");
        assert_eq!(feed(&mut mirror, &other).last(), Some(&Applied::Same), "not {said}");
    }
}

/// What was known already is no change, whoever says it now.
#[test]
fn a_part_that_says_what_the_hub_said_is_no_change() {
    let mut mirror = mirror_of(&hub("a Live\nb Live\n10.0.0.9 node of b"));
    let part = Part {
        nodes: [address("10.0.0.9")].into(),
        ..Part::default()
    };
    assert!(!mirror.set_part(&cluster("b"), Some(part)));
    assert!(!mirror.set_part(&cluster("b"), None));
}

/// Addresses of nodes of several clusters, in whatever order they come and go, leave nothing behind.
#[test]
fn an_address_of_nodes_of_several_clusters() {
    let none = "a Live\nb Live\nc Live";
    let (one, both) = ("10.0.0.9 node of c", "10.0.0.9 node of c\n10.0.0.9 node of b");
    let mut hub = hub(none);
    let mut mirror = mirror_of(&hub);
    for (said, expected) in [
        (one, ["10.0.0.9"].as_slice()),
        (both, &["10.0.0.9"]),
        (one, &["10.0.0.9"]),
        (both, &["10.0.0.9"]),
        ("10.0.0.9 node of b", &["10.0.0.9"]),
        ("", &[]),
    ] {
        let frame = hub.seal(world(&format!("{none}\n{said}")));
        assert_eq!(mirror.apply(&frame), Ok(Applied::Changed), "{said}");
        assert_eq!(others(&mirror), expected, "{said}");
    }
    assert_eq!(feed(&mut mirror, &restarted(none)).last(), Some(&Applied::Same));
}

/// S111: A cluster that left goes with its nodes, even where the hub still names them.
#[test]
fn a_cluster_that_left_goes_with_its_nodes() {
    let text = "a Live\nb Live\n10.0.0.9 node of b";
    let mut hub = hub(text);
    let mut mirror = mirror_of(&hub);
    let mut forgetful = world(text);
    forgetful.clusters.insert(cluster("b"), ClusterState::Left);
    mirror.apply(&hub.seal(forgetful)).unwrap();
    assert_eq!(others(&mirror), [""; 0]);
    let left = restarted("a Live\nb Left");
    assert_eq!(feed(&mut mirror, &left).last(), Some(&Applied::Same));
}

/// C14: A snapshot names each node's address once, and none that is gone.
#[test]
fn a_snapshot_with_node_addresses_twice_or_gone_is_refused() {
    type Spoil = fn(&mut [&mut wire::Delta; 2]);
    let cases: [(&str, Spoil); 3] = [
        ("node address 10.0.0.9 is there twice", |[first, _]| {
            first.node_addresses.push(first.node_addresses[0].clone());
        }),
        (
            "names node address 10.0.0.9 of b twice or as gone",
            |[first, second]| second.node_addresses = first.node_addresses.clone(),
        ),
        ("names node address 10.0.0.9 of b twice or as gone", |[first, _]| {
            first.node_addresses[0].gone = true
        }),
    ];
    for (expected, spoil) in cases {
        let mut mirror = mirror_of(&hub("a Live"));
        let mut frames = restarted("a Live\nb Live\n10.0.0.2 b/x\n10.0.0.9 node of b");
        let contents = frames.iter_mut().filter_map(|frame| match &mut frame.body {
            Some(Body::Chunk(chunk)) => chunk.content.as_mut(),
            _ => None,
        });
        let mut contents: [&mut wire::Delta; 2] = contents.collect::<Vec<_>>().try_into().unwrap();
        spoil(&mut contents);
        let refused = frames.iter().find_map(|frame| mirror.apply(frame).err());
        let FrameError(error) = refused.unwrap();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(others(&mirror), [""; 0]);
    }
}
