//! The machine against a kernel that is a value.

use super::*;
use crate::interpret::{Packet, passes};
use proto::wire::{self, cluster_status::State};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const LOCAL: &str = "10.1.0.1";
const NEIGHBOUR: &str = "10.1.9.9";
const REMOTE: &str = "10.2.0.1";

/// A machine, the kernel it commands, and all that it said.
struct Rig {
    machine: Machine,
    kernel: Actual,
    refuses: Option<&'static str>,
    /// The same, of a kernel that can be read.
    refuses_plans: Option<&'static str>,
    now: Instant,
    plans: Vec<Arc<Plan>>,
    reads: usize,
    said: Vec<Notice>,
    following: bool,
    resubscribed: usize,
}

impl Rig {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant comes from nowhere else; only differences to it count"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let cluster = ClusterName::new("a").unwrap();
        let node = Node {
            cluster,
            name: "n1".into(),
            switches: Switches::default(),
        };
        let mut machine = Machine::new(node, now);
        assert!(machine.handle(Input::Links(Links::default()), now).is_empty());
        Self {
            machine,
            kernel: Actual::default(),
            refuses: None,
            refuses_plans: None,
            now,
            plans: Vec::new(),
            reads: 0,
            said: Vec::new(),
            following: false,
            resubscribed: 0,
        }
    }

    /// A new process on the kernel of an earlier one.
    fn restarted(self) -> Self {
        Self {
            kernel: self.kernel,
            ..Self::new()
        }
    }

    fn hear(&mut self, input: Input) -> &mut Self {
        let outputs = self.machine.handle(input, self.now);
        self.perform(outputs);
        self.settle();
        self
    }

    /// Takes all inputs in before the machine gets a turn.
    fn hear_at_once(&mut self, inputs: impl IntoIterator<Item = Input>) -> &mut Self {
        for input in inputs {
            let outputs = self.machine.handle(input, self.now);
            self.perform(outputs);
        }
        self.settle();
        self
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.settle();
        self
    }

    fn settle(&mut self) {
        loop {
            let outputs = self.machine.turn(self.now);
            if outputs.is_empty() {
                return;
            }
            self.perform(outputs);
        }
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            let answer = match output {
                Output::Read => {
                    self.reads += 1;
                    Input::Kernel(
                        self.refuses
                            .map_or_else(|| Ok(self.kernel.clone()), |why| Err(why.to_owned())),
                    )
                }
                Output::Apply(plan) => match self.refuses.or(self.refuses_plans) {
                    Some(why) => Input::Done(Err(why.to_owned())),
                    None => {
                        self.kernel = std::mem::take(&mut self.kernel).after(&plan, &BTreeSet::new());
                        self.plans.push(plan);
                        Input::Done(Ok(BTreeSet::new()))
                    }
                },
                Output::FollowOwnCluster => {
                    self.following = true;
                    continue;
                }
                Output::LeaveOwnCluster => {
                    self.following = false;
                    continue;
                }
                Output::Resubscribe => {
                    self.resubscribed += 1;
                    continue;
                }
                Output::Say(notice) => {
                    self.said.push(notice);
                    continue;
                }
                Output::Enforced { .. } => continue,
            };
            let outputs = self.machine.handle(answer, self.now);
            self.perform(outputs);
        }
    }

    /// Whether a TCP connection from this address to port 80 of the local pod is let in. What the kernel holds is what
    /// the machine's ruleset says, except for members it keeps.
    fn admits(&self, source: &str) -> bool {
        let mut ruleset = self.machine.ruleset().clone();
        ruleset.sets.clone_from(&self.kernel.sets);
        assert_eq!(
            Actual::of(&ruleset),
            self.kernel,
            "the kernel holds the ruleset of the last pass"
        );
        let packet = Packet::tcp(source.parse().unwrap(), LOCAL.parse().unwrap());
        passes(&ruleset, &packet)
    }

    fn admitted(&self) -> [bool; 3] {
        [NEIGHBOUR, REMOTE, "192.0.2.1"].map(|source| self.admits(source))
    }
}

fn pod(name: &str, address: &str, labels: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": labels},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }))
    .unwrap()
}

fn local() -> Pod {
    pod("db", LOCAL, json!({"app": "db"}))
}

/// Admits pods with `app=<admitted>` of the namespace `shop`, in every cluster.
fn policy_for(admitted: &str) -> NetworkPolicy {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "db", "uid": "p", "generation": 1},
        "spec": {
            "podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": admitted}}}]}],
        },
    }))
    .unwrap()
}

