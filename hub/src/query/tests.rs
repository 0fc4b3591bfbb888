use super::*;
use crate::inventory::{Connection, Observed};
use crate::registry::{Enforcer, Report};
use expect_test::{Expect, expect};
use proto::model::{CLUSTER_LABEL, Epoch, Labels, NamedPort, Protocol};
use proto::observe::{Namespace, Phase, Pod};
use proto::selector::{BarePodSelector, ClusterLabelMode};
use proto::watch::Event;
use std::collections::BTreeMap;
use std::fmt::Debug;

const REVISION: Revision = Revision {
    epoch: Epoch(0x2a),
    sequence: 7,
};

/// Three clusters: `a` is watched, contact with `b` is lost since half a minute, `c` could never be read.
struct World {
    inventory: Inventory,
    switches: Switches,
    start: Instant,
}

impl World {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "only differences to it are ever shown")]
        let start = Instant::now();
        let mut inventory = Inventory::default();
        let pods = vec![
            Pod {
                ports: [http()].into(),
                ..pod("shop", "web-1", "app=web", &["10.1.0.1", "fd00:1::1"])
            },
            pod("shop", "web-2", "app=web,tier=cache", &["10.1.0.2"]),
            Pod {
                phase: Phase::Succeeded,
                ..pod("shop", "job", "app=web", &["10.1.0.1"])
            },
            Pod {
                terminating: true,
                ..pod("shop", "old", "app=web", &["10.1.0.2"])
            },
            Pod {
                host_network: true,
                node: Some("n2".into()),
                ..pod("tools", "agent", "app=web", &["192.168.0.1"])
            },
        ];
        let namespaces = vec![
            namespace("kube-system", "uid=a"),
            namespace("shop", &format!("team=shop,{CLUSTER_LABEL}=a")),
            namespace("tools", ""),
        ];
        join(&mut inventory, "a", pods, namespaces, start);
        let pods = vec![
            pod("shop", "twin", "app=web", &["10.1.0.1"]),
            pod("shop", "web-1", "app=web", &["10.2.0.1"]),
        ];
        let namespaces = vec![
            namespace("kube-system", "uid=b"),
            namespace("shop", &format!("team=shop,{CLUSTER_LABEL}=a")),
        ];
        join(
            &mut inventory,
            "b",
            pods,
            namespaces,
            start + Duration::from_micros(10_123_456),
        );
        let lost = Observed::Pods(Event::Lost("connection refused (192.0.2.2:6443)".to_owned()));
        inventory.apply(&id("b"), Connection(1), lost, start + Duration::from_secs(30));
        inventory.refuse(&id("c"), "exec is not allowed".to_owned(), start);
        Self {
            inventory,
            switches: Switches::default(),
            start,
        }
    }

    /// A minute after the first list, which was at New Year.
    fn view(&self) -> View<'_> {
        let minute = Duration::from_secs(60);
        View {
            inventory: &self.inventory,
            revision: REVISION,
            switches: self.switches,
            now: self.start + minute,
            wall: new_year() + minute,
        }
    }
}

fn new_year() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn join(inventory: &mut Inventory, cluster: &str, pods: Vec<Pod>, namespaces: Vec<Namespace>, now: Instant) {
    let cluster = id(cluster);
    inventory.connect(
        &cluster,
        Connection(1),
        format!("https://{cluster}.example.com:6443"),
        now,
    );
    let namespaces = Observed::Namespaces(Event::Synced(namespaces));
    inventory.apply(&cluster, Connection(1), namespaces, now);
    inventory.apply(&cluster, Connection(1), Observed::Pods(Event::Synced(pods)), now);
}

fn id(cluster: &str) -> ClusterName {
    cluster.parse().expect("a cluster id")
}

fn http() -> NamedPort {
    NamedPort {
        name: "http".into(),
        protocol: Protocol::Tcp,
        port: 8080,
    }
}

