//! The rights that an enforcer is given are exactly those that it uses, on a real API server.
//!
//! On each node of a lab an enforcer runs as a ServiceAccount of its own: one with all that an installation grants, and one
//! for each right with all but that one. All have the same to do, and no hub, so that they have to do it by their own API
//! server alone; it pages its lists, as one without streaming lists does, since `list` is not used otherwise.

use super::choices::CHOICES;
use super::{kustomize, objects, overlay};
use enforcer::offline::ends::Verdict::{Allowed, Refused};
use enforcer::offline::ends::{NodeName, Probe, Verdict};
use futures::future::join_all;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Event, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use proto::model::ClusterName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::time::Duration;
use tests::apiserver::{Kind, Lists, Role};
use tests::lab::address::Service;
use tests::lab::admin::Admin;
use tests::lab::args::Network;
use tests::lab::cluster::Cluster;
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::Range;
use tests::lab::process::{Child, Program};
use tests::lab::programs::Programs;
use tests::lab::setup::Lab;
use tests::lab::wait::{Look, until};
use tests::lab::world::World;
use tests::rights::{Right, each, without};

/// The longest that anything may take. It takes what an enforcer waits for a hub, 12 s, and for its turn to write an Event.
const LIMIT: Duration = Duration::from_secs(60);

/// What is seen of an enforcer's work on its node, where a policy isolates the pod `db` of it but for peers, and has a void
/// piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    /// What becomes of packets from a peer to `db`.
    peer: Verdict,
    /// What becomes of packets from somebody else to `db`.
    stranger: Verdict,
    /// What becomes of packets to an address of the node's pod range that no pod is known to have.
    unknown: Verdict,
    /// There is an Event about the void piece.
    told: bool,
}

/// What is seen with all rights.
const WHOLE: Seen = Seen {
    peer: Allowed,
    stranger: Refused,
    unknown: Allowed,
    told: true,
};

/// The same with `--unknown-local-pods hold`.
const HOLDING: Seen = Seen {
    unknown: Refused,
    ..WHOLE
};

/// Nothing is in force.
const UNPROTECTED: Seen = Seen {
    peer: Allowed,
    stranger: Allowed,
    unknown: Allowed,
    told: false,
};

/// While no hub answers nobody is known, and so nobody let in.
const DESERTED: Seen = Seen { peer: Refused, ..WHOLE };

/// Whoever wrote the void piece hears nothing of it.
const UNTOLD: Seen = Seen { told: false, ..WHOLE };

/// What breaks without a right, which is to be all that are granted anywhere.
const BREAKS: [(&str, Seen); 9] = [
    ("list on pods", UNPROTECTED),
    ("watch on pods", UNPROTECTED),
    ("list on namespaces", DESERTED),
    ("watch on namespaces", DESERTED),
    ("list on networkpolicies", UNPROTECTED),
    ("watch on networkpolicies", UNPROTECTED),
    ("create on events", UNTOLD),
    ("list on nodes", UNPROTECTED),
    ("watch on nodes", UNPROTECTED),
];

/// The objects that grant an enforcer its rights, by kind, as kustomize renders them.
type Grant = BTreeMap<String, Value>;

/// An enforcer, on a node of this name and as a ServiceAccount of this name.
struct Trial {
    name: String,
    grant: Grant,
    holds: bool,
    lacks: Option<Right>,
    expected: Seen,
}

/// What each way to install grants. There is nothing else by which an enforcer has rights.
fn grants() -> BTreeMap<bool, Grant> {
    let mut grants = BTreeMap::new();
    for choice in CHOICES.iter().filter(|choice| choice.enforcer.is_some()) {
        let objects = objects(&kustomize(&overlay(choice).path().join("overlays/mine")));
        let holds = objects[&("DaemonSet".to_owned(), "bailey-enforcer".to_owned())]
            .to_string()
            .contains(r#"{"name":"BAILEY_ENFORCER_UNKNOWN_LOCAL_PODS","value":"hold"}"#);
        let is_right = |kind: &str| kind == "ServiceAccount" || kind.contains("Role");
        let rights: Vec<(String, Value)> = objects
            .into_iter()
            .filter_map(|((kind, _), object)| is_right(&kind).then_some((kind, object)))
            .collect();
        let kinds: Vec<&str> = rights.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["ClusterRole", "ClusterRoleBinding", "ServiceAccount"]);
        let grant: Grant = rights.into_iter().collect();
        let before = grants.insert(holds, grant.clone());
        assert!(before.is_none_or(|before| before == grant), "{}", choice.name);
    }
    grants
}