/// A hub with one epoch, whose every frame is a snapshot of one chunk.
struct Hub {
    revision: Revision,
}

impl Hub {
    fn new(epoch: u128) -> Self {
        Self {
            revision: Revision {
                epoch: proto::model::Epoch(epoch),
                sequence: 0,
            },
        }
    }

    /// A snapshot in which `app=<app>` of the namespace `shop` of cluster b owns the remote address, and the same of the
    /// own cluster the neighbour's.
    fn snapshot(&mut self, app: &str, b: State) -> [Input; 2] {
        self.revision.sequence += 1;
        let v4 = |address: &str| u32::from(address.parse::<Ipv4Addr>().unwrap());
        let strings = ["a", "b", "shop", "app", app].map(str::to_owned).to_vec();
        let identity = |id, cluster| wire::Identity {
            id,
            cluster,
            namespace: 3,
            labels: vec![4, 5],
            ports: vec![],
        };
        let mut gaps = vec![v4(NEIGHBOUR)];
        let mut identities = vec![1];
        if b == State::Live {
            gaps.push(v4(REMOTE) - v4(NEIGHBOUR));
            identities.push(2);
        }
        let addresses = gaps.len() as u64;
        let content = wire::Delta {
            strings: Some(wire::Strings {
                gaps: vec![1; 5],
                values: strings,
            }),
            identities: vec![identity(1, 1), identity(2, 2)],
            owners: Some(wire::Owners {
                ipv4_gaps: gaps,
                ipv4_identities: identities,
                ..Default::default()
            }),
            ..Default::default()
        };
        let status = |cluster: &str, state: State| wire::ClusterStatus {
            cluster: cluster.to_owned(),
            state: state.into(),
            age_ms: 0,
        };
        let clusters = vec![status("a", State::Live), status("b", b)];
        let end = wire::SnapshotEnd {
            chunks: 1,
            addresses,
            namespaces: 0,
            clusters,
        };
        let frame = |body| {
            let frame = wire::Frame {
                revision: Some(self.revision.into()),
                oldest_age_us: 0,
                body: Some(body),
            };
            Input::Hub(subscribe::Event::Frame(Box::new(frame)))
        };
        let chunk = wire::SnapshotChunk {
            index: 0,
            content: Some(content),
        };
        [
            frame(wire::frame::Body::Chunk(chunk)),
            frame(wire::frame::Body::End(end)),
        ]
    }

    fn lost() -> Input {
        Input::Hub(subscribe::Event::Lost("connection refused".to_owned()))
    }
}

fn settled(hub: &mut Hub) -> Rig {
    let mut rig = Rig::new();
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])))
        .hear_at_once(hub.snapshot("web", State::Live));
    assert_eq!(rig.admitted(), [true, true, false]);
    rig
}

/// S126, W12: Nothing is told to the kernel before both local kinds are known.
#[test]
fn nothing_is_told_to_the_kernel_before_both_local_kinds_are_known() {
    let mut rig = Rig::new();
    rig.hear(Input::Hub(subscribe::Event::Connected("https://hub".to_owned())));
    rig.hear_at_once(Hub::new(1).snapshot("web", State::Live));
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])));
    rig.hear(Input::Pods(Event::Applied(local())));
    let waits = Readiness::WaitsFor("waiting for this node's pods from this cluster's API server".to_owned());
    assert_eq!((rig.plans.len(), rig.machine.readiness()), (0, waits));
    rig.hear(Input::Pods(Event::Synced(vec![local()])));
    assert_eq!((rig.plans.len(), rig.machine.readiness()), (1, Readiness::Ready));
    assert_eq!(rig.admitted(), [true, true, false]);

    let mut rig = Rig::new();
    rig.hear(Input::Pods(Event::Synced(vec![local()])));
    rig.hear(Input::Policies(Event::Applied(policy_for("web"))));
    let waits = Readiness::WaitsFor("waiting for the NetworkPolicies of this cluster's API server".to_owned());
    assert_eq!((rig.plans.len(), rig.machine.readiness()), (0, waits));
}

#[test]
fn an_api_server_that_is_away_is_named_by_what_waits_for_it() {
    let mut rig = Rig::new();
    let trouble = |rig: &Rig| rig.machine.status().trouble.unwrap_or_default();
    rig.hear(Input::Policies(Event::Lost("away".to_owned())));
    assert_eq!(
        trouble(&rig),
        "waiting for the NetworkPolicies of this cluster's API server (away)"
    );
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])));
    assert_eq!(trouble(&rig), "");
    rig.hear(Input::Pods(Event::Lost("refused".to_owned())));
    assert_eq!(trouble(&rig), "cannot watch this node's pods: refused");
    rig.hear(Input::Pods(Event::Heard));
    assert_eq!(trouble(&rig), "");
}

