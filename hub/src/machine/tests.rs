use super::*;
use crate::ring::Kind;
use crate::sample::{cluster, namespace, pod, some_instant};
use proto::watch::Event;

/// A machine and its clock.
struct Hub {
    machine: Machine,
    now: Instant,
}

impl Hub {
    /// One whose cluster a is live with one pod, and quiet for a second.
    fn live() -> Self {
        let now = some_instant();
        let mut hub = Self {
            machine: Machine::new(Epoch(7), now),
            now,
        };
        hub.tell(Input::Connected {
            cluster: cluster("a"),
            connection: Connection(1),
            server: "https://a.example".to_owned(),
        });
        hub.observe(Observed::Namespaces(Event::Synced(vec![namespace(
            "kube-system",
            "a",
            "",
        )])));
        hub.observe(Observed::Pods(Event::Synced(vec![pod(
            "shop/web",
            &["10.0.0.1"],
            "app=web",
        )])));
        hub.wait(Duration::from_secs(1));
        hub
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(input, self.now)
    }

    fn observe(&mut self, observed: Observed) -> Vec<Output> {
        self.tell(Input::Observed {
            cluster: cluster("a"),
            connection: Connection(1),
            observed,
        })
    }

    fn relabel(&mut self, app: &str) -> Vec<Output> {
        let pod = pod("shop/web", &["10.0.0.1"], &format!("app={app}"));
        self.observe(Observed::Pods(Event::Applied(pod)))
    }

    /// Lets time pass, with the timer going off whenever it is due.
    fn wait(&mut self, time: Duration) -> Vec<Output> {
        let until = self.now + time;
        let mut outputs = Vec::new();
        while self.machine.deadline() <= until {
            self.now = self.machine.deadline().max(self.now);
            outputs.extend(self.tell(Input::Timer));
        }
        self.now = until;
        outputs
    }
}

const NONE: [u64; 0] = [];

/// Sequences of the delta frames among outputs.
fn deltas(outputs: &[Output]) -> Vec<u64> {
    let sequence = |output: &Output| match output {
        Output::Publish(sealed) if sealed.kind != Kind::Heartbeat => Some(sealed.revision.sequence),
        Output::Publish(_) | Output::Status { .. } => None,
    };
    outputs.iter().filter_map(sequence).collect()
}

fn heartbeats(outputs: &[Output]) -> usize {
    let is_heartbeat = |output: &&Output| matches!(output, Output::Publish(sealed) if sealed.kind == Kind::Heartbeat);
    outputs.iter().filter(is_heartbeat).count()
}

fn statuses(outputs: &[Output]) -> Vec<String> {
    let text = |output: &Output| match output {
        Output::Status {
            cluster,
            state,
            trouble,
        } => Some(format!("{cluster} {state:?} {}", trouble.as_deref().unwrap_or("-"))),
        Output::Publish(_) => None,
    };
    outputs.iter().filter_map(text).collect()
}

/// W11: The first change after a quiet time is sealed at once, and a burst waits.
#[test]
fn the_first_change_after_a_quiet_time_is_sealed_at_once_and_a_burst_waits() {
    let mut hub = Hub::live();
    assert_eq!(hub.machine.revision().sequence, 2);
    assert_eq!(deltas(&hub.relabel("x")), [3]);
    assert_eq!(deltas(&hub.relabel("y")), NONE);
    assert_eq!(deltas(&hub.relabel("z")), NONE);
    assert!(!hub.machine.is_sealed());
    assert_eq!(deltas(&hub.wait(SHORTEST_WINDOW)), [4]);
    assert!(hub.machine.is_sealed());
}

#[test]
fn the_window_grows_with_the_number_of_subscribers() {
    let windows = [0, 100, 1000, 5000, 1_000_000].map(|subscribers| {
        let mut hub = Hub::live();
        hub.tell(Input::Subscribers(subscribers));
        hub.relabel("x");
        hub.relabel("y");
        (hub.machine.deadline() - hub.now).as_millis()
    });
    assert_eq!(windows, [5, 5, 50, 250, 250]);
}

