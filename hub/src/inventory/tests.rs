use super::*;
use crate::sample::{cluster, labels, namespace, pod, some_instant};
use std::time::Duration;

/// What subscribers hold after changes, as text: states, namespaces and owners, sorted.
#[derive(Default)]
struct Published {
    owners: BTreeMap<IpAddr, Vec<Identity>>,
    nodes: BTreeSet<(IpAddr, ClusterName)>,
    namespaces: BTreeMap<NamespaceName, Arc<Labels>>,
    clusters: BTreeMap<ClusterName, ClusterState>,
}

impl Published {
    fn take(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Owners(address, owners) if owners.is_empty() => drop(self.owners.remove(&address)),
                Change::Owners(address, owners) => drop(self.owners.insert(address, owners)),
                Change::NodeAddress(cluster, address, true) => drop(self.nodes.insert((address, cluster))),
                Change::NodeAddress(cluster, address, false) => drop(self.nodes.remove(&(address, cluster))),
                Change::Namespace(name, Some(labels)) => drop(self.namespaces.insert(name, labels)),
                Change::Namespace(name, None) => drop(self.namespaces.remove(&name)),
                Change::Cluster(cluster, state) => drop(self.clusters.insert(cluster, state)),
            }
        }
    }

    fn text(&self) -> String {
        let pairs = |labels: &Labels| {
            let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        };
        let clusters = self.clusters.iter().map(|(id, state)| format!("{id} {state:?}\n"));
        let namespaces = self
            .namespaces
            .iter()
            .map(|(name, labels)| format!("{}/{} {}\n", name.cluster, name.name, pairs(labels)));
        let identity = |one: &Identity| {
            let namespace = &one.namespace;
            format!("{}/{}({})", namespace.cluster, namespace.name, pairs(&one.labels))
        };
        let owners = self.owners.iter().map(|(address, owners)| {
            let owners: Vec<String> = owners.iter().map(identity).collect();
            format!("{address} {}\n", owners.join(" "))
        });
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(address, cluster)| format!("{address} node of {cluster}\n"));
        clusters.chain(namespaces).chain(nodes).chain(owners).collect()
    }
}

/// An inventory with what it has published.
struct World {
    inventory: Inventory,
    published: Published,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            inventory: Inventory::default(),
            published: Published::default(),
            now: some_instant(),
        }
    }

    fn connect(&mut self, id: &str, connection: u64) {
        let server = format!("https://{id}.example");
        let changes = self
            .inventory
            .connect(&cluster(id), Connection(connection), server, self.now);
        self.published.take(changes);
    }

    fn observe(&mut self, id: &str, connection: u64, observed: Observed) {
        let changes = self
            .inventory
            .apply(&cluster(id), Connection(connection), observed, self.now);
        self.published.take(changes);
    }

    fn pods(&mut self, id: &str, event: Event<Pod>) {
        self.observe(id, 1, Observed::Pods(event));
    }

    fn namespaces(&mut self, id: &str, event: Event<Namespace>) {
        self.observe(id, 1, Observed::Namespaces(event));
    }

    /// A cluster with these pods in namespace shop, its `kube-system` named after it.
    fn join(&mut self, id: &str, pods: Vec<Pod>) {
        self.connect(id, 1);
        self.namespaces(id, Event::Synced(shop(id)));
        self.pods(id, Event::Synced(pods));
    }

    fn leave(&mut self, id: &str) {
        let changes = self.inventory.leave(&cluster(id), self.now);
        self.published.take(changes);
    }

    fn reason(&self, id: &str) -> Option<String> {
        self.inventory.cluster(&cluster(id)).unwrap().reason()
    }
}

fn shop(uid: &str) -> Vec<Namespace> {
    vec![namespace("kube-system", uid, ""), namespace("shop", "s", "team=shop")]
}

#[track_caller]
fn check(world: &World, expected: expect_test::Expect) {
    expected.assert_eq(&world.published.text());
}

/// I7: Nodes' addresses are published, for as long as a pod says that they are.
#[test]
fn addresses_of_nodes_are_published() {
    let mut world = World::new();
    let mut agent = pod("shop/agent", &["192.168.0.1"], "app=agent");
    agent.host_network = true;
    world.join("a", vec![agent.clone()]);
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        a/kube-system 
        a/shop team=shop
        192.168.0.1 node of a
    "#]],
    );
    world.pods("a", Event::Deleted(agent));
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        a/kube-system 
        a/shop team=shop
    "#]],
    );
}