/// W13, C9, S122, S125: Without a hub a local pod is isolated, and the own cluster known; the word of a hub that answers
/// stands instead.
#[test]
fn without_a_hub_a_local_pod_is_isolated_and_the_own_cluster_known() {
    let mut rig = Rig::new();
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])));
    assert_eq!((rig.admitted(), rig.following), ([false, false, false], false));
    rig.wait(HUB_GRACE);
    assert!(rig.following);
    rig.hear(Input::OwnPods(Event::Synced(vec![
        local(),
        pod("web", NEIGHBOUR, json!({"app": "web"})),
    ])));
    assert_eq!(rig.admitted(), [false, false, false], "half a world is none");
    rig.said.clear();
    rig.hear(Input::OwnNamespaces(Event::Lost("refused".to_owned())));
    let lost = Notice::WatchLost {
        kind: "this cluster's namespaces",
        reason: "refused".to_owned(),
    };
    assert_eq!(rig.said, [lost], "what keeps it from the other half");
    rig.hear(Input::OwnNamespaces(Event::Synced(Vec::new())));
    assert_eq!(rig.admitted(), [true, false, false]);
    let mut hub = Hub::new(1);
    rig.hear_at_once(hub.snapshot("web", State::Live));
    assert_eq!((rig.admitted(), rig.following), ([true, true, false], false));
    rig.said.clear();
    rig.hear(Input::OwnPods(Event::Lost("late".to_owned())));
    assert_eq!(rig.said, []);
    rig.hear_at_once(hub.snapshot("batch", State::Live));
    assert_eq!(rig.admitted(), [false, false, false]);
}

#[test]
fn an_inventory_pass_touches_no_rule_and_comes_before_the_policies_pass() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    rig.plans.clear();
    let [chunk, end] = hub.snapshot("batch", State::Live);
    rig.hear_at_once([chunk, end, Input::Policies(Event::Applied(policy_for("batch")))]);
    let [inventory, policies] = rig.plans.as_slice() else {
        panic!("two passes, not {:?}", rig.plans)
    };
    assert_eq!(
        (
            inventory.transaction.len(),
            inventory.create.len(),
            inventory.destroy.len()
        ),
        (0, 0, 0)
    );
    assert_eq!((policies.add.len(), policies.remove.len()), (0, 0));
    assert_eq!(rig.admitted(), [true, true, false]);
}

/// W11, N8: Local isolation is not put off by an inventory that changes during each pass, and nothing of that is lost.
#[test]
fn a_policy_is_in_force_after_one_pass_although_the_inventory_never_rests() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    let storm = |rig: &mut Rig, hub: &mut Hub, app: &str| {
        for frame in hub.snapshot(app, State::Live) {
            let outputs = rig.machine.handle(frame, rig.now);
            assert!(outputs.is_empty(), "{outputs:?}");
        }
    };
    let policy = Input::Policies(Event::Applied(policy_for("batch")));
    assert!(rig.machine.handle(policy, rig.now).is_empty());
    storm(&mut rig, &mut hub, "batch");
    let mut changed_rules = Vec::new();
    for app in ["web", "web", "batch", "batch"] {
        let outputs = rig.machine.turn(rig.now);
        let [Output::Apply(plan)] = outputs.as_slice() else {
            panic!("a plan: {outputs:?}")
        };
        rig.kernel = std::mem::take(&mut rig.kernel).after(plan, &BTreeSet::new());
        changed_rules.push(!plan.transaction.is_empty());
        storm(&mut rig, &mut hub, app);
        rig.machine.handle(Input::Done(Ok(BTreeSet::new())), rig.now);
        // As the event loop does, which takes in whatever has arrived before it gives the machine a turn.
        storm(&mut rig, &mut hub, app);
    }
    assert_eq!(changed_rules, [false, true, false, false]);
    rig.settle();
    assert_eq!(rig.admitted(), [true, true, false]);
    assert_eq!(rig.machine.status().applied, Some(hub.revision));
}

