use super::*;

const UPLINK: Index = 2;
const BRIDGE: Index = 3;

fn interface(index: Index, kind: Kind, bridge: Option<Index>) -> Interface {
    Interface {
        index,
        name: name(index),
        kind,
        bridge,
    }
}

fn name(index: Index) -> LinkName {
    LinkName::new(&format!("link{index}")).unwrap()
}

fn on_link(block: &str, link: Index) -> Route {
    Route {
        link,
        way: Way::OnLink(block.parse().unwrap()),
    }
}

const fn gateway(link: Index) -> Route {
    Route {
        link,
        way: Way::Gateway,
    }
}

/// The links that pods with these addresses hang on, by index.
fn pod_links(interfaces: &[Interface], routes: &[Route], addresses: &[&str]) -> (Vec<Index>, Vec<Index>) {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let PodLinks { routed, ports } = Links::of(interfaces, routes).of_pods(&addresses);
    let indexes = |names: BTreeSet<LinkName>| {
        let all = interfaces.iter().map(|interface| interface.index);
        all.filter(|index| names.contains(&name(*index))).collect()
    };
    (indexes(routed), indexes(ports))
}

#[test]
fn a_pod_s_own_link_has_a_route_of_its_own_to_it() {
    let interfaces = [
        interface(UPLINK, Kind::VethToElsewhere, None),
        interface(10, Kind::VethToElsewhere, None),
        interface(11, Kind::VethToElsewhere, None),
        interface(12, Kind::Other, None),
    ];
    let routes = [
        gateway(UPLINK),
        on_link("10.1.1.9/32", UPLINK),
        on_link("10.1.1.1/32", 10),
        on_link("fd00::1/128", 10),
        on_link("10.1.1.2/31", 11),
        on_link("10.1.1.4/32", 12),
    ];
    let links = |addresses: &[&str]| pod_links(&interfaces, &routes, addresses);
    assert_eq!(links(&["10.1.1.1"]), (vec![10], vec![]));
    assert_eq!(links(&["fd00::1"]), (vec![10], vec![]), "one family of a pod is enough");
    assert_eq!(links(&[]), (vec![], vec![]), "no pod");
    assert_eq!(links(&["10.1.1.2"]), (vec![], vec![]), "a network on a link");
    assert_eq!(links(&["10.1.1.4"]), (vec![], vec![]), "no veth");
    assert_eq!(links(&["10.1.1.9"]), (vec![], vec![]), "the network is behind it");
}

#[test]
fn a_pod_on_a_bridge_makes_all_its_veths_pods_links() {
    let interfaces = [
        interface(BRIDGE, Kind::Bridge, None),
        interface(10, Kind::VethToElsewhere, Some(BRIDGE)),
        interface(11, Kind::VethToElsewhere, Some(BRIDGE)),
        interface(12, Kind::Other, Some(BRIDGE)),
        interface(4, Kind::Bridge, None),
        interface(13, Kind::VethToElsewhere, Some(4)),
        interface(14, Kind::VethToElsewhere, None),
    ];
    let routes = [
        on_link("10.1.1.0/24", BRIDGE),
        on_link("172.17.0.0/16", 4),
        on_link("10.1.1.8/32", 14),
    ];
    let links = |addresses: &[&str]| pod_links(&interfaces, &routes, addresses);
    assert_eq!(links(&["10.1.1.1"]), (vec![], vec![10, 11]));
    assert_eq!(links(&["10.1.2.1"]), (vec![], vec![]), "elsewhere");
    assert_eq!(
        links(&["10.1.1.8"]),
        (vec![14], vec![]),
        "not on the bridge of its block"
    );
    let with_uplink = [&routes[..], &[gateway(BRIDGE)]].concat();
    let links = pod_links(&interfaces, &with_uplink, &["10.1.1.1"]);
    assert_eq!(
        links,
        (vec![], vec![]),
        "the network is behind a port, and nothing says which"
    );
}