/// S126, W12: Nothing of a cluster is published before both of its lists are complete.
#[test]
fn nothing_of_a_cluster_is_published_before_both_lists_are_complete() {
    let mut world = World::new();
    world.connect("a", 1);
    world.pods("a", Event::Synced(vec![pod("shop/web", &["10.1.0.1"], "app=web")]));
    world.namespaces("a", Event::Applied(namespace("shop", "s", "team=shop")));
    world.pods("a", Event::Applied(pod("shop/db", &["10.1.0.2"], "app=db")));
    check(
        &world,
        expect_test::expect![[r#"
        a Syncing
    "#]],
    );
    assert_eq!(world.inventory.cluster(&cluster("a")).unwrap().pods().iter().count(), 0);
    world.namespaces("a", Event::Synced(shop("a")));
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        a/kube-system 
        a/shop team=shop
        10.1.0.1 a/shop(app=web)
        10.1.0.2 a/shop(app=db)
    "#]],
    );
}

/// I6, S111, S113: An address that two clusters claim has both owners until one claim ends.
#[test]
fn an_address_that_two_clusters_claim_has_both_owners_until_one_ends() {
    let mut world = World::new();
    world.join("a", vec![pod("shop/web", &["10.1.0.1"], "app=web")]);
    world.join("b", vec![pod("shop/db", &["10.1.0.1"], "app=db")]);
    let owners = |world: &World| {
        let owners = world.published.owners.get(&"10.1.0.1".parse().unwrap());
        owners.map_or(0, Vec::len)
    };
    assert_eq!(owners(&world), 2);
    world.leave("a");
    check(
        &world,
        expect_test::expect![[r#"
        a Left
        b Live
        b/kube-system 
        b/shop team=shop
        10.1.0.1 b/shop(app=db)
    "#]],
    );
}

/// C4: A cluster that vanishes keeps what it had, and is said to be stale, since when and why.
#[test]
fn a_lost_contact_keeps_the_content_and_says_why() {
    let mut world = World::new();
    world.join("a", vec![pod("shop/web", &["10.1.0.1"], "app=web")]);
    let live = world.published.text();
    let since = world.now + Duration::from_secs(60);
    world.now = since;
    world.pods("a", Event::Lost("connection refused".to_owned()));
    assert_eq!(world.published.text(), live.replace("Live", "Stale"));
    assert_eq!(world.reason("a").unwrap(), "pods: connection refused");
    let member = world.inventory.cluster(&cluster("a")).unwrap();
    assert_eq!(member.stale_since(), Some(since));
    assert_eq!(member.last_heard(), Some(since - Duration::from_secs(60)));

    world.namespaces("a", Event::Lost("connection refused".to_owned()));
    assert_eq!(world.reason("a").unwrap(), "connection refused");
    world.pods("a", Event::Heard);
    assert_eq!(world.reason("a").unwrap(), "namespaces: connection refused");
    world.namespaces("a", Event::Heard);
    assert_eq!(world.published.text(), live);
    assert_eq!(world.reason("a"), None);
}

/// C5, W5: A whole list takes the place of the one before, as a difference; the old connection counts no more.
#[test]
fn new_credentials_keep_the_content_and_become_a_difference() {
    let mut world = World::new();
    let before = vec![
        pod("shop/web", &["10.1.0.1"], "app=web"),
        pod("shop/db", &["10.1.0.2"], "app=db"),
    ];
    world.join("a", before);
    let published = world.published.text();
    world.connect("a", 2);
    world.observe("a", 2, Observed::Namespaces(Event::Synced(shop("a"))));
    assert_eq!(world.published.text(), published, "half a list changes nothing");
    world.pods("a", Event::Applied(pod("shop/late", &["10.1.0.9"], "app=late")));
    assert_eq!(world.published.text(), published, "the old connection counts no more");

    let after = vec![pod("shop/web", &["10.1.0.1"], "app=web,tier=front")];
    world.observe("a", 2, Observed::Pods(Event::Synced(after)));
    world.pods("a", Event::Applied(pod("shop/late", &["10.1.0.9"], "app=late")));
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        a/kube-system 
        a/shop team=shop
        10.1.0.1 a/shop(app=web,tier=front)
    "#]],
    );
}

/// C3, S119: Another cluster behind the same id leaves and joins; nothing of the old one is mixed with the new.
#[test]
fn another_cluster_behind_the_same_id_leaves_and_joins() {
    let mut world = World::new();
    world.join("a", vec![pod("shop/web", &["10.1.0.1"], "app=web")]);
    world.connect("a", 2);
    world.observe("a", 2, Observed::Namespaces(Event::Synced(shop("another"))));
    let pods = Observed::Pods(Event::Synced(vec![pod("shop/db", &["10.9.0.1"], "app=db")]));
    let changes = world.inventory.apply(&cluster("a"), Connection(2), pods, world.now);
    let states: Vec<ClusterState> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Cluster(_, state) => Some(*state),
            Change::Owners(..) | Change::NodeAddress(..) | Change::Namespace(..) => None,
        })
        .collect();
    assert_eq!(states, [ClusterState::Left, ClusterState::Syncing, ClusterState::Live]);
    let left = changes
        .iter()
        .position(|change| matches!(change, Change::Cluster(_, ClusterState::Left)));
    let gone = Change::Owners("10.1.0.1".parse().unwrap(), Vec::new());
    assert!(changes.iter().position(|change| *change == gone) < left);
    world.published.take(changes);
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        a/kube-system 
        a/shop team=shop
        10.9.0.1 a/shop(app=db)
    "#]],
    );
}