/// W11: What is held while a policy waits is taken in when the kernel refuses.
#[test]
fn what_is_held_for_a_policy_is_heard_if_the_kernel_refuses() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    rig.hear(Input::Hub(subscribe::Event::Connected("https://hub".to_owned())));
    let now = rig.now;
    rig.machine
        .handle(Input::Policies(Event::Applied(policy_for("batch"))), now);
    for frame in hub.snapshot("batch", State::Live) {
        rig.machine.handle(frame, now);
    }
    assert!(matches!(rig.machine.turn(now).as_slice(), [Output::Apply(_)]));
    rig.machine.handle(Hub::lost(), now);
    assert_eq!(rig.machine.readiness(), Readiness::Ready);
    rig.machine.handle(Input::Done(Err("no memory".to_owned())), now);
    rig.settle();
    assert_eq!(
        rig.machine.readiness(),
        Readiness::WithoutHub("connection refused".to_owned())
    );
    rig.wait(RETRY_FLOOR);
    assert_eq!(rig.admitted(), [true, true, false]);
}

#[test]
fn a_revision_that_tells_this_node_nothing_new_is_in_force_at_once() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    rig.plans.clear();
    rig.hear_at_once(hub.snapshot("web", State::Live));
    assert_eq!(rig.machine.status().applied, Some(hub.revision));
    assert_eq!(rig.plans.len(), 0);
}

/// S126, W12: A restart keeps what it cannot know yet and takes what it knows.
#[test]
fn a_restart_keeps_what_it_cannot_know_yet_and_takes_what_it_knows() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub).restarted();
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])));
    assert_eq!(
        (rig.admitted(), rig.plans.len()),
        ([true, true, false], 0),
        "the kernel's sets still say it"
    );
    // The hub is new as well, and has not listed cluster b.
    rig.hear_at_once(Hub::new(2).snapshot("batch", State::Syncing));
    assert_eq!(rig.admitted(), [false, true, false]);
    rig.hear_at_once(Hub::new(3).snapshot("batch", State::Live));
    assert_eq!(rig.admitted(), [false, false, false]);
}

#[test]
fn a_cluster_that_is_never_known_keeps_no_address_of_another_alive() {
    let mut rig = settled(&mut Hub::new(1)).restarted();
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])));
    let mut hub = Hub::new(2);
    rig.hear_at_once(hub.snapshot("web", State::Syncing));
    assert_eq!(rig.admitted(), [true, true, false]);
    // The own cluster's neighbour was known to be one of those admitted, and is known not to be any more.
    rig.hear_at_once(hub.snapshot("batch", State::Syncing));
    assert_eq!(rig.admitted(), [false, true, false]);
}

/// C18: A hub that goes leaves everything as it is, and one that returns is heard by difference.
#[test]
fn a_hub_that_goes_leaves_everything_as_it_is() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    rig.plans.clear();
    rig.hear(Hub::lost()).wait(HUB_GRACE * 10);
    assert_eq!((rig.admitted(), rig.plans.len()), ([true, true, false], 0));
    assert_eq!(
        rig.machine.readiness(),
        Readiness::WithoutHub("connection refused".to_owned())
    );
    rig.hear_at_once(Hub::new(2).snapshot("web", State::Live));
    assert_eq!(
        (rig.admitted(), rig.plans.len()),
        ([true, true, false], 0),
        "a snapshot is applied by difference"
    );
}

/// K7: What the kernel refuses leaves what it holds, is said once and tried again.
#[test]
fn what_the_kernel_refuses_is_said_once_and_tried_again_on_what_it_holds() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    rig.said.clear();
    rig.refuses = Some("no memory");
    let before = rig.kernel.clone();
    let refused = [Notice::KernelRefused {
        reason: "no memory".to_owned(),
        retry: RETRY_FLOOR,
    }];
    rig.hear(Input::Policies(Event::Applied(policy_for("batch"))));
    assert_eq!(rig.said, refused);
    for _ in 0..3 {
        rig.wait(RETRY_CEILING);
    }
    assert_eq!(rig.kernel, before);
    assert_eq!(rig.said, refused);
    assert_eq!(rig.machine.status().trouble.as_deref(), Some("no memory"));
    rig.refuses = None;
    rig.wait(RETRY_CEILING);
    assert_eq!(rig.said.last(), Some(&Notice::KernelRecovered));
    assert_eq!(rig.admitted(), [false, false, false]);
}