/// An enforcer with all rights of each way to install, and one without each.
fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut tried = BTreeSet::new();
    for (holds, grant) in grants() {
        let whole = if holds { HOLDING } else { WHOLE };
        trials.push(Trial::new(holds, &grant, None, whole));
        let rights = each(&grant["ClusterRole"]["rules"]);
        let named: BTreeSet<String> = rights.iter().map(ToString::to_string).collect();
        assert_eq!(named.len(), rights.len(), "a right is granted twice");
        for right in rights {
            if tried.contains(&right.to_string()) {
                continue;
            }
            let (_, expected) = *BREAKS
                .iter()
                .find(|(broken, _)| *broken == right.to_string())
                .unwrap_or_else(|| panic!("nothing is said to break without {right}"));
            assert_ne!(expected, whole, "without {right}");
            trials.push(Trial::new(holds, &grant, Some(right), expected));
        }
        tried.extend(named);
    }
    let broken = BREAKS.map(|(right, _)| right.to_owned());
    assert_eq!(
        tried,
        broken.into(),
        "rights that are granted, and those of which is known what breaks"
    );
    trials
}

impl Trial {
    fn new(holds: bool, grant: &Grant, lacks: Option<Right>, expected: Seen) -> Self {
        let name = match &lacks {
            Some(right) => format!("no-{}-{}", right.verb, right.resource),
            None if holds => "holding".to_owned(),
            None => "whole".to_owned(),
        };
        let mut grant = grant.clone();
        if let Some(right) = &lacks {
            let rules = &mut grant.get_mut("ClusterRole").unwrap()["rules"];
            *rules = without(rules, right);
        }
        for object in grant.values_mut() {
            let renamed = object.to_string().replace(r#""bailey-enforcer""#, &format!("{name:?}"));
            *object = serde_json::from_str(&renamed).unwrap();
        }
        Self {
            name,
            grant,
            holds,
            lacks,
            expected,
        }
    }

    fn object<K: DeserializeOwned>(&self, kind: &str) -> K {
        serde_json::from_value(self.grant[kind].clone()).unwrap()
    }

    /// A policy on the node's `db` alone. Of 257 peers on as many ports there are more combinations than a policy may have,
    /// and yet an API server takes them.
    fn policy(&self) -> Value {
        let label = |name: &str, value: &str| json!({"podSelector": {"matchLabels": {name: value}}});
        let peers: Vec<Value> = (0..257).map(|number| label("n", &number.to_string())).collect();
        let ports: Vec<Value> = (0..257).map(|number| json!({"port": 1000 + 2 * number})).collect();
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": self.name, "namespace": "x"},
            "spec": {
                "podSelector": {"matchLabels": {"app": format!("db-{}", self.name)}},
                "ingress": [{"from": [label("app", "peer")]}, {"from": peers, "ports": ports}],
            },
        })
    }

    /// What the API server answers to whoever lacks the right; none: nothing is refused.
    fn refusal(&self) -> Option<String> {
        let lacks = self.lacks.as_ref()?;
        Some(format!(r#"cannot {} resource "{}""#, lacks.verb, lacks.resource))
    }
}

fn cluster() -> ClusterName {
    "a".parse().unwrap()
}

fn pod(name: &str, node: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", "labels": {"app": name}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}

/// Each node with its range of addresses and a pod `db`; a peer and a stranger elsewhere.
fn known(trials: &[Trial]) -> Vec<Value> {
    let mut objects = vec![
        pod("peer", "elsewhere", "10.1.0.1"),
        pod("stranger", "elsewhere", "10.1.0.2"),
    ];
    for (number, Trial { name, .. }) in (1..).zip(trials) {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"podCIDRs": [format!("10.1.{number}.0/24")]},
        }));
        objects.push(pod(&format!("db-{name}"), name, &format!("10.1.{number}.1")));
    }
    objects
}

/// The pods that no API server knows.
fn unknown(trials: &[Trial]) -> Vec<Value> {
    let pods = (1..)
        .zip(trials)
        .map(|(number, Trial { name, .. })| pod(&format!("unknown-{name}"), name, &format!("10.1.{number}.2")));
    pods.collect()
}