fn labels(text: &str) -> Arc<Labels> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    Arc::new(pairs.map(|(key, value)| (key.into(), value.into())).collect())
}

/// A running pod on node n1.
fn pod(namespace: &str, name: &str, labels_text: &str, addresses: &[&str]) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-of-{name}").into(),
        labels: labels(labels_text),
        node: Some("n1".into()),
        addresses: addresses.iter().map(|one| one.parse().expect("an address")).collect(),
        host_addresses: Vec::new(),
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        ports: [].into(),
        rejected: Vec::new(),
    }
}

/// The label `uid` is its UID as well.
fn namespace(name: &str, labels_text: &str) -> Namespace {
    let labels = labels(labels_text);
    Namespace {
        name: name.into(),
        rejected: Vec::new(),
        uid: labels.get("uid").map_or_else(|| name.into(), Arc::clone),
        labels,
    }
}

/// An answer as its JSON would show it: without what is empty, and what fits on a line on one.
fn shown(answer: &Result<impl Debug, Refusal>) -> String {
    match answer {
        Ok(answer) => {
            let text = format!("{answer:#?}").replace("Some(\n", "(\n");
            let empty = [": \"\",", ": [],", ": {},", ": 0,", ": false,", ": None,"];
            let lines = text.lines().filter(|line| !empty.iter().any(|end| line.ends_with(end)));
            fold(lines.map(str::to_owned).collect()).join("\n")
        }
        Err(refusal) => format!("{:?} {}", Status::from(refusal.clone()).code(), refusal),
    }
}

/// Puts each pair of brackets on one line, innermost first, if that is short.
fn fold(mut lines: Vec<String>) -> Vec<String> {
    const WIDTH: usize = 160;
    loop {
        let is_open = |line: &str| line.ends_with(['{', '[', '(']);
        let foldable = (0..lines.len()).find_map(|start| {
            let length = 2 + lines[start + 1..]
                .iter()
                .position(|line| is_open(line) || line.trim_start().starts_with(['}', ']', ')']))?;
            let block = &lines[start..start + length];
            let inner: Vec<&str> = block.iter().skip(1).map(|line| line.trim()).collect();
            let folded = format!("{} {}", block[0], inner.join(" "));
            let whole = is_open(&block[0]) && !is_open(block.last()?) && folded.len() <= WIDTH;
            whole.then_some((start, length, folded))
        });
        let Some((start, length, folded)) = foldable else {
            return lines;
        };
        lines.splice(start..start + length, [folded]);
    }
}

fn check(answer: &Result<impl Debug, Refusal>, expected: Expect) {
    expected.assert_eq(&shown(answer));
}

