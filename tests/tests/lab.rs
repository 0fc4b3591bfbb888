//! The lab's network and its probes: what is sent arrives, by the way the layout promises, and a drop is a refusal.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::offline::ends::{End, Probe, Verdict};
use enforcer::ruleset::Family;
use k8s_openapi::api::core::v1::Pod;
use proto::model::ClusterName;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tests::apiserver::{Kind, Role};
use tests::lab::address::{AddressPlan, Service};
use tests::lab::cluster::Cluster;
use tests::lab::doors::Door;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns, set_sysctl};
use tests::lab::probe::Range;
use tests::lab::process::Program;
use tests::lab::story;
use tests::lab::world::World;

/// Two clusters with two nodes each, three dual-stack pods on every node, a single-stack pod, a host-network pod and a
/// pod on no node.
fn world() -> World {
    let mut world = World::default();
    for (c, cluster) in [(1, "a"), (2, "b")] {
        let mut objects = Vec::new();
        for node in 1..=2 {
            for pod in 1..=3 {
                let name = format!("n{node}-{pod}");
                let ips = [format!("10.{c}.{node}.{pod}"), format!("fd00:10:{c}:{node}::{pod}")];
                objects.push(pod_object(&name, &format!("node-{node}"), &ips));
            }
        }
        objects.push(pod_object("only-v6", "node-1", &[format!("fd00:10:{c}:1::9")]));
        let mut host = pod_object("on-host", "node-2", &[format!("192.0.2.{c}"), format!("fd00:40::{c}")]);
        host["spec"]["hostNetwork"] = true.into();
        objects.push(host);
        let ips = [format!("10.{c}.0.1"), format!("fd00:10:{c}::1")];
        objects.push(pod_object("on-no-node", "", &ips));
        world.clusters.insert(cluster.parse().unwrap(), objects);
    }
    world
}

fn pod_object(name: &str, node: &str, ips: &[String]) -> serde_json::Value {
    let ips: Vec<_> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "x"},
        "spec": {"nodeName": node}, "status": {"phase": "Running", "podIPs": ips},
    })
}

fn outside() -> BTreeSet<IpAddr> {
    ["198.51.100.7", "2001:db8::7"]
        .map(|address| address.parse().unwrap())
        .into()
}

fn probes() -> Vec<Probe> {
    let kinds = ["TCP/80", "UDP/53", "SCTP/3868", "ICMP/0"];
    let of_both = kinds.iter().flat_map(|kind| [format!("{kind}/4"), format!("{kind}/6")]);
    of_both.map(|probe| probe.parse().unwrap()).collect()
}

/// Runs a test in a fabric of its own, on this thread.
fn in_fabric(layout: Layout, test: impl AsyncFnOnce(&World, &Fabric)) {
    let host = Netns::leave().expect("these tests make network namespaces: run them as root");
    let world = world();
    let blueprint = Blueprint {
        world: &world,
        outside: &outside(),
        api_servers: 2,
        layout,
    };
    let fabric = Fabric::build(blueprint).unwrap();
    netns::block_on(test(&world, &fabric));
    host.enter().unwrap();
}

fn ends(world: &World) -> Vec<End> {
    let mut ends = world.ends();
    ends.extend(outside().into_iter().map(End::Address));
    ends
}

fn has(fabric: &Fabric, end: &End, family: Family) -> bool {
    fabric
        .locate(end)
        .is_some_and(|(_, addresses)| addresses.iter().any(|address| Family::of(*address) == family))
}

#[test]
fn without_policies_every_probe_between_ends_of_a_family_is_answered() {
    for layout in Layout::ALL {
        in_fabric(layout, async |world, fabric| {
            let range = Range::open(fabric, ends(world), probes()).await.unwrap();
            let baseline = range.baseline().await.unwrap();
            for table in baseline.tables() {
                let family = table.probe.family.unwrap();
                for (from, row) in range.ends().iter().zip(&table.rows) {
                    for (to, verdict) in range.ends().iter().zip(row) {
                        let is_outside_itself = from == to && matches!(from, End::Address(_));
                        let exists = has(fabric, from, family) && has(fabric, to, family) && !is_outside_itself;
                        let expected = if exists { Verdict::Allowed } else { Verdict::Absent };
                        assert_eq!(*verdict, expected, "{layout:?}: {} from {from} to {to}", table.probe);
                    }
                }
            }
        });
    }
}

#[test]
fn an_address_of_a_manifest_is_whoever_has_it() {
    in_fabric(Layout::Bridge, async |_, fabric| {
        for (address, whose) in [
            ("ip:10.1.2.3", "a/x/n2-3"),
            ("ip:192.0.2.2", "b/x/on-host"),
            ("ip:10.2.0.1", "b/x/on-no-node"),
        ] {
            let [(station, addresses), (host, _)] =
                [address, whose].map(|end| fabric.locate(&end.parse().unwrap()).unwrap());
            assert_eq!(station.netns().path(), host.netns().path(), "{address}");
            assert_eq!(format!("ip:{}", addresses[0]), address);
        }
        assert!(fabric.locate(&"ip:192.0.2.77".parse().unwrap()).is_none());
    });
}