/// K8: What somebody else changed is noticed and restored.
#[test]
fn what_somebody_else_changed_is_noticed_and_restored() {
    let mut rig = settled(&mut Hub::new(1));
    rig.said.clear();
    rig.kernel = Actual::default();
    rig.wait(AUDIT_INTERVAL);
    assert_eq!(rig.said, [Notice::KernelChanged]);
    assert_eq!(rig.admitted(), [true, true, false]);
    let (plans, reads) = (rig.plans.len(), rig.reads);
    rig.wait(AUDIT_INTERVAL);
    assert_eq!(
        (rig.plans.len(), rig.reads),
        (plans, reads + 1),
        "an audit that finds nothing changes nothing"
    );
}

#[test]
fn a_stream_without_sense_is_subscribed_anew_for_a_whole_snapshot() {
    let mut hub = Hub::new(1);
    let mut rig = settled(&mut hub);
    let frame = wire::Frame {
        revision: Some(
            Revision {
                sequence: 9,
                ..hub.revision
            }
            .into(),
        ),
        oldest_age_us: 0,
        body: Some(wire::frame::Body::Delta(wire::Delta::default())),
    };
    let senseless = || Input::Hub(subscribe::Event::Frame(Box::new(frame.clone())));
    rig.hear_at_once([senseless(), senseless()]);
    rig.hear_at_once(hub.snapshot("batch", State::Live));
    let untouched = (rig.resubscribed, rig.admitted());
    assert_eq!(untouched, (1, [true, true, false]), "what was queued of the old stream");
    rig.hear(Input::Hub(subscribe::Event::Connected("https://hub".to_owned())));
    rig.hear_at_once(hub.snapshot("batch", State::Live));
    assert_eq!(rig.admitted(), [false, false, false]);
}

/// P28, S128: A policy that goes lifts its effect; one that turns bad admits nothing more, which is said once.
#[test]
fn a_policy_that_goes_lifts_its_effect_and_a_void_piece_is_said_once() {
    let mut rig = settled(&mut Hub::new(1));
    let earlier = NetworkPolicy {
        uid: "of an earlier policy of the name".into(),
        ..policy_for("web")
    };
    rig.hear(Input::Policies(Event::Deleted(earlier)));
    assert_eq!(rig.admitted(), [true, true, false]);
    rig.hear(Input::Policies(Event::Deleted(policy_for("web"))));
    assert_eq!(rig.admitted(), [true, true, true]);
    rig.hear(Input::Policies(Event::Applied(policy_for("web"))));
    assert_eq!(rig.admitted(), [true, true, false]);
    rig.said.clear();
    let mut odd = policy_for("web");
    odd.spec["ingress"][0]["from"][0] = json!({"ipBlock": {"cidr": "10.1.0.0/33"}});
    rig.hear(Input::Policies(Event::Applied(odd.clone())));
    odd.generation = 2;
    rig.hear(Input::Policies(Event::Applied(odd)));
    assert_eq!(rig.admitted(), [false, false, false]);
    let fields: Vec<&str> = rig
        .said
        .iter()
        .filter_map(|notice| match notice {
            Notice::Refused { refused, .. } => Some(refused.field.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(fields, ["spec.ingress[0].from[0].ipBlock.cidr"]);
}

/// W14: An address that the node gets is no pod's any more: its member goes, and comes back when the node loses it.
#[test]
fn addresses_that_the_node_gets_and_loses_count_at_once() {
    let mut rig = settled(&mut Hub::new(1));
    let addresses = |own: &[&str]| Input::NodeAddresses(own.iter().map(|address| address.parse().unwrap()).collect());
    rig.hear(addresses(&["192.0.2.9", NEIGHBOUR]));
    assert_eq!(rig.admitted(), [false, true, false]);
    rig.hear(addresses(&["192.0.2.9", LOCAL]));
    assert_eq!(
        rig.admitted(),
        [true, true, true],
        "what the node itself has is not filtered"
    );
    rig.hear(addresses(&["192.0.2.9"]));
    assert_eq!(rig.admitted(), [true, true, false]);
}

/// I5, P25: An address of several pods whose policies combine in too many ways admits nothing, and that is said, once, for as
/// long as it is so.
#[test]
fn a_shared_address_that_is_cut_is_said() {
    let wide = |app: &str, peers: u32| -> NetworkPolicy {
        let peers: Vec<Value> = (0..peers)
            .map(|number| json!({"podSelector": {"matchLabels": {"n": format!("{app}{number}")}}}))
            .collect();
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": app, "uid": app, "generation": 1},
            "spec": {"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": peers}]},
        }))
        .unwrap()
    };
    let (one, twin) = (
        pod("one", LOCAL, json!({"app": "one"})),
        pod("twin", LOCAL, json!({"app": "twin"})),
    );
    let cuts = |rig: &Rig| -> Vec<String> {
        let cuts = rig.said.iter().filter(|notice| matches!(notice, Notice::Cut(_)));
        cuts.map(Notice::to_string).collect()
    };
    let mut rig = Rig::new();
    rig.hear(Input::Policies(Event::Synced(vec![wide("one", 64), wide("twin", 64)])))
        .hear(Input::Pods(Event::Synced(vec![one, twin.clone()])));
    assert_eq!(
        (rig.machine.status().trouble, cuts(&rig).len()),
        (None, 0),
        "64 x 64 is as many as may be"
    );
    rig.hear(Input::Policies(Event::Applied(wide("one", 65))));
    let words = "several pods of this node claim 10.1.0.1 at once, and their policies combine into more than 4096 rules: \
                 ingress of the address admits nothing; end all claims but one";
    let status = rig.machine.status();
    assert_eq!((status.trouble.as_deref(), status.counts.cut), (Some(words), 1));
    rig.hear(Input::Pods(Event::Applied(pod("other", "10.1.0.7", json!({})))));
    assert_eq!(cuts(&rig), [words]);
    rig.hear(Input::Pods(Event::Deleted(twin)));
    let status = rig.machine.status();
    assert_eq!((status.trouble, status.counts.cut, cuts(&rig).len()), (None, 0, 1));
}