#[test]
fn subscribers_hear_from_the_hub_every_five_seconds() {
    let mut hub = Hub::live();
    let outputs = hub.wait(Duration::from_secs(60));
    assert_eq!((heartbeats(&outputs), deltas(&outputs).len()), (12, 0));
}

#[test]
fn people_are_told_of_each_change_of_a_cluster_once() {
    let mut hub = Hub::live();
    let lost = || Observed::Pods(Event::Lost("connection refused".to_owned()));
    assert_eq!(statuses(&hub.observe(lost())), ["a Stale pods: connection refused"]);
    assert_eq!(statuses(&hub.observe(lost())), [""; 0]);
    assert_eq!(statuses(&hub.observe(Observed::Pods(Event::Heard))), ["a Live -"]);
    assert_eq!(statuses(&hub.observe(Observed::Pods(Event::Heard))), [""; 0]);
    let refused = |hub: &mut Hub| {
        hub.tell(Input::Refused {
            cluster: cluster("b"),
            reason: "b.yaml: no YAML".to_owned(),
        })
    };
    assert_eq!(statuses(&refused(&mut hub)), ["b Syncing b.yaml: no YAML"]);
    assert_eq!(statuses(&refused(&mut hub)), [""; 0]);
    let left = hub.tell(Input::Left { cluster: cluster("b") });
    assert_eq!(statuses(&left), ["b Left -"]);
}

/// C7, S126: There is no snapshot before a cluster is known.
#[test]
fn there_is_no_snapshot_before_a_cluster_is_known() {
    let now = some_instant();
    let mut machine = Machine::new(Epoch(7), now);
    assert!(machine.snapshot(now).is_none());
    machine.handle(
        Input::Refused {
            cluster: cluster("a"),
            reason: "a.yaml: no YAML".to_owned(),
        },
        now,
    );
    assert_eq!(machine.snapshot(now).map(|snapshot| snapshot.chunks.len()), Some(0));
}

/// C3: Another cluster behind the same id is sealed apart from the one before.
#[test]
fn another_cluster_behind_the_same_id_is_sealed_apart_from_the_one_before() {
    let mut hub = Hub::live();
    hub.tell(Input::Connected {
        cluster: cluster("a"),
        connection: Connection(2),
        server: "https://other.example".to_owned(),
    });
    let observe = |hub: &mut Hub, observed| {
        hub.tell(Input::Observed {
            cluster: cluster("a"),
            connection: Connection(2),
            observed,
        })
    };
    let kube_system = vec![namespace("kube-system", "other", "")];
    observe(&mut hub, Observed::Namespaces(Event::Synced(kube_system)));
    let outputs = observe(&mut hub, Observed::Pods(Event::Synced(Vec::new())));
    // What the old one had goes in a frame of its own, the new one comes with the next.
    assert_eq!(deltas(&outputs), [3]);
    assert_eq!(deltas(&hub.wait(SHORTEST_WINDOW)), [4]);
}

/// I10: An address outside of the ranges of its cluster is nobody's, from the first list on.
#[test]
fn addresses_outside_of_a_clusters_ranges_are_nobodys() {
    let now = some_instant();
    let ranges = PodRanges::new(["a=10.0.0.0/24".parse().unwrap()]);
    let mut hub = Hub {
        machine: Machine::new(Epoch(7), now).confined_to(ranges),
        now,
    };
    hub.tell(Input::Connected {
        cluster: cluster("a"),
        connection: Connection(1),
        server: "https://a.example".to_owned(),
    });
    hub.observe(Observed::Namespaces(Event::Synced(vec![namespace(
        "kube-system",
        "a",
        "",
    )])));
    let pods = vec![
        pod("shop/web", &["10.0.0.1", "198.51.100.7"], "app=web"),
        pod("shop/db", &["10.9.0.1"], "app=db"),
    ];
    hub.observe(Observed::Pods(Event::Synced(pods)));
    let owned = |address: &str| hub.machine.inventory().owners(address.parse().unwrap()).len();
    assert_eq!(["10.0.0.1", "198.51.100.7", "10.9.0.1"].map(owned), [1, 0, 0]);
}
