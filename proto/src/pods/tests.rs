use super::{Lost, Pods, Touched, part};
use crate::model::{ClusterName, Labels};
use crate::observe::{Namespace, Phase, Pod};
use crate::watch::Event;
use expect_test::expect;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

fn pod(name: &str, uid: &str, addresses: &[&str]) -> Pod {
    let mut addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    addresses.sort();
    Pod {
        namespace: "shop".into(),
        name: name.into(),
        uid: uid.into(),
        labels: Arc::new(Labels::from([("app".into(), name.into())])),
        node: None,
        addresses,
        host_addresses: Vec::new(),
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        ports: Arc::new([]),
        rejected: Vec::new(),
    }
}

fn pods(list: Vec<Pod>) -> Pods {
    let mut pods = Pods::default();
    pods.apply(Event::Synced(list));
    pods
}

fn owners(pods: &Pods, address: &str) -> Vec<String> {
    let owners = pods.owners(address.parse().unwrap());
    owners.iter().map(|pod| format!("{}:{}", pod.name, pod.uid)).collect()
}

/// The addresses of which other claims may count, and then those that may be nodes' now or no more, if any.
fn text(Touched { claims, nodes }: Touched) -> String {
    match nodes.is_empty() {
        true => format!("{claims:?}"),
        false => format!("{claims:?}, nodes {nodes:?}"),
    }
}

/// S71, S81, S90: Pods that have finished or are on the host network own no address; one of phase Unknown does.
#[test]
fn finished_and_host_network_pods_own_nothing() {
    let mut finished = pod("a", "1", &["10.0.0.1"]);
    finished.phase = Phase::Succeeded;
    let mut failed = pod("b", "2", &["10.0.0.1"]);
    failed.phase = Phase::Failed;
    let mut host = pod("c", "3", &["10.0.0.3"]);
    host.host_network = true;
    let mut lost = pod("d", "4", &["10.0.0.1"]);
    lost.phase = Phase::Unknown;
    let pods = pods(vec![lost, host, failed, finished]);
    let claims = ["10.0.0.1", "10.0.0.3"].into_iter().flat_map(|address| {
        let claims = pods.claims(address.parse().unwrap()).into_iter();
        claims.map(|(pod, lost)| (&*pod.name, lost))
    });
    assert_eq!(
        claims.collect::<Vec<_>>(),
        [
            ("a", Some(Lost::Finished)),
            ("b", Some(Lost::Finished)),
            ("d", None),
            ("c", Some(Lost::HostNetwork)),
        ]
    );
    assert_eq!(owners(&pods, "10.0.0.1"), ["d:4"]);
}

/// S82, S83, I5: A terminating pod owns its address until one that stays has it; two that stay own it both.
#[test]
fn a_terminating_pod_yields_to_one_that_stays_and_only_to_it() {
    let mut old = pod("a", "1", &["10.0.0.1"]);
    old.terminating = true;
    let mut finished = pod("b", "2", &["10.0.0.1"]);
    finished.phase = Phase::Failed;
    let mut pods = pods(vec![old, finished]);
    assert_eq!(owners(&pods, "10.0.0.1"), ["a:1"]);
    pods.apply(Event::Applied(pod("c", "3", &["10.0.0.1"])));
    assert_eq!(owners(&pods, "10.0.0.1"), ["c:3"]);
    pods.apply(Event::Applied(pod("d", "4", &["10.0.0.1"])));
    assert_eq!(owners(&pods, "10.0.0.1"), ["c:3", "d:4"]);
}

/// I11, S91: An address that changes in place is lost in the same step.
#[test]
fn an_address_that_changes_in_place_is_lost_in_the_same_step() {
    let mut pods = pods(vec![pod("a", "1", &["10.0.0.1", "fd00::1"])]);
    let touched = pods.apply(Event::Applied(pod("a", "1", &["10.0.0.2", "fd00::1"])));
    expect!["{10.0.0.1, 10.0.0.2, fd00::1}"].assert_eq(&text(touched));
    assert_eq!(owners(&pods, "10.0.0.1"), [""; 0]);
    assert_eq!(owners(&pods, "10.0.0.2"), ["a:1"]);
    expect!["[10.0.0.2, fd00::1]"].assert_eq(&format!("{:?}", pods.addresses().collect::<Vec<_>>()));
}