/// The lab with its API server and enforcers.
struct Stage<'a> {
    lab: &'a Lab,
    range: Range<'a>,
    cluster: Cluster,
    client: Client,
    enforcers: BTreeMap<String, Child>,
}

/// Writes an object that is not there yet.
async fn create<K: Resource + Clone + Debug + Serialize + DeserializeOwned>(api: Api<K>, object: K) -> K {
    api.create(&PostParams::default(), &object).await.unwrap()
}

impl<'a> Stage<'a> {
    async fn start(lab: &'a Lab, trials: &[Trial]) -> Self {
        let range = Range::open(&lab.fabric, lab.world.ends(), vec![probe()]).await.unwrap();
        range.baseline().await.unwrap();
        let dir = lab.folder().path().join("apiserver");
        let mut cluster = Cluster::start(Kind::Real, cluster(), Service(1), dir).await.unwrap();
        cluster.restart_with(Lists::Paged).await.unwrap();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bailey"}});
        let client = cluster.pods(&namespace).into_client();
        cluster.write(&[vec![namespace], known(trials)].concat()).await.unwrap();
        Self {
            lab,
            range,
            cluster,
            client,
            enforcers: BTreeMap::new(),
        }
    }

    /// Gives an enforcer its rights, waits until they are in force, and starts it with its token.
    async fn begin(&mut self, trial: &Trial, programs: &Programs) {
        let all = || self.client.clone();
        let accounts: Api<ServiceAccount> = Api::namespaced(all(), "bailey");
        create::<ClusterRole>(Api::all(all()), trial.object("ClusterRole")).await;
        create::<ClusterRoleBinding>(Api::all(all()), trial.object("ClusterRoleBinding")).await;
        create(accounts.clone(), trial.object("ServiceAccount")).await;
        self.is_granted(trial).await;
        let (parameters, request) = (PostParams::default(), TokenRequest::default());
        let answer = accounts.create_token_request(&trial.name, &parameters, &request);
        let token = answer.await.unwrap().status.unwrap().token.unwrap();

        let path = |end: &str| self.lab.folder().path().join(format!("{}.{end}", trial.name));
        let kubeconfig = self.cluster.kubeconfig(Role::Enforcer);
        fs::write(path("kubeconfig"), kubeconfig.replace(Role::Enforcer.token(), &token)).unwrap();
        let program = Program {
            name: trial.name.clone(),
            binary: programs.enforcer.clone(),
            arguments: vec![
                "run".to_owned(),
                "--hub=http://127.0.0.1:1".to_owned(),
                format!("--cluster={}", cluster()),
                format!("--node={}", trial.name),
                format!("--kubeconfig={}", path("kubeconfig").display()),
                format!("--admin=unix:{}", path("sock").display()),
                format!("--unknown-local-pods={}", if trial.holds { "hold" } else { "allow" }),
            ],
            log: path("log"),
        };
        let node = NodeName {
            cluster: cluster(),
            name: trial.name.clone(),
        };
        let child = program.start(self.lab.fabric.node(&node).unwrap().netns()).unwrap();
        self.enforcers.insert(trial.name.clone(), child);
    }

    /// The API server learns of a role a moment after it is written.
    async fn is_granted(&self, trial: &Trial) {
        let rule = &trial.grant["ClusterRole"]["rules"][0];
        let [group, resource, verb] = ["apiGroups", "resources", "verbs"].map(|field| &rule[field][0]);
        let review = json!({"spec": {
            "user": format!("system:serviceaccount:bailey:{}", trial.name),
            "resourceAttributes": {"group": group, "resource": resource, "verb": verb},
        }});
        let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
        let granted = until(LIMIT, async || {
            let answer = create(Api::all(self.client.clone()), review.clone()).await;
            Ok(match answer.status.unwrap().allowed {
                true => Look::Done(()),
                false => Look::NotYet(format!("the rights of {}", trial.name)),
            })
        });
        granted.await.unwrap();
    }