/// S115: One cluster under two ids is a member once.
#[test]
fn one_cluster_under_two_ids_is_published_once() {
    let mut world = World::new();
    let pods = || vec![pod("shop/web", &["10.1.0.1"], "app=web")];
    world.join("a", pods());
    world.connect("b", 1);
    world.namespaces("b", Event::Synced(shop("a")));
    world.pods("b", Event::Synced(pods()));
    check(
        &world,
        expect_test::expect![[r#"
        a Live
        b Left
        a/kube-system 
        a/shop team=shop
        10.1.0.1 a/shop(app=web)
    "#]],
    );
    assert_eq!(
        world.reason("b").unwrap(),
        "the cluster behind this kubeconfig is a already (same UID of namespace kube-system): one cluster, one id; \
         remove one of the two kubeconfigs"
    );
    world.leave("a");
    check(
        &world,
        expect_test::expect![[r#"
        a Left
        b Live
        b/kube-system 
        b/shop team=shop
        10.1.0.1 b/shop(app=web)
    "#]],
    );
    assert_eq!(world.reason("b"), None);
}

/// S115: Of two ids with one cluster the one known first is the member, whoever is listed first.
#[test]
fn of_two_ids_with_one_cluster_the_one_known_first_is_the_member_whoever_is_listed_first() {
    let pods = || vec![pod("shop/web", &["10.1.0.1"], "app=web")];
    let mut world = World::new();
    world.connect("a", 1);
    world.connect("b", 1);
    for id in ["b", "a"] {
        world.namespaces(id, Event::Synced(shop("one")));
        world.pods(id, Event::Synced(pods()));
    }
    let mut direct = World::new();
    direct.connect("a", 1);
    direct.connect("b", 1);
    for id in ["a", "b"] {
        direct.namespaces(id, Event::Synced(shop("one")));
        direct.pods(id, Event::Synced(pods()));
    }
    assert_eq!(world.published.text(), direct.published.text());
    assert_eq!(world.reason("a"), None);
    assert!(world.reason("b").unwrap().contains("is a already"));

    // What the other says meanwhile is kept for the day on which it is alone.
    world.pods("b", Event::Applied(pod("shop/db", &["10.1.0.2"], "app=db")));
    world.leave("a");
    check(
        &world,
        expect_test::expect![[r#"
        a Left
        b Live
        b/kube-system 
        b/shop team=shop
        10.1.0.1 b/shop(app=web)
        10.1.0.2 b/shop(app=db)
    "#]],
    );
}

/// C1, S115: Credentials that lead to another member are refused and the content kept.
#[test]
fn new_credentials_that_lead_to_another_member_are_refused_and_the_content_kept() {
    let mut world = World::new();
    world.join("a", vec![pod("shop/web", &["10.1.0.1"], "app=web")]);
    world.join("b", vec![pod("shop/db", &["10.2.0.1"], "app=db")]);
    let published = world.published.text();
    world.connect("b", 2);
    world.observe("b", 2, Observed::Namespaces(Event::Synced(shop("a"))));
    world.observe("b", 2, Observed::Pods(Event::Synced(Vec::new())));
    assert_eq!(world.published.text(), published.replace("b Live", "b Stale"));
}

#[test]
fn a_kubeconfig_that_goes_bad_stops_nothing() {
    let mut world = World::new();
    world.join("a", vec![pod("shop/web", &["10.1.0.1"], "app=web")]);
    let published = world.published.text();
    let changes = world
        .inventory
        .refuse(&cluster("a"), "a.yaml: no YAML".to_owned(), world.now);
    assert_eq!(changes, []);
    assert_eq!(world.reason("a").unwrap(), "a.yaml: no YAML");
    world.pods("a", Event::Heard);
    assert_eq!(world.published.text(), published);
    world.inventory.accept(&cluster("a"), world.now);
    assert_eq!(world.reason("a"), None);
}

#[test]
fn a_kubeconfig_that_was_never_good_is_a_cluster_that_syncs() {
    let mut world = World::new();
    let changes = world
        .inventory
        .refuse(&cluster("a"), "a.yaml: no YAML".to_owned(), world.now);
    assert_eq!(changes, [Change::Cluster(cluster("a"), ClusterState::Syncing)]);
    assert_eq!(world.reason("a").unwrap(), "a.yaml: no YAML");
}

/// N3, S87: The late deletion of a namespace that was made anew is not its successor's.
#[test]
fn the_deletion_of_a_namespace_that_was_recreated_is_not_its_successors() {
    let mut world = World::new();
    world.join("a", Vec::new());
    world.namespaces("a", Event::Applied(namespace("shop", "new", "team=new")));
    world.namespaces("a", Event::Deleted(namespace("shop", "s", "team=shop")));
    let name = NamespaceName {
        cluster: cluster("a"),
        name: "shop".into(),
    };
    assert_eq!(world.published.namespaces.get(&name), Some(&labels("team=new")));
    world.namespaces("a", Event::Deleted(namespace("shop", "new", "team=new")));
    assert_eq!(world.published.namespaces.get(&name), None);
}

/// The objects of a small world in which names, addresses and labels collide.
fn random_pod(random: &mut fastrand::Rng) -> Pod {
    let name = format!("shop/{}", random.char('p'..='s'));
    let address = format!("10.0.0.{}", random.u8(1..4));
    let app = format!("app={}", random.char('x'..='z'));
    let mut pod = pod(&name, &[&address], &app);
    pod.uid = random.char('1'..='3').to_string().into();
    pod.terminating = random.u8(0..4) == 0;
    if random.u8(0..6) == 0 {
        pod.host_addresses = vec![IpAddr::from([10, 0, 0, random.u8(3..6)])];
    }
    pod
}

/// S120, S129: What is published depends on the objects and not on the way to them.
#[test]
fn what_is_published_depends_on_the_objects_and_not_on_the_way_to_them() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let mut truth: BTreeMap<(&str, Arc<str>), Pod> = BTreeMap::new();
        for id in ["a", "b"] {
            world.join(id, Vec::new());
        }
        for _ in 0..40 {
            let id = ["a", "b"][random.usize(0..2)];
            let one = random_pod(&mut random);
            match random.u8(0..10) {
                0..=5 => {
                    truth.insert((id, Arc::clone(&one.name)), one.clone());
                    world.pods(id, Event::Applied(one.clone()));
                    if random.bool() {
                        world.pods(id, Event::Applied(one));
                    }
                }
                6..=7 => {
                    let key = (id, Arc::clone(&one.name));
                    if truth.get(&key).is_some_and(|known| known.uid == one.uid) {
                        truth.remove(&key);
                    }
                    world.pods(id, Event::Deleted(one));
                }
                8 => {
                    // A deletion that only a relist shows.
                    truth.remove(&(id, Arc::clone(&one.name)));
                    let mut list: Vec<Pod> = truth
                        .iter()
                        .filter(|((cluster, _), _)| *cluster == id)
                        .map(|(_, pod)| pod.clone())
                        .collect();
                    random.shuffle(&mut list);
                    world.pods(id, Event::Synced(list));
                }
                _ => world.pods(id, Event::Lost("lost".to_owned())),
            }
        }
        let mut direct = World::new();
        for id in ["b", "a"] {
            let pods = truth.iter().filter(|((cluster, _), _)| *cluster == id);
            direct.join(id, pods.map(|(_, pod)| pod.clone()).collect());
            world.pods(id, Event::Heard);
        }
        assert_eq!(world.published.text(), direct.published.text(), "seed {seed}");
    }
}

/// I5, I6, I7, S44, S113, S120: what cannot be of an address is counted for the clusters that say it, in any order of their words,
/// and is over when it is.
#[test]
fn what_cannot_be_of_addresses_is_counted() {
    let now = some_instant();
    let mut words: Vec<(&str, Vec<Pod>)> = vec![
        (
            "a",
            vec![
                pod("x/one", &["10.0.0.1", "10.0.0.2"], ""),
                pod("x/two", &["10.0.0.1"], ""),
            ],
        ),
        ("b", vec![pod("x/other", &["10.0.0.2", "192.0.2.2"], "")]),
        ("c", {
            let mut neighbour = pod("x/neighbour", &[], "");
            neighbour.host_addresses = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap()).into();
            vec![pod("x/forger", &["192.0.2.1"], ""), neighbour]
        }),
    ];
    let mut counted = Vec::new();
    for _ in 0..3 {
        words.rotate_left(1);
        let mut inventory = Inventory::default();
        for (id, pods) in &words {
            let id = cluster(id);
            inventory.connect(&id, Connection(1), String::new(), now);
            inventory.apply(&id, Connection(1), Observed::Namespaces(Event::Synced(Vec::new())), now);
            inventory.apply(&id, Connection(1), Observed::Pods(Event::Synced(pods.clone())), now);
        }
        counted.push(inventory.alarms().clone());
        let end = |inventory: &mut Inventory, id: &str, keep: usize| {
            let mut pods = words.iter().find(|(of, _)| *of == id).unwrap().1.clone();
            pods.truncate(keep);
            let list = Observed::Pods(Event::Synced(pods));
            inventory.apply(&cluster(id), Connection(1), list, now);
        };
        end(&mut inventory, "a", 1);
        end(&mut inventory, "c", 1);
        let left: Vec<_> = inventory.alarms().counts().keys().cloned().collect();
        let contested = ["a", "b"].map(|id| (cluster(id), Alarm::Contested));
        assert_eq!(left, contested);
        inventory.leave(&cluster("b"), now);
        assert_eq!(*inventory.alarms(), Alarms::default());
    }
    let counts = counted[0].counts().iter();
    let counts: Vec<_> = counts
        .map(|((id, alarm), count)| format!("{id} {} {count}", alarm.name()))
        .collect();
    let expected = [
        "a shared_address 1",
        "a contested_address 1",
        "b contested_address 1",
        "b node_address 1",
        "c node_address 1",
    ];
    assert_eq!(counts, expected);
    assert!(counted.iter().all(|alarms| *alarms == counted[0]));
}

/// What people are told of alarms after another one was: a line each.
fn told(inventory: &Inventory, before: &mut BTreeMap<Concern, usize>) -> String {
    let alarms = inventory.alarms();
    let news = alarms.news(before);
    before.clone_from(alarms.counts());
    let line = |news: &News| match news {
        News::Raised {
            concern: (cluster, alarm),
            count,
            examples,
        } => format!("{cluster} {} {count}: {}\n", alarm.name(), examples.join(" ")),
        News::Over((cluster, alarm)) => format!("{cluster} {} over\n", alarm.name()),
    };
    news.iter().map(line).collect()
}

/// N4, N5: namespaces without the cluster label, or with another cluster's, are counted and told of with some of their
/// names, once per change and not once for each.
#[test]
fn what_namespaces_say_of_their_cluster_is_told_once_per_change() {
    let now = some_instant();
    let (mut inventory, mut before, a) = (Inventory::default(), BTreeMap::new(), cluster("a"));
    inventory.connect(&a, Connection(1), String::new(), now);
    let said = |name: &str, value: &str| namespace(name, name, &format!("{}={value}", proto::model::CLUSTER_LABEL));
    let mut hears = |observed: Observed| {
        inventory.apply(&a, Connection(1), observed, now);
        told(&inventory, &mut before)
    };
    let mut all = Vec::from(["n1", "n2", "n3", "n4"].map(|name| namespace(name, name, "")));
    all.extend([said("own", "a"), said("spy", "b")]);
    let is = |one: Namespace| Observed::Namespaces(Event::Applied(one));
    let list = Observed::Namespaces(Event::Synced(all));
    assert_eq!(hears(list), "", "nothing of it is published yet");
    assert_eq!(
        hears(Observed::Pods(Event::Synced(Vec::new()))),
        "a unlabelled_namespace 4: n1 n2 n3\na mislabelled_namespace 1: spy\n"
    );
    assert_eq!(
        hears(is(namespace("n5", "n5", ""))),
        "",
        "of unlabelled ones it is told"
    );
    assert_eq!(hears(is(said("n1", "b"))), "a mislabelled_namespace 2: n1 spy\n");
    let gone = Observed::Namespaces(Event::Deleted(said("n1", "b")));
    assert_eq!(hears(gone), "", "there is one less");
    assert_eq!(hears(is(said("spy", "a"))), "a mislabelled_namespace over\n");
    assert_eq!(inventory.alarms().count(&a, Alarm::Unlabelled), 4);
    inventory.leave(&a, now);
    assert_eq!(told(&inventory, &mut before), "a unlabelled_namespace over\n");
    assert_eq!(*inventory.alarms(), Alarms::default());
}
