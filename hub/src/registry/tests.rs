use super::*;
use crate::sample::{cluster, some_instant};

const ORIGIN: Origin = Origin {
    address: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
    certificate_expires: None,
};

#[test]
fn a_node_that_changes_over_has_two_streams_for_a_moment() {
    let (registry, now) = (Registry::default(), some_instant());
    let (a, node) = (cluster("a"), "n1".into());
    registry.connected(&a, &node, ORIGIN, now).unwrap();
    registry.connected(&a, &node, ORIGIN, now).unwrap();
    registry.disconnected(&a, &node, now);
    assert_eq!(registry.connected_by_cluster(), BTreeMap::from([(a.clone(), 1)]));
    registry.disconnected(&a, &node, now);
    assert_eq!(registry.connected_by_cluster(), BTreeMap::new());
    assert_eq!(registry.list().len(), 1, "it is remembered");
}

#[test]
fn who_is_silent_for_a_day_is_forgotten_unless_it_is_connected() {
    let (registry, now) = (Registry::default(), some_instant());
    let a = cluster("a");
    registry.connected(&a, &"there".into(), ORIGIN, now).unwrap();
    registry.connected(&a, &"gone".into(), ORIGIN, now).unwrap();
    registry.disconnected(&a, &"gone".into(), now);
    registry.sweep(now + FORGOTTEN_AFTER - Duration::from_secs(1));
    assert_eq!(registry.list().len(), 2);
    registry.sweep(now + FORGOTTEN_AFTER);
    let left: Vec<Arc<str>> = registry.list().into_keys().map(|(_, node)| node).collect();
    assert_eq!(left, ["there".into()]);
}

#[test]
fn one_cluster_cannot_fill_the_registry() {
    let (registry, now) = (Registry::default(), some_instant());
    let connect = |id: &str, node: usize| {
        let node = format!("n{node}").into();
        registry.connected(&cluster(id), &node, ORIGIN, now)
    };
    for node in 0..ENFORCERS_PER_CLUSTER {
        connect("a", node).unwrap();
    }
    assert_eq!(connect("a", ENFORCERS_PER_CLUSTER), Err(Full(cluster("a"))));
    assert_eq!(connect("a", 0), Ok(()), "one that is known");
    assert_eq!(connect("b", 0), Ok(()));
}