/// I14, I15, S83, S88: A pod of the same name with another UID takes the place of the old one, whose late delete is
/// ignored.
#[test]
fn a_late_delete_is_of_the_pod_with_its_uid() {
    let mut pods = pods(vec![pod("a", "1", &["10.0.0.1"])]);
    pods.apply(Event::Applied(pod("a", "2", &["10.0.0.1"])));
    assert_eq!(
        pods.apply(Event::Deleted(pod("a", "1", &["10.0.0.1"]))),
        Touched::default()
    );
    assert_eq!(owners(&pods, "10.0.0.1"), ["a:2"]);
    assert_eq!(
        pods.apply(Event::Deleted(pod("b", "2", &["10.0.0.1"]))),
        Touched::default()
    );
    // What the last state of the object lists need not be what was known of it.
    expect!["{10.0.0.1}"].assert_eq(&text(pods.apply(Event::Deleted(pod("a", "2", &[])))));
    assert_eq!(pods.addresses().count(), 0);
    assert_eq!(pods.get("shop", "a"), None);
}

/// W4, C16: What is said again changes nothing.
#[test]
fn a_repeated_object_touches_nothing() {
    let mut pods = pods(vec![pod("a", "1", &["10.0.0.1"])]);
    assert_eq!(
        pods.apply(Event::Applied(pod("a", "1", &["10.0.0.1"]))),
        Touched::default()
    );
    assert_eq!(
        pods.apply(Event::Synced(vec![pod("a", "1", &["10.0.0.1"])])),
        Touched::default()
    );
    assert_eq!(pods.apply(Event::Heard), Touched::default());
    assert_eq!(pods.apply(Event::Lost("away".to_owned())), Touched::default());
    assert_eq!(owners(&pods, "10.0.0.1"), ["a:1"]);
}

/// W5, S126: Only a complete list counts as known; it removes what it does not name.
#[test]
fn only_a_complete_list_syncs_and_it_removes_what_it_does_not_name() {
    let mut pods = Pods::default();
    pods.apply(Event::Applied(pod("a", "1", &["10.0.0.1"])));
    assert!(!pods.is_synced());
    let touched = pods.apply(Event::Synced(vec![pod("b", "2", &["10.0.0.2"])]));
    assert!(pods.is_synced());
    expect!["{10.0.0.1, 10.0.0.2}"].assert_eq(&text(touched));
    assert_eq!(pods.iter().map(|pod| &*pod.name).collect::<Vec<_>>(), ["b"]);
    pods.apply(Event::Lost("away".to_owned()));
    assert!(pods.is_synced());
    pods.apply(Event::Synced(Vec::new()));
    assert_eq!(pods.iter().count(), 0);
}