/// P25: What takes long is said with what it is due to, once for as long as it does, unless it takes ever longer.
#[test]
fn what_takes_long_is_said_once_with_what_it_is_due_to() {
    let rules = (1..=3000).map(|port| {
        json!({"from": [{"ipBlock": {"cidr": format!("192.0.{}.{}/32", port / 250, port % 250)}}], "ports": [{"port": port}]})
    });
    let large: NetworkPolicy = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "large", "uid": "l", "generation": 1},
        "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": rules.collect::<Vec<Value>>()},
    }))
    .unwrap();
    let slow = |rig: &mut Rig, step: Step, millis: u64| -> Vec<String> {
        rig.said.clear();
        rig.hear(Input::Took(step, Duration::from_millis(millis)));
        rig.said.iter().map(Notice::to_string).collect()
    };
    let mut rig = settled(&mut Hub::new(1));
    let ordinary = slow(&mut rig, Step::Apply, 1000);
    let words = "it took 1.0 s for the kernel to carry out a plan, and what else changes waits meanwhile: 1 NetworkPolicies \
                 come to 20 rules and 1 sets of 2 members on this node; fewer policies, or selectors that select less, take \
                 less";
    assert_eq!(ordinary, [words]);

    rig.hear(Input::Policies(Event::Applied(large)));
    let words = |seconds| {
        format!(
            "it took {seconds} s to compile the policies, and what else changes waits meanwhile: 2 NetworkPolicies come to \
             3021 rules and 3001 sets of 3002 members on this node; shop/large alone has 3000 rules, counted once for each \
             port: write ports that follow one another as one range, and give the same ports to as many peers as possible"
        )
    };
    assert_eq!(slow(&mut rig, Step::Compile, 999), [""; 0]);
    assert_eq!(slow(&mut rig, Step::Compile, 1500), [words("1.5")]);
    for millis in [1000, 2999, 40, 2999] {
        assert_eq!(slow(&mut rig, Step::Compile, millis), [""; 0]);
    }
    assert_eq!(slow(&mut rig, Step::Compile, 3000), [words("3.0")], "twice as long");
    rig.wait(slow::EPISODE - Duration::from_secs(1));
    assert_eq!(slow(&mut rig, Step::Compile, 3000), [""; 0]);
    rig.wait(slow::EPISODE - Duration::from_secs(1));
    assert_eq!(
        slow(&mut rig, Step::Compile, 3000),
        [""; 0],
        "it has not been quick for long enough"
    );
    rig.wait(slow::EPISODE);
    assert_eq!(slow(&mut rig, Step::Compile, 1000), [words("1.0")]);
}

fn starting() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "db", "uid": "db", "labels": {"app": "db"}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Pending"},
    }))
    .unwrap()
}

fn sandbox_of(uid: &str) -> sandbox::Sandbox {
    sandbox::Sandbox {
        id: format!("sandbox of {uid}").into(),
        pod: sandbox::PodName {
            namespace: "shop".into(),
            name: "db".into(),
        },
        uid: uid.into(),
        is_static: false,
        labels: Arc::new([("app".into(), "db".into())].into()),
        addresses: vec![LOCAL.parse().unwrap()],
    }
}