    /// Waits until the enforcers that lack nothing are ready.
    async fn ready(&self, trials: &[Trial]) {
        for trial in trials.iter().filter(|trial| trial.lacks.is_none()) {
            let admin = Admin::Unix(self.lab.folder().path().join(format!("{}.sock", trial.name)));
            let ready = until(LIMIT, async || {
                self.enforcers[&trial.name].check_alive()?;
                let ready = admin.is_ready().await;
                Ok(ready.map_or_else(Look::NotYet, Look::Done))
            });
            ready.await.unwrap();
        }
    }

    /// What an enforcer has logged, without the escapes that are in quoted values.
    fn log(&self, trial: &Trial) -> String {
        fs::read_to_string(self.enforcers[&trial.name].log())
            .unwrap()
            .replace('\\', "")
    }

    async fn verdict(&self, from: &str, to: &str) -> Verdict {
        let (from, to) = (
            format!("a/x/{from}").parse().unwrap(),
            format!("a/x/{to}").parse().unwrap(),
        );
        self.range.judge_one(&from, &to, probe()).await.unwrap()
    }

    async fn see(&self, trial: &Trial) -> Seen {
        let (db, unknown) = (format!("db-{}", trial.name), format!("unknown-{}", trial.name));
        let verdicts = [("peer", &db), ("stranger", &db), ("stranger", &unknown)];
        let verdicts = join_all(verdicts.map(|(from, to)| self.verdict(from, to))).await;
        let events: Api<Event> = Api::namespaced(self.client.clone(), "x");
        let events = events.list(&Default::default()).await.unwrap();
        let told = |event: &Event| event.involved_object.name.as_ref() == Some(&trial.name);
        Seen {
            peer: verdicts[0],
            stranger: verdicts[1],
            unknown: verdicts[2],
            told: events.items.iter().any(told),
        }
    }

    /// Waits until what should be seen of an enforcer is, after it was refused what it should be, which lasts.
    async fn becomes(&self, trial: &Trial) {
        let seen = until(LIMIT, async || {
            self.enforcers[&trial.name].check_alive()?;
            let log = self.log(trial);
            if let Some(refusal) = trial.refusal().filter(|refusal| !log.contains(refusal)) {
                return Ok(Look::NotYet(format!("{}: {refusal:?} in its log", trial.name)));
            }
            let seen = self.see(trial).await;
            Ok(if seen == trial.expected {
                Look::Done(())
            } else {
                Look::NotYet(format!("{}: {:?}, is {seen:?}", trial.name, trial.expected))
            })
        });
        if let Err(error) = seen.await {
            panic!("{error:#}\n{}", self.log(trial));
        }
    }
}

fn probe() -> Probe {
    "TCP/80/4".parse().unwrap()
}

/// Whether a log line says that the API server refuses something for want of a right.
fn is_refusal(line: &str) -> bool {
    line.to_lowercase().contains("forbidden") || line.contains("(403)")
}

#[test]
fn each_right_of_an_enforcer_is_needed_and_none_is_missing() {
    Netns::leave().expect("these tests make network namespaces: run them as root");
    let trials = trials();
    let world = World {
        clusters: [(cluster(), [known(&trials), unknown(&trials)].concat())].into(),
    };
    let network = Network {
        layout: Layout::Routed,
        apiserver: Kind::Real,
    };
    let lab = Lab::build(world, &[].into(), network).unwrap();
    netns::block_on(async {
        let programs = Programs::ready().unwrap();
        let mut stage = Stage::start(&lab, &trials).await;
        for trial in &trials {
            stage.begin(trial, &programs).await;
        }
        stage.ready(&trials).await;
        let policies: Vec<Value> = trials.iter().map(Trial::policy).collect();
        stage.cluster.write(&policies).await.unwrap();
        join_all(trials.iter().map(|trial| stage.becomes(trial))).await;
        for trial in &trials {
            let (log, refusal) = (stage.log(trial), trial.refusal());
            let is_other = |line: &&str| refusal.as_ref().is_none_or(|refusal| !line.contains(refusal));
            let others: Vec<&str> = log.lines().filter(|line| is_refusal(line)).filter(is_other).collect();
            assert_eq!(others, [""; 0], "{} is refused what it should not be", trial.name);
        }
    });
}

/// What the tests' own enforcers may is what an installation grants.
#[test]
fn enforcers_of_tests_have_the_same_rights() {
    let [role, _] = Role::Enforcer.rbac();
    assert_eq!(role["rules"], grants()[&false]["ClusterRole"]["rules"]);
}