#[test]
fn only_the_bridge_carries_packets_within_a_node_that_does_not_forward() {
    let [a, same_node, other_node] = ["a/x/n1-1", "a/x/n1-2", "b/x/n1-1"].map(|end| end.parse::<End>().unwrap());
    for (layout, within) in [(Layout::Bridge, Verdict::Allowed), (Layout::Routed, Verdict::Refused)] {
        in_fabric(layout, async |_, fabric| {
            let ends = vec![a.clone(), same_node.clone(), other_node.clone()];
            let range = Range::open(fabric, ends, probes()).await.unwrap();
            range.baseline().await.unwrap();
            for (_, node) in fabric.nodes() {
                let stopped = node.netns().run(|| {
                    set_sysctl("ipv4/ip_forward", "0")?;
                    set_sysctl("ipv6/conf/all/forwarding", "0")
                });
                stopped.unwrap().unwrap();
            }
            for table in range.judge().await.unwrap() {
                let from_a = [Verdict::Allowed, within, Verdict::Refused];
                assert_eq!(table.rows[0], from_a, "{layout:?}: {}", table.probe);
            }
        });
    }
}

#[test]
fn an_address_of_the_fabric_is_refused_to_pods() {
    let mut world = World::default();
    let pod = pod_object("web", "node-1", &["10.30.1.1".to_owned()]);
    world.clusters.insert("a".parse().unwrap(), vec![pod]);
    let plan = AddressPlan::new(&world, &BTreeSet::new(), Vec::new());
    assert_eq!(
        plan.unwrap_err().to_string(),
        "a/x/web has 10.30.1.1, but the lab's own fabric uses 10.30.0.0/16: give it another address"
    );
}

#[test]
fn of_two_pods_with_one_address_the_first_has_it_and_it_is_said() {
    let mut world = World::default();
    let pods = ["one", "two"].map(|name| pod_object(name, "node-1", &["10.1.1.1".to_owned()]));
    world.clusters.insert("a".parse().unwrap(), pods.into());
    let plan = AddressPlan::new(&world, &BTreeSet::new(), Vec::new()).unwrap();
    assert_eq!(
        plan.notes,
        ["a/x/two and a/x/one both claim 10.1.1.1: here it is a/x/one's"]
    );
    let addresses: Vec<_> = plan.pods.into_values().map(|pod| pod.addresses).collect();
    assert_eq!(addresses, [vec!["10.1.1.1".parse::<IpAddr>().unwrap()], vec![]]);
}

/// An API server on the fabric takes the stories' world, and is reached through a door from the machine's own network.
#[test]
fn a_cluster_holds_the_world_and_a_door_leads_to_it() {
    let host = Netns::leave().expect("these tests make network namespaces: run them as root");
    let world = story::world().unwrap();
    let plain = BTreeSet::new();
    let blueprint = Blueprint {
        world: &world,
        outside: &plain,
        api_servers: 1,
        layout: Layout::Bridge,
    };
    let _fabric = Fabric::build(blueprint).unwrap();
    let folder = tempfile::tempdir().unwrap();
    netns::block_on(async {
        let name: ClusterName = "cluster-b".parse().unwrap();
        let dir = folder.path().to_owned();
        let cluster = Cluster::start(Kind::Embedded, name.clone(), Service(1), dir)
            .await
            .unwrap();
        cluster.write(&world.clusters[&name]).await.unwrap();
        cluster.write(&world.clusters[&name]).await.unwrap();
        let door = Door::open(&host, cluster.address()).unwrap();
        let kubeconfig = cluster.kubeconfig_through(Role::Hub, door.outside());
        let pods = tokio::task::spawn_blocking(move || host.run(|| list_pods(&kubeconfig)).unwrap())
            .await
            .unwrap();
        let expected: Vec<String> = world
            .pods()
            .into_iter()
            .filter(|pod| pod.name.cluster == name)
            .map(|pod| format!("{}/{} {:?}", pod.name.namespace, pod.name.name, pod.addresses))
            .collect();
        assert_eq!(pods, expected);
    });
}

/// What a client in the machine's own network sees.
fn list_pods(kubeconfig: &str) -> Vec<String> {
    netns::block_on(async {
        let kubeconfig = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let pods: kube::Api<Pod> = kube::Api::all(kube::Client::try_from(config).unwrap());
        let list = pods.list(&kube::api::ListParams::default()).await.unwrap();
        let mut words: Vec<String> = list.items.iter().map(describe).collect();
        words.sort();
        words
    })
}

fn describe(pod: &Pod) -> String {
    let ips = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ips.as_ref())
        .into_iter()
        .flatten();
    let addresses: Vec<IpAddr> = ips.map(|ip| ip.ip.parse().unwrap()).collect();
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    format!("{}/{} {addresses:?}", namespace.unwrap(), name.unwrap())
}

/// Whoever waits for a program learns why it does not come.
#[test]
fn a_killed_child_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program {
        name: "sleep".to_owned(),
        binary: "/bin/sleep".into(),
        arguments: vec!["600".to_owned()],
        log: folder.path().join("log"),
    };
    let mut child = program.start(&Netns::current().unwrap()).unwrap();
    child.check_alive().unwrap();
    netns::block_on(child.kill());
    let error = child.check_alive().unwrap_err().to_string();
    assert!(error.starts_with("sleep ended (signal: 9 (SIGKILL))"), "{error}");
}