fn runtime(sandboxes: &[sandbox::Sandbox]) -> Input {
    Input::Runtime(sandbox::Event::Synced {
        runtime: "containerd v2".to_owned(),
        sandboxes: sandboxes.to_vec(),
    })
}

fn started(uid: &str) -> Input {
    Input::Runtime(sandbox::Event::Started(sandbox_of(uid)))
}

/// S79, S122: A pod is isolated when its sandbox has its network, whether the API server tells of the pod before or after,
/// and what a peer matches is what it is once the API server knows the address.
#[test]
fn a_pod_is_isolated_once_its_sandbox_has_its_network() {
    let mut rulesets = Vec::new();
    let pods = || Input::Pods(Event::Synced(vec![starting()]));
    let policies = || Input::Policies(Event::Synced(vec![policy_for("web")]));
    let is_in_force = |rig: &Rig| rig.machine.in_force().sandboxes.contains("sandbox of db");
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let mut rig = Rig::new();
        for step in order {
            rig.hear(match step {
                0 => policies(),
                1 => pods(),
                2 => runtime(&[sandbox_of("db")]),
                _ => Input::NodeAddresses(BTreeSet::new()),
            });
        }
        assert!(is_in_force(&rig));
        rig.hear_at_once(Hub::new(1).snapshot("web", State::Live));
        assert_eq!(rig.admitted(), [true, true, false]);
        let before = rig.plans.len();
        rig.hear(Input::Pods(Event::Applied(local())));
        assert_eq!(rig.plans.len(), before, "the API server tells what is known");
        rulesets.push(rig.machine.ruleset().clone());
    }
    assert_eq!(rulesets[0], rulesets[1]);
    assert_eq!(rulesets[0], rulesets[2]);
    let mut rig = Rig::new();
    rig.hear(policies()).hear(pods()).hear(runtime(&[]));
    assert!(!is_in_force(&rig));
    rig.hear(started("db"));
    assert!(is_in_force(&rig));
    rig.hear(Input::Runtime(sandbox::Event::Stopped("sandbox of db".into())));
    assert!(!is_in_force(&rig));
}

/// S79: A sandbox is not in force before the kernel has carried the plan out, nor before all that isolates is known.
#[test]
fn a_sandbox_is_in_force_only_when_the_kernel_says_so() {
    let mut rig = Rig::new();
    rig.hear(runtime(&[sandbox_of("db")]))
        .hear(Input::Pods(Event::Synced(vec![starting()])));
    assert!(rig.machine.in_force().sandboxes.is_empty(), "no policies are known");
    rig.refuses = Some("no memory");
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])));
    assert!(rig.machine.in_force().sandboxes.is_empty(), "the kernel refuses");
    rig.refuses = None;
    rig.wait(RETRY_CEILING);
    assert!(rig.machine.in_force().sandboxes.contains("sandbox of db"));
}

/// By this a runtime is not kept waiting again: that the inventory gets on helps no pod of which the kernel refuses what is new.
#[test]
fn a_pass_counts_if_it_brings_what_has_changed_of_the_nodes_pods() {
    let mut rig = Rig::new();
    let passes = |rig: &Rig| rig.machine.in_force().passes;
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(runtime(&[]));
    assert_eq!(passes(&rig), 0, "not all is known");
    rig.hear(Input::Pods(Event::Synced(vec![starting()])))
        .hear_at_once(Hub::new(1).snapshot("web", State::Live));
    assert_eq!(passes(&rig), 1);
    rig.refuses_plans = Some("no memory");
    rig.hear(started("db"));
    for _ in 0..3 {
        rig.wait(RETRY_CEILING);
    }
    assert_eq!(passes(&rig), 1, "only the inventory is in force");
    rig.hear(Input::Runtime(sandbox::Event::Stopped("sandbox of db".into())));
    rig.refuses_plans = None;
    rig.wait(RETRY_CEILING);
    assert_eq!(passes(&rig), 2, "although the sandboxes in force are as before");
}

/// S82: A pod that runs on although its object is gone stays isolated.
#[test]
fn a_pod_that_runs_on_without_its_object_stays_isolated() {
    let mut rig = Rig::new();
    rig.hear(Input::Policies(Event::Synced(vec![policy_for("web")])))
        .hear(Input::Pods(Event::Synced(vec![local()])))
        .hear(runtime(&[sandbox_of("db")]))
        .hear_at_once(Hub::new(1).snapshot("web", State::Live))
        .hear(Input::Pods(Event::Deleted(local())));
    assert_eq!(rig.admitted(), [true, true, false]);
    rig.hear(Input::Runtime(sandbox::Event::Stopped("sandbox of db".into())));
    assert_eq!(rig.admitted(), [true, true, true]);
}