/// `cluster/namespace/name` of pods.
fn names(pods: &[wire::Pod]) -> String {
    let name = |pod: &wire::Pod| format!("{}/{}/{}", pod.cluster, pod.namespace, pod.name);
    pods.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// C4, S130: Clusters say how they fare.
#[test]
fn clusters_say_how_they_fare() {
    let world = World::new();
    let enforcers = BTreeMap::from([(id("a"), 3)]);
    check(
        &Ok(clusters::list(&world.view(), &enforcers)),
        expect![[r#"
            ListClustersResponse {
                revision: "0000000000000000000000000000002a/7",
                clusters: [
                    Cluster {
                        id: "a",
                        state: Live,
                        last_event: ( Timestamp { seconds: 1767225600, }, ),
                        namespaces: 3,
                        pods: 5,
                        unlabelled_namespaces: 2,
                        server: "https://a.example.com:6443",
                        enforcers: 3,
                    },
                    Cluster {
                        id: "b",
                        state: Stale,
                        reason: "pods: connection refused (192.0.2.2:6443)",
                        last_event: ( Timestamp { seconds: 1767225610, nanos: 123000000, }, ),
                        stale_since: ( Timestamp { seconds: 1767225630, }, ),
                        namespaces: 2,
                        pods: 2,
                        unlabelled_namespaces: 1,
                        mislabelled_namespaces: 1,
                        server: "https://b.example.com:6443",
                    },
                    Cluster { id: "c", state: Syncing, reason: "exec is not allowed", },
                ],
            }"#]],
    );
}

/// N4, N5: Namespaces say what is wrong with their cluster label.
#[test]
fn namespaces_say_what_is_wrong_with_their_cluster_label() {
    let world = World::new();
    let request = wire::ListNamespacesRequest {
        label_selector: "!uid".to_owned(),
        ..Default::default()
    };
    check(
        &namespaces::list(&world.view(), &request),
        expect![[r#"
            ListNamespacesResponse {
                revision: "0000000000000000000000000000002a/7",
                namespaces: [
                    Namespace { cluster: "a", name: "shop", labels: { "cluster.clusterset.k8s.io/cluster-name": "a", "team": "shop", }, pods: 4, },
                    Namespace {
                        cluster: "a",
                        name: "tools",
                        pods: 1,
                        warning: "no policy that names cluster a matches its pods: kubectl label namespace tools cluster.clusterset.k8s.io/cluster-name=a",
                    },
                    Namespace {
                        cluster: "b",
                        name: "shop",
                        labels: { "cluster.clusterset.k8s.io/cluster-name": "a", "team": "shop", },
                        pods: 2,
                        warning: "its label cluster.clusterset.k8s.io/cluster-name names another cluster, enforcers read b instead: kubectl label --overwrite namespace shop cluster.clusterset.k8s.io/cluster-name=b",
                    },
                ],
                clusters: [
                    Freshness { cluster: "a", state: Live, age: ( Duration { seconds: 60, }, ), },
                    Freshness { cluster: "b", state: Stale, age: ( Duration { seconds: 49, nanos: 876000000, }, ), },
                    Freshness { cluster: "c", state: Syncing, },
                ],
            }"#]],
    );
}

#[test]
fn pods_are_shown_with_what_policies_see() {
    let world = World::new();
    let request = wire::ListPodsRequest {
        cluster: "a".to_owned(),
        ..Default::default()
    };
    check(
        &pods::list(&world.view(), &request),
        expect![[r#"
        ListPodsResponse {
            revision: "0000000000000000000000000000002a/7",
            pods: [
                Pod {
                    cluster: "a",
                    namespace: "shop",
                    name: "job",
                    uid: "uid-of-job",
                    node: "n1",
                    addresses: [ "10.1.0.1", ],
                    labels: { "app": "web", },
                    phase: "Succeeded",
                },
                Pod {
                    cluster: "a",
                    namespace: "shop",
                    name: "old",
                    uid: "uid-of-old",
                    node: "n1",
                    addresses: [ "10.1.0.2", ],
                    labels: { "app": "web", },
                    phase: "Running",
                    terminating: true,
                },
                Pod {
                    cluster: "a",
                    namespace: "shop",
                    name: "web-1",
                    uid: "uid-of-web-1",
                    node: "n1",
                    addresses: [ "10.1.0.1", "fd00:1::1", ],
                    labels: { "app": "web", },
                    phase: "Running",
                    ports: [ "http:TCP/8080", ],
                },
                Pod {
                    cluster: "a",
                    namespace: "shop",
                    name: "web-2",
                    uid: "uid-of-web-2",
                    node: "n1",
                    addresses: [ "10.1.0.2", ],
                    labels: { "app": "web", "tier": "cache", },
                    phase: "Running",
                },
                Pod {
                    cluster: "a",
                    namespace: "tools",
                    name: "agent",
                    uid: "uid-of-agent",
                    node: "n2",
                    addresses: [ "192.168.0.1", ],
                    labels: { "app": "web", },
                    phase: "Running",
                    host_network: true,
                },
            ],
            clusters: [ Freshness { cluster: "a", state: Live, age: ( Duration { seconds: 60, }, ), }, ],
        }"#]],
    );
}

#[test]
fn every_filter_must_match() {
    let world = World::new();
    let found = |cluster: &str, namespace: &str, label_selector: &str, node: &str| {
        let request = wire::ListPodsRequest {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            label_selector: label_selector.to_owned(),
            node: node.to_owned(),
            ..Default::default()
        };
        names(&pods::list(&world.view(), &request).expect("a valid request").pods)
    };
    assert_eq!(found("", "", "", "n2"), "a/tools/agent");
    assert_eq!(found("b", "", "", ""), "b/shop/twin b/shop/web-1");
    assert_eq!(found("c", "", "", ""), "");
    assert_eq!(found("", "tools", "", ""), "a/tools/agent");
    assert_eq!(found("", "", "tier=cache", ""), "a/shop/web-2");
    assert_eq!(
        found("a", "shop", "app=web,!tier", "n1"),
        "a/shop/job a/shop/old a/shop/web-1"
    );
    assert_eq!(found("a", "shop", "app=web,!tier", "n2"), "");
}

/// Pages of one pod: all pods once, in order, although the list changes under them.
#[test]
fn pages_survive_changes() {
    let mut world = World::new();
    let mut request = wire::ListPodsRequest {
        page_size: 1,
        label_selector: "app".to_owned(),
        ..Default::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = pods::list(&world.view(), &request).expect("a valid request");
        assert!(page.pods.len() <= 1);
        seen.push(names(&page.pods));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        if seen.len() == 2 {
            // The pod the last page ended with goes, one comes before it and one behind it.
            for change in [
                Event::Deleted(pod("shop", "old", "app=web", &[])),
                Event::Applied(pod("shop", "a-first", "app=web", &[])),
                Event::Applied(pod("shop", "web-0", "app=web", &[])),
            ] {
                world
                    .inventory
                    .apply(&id("a"), Connection(1), Observed::Pods(change), world.start);
            }
        }
    }
    let expected = [
        "a/shop/job",
        "a/shop/old",
        "a/shop/web-0",
        "a/shop/web-1",
        "a/shop/web-2",
        "a/tools/agent",
        "b/shop/twin",
        "b/shop/web-1",
    ];
    assert_eq!(
        seen.iter().filter(|page| !page.is_empty()).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
}

#[test]
fn namespaces_come_in_pages_too() {
    let world = World::new();
    let mut request = wire::ListNamespacesRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = namespaces::list(&world.view(), &request).expect("a valid request");
        seen.extend(
            page.namespaces
                .iter()
                .map(|one| format!("{}/{}", one.cluster, one.name)),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, ["a/kube-system", "a/shop", "a/tools", "b/kube-system", "b/shop"]);
}

/// S113, I6: An address has owners, and claims that are lost.
#[test]
fn an_address_has_owners_and_lost_claims() {
    check(
        &lookup(&World::new(), "10.1.0.1"),
        expect![[r#"
            LookupAddressResponse {
                revision: "0000000000000000000000000000002a/7",
                address: "10.1.0.1",
                owners: [
                    Claim {
                        pod: (
                            Pod {
                                cluster: "a",
                                namespace: "shop",
                                name: "web-1",
                                uid: "uid-of-web-1",
                                node: "n1",
                                addresses: [ "10.1.0.1", "fd00:1::1", ],
                                labels: { "app": "web", },
                                phase: "Running",
                                ports: [ "http:TCP/8080", ],
                            },
                        ),
                    },
                    Claim {
                        pod: (
                            Pod {
                                cluster: "b",
                                namespace: "shop",
                                name: "twin",
                                uid: "uid-of-twin",
                                node: "n1",
                                addresses: [ "10.1.0.1", ],
                                labels: { "app": "web", },
                                phase: "Running",
                            },
                        ),
                    },
                ],
                lost: [
                    Claim {
                        pod: (
                            Pod {
                                cluster: "a",
                                namespace: "shop",
                                name: "job",
                                uid: "uid-of-job",
                                node: "n1",
                                addresses: [ "10.1.0.1", ],
                                labels: { "app": "web", },
                                phase: "Succeeded",
                            },
                        ),
                        reason: "the pod is finished",
                    },
                ],
                clusters: [
                    Freshness { cluster: "a", state: Live, age: ( Duration { seconds: 60, }, ), },
                    Freshness { cluster: "b", state: Stale, age: ( Duration { seconds: 49, nanos: 876000000, }, ), },
                    Freshness { cluster: "c", state: Syncing, },
                ],
            }"#]],
    );
}

fn lookup(world: &World, address: &str) -> Result<wire::LookupAddressResponse, Refusal> {
    let request = wire::LookupAddressRequest {
        address: address.to_owned(),
    };
    addresses::lookup(&world.view(), &request)
}

#[test]
fn an_address_is_found_however_it_is_written() {
    let world = World::new();
    let short = |address: &str| {
        let answer = lookup(&world, address).expect("an address");
        let claims = |claims: &[wire::Claim]| {
            let claim = |claim: &wire::Claim| {
                let pod = claim.pod.as_ref().expect("a claim is of a pod");
                format!("{} ({})", names(std::slice::from_ref(pod)), claim.reason)
            };
            claims.iter().map(claim).collect::<Vec<_>>().join(" ")
        };
        format!(
            "{}: {} | {}",
            answer.address,
            claims(&answer.owners),
            claims(&answer.lost)
        )
    };
    let all = ["10.1.0.2", "192.168.0.1", "::ffff:10.2.0.1", "FD00:1:0::1", "10.9.9.9"].map(short);
    expect![[r#"
        10.1.0.2: a/shop/web-2 () | a/shop/old (the pod is terminating and another live pod has the address)
        192.168.0.1:  | a/tools/agent (the pod is on the network of its node)
        10.2.0.1: b/shop/web-1 () | 
        fd00:1::1: a/shop/web-1 () | 
        10.9.9.9:  | "#]]
    .assert_eq(&all.join("\n"));
}

/// I7: a claim on an address of a node says why it does not count.
#[test]
fn a_pods_claim_on_an_address_of_a_node_is_lost() {
    let mut world = World::new();
    let neighbour = Pod {
        host_addresses: vec!["192.0.2.1".parse().expect("an address")],
        ..pod("shop", "neighbour", "", &[])
    };
    let pods = vec![pod("shop", "forger", "app=web", &["192.0.2.1"]), neighbour];
    join(&mut world.inventory, "d", pods, Vec::new(), world.start);
    let answer = lookup(&world, "192.0.2.1").expect("an address");
    let reasons: Vec<&str> = answer.lost.iter().map(|claim| claim.reason.as_str()).collect();
    let expected = "the address is a node's, as pods of the cluster tell by their hostIPs";
    assert_eq!((answer.owners, reasons), (Vec::new(), vec![expected]));
}

fn select(world: &World, namespace: &str, change: impl FnOnce(&mut wire::SelectPodsRequest)) -> String {
    let mut request = wire::SelectPodsRequest {
        cluster: "a".to_owned(),
        namespace: namespace.to_owned(),
        ..Default::default()
    };
    change(&mut request);
    match pods::select(&world.view(), &request) {
        Ok(answer) => names(&answer.pods),
        Err(refusal) => format!("{:?} {}", Status::from(refusal.clone()).code(), refusal),
    }
}

fn match_labels(pairs: &[(&str, &str)]) -> Option<wire::LabelSelector> {
    Some(wire::LabelSelector {
        match_labels: pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        match_expressions: Vec::new(),
    })
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> Option<wire::LabelSelector> {
    Some(wire::LabelSelector {
        match_labels: BTreeMap::new(),
        match_expressions: vec![wire::LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }],
    })
}

#[test]
fn a_peer_selects_live_pods_as_a_policy_would() {
    let world = World::new();
    // A bare podSelector: the namespace's name in every cluster (S19); finished and host-network pods are nobody's peer.
    let bare = select(&world, "shop", |peer| {
        peer.pod_selector = match_labels(&[("app", "web")])
    });
    assert_eq!(bare, "a/shop/old a/shop/web-1 a/shop/web-2 b/shop/twin b/shop/web-1");
    assert_eq!(
        select(&world, "tools", |peer| peer.pod_selector = match_labels(&[])),
        ""
    );
    // A namespaceSelector by cluster: b's namespace claims to be of a and is read as b's (S106).
    let by_cluster = |cluster: &str| {
        select(&world, "elsewhere", |peer| {
            peer.namespace_selector = match_labels(&[(CLUSTER_LABEL, cluster)])
        })
    };
    assert_eq!(by_cluster("a"), "a/shop/old a/shop/web-1 a/shop/web-2");
    assert_eq!(by_cluster("b"), "b/shop/twin b/shop/web-1");
    let both = select(&world, "elsewhere", |peer| {
        peer.namespace_selector = requirement("team", "Exists", &[]);
        peer.pod_selector = requirement("tier", "DoesNotExist", &[]);
    });
    assert_eq!(both, "a/shop/old a/shop/web-1 b/shop/twin b/shop/web-1");
}

/// The hub answers as enforcers with the same switches judge (S19, S106, L1, L3, L4).
#[test]
fn a_peer_selects_as_the_switches_say() {
    let mut world = World::new();
    world.switches.bare_pod_selector = BarePodSelector::Local;
    let bare = select(&world, "shop", |peer| {
        peer.pod_selector = match_labels(&[("app", "web")])
    });
    assert_eq!(bare, "a/shop/old a/shop/web-1 a/shop/web-2");
    let of_a = |mode| {
        let mut world = World::new();
        world.switches.cluster_label = mode;
        let pods = select(&world, "elsewhere", |peer| {
            peer.namespace_selector = match_labels(&[(CLUSTER_LABEL, "a")]);
        });
        let namespaces = namespaces::list(&world.view(), &Default::default()).expect("a valid request");
        let warned = namespaces.namespaces.iter().filter(|one| !one.warning.is_empty());
        let warned: Vec<String> = warned.map(|one| format!("{}/{}", one.cluster, one.name)).collect();
        format!("{pods}; warned: {}", warned.join(" "))
    };
    let modes = [
        ClusterLabelMode::Verify,
        ClusterLabelMode::Literal,
        ClusterLabelMode::Assert,
    ];
    expect![[r#"
        a/shop/old a/shop/web-1 a/shop/web-2; warned: a/kube-system a/tools b/kube-system b/shop
        a/shop/old a/shop/web-1 a/shop/web-2 b/shop/twin b/shop/web-1; warned: a/kube-system a/tools b/kube-system b/shop
        a/shop/old a/shop/web-1 a/shop/web-2; warned: b/shop"#]].assert_eq(&modes.map(of_a).join("\n"));
}

/// One enforces the newest revision, one the last but two, one has never reported.
fn list_enforcers(request: &wire::ListEnforcersRequest) -> Result<wire::ListEnforcersResponse, Refusal> {
    let world = World::new();
    let older = Revision {
        sequence: 5,
        ..REVISION
    };
    let enforcers = BTreeMap::from([
        enforcer(&world, "a", "n1", Some(REVISION)),
        enforcer(&world, "a", "n2", Some(older)),
        enforcer(&world, "b", "n1", None),
    ]);
    let lag = |applied: Option<Revision>| (applied != Some(REVISION)).then_some(Duration::from_micros(1_234_567));
    enforcers::list(&world.view(), &enforcers, lag, request)
}

#[test]
fn enforcers_are_shown_with_what_they_reported() {
    check(
        &list_enforcers(&wire::ListEnforcersRequest::default()),
        expect![[r#"
            ListEnforcersResponse {
                revision: "0000000000000000000000000000002a/7",
                enforcers: [
                    Enforcer {
                        cluster: "a",
                        node: "n1",
                        connected: true,
                        address: "192.0.2.1:40000",
                        applied: "0000000000000000000000000000002a/7",
                        last_report: ( Timestamp { seconds: 1767225600, }, ),
                        policies: 2,
                        policies_digest: "ab01",
                        refused: [
                            RefusedPolicy {
                                namespace: "shop",
                                name: "db",
                                generation: 3,
                                field: "spec.ingress[0].from[0].ipBlock.cidr",
                                reason: "\"10.0.0.0/33\" is no CIDR",
                                kind: "ip_block",
                            },
                        ],
                        isolated_pods: 1,
                        release: "0.1.0",
                    },
                    Enforcer {
                        cluster: "a",
                        node: "n2",
                        connected: true,
                        address: "192.0.2.1:40000",
                        applied: "0000000000000000000000000000002a/5",
                        lag: ( Duration { seconds: 1, nanos: 234000000, }, ),
                        last_report: ( Timestamp { seconds: 1767225600, }, ),
                        policies: 2,
                        policies_digest: "ab01",
                        refused: [
                            RefusedPolicy {
                                namespace: "shop",
                                name: "db",
                                generation: 3,
                                field: "spec.ingress[0].from[0].ipBlock.cidr",
                                reason: "\"10.0.0.0/33\" is no CIDR",
                                kind: "ip_block",
                            },
                        ],
                        isolated_pods: 1,
                        release: "0.1.0",
                    },
                    Enforcer { cluster: "b", node: "n1", address: "192.0.2.1:40000", lag: ( Duration { seconds: 1, nanos: 234000000, }, ), },
                ],
                current: 1,
                known: 3,
            }"#]],
    );
}

/// S130: Whether a revision is in force on every node can be asked.
#[test]
fn an_enforcer_is_current_or_behind() {
    let short = |request: wire::ListEnforcersRequest| match list_enforcers(&request) {
        Ok(answer) => {
            let name = |one: &wire::Enforcer| format!("{}/{}", one.cluster, one.node);
            let names: Vec<String> = answer.enforcers.iter().map(name).collect();
            format!("{} ({} of {})", names.join(" "), answer.current, answer.known)
        }
        Err(refusal) => refusal.to_string(),
    };
    let behind = |sequence: u64, epoch: u128| {
        let revision = Revision {
            epoch: Epoch(epoch),
            sequence,
        };
        short(wire::ListEnforcersRequest {
            behind_revision: revision.to_string(),
            ..Default::default()
        })
    };
    assert_eq!(behind(7, 0x2a), "a/n2 b/n1 (1 of 3)");
    assert_eq!(behind(5, 0x2a), "b/n1 (2 of 3)");
    let of_node = short(wire::ListEnforcersRequest {
        cluster: "a".to_owned(),
        node: "n2".to_owned(),
        ..Default::default()
    });
    assert_eq!(of_node, "a/n2 (1 of 3)");
    let wrong = short(wire::ListEnforcersRequest {
        behind_revision: "7".to_owned(),
        ..Default::default()
    });
    expect![[r#"
        behind_revision: 0000000000000000000000000000002a/8 is not yet: the newest is 0000000000000000000000000000002a/7
        behind_revision: 0000000000000000000000000000002b/1 is of another run of the hub, and its revisions say nothing of this one's: the newest is 0000000000000000000000000000002a/7
        behind_revision: "7" is no revision: expected <32 hexadecimal digits>/<sequence>, as ListClusters prints it"#]].assert_eq(&[behind(8, 0x2a), behind(1, 0x2b), wrong].join("\n"));
}

fn enforcer(
    world: &World,
    cluster: &str,
    node: &str,
    applied: Option<Revision>,
) -> ((ClusterName, Arc<str>), Enforcer) {
    let message = wire::ReportRequest {
        policies: 2,
        policies_digest: vec![0xab, 0x01],
        isolated_pods: 1,
        release: "0.1.0".to_owned(),
        refused: vec![wire::RefusedPolicy {
            kind: "ip_block".to_owned(),
            namespace: "shop".to_owned(),
            name: "db".to_owned(),
            generation: 3,
            field: "spec.ingress[0].from[0].ipBlock.cidr".to_owned(),
            reason: "\"10.0.0.0/33\" is no CIDR".to_owned(),
        }],
        ..Default::default()
    };
    let report = applied.map(|applied| Report {
        applied: Some(applied),
        message,
        at: world.start,
        at_wall: new_year(),
    });
    let enforcer = Enforcer {
        streams: u32::from(report.is_some()),
        address: Some("192.0.2.1:40000".parse().expect("an address")),
        certificate_expires: None,
        report,
        last_seen: world.start,
    };
    ((id(cluster), node.into()), enforcer)
}

#[test]
fn a_wrong_question_is_told_how_it_should_look() {
    let world = World::new();
    let view = world.view();
    let pods = |request: wire::ListPodsRequest| shown(&pods::list(&view, &request));
    let address = |text: &str| shown(&lookup(&world, text));
    let token = pods::list(
        &view,
        &wire::ListPodsRequest {
            page_size: 1,
            ..Default::default()
        },
    )
    .expect("a valid request")
    .next_page_token;
    let answers = [
        pods(wire::ListPodsRequest {
            cluster: "d".to_owned(),
            ..Default::default()
        }),
        pods(wire::ListPodsRequest {
            label_selector: "app web".to_owned(),
            ..Default::default()
        }),
        pods(wire::ListPodsRequest {
            page_token: "7".to_owned(),
            ..Default::default()
        }),
        pods(wire::ListPodsRequest {
            page_token: token,
            namespace: "shop".to_owned(),
            ..Default::default()
        }),
        address(""),
        address("10.1.0.0/16"),
        address("web-1"),
        select(&world, "shop", |peer| peer.cluster.clear()),
        select(&world, "", |_| ()),
        select(&world, "shop", |_| ()),
        select(&world, "shop", |peer| {
            peer.pod_selector = match_labels(&[("app", "a b")])
        }),
        select(&world, "shop", |peer| {
            peer.namespace_selector = requirement("team", "Is", &["shop"])
        }),
        select(&world, "shop", |peer| {
            peer.namespace_selector = requirement("team", "In", &[])
        }),
    ];
    expect![[r#"
        NotFound cluster: there is no cluster "d", the hub knows a, b, c
        InvalidArgument label_selector: "app web", character 5: found "web", expected '=', '==', '!=', 'in', 'notin', ',' or the end; write it as for kubectl: app=web,tier!=cache,env in (prod,canary),!legacy
        InvalidArgument page_token: this is no token of this list: pass the next_page_token of the page before, and the same filters as there
        InvalidArgument page_token: this is no token of this list: pass the next_page_token of the page before, and the same filters as there
        InvalidArgument address: name an IPv4 or IPv6 address, for example 10.1.0.7 or fd00:1::7
        InvalidArgument address: "10.1.0.0/16" is not an IPv4 or IPv6 address, for example 10.1.0.7 or fd00:1::7
        InvalidArgument address: "web-1" is not an IPv4 or IPv6 address, for example 10.1.0.7 or fd00:1::7
        InvalidArgument cluster: name the cluster and namespace that would hold the policy: a peer means other pods elsewhere
        InvalidArgument namespace: name the cluster and namespace that would hold the policy: a peer means other pods elsewhere
        InvalidArgument pod_selector: a peer has a pod_selector, a namespace_selector or both; an empty one, {}, selects everything
        InvalidArgument pod_selector.match_labels["app"]: "a b" is no label value
        InvalidArgument namespace_selector.match_expressions[0]: "Is" is no operator: expected In, NotIn, Exists or DoesNotExist
        InvalidArgument namespace_selector.match_expressions[0]: operator In needs values"#]].assert_eq(&answers.join("\n"));
}