#[test]
fn a_part_has_owned_addresses_and_each_identity_once() {
    let mut finished = pod("old", "1", &["10.0.0.9"]);
    finished.phase = Phase::Succeeded;
    let mut twin = pod("b", "2", &["10.0.0.1"]);
    twin.labels = pod("a", "3", &[]).labels;
    let pods = pods(vec![
        finished,
        twin,
        pod("a", "3", &["10.0.0.1"]),
        pod("c", "4", &["10.0.0.2"]),
    ]);
    let shop = Namespace {
        name: "shop".into(),
        uid: "9".into(),
        labels: Arc::new(Labels::from([("team".into(), "a".into())])),
        rejected: Vec::new(),
    };
    let part = part(&ClusterName::new("b").unwrap(), &pods, [&shop]);
    let owners: Vec<String> = part
        .owners
        .iter()
        .map(|(address, identities)| {
            let identities = identities
                .iter()
                .map(|i| format!("{}/{} {:?}", i.namespace.cluster, i.namespace.name, i.labels));
            format!("{address} {}", identities.collect::<Vec<_>>().join(" | "))
        })
        .collect();
    expect![[r#"
        10.0.0.1 b/shop {"app": "a"}
        10.0.0.2 b/shop {"app": "c"}"#]]
    .assert_eq(&owners.join("\n"));
    expect![[r#"{"shop": {"team": "a"}}"#]].assert_eq(&format!("{:?}", part.namespaces));
}

/// I7, S120: an address that is a node's is nobody's identity, whoever came first, and is the pod's again when nobody says
/// so any more.
#[test]
fn an_address_of_a_node_is_no_pods() {
    let on = |name: &str, host: &str| Pod {
        host_addresses: vec![host.parse().unwrap()],
        ..pod(name, name, &[])
    };
    let claims = |pods: &Pods| -> Vec<_> {
        let claims = pods.claims("192.0.2.1".parse().unwrap()).into_iter();
        claims.map(|(_, lost)| lost).collect()
    };
    let mut pods = pods(vec![
        pod("forger", "1", &["192.0.2.1", "10.0.0.1"]),
        on("b", "192.0.2.1"),
    ]);
    assert_eq!(claims(&pods), [Some(Lost::NodeAddress)]);
    assert_eq!(
        owners(&pods, "10.0.0.1"),
        ["forger:1"],
        "the pod's other address stands"
    );
    // Two say so; the word of one is enough, and ends with it.
    pods.apply(Event::Applied(on("c", "192.0.2.1")));
    assert_eq!(pods.apply(Event::Deleted(on("b", "192.0.2.1"))), Touched::default());
    assert_eq!(claims(&pods), [Some(Lost::NodeAddress)]);
    expect!["{192.0.2.1}, nodes {192.0.2.1, 192.0.2.2}"]
        .assert_eq(&text(pods.apply(Event::Applied(on("c", "192.0.2.2")))));
    assert_eq!(claims(&pods), [None]);
    // A host-network pod's own addresses are its node's; a finished one says nothing of a node.
    let mut host = pod("d", "4", &["192.0.2.1"]);
    host.host_network = true;
    expect!["{192.0.2.1}, nodes {192.0.2.1}"].assert_eq(&text(pods.apply(Event::Applied(host.clone()))));
    assert_eq!(claims(&pods), [Some(Lost::HostNetwork), Some(Lost::NodeAddress)]);
    host.phase = Phase::Failed;
    pods.apply(Event::Applied(host));
    assert_eq!(claims(&pods), [Some(Lost::HostNetwork), None]);
    // What Node objects list needs no pod that says so.
    let mut listed = Pods::of_nodes_at(["192.0.2.1".parse().unwrap()].into());
    listed.apply(Event::Synced(pods.iter().map(|pod| Pod::clone(pod)).collect()));
    assert_eq!(claims(&listed), [Some(Lost::HostNetwork), Some(Lost::NodeAddress)]);
    expect!["[192.0.2.2, 192.0.2.1]"].assert_eq(&format!("{:?}", listed.node_addresses().collect::<Vec<_>>()));
    expect!["{192.0.2.1, 192.0.2.2}"].assert_eq(&format!(
        "{:?}",
        part(&ClusterName::new("b").unwrap(), &listed, []).nodes
    ));
    // It is a node's, whoever of its claimants ends.
    let mut old = pod("old", "5", &["192.0.2.1"]);
    old.terminating = true;
    listed.apply(Event::Applied(old));
    assert_eq!(claims(&listed)[1..], [Some(Lost::NodeAddress), Some(Lost::NodeAddress)]);
}

/// I14, I15, S120, W4: Random lives of few pods at few addresses, with repetitions and deletes that come late or twice:
/// what is known in the end is what the objects that remain say, and every change of owners was announced.
#[test]
fn owners_depend_on_the_objects_only() {
    for seed in 0..400 {
        let mut rng = Rng::with_seed(seed);
        let mut pods = Pods::default();
        let mut objects: BTreeMap<Arc<str>, Pod> = BTreeMap::new();
        let mut ended: Vec<Pod> = Vec::new();
        for step in 0..60 {
            let event = random_event(&mut rng, &format!("{step}"), &mut objects, &mut ended);
            let before = ownership(&pods);
            let nodes_before: BTreeSet<IpAddr> = pods.node_addresses().collect();
            let touched = pods.apply(event);
            let nodes_after: BTreeSet<IpAddr> = pods.node_addresses().collect();
            let moved: BTreeSet<IpAddr> = nodes_before.symmetric_difference(&nodes_after).copied().collect();
            assert!(
                moved.is_subset(&touched.nodes),
                "a node that was not announced, seed {seed} step {step}"
            );
            let after = ownership(&pods);
            let untouched = |owners: &Ownership| -> Ownership {
                owners
                    .iter()
                    .filter(|(address, _)| !touched.claims.contains(*address))
                    .map(|(a, o)| (*a, o.clone()))
                    .collect()
            };
            assert_eq!(
                untouched(&before),
                untouched(&after),
                "a change that was not announced, seed {seed} step {step}"
            );
            let mut shuffled: Vec<Pod> = objects.values().cloned().collect();
            rng.shuffle(&mut shuffled);
            let mut fresh = Pods::default();
            fresh.apply(Event::Synced(shuffled));
            assert_eq!(after, ownership(&fresh), "seed {seed} step {step}");
            assert!(pods.iter().eq(fresh.iter()), "seed {seed} step {step}");
            assert!(fresh.node_addresses().eq(nodes_after), "seed {seed} step {step}");
        }
    }
}

type Ownership = BTreeMap<IpAddr, Vec<(Arc<Pod>, Option<Lost>)>>;

fn ownership(pods: &Pods) -> Ownership {
    let claims = |address| {
        pods.claims(address)
            .into_iter()
            .map(|(pod, lost)| (pod.clone(), lost))
            .collect()
    };
    pods.addresses().map(|address| (address, claims(address))).collect()
}

/// An event that takes `objects` from one state to the next, or repeats what was said.
fn random_event(rng: &mut Rng, uid: &str, objects: &mut BTreeMap<Arc<str>, Pod>, ended: &mut Vec<Pod>) -> Event<Pod> {
    let name: Arc<str> = ["a", "b", "c", "d"][rng.usize(..4)].into();
    match rng.u8(..10) {
        0..5 => {
            let uid = objects
                .get(&name)
                .filter(|_| rng.u8(..3) > 0)
                .map_or(uid.into(), |pod| pod.uid.clone());
            let object = random_pod(rng, &name, &uid);
            // A pod of another UID replaces it, and its end was not seen (I14) or will be seen late (I15).
            ended.extend(objects.insert(name, object.clone()).filter(|old| old.uid != uid));
            Event::Applied(object)
        }
        5 => objects.get(&name).cloned().map_or(Event::Heard, Event::Applied),
        6 => objects.remove(&name).map_or(Event::Heard, |pod| {
            ended.push(pod.clone());
            Event::Deleted(pod)
        }),
        7 => rng.choice(ended).cloned().map_or(Event::Heard, Event::Deleted),
        8 => {
            objects.retain(|_, _| rng.bool());
            Event::Synced(objects.values().cloned().collect())
        }
        _ => Event::Lost("away".to_owned()),
    }
}

fn random_pod(rng: &mut Rng, name: &str, uid: &str) -> Pod {
    let addresses = ["10.0.0.1", "10.0.0.2", "fd00::1"];
    let addresses: Vec<&str> = addresses.into_iter().filter(|_| rng.bool()).collect();
    let mut pod = pod(name, uid, &addresses);
    pod.phase = [
        Phase::Pending,
        Phase::Running,
        Phase::Running,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Unknown,
    ][rng.usize(..6)];
    pod.terminating = rng.u8(..4) == 0;
    pod.host_network = rng.u8(..6) == 0;
    let hosts = ["10.0.0.1", "10.0.0.2", "192.0.2.1"].map(|text| text.parse().unwrap());
    pod.host_addresses = hosts.into_iter().filter(|_| rng.u8(..6) == 0).collect();
    pod
}