#[test]
fn a_late_answer_is_said_once_until_one_is_in_time() {
    let answered = |answer, waited_ms| {
        Input::Runtime(sandbox::Event::Answered(sandbox::Answered {
            pod: sandbox_of("db").pod,
            waited: Duration::from_millis(waited_ms),
            answer,
        }))
    };
    let mut rig = Rig::new();
    let said = |rig: &mut Rig, answer, waited_ms| {
        rig.said.clear();
        rig.hear(answered(answer, waited_ms));
        rig.said.iter().map(Notice::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        said(&mut rig, sandbox::Answer::Allowed, 1500),
        [
            "pod shop/db was not isolated within 1.5 s and starts without policies in force until it is (--nri-late allow): \
          waiting for the NetworkPolicies of this cluster's API server; said again after one was in time"
        ]
    );
    assert!(said(&mut rig, sandbox::Answer::Allowed, 0).is_empty());
    assert!(said(&mut rig, sandbox::Answer::InForce, 10).is_empty());
    assert_eq!(
        said(&mut rig, sandbox::Answer::Refused, 0),
        [
            "pod shop/db was not isolated at once, nor has anything come into force since a pod was late before, and was not let \
          start: kubelet tries again (--nri-late refuse): waiting for the NetworkPolicies of this cluster's API server; said \
          again after one was in time"
        ]
    );
}

fn node_object(ranges: &[&str]) -> OwnNode {
    serde_json::from_value(json!({"metadata": {"name": "n1"}, "spec": {"podCIDRs": ranges}})).unwrap()
}

/// S122, S126: Nothing is told to the kernel before the ranges are known that are to be held; what an earlier process held
/// stays held.
#[test]
fn unknown_addresses_of_the_nodes_pod_ranges_are_held_once_these_are_known() {
    const UNKNOWN: &str = "10.1.0.9";
    let to_unknown = |rig: &Rig| {
        let packet = Packet::tcp("192.0.2.1".parse().unwrap(), UNKNOWN.parse().unwrap());
        passes(rig.machine.ruleset(), &packet)
    };
    let holding = |mut rig: Rig| {
        rig.machine = rig.machine.holding_unknown_pods();
        rig.hear(Input::Policies(Event::Synced(vec![])))
            .hear(Input::Pods(Event::Synced(vec![local()])));
        rig
    };
    let mut rig = holding(Rig::new());
    let waits = "waiting for this node's pod ranges from this cluster's API server (its Node object)";
    assert_eq!(rig.machine.readiness(), Readiness::WaitsFor(waits.to_owned()));
    rig.hear(Input::OwnNode(Event::Synced(vec![node_object(&["10.1.0.0/24"])])));
    assert!(!to_unknown(&rig));
    assert_eq!(rig.admitted(), [true, true, true], "a known pod is open");
    let kept = rig.kernel.clone();
    let mut rig = holding(rig.restarted());
    assert_eq!(rig.kernel, kept);
    rig.hear(Input::OwnNode(Event::Synced(vec![node_object(&["10.1.0.0/24"])])));
    assert_eq!(rig.kernel, kept);
    rig.hear(Input::Pods(Event::Applied(pod("new", UNKNOWN, json!({})))));
    assert!(to_unknown(&rig), "it is known");
    rig.hear(Input::OwnNode(Event::Deleted(node_object(&[]))));
    rig.hear(Input::Pods(Event::Deleted(pod("new", UNKNOWN, json!({})))));
    assert!(!to_unknown(&rig));
    let said = |rig: &mut Rig, ranges: &[&str]| {
        rig.said.clear();
        rig.hear(Input::OwnNode(Event::Applied(node_object(ranges))));
        rig.said.iter().map(Notice::to_string).collect::<Vec<_>>()
    };
    assert!(said(&mut rig, &["10.1.0.0/24"]).is_empty());
    assert_eq!(
        said(&mut rig, &["10.1.0.0/25", "fd00::/64"]),
        [
            "--unknown-local-pods hold: addresses of 10.1.0.0/25 and fd00::/64 that no pod of this node is known to have are let \
          through in neither direction"
        ]
    );
}
