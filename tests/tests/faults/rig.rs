//! A small lab with all its programs: two clusters, three nodes, policies on both sides of what crosses clusters.

use super::kernel_state::KernelState;
use enforcer::offline::ends::{End, NodeName, Probe, Verdict};
use futures::FutureExt;
use futures::future::{join_all, try_join_all};
use kube::api::DeleteParams;
use proto::model::ClusterName;
use proto::wire::{Cluster, Enforcer, ListClustersRequest, ListEnforcersRequest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;
use tests::apiserver::Kind;
use tests::lab::admin::Admin;
use tests::lab::args::Network;
use tests::lab::control::Control;
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::{Path, Range};
use tests::lab::programs::Programs;
use tests::lab::settle;
use tests::lab::setup::Lab;
use tests::lab::wait::{Look, until};
use tests::lab::world::World;

/// How long anything may take to happen. It takes milliseconds, or what a feed waits between two tries.
const LIMIT: Duration = Duration::from_secs(30);

/// The pods: cluster, name, node, host part of its addresses, whether it is a client.
const PODS: [(&str, &str, &str, &str, bool); 6] = [
    ("a", "db", "node-1", "1", false),
    ("a", "near", "node-1", "2", true),
    ("a", "stranger", "node-1", "3", false),
    ("a", "far", "node-2", "4", true),
    ("b", "remote", "node-1", "1", true),
    ("b", "other", "node-1", "2", false),
];

/// Who reaches whom while the policies of [`policies`] are in force.
const VERDICTS: [(&str, &str, Verdict); 8] = [
    ("a/x/near", "a/x/db", Verdict::Allowed),
    ("a/x/far", "a/x/db", Verdict::Allowed),
    ("b/x/remote", "a/x/db", Verdict::Allowed),
    ("a/x/stranger", "a/x/db", Verdict::Refused),
    ("b/x/other", "a/x/db", Verdict::Refused),
    ("b/x/remote", "a/x/stranger", Verdict::Refused),
    ("b/x/remote", "b/x/other", Verdict::Refused),
    ("a/x/far", "b/x/other", Verdict::Allowed),
];

pub fn name(cluster: &str) -> ClusterName {
    cluster.parse().unwrap()
}

/// A pod of [`PODS`] as its API server has it.
pub fn pod(cluster: &str, pod: &str) -> Value {
    let &(cluster, name, node, host, is_client) = PODS
        .iter()
        .find(|(of, name, ..)| (*of, *name) == (cluster, pod))
        .unwrap();
    let net = if cluster == "a" { 1 } else { 2 };
    let labels = if is_client {
        json!({"app": name, "role": "client"})
    } else {
        json!({"app": name})
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", "labels": labels},
        "spec": {"nodeName": node},
        "status": {
            "phase": "Running", "podIP": format!("10.{net}.0.{host}"),
            "podIPs": [{"ip": format!("10.{net}.0.{host}")}, {"ip": format!("fd00:10:{net}::{host}")}],
        },
    })
}

pub fn world() -> World {
    let mut world = World::default();
    for (cluster, name, ..) in PODS {
        let objects = world.clusters.entry(self::name(cluster)).or_default();
        objects.push(pod(cluster, name));
    }
    world
}

pub fn policy(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "x"}, "spec": spec,
    })
}

/// The same world with a pod on the host network of a node of cluster a, `host`.
pub fn world_with_host(node: &str) -> World {
    let addresses = json!([{"ip": "192.0.2.2"}, {"ip": "fd00:40::2"}]);
    let host = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "host", "namespace": "x", "labels": {"app": "host"}},
        "spec": {"nodeName": node, "hostNetwork": true},
        "status": {
            "phase": "Running", "hostIP": "192.0.2.2", "hostIPs": addresses, "podIP": "192.0.2.2", "podIPs": addresses,
        },
    });
    let mut world = world();
    world.clusters.entry(name("a")).or_default().push(host);
    world
}

/// One policy in each cluster; the verdicts of both depend on pods of the other.
pub fn policies() -> BTreeMap<ClusterName, Value> {
    let from_clients = policy(
        "from-clients",
        json!({
            "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"role": "client"}}}]}],
        }),
    );
    let to_db = policy(
        "to-db",
        json!({
            "podSelector": {"matchLabels": {"app": "remote"}}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}],
        }),
    );
    [(name("a"), from_clients), (name("b"), to_db)].into()
}

/// TCP over both families.
pub fn probes() -> Vec<Probe> {
    ["TCP/80/4", "TCP/80/6"].map(|probe| probe.parse().unwrap()).into()
}

pub fn node(name: &str) -> NodeName {
    let (cluster, node) = name.split_once('/').unwrap();
    NodeName {
        cluster: self::name(cluster),
        name: node.to_owned(),
    }
}

/// A way that packets take, over one family.
pub struct Way<'a> {
    pub from: &'static str,
    pub to: &'static str,
    pub path: Path<'a>,
    /// What is to become of them.
    pub verdict: Verdict,
}

/// The network with all its programs.
pub struct Rig<'a> {
    pub lab: &'a Lab,
    pub control: Control,
    pub range: Range<'a>,
}

/// Runs a test in a lab of its own, on this thread, with the policies in force and every refusal proven to be theirs.
pub fn in_lab(layout: Layout, test: impl AsyncFnOnce(&mut Rig<'_>)) {
    in_lab_of(world(), layout, test);
}

/// The same in a world that has more than [`world`].
pub fn in_lab_of(world: World, layout: Layout, test: impl AsyncFnOnce(&mut Rig<'_>)) {
    Netns::leave().expect("these tests make network namespaces: run them as root");
    let network = Network {
        layout,
        apiserver: Kind::Embedded,
    };
    let lab = Lab::build(world, &[].into(), network).unwrap();
    netns::block_on(async {
        let range = Range::open(&lab.fabric, lab.world.ends(), probes()).await.unwrap();
        range.baseline().await.unwrap();
        let control = lab.start(programs(), network).await.unwrap();
        let mut rig = Rig {
            lab: &lab,
            control,
            range,
        };
        for (cluster, policy) in policies() {
            let cluster = rig.control.cluster(&cluster).unwrap();
            cluster.write(&[policy]).await.unwrap();
        }
        rig.settle().await;
        join_all(VERDICTS.map(|(from, to, verdict)| rig.judge(from, to, verdict))).await;
        let tested = AssertUnwindSafe(test(&mut rig)).catch_unwind().await;
        if let Err(panic) = tested {
            eprintln!("{:#}", rig.control.explain(&anyhow::anyhow!("what the programs say:")));
            std::panic::resume_unwind(panic);
        }
    });
}

/// The programs under test, built once.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::ready().unwrap())
}

impl<'a> Rig<'a> {
    /// Waits until the policies of [`policies`] and all that the hub knows are in force everywhere.
    pub async fn settle(&self) {
        self.settle_with(0).await;
    }

    /// The same with so many more policies in cluster a.
    pub async fn settle_with(&self, more: u32) {
        settle::wait(&self.control, &[(name("a"), 1 + more), (name("b"), 1)].into())
            .await
            .unwrap();
    }

    /// Writes to a cluster's API server.
    pub async fn write(&self, cluster: &str, objects: &[Value]) {
        let cluster = self.control.cluster(&name(cluster)).unwrap();
        cluster.write(objects).await.unwrap();
    }

    /// Deletes at a cluster's API server. A pod is gone at once: no kubelet is there that would end it.
    pub async fn delete(&self, cluster: &str, object: &Value) {
        let cluster = self.control.cluster(&name(cluster)).unwrap();
        if object["kind"] == "Pod" {
            let name = object["metadata"]["name"].as_str().unwrap();
            let at_once = DeleteParams::default().grace_period(0);
            cluster.pods(object).delete(name, &at_once).await.unwrap();
        } else {
            cluster.delete(object).await.unwrap();
        }
    }

    /// Waits until every kernel holds as much as it did then, were it under other handles.
    pub async fn kernels_become(&self, before: &BTreeMap<NodeName, KernelState>) {
        for (node, before) in before {
            wait_until(&format!("the kernel of {node} as before"), async || {
                let now = &self.kernels()[node];
                (now.sets(), now.rules()) == (before.sets(), before.rules())
            })
            .await;
        }
    }

    /// The ways between these pods, all of which are to be allowed.
    pub fn open_ways(&self, pairs: &[(&'static str, &'static str)]) -> Vec<Way<'a>> {
        let ways = pairs
            .iter()
            .flat_map(|&(from, to)| self.ways(from, to, Verdict::Allowed));
        ways.collect()
    }

    pub fn nodes(&self) -> Vec<NodeName> {
        self.control.enforcers().keys().cloned().collect()
    }

    /// Judges by packets, over both families.
    pub async fn judge(&self, from: &str, to: &str, expected: Verdict) {
        for (probe, verdict) in probes().iter().zip(self.verdict(from, to).await) {
            assert_eq!(verdict, expected, "{probe} from {from} to {to}");
        }
    }

    /// Waits until packets are judged like this, over both families.
    pub async fn becomes(&self, from: &str, to: &str, expected: Verdict) {
        wait_until(&format!("TCP from {from} to {to} to be {expected:?}"), async || {
            self.verdict(from, to).await.iter().all(|verdict| *verdict == expected)
        })
        .await;
    }

    /// For each probe, the verdict of packets.
    async fn verdict(&self, from: &str, to: &str) -> Vec<Verdict> {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let probes = probes()
            .into_iter()
            .map(|probe| self.range.judge_one(&from, &to, probe));
        try_join_all(probes).await.unwrap()
    }

    /// The ways between two pods, one for each family.
    pub fn paths(&self, from: &str, to: &str) -> Vec<Path<'a>> {
        let (from, to): (End, End) = (from.parse().unwrap(), to.parse().unwrap());
        let path = |probe| Path::find(&self.lab.fabric, &from, &to, probe).unwrap();
        probes().into_iter().map(path).collect()
    }

    /// The ways of [`VERDICTS`], and what becomes of packets there.
    pub fn verdicts(&self) -> Vec<Way<'a>> {
        let ways = VERDICTS
            .iter()
            .flat_map(|&(from, to, verdict)| self.ways(from, to, verdict));
        ways.collect()
    }

    /// The ways between two pods, one for each family, and what is to become of packets there.
    fn ways(&self, from: &'static str, to: &'static str, verdict: Verdict) -> impl Iterator<Item = Way<'a>> {
        let paths = self.paths(from, to).into_iter();
        paths.map(move |path| Way {
            from,
            to,
            path,
            verdict,
        })
    }

    /// What every node's kernel holds.
    pub fn kernels(&self) -> BTreeMap<NodeName, KernelState> {
        let nodes = self.lab.fabric.nodes();
        nodes
            .map(|(name, station)| (name.clone(), station.netns().run(KernelState::read).unwrap()))
            .collect()
    }

    /// `GET path` of an enforcer.
    pub async fn ask(&self, node: &NodeName, path: &str) -> String {
        let admin = Admin::Unix(self.control.folder().admin(node));
        admin
            .get(path)
            .await
            .map_or_else(|error| error.to_string(), |answer| answer.body)
    }

    /// The hub's metrics, or why there are none.
    pub async fn hub_metrics(&self) -> String {
        let answer = self.control.hub_admin().get("/metrics").await;
        answer.map_or_else(|error| error.to_string(), |answer| answer.body)
    }

    /// The clusters as the hub lists them: id, state, reason.
    pub async fn clusters(&self) -> Vec<String> {
        let mut inventory = self.control.inventory().await.unwrap();
        let answer = inventory.list_clusters(ListClustersRequest::default()).await.unwrap();
        let line = |cluster: Cluster| {
            let state = cluster.state().as_str_name();
            format!("{} {state} {}", cluster.id, cluster.reason)
                .trim_end()
                .to_owned()
        };
        answer.into_inner().clusters.into_iter().map(line).collect()
    }

    /// What a node's enforcer has told the hub that keeps it from the newest state.
    pub async fn trouble(&self, node: &NodeName) -> String {
        let mut inventory = self.control.inventory().await.unwrap();
        let answer = inventory.list_enforcers(ListEnforcersRequest::default()).await.unwrap();
        let mut enforcers = answer.into_inner().enforcers.into_iter();
        let is_it = |one: &Enforcer| one.cluster == node.cluster.as_str() && one.node == node.name;
        enforcers.find(is_it).map(|one| one.trouble).unwrap_or_default()
    }

    /// A pod gets the label that the policy admits, or loses it.
    pub async fn label(&self, cluster: &str, pod: &str, role: Option<&str>) {
        let patch = json!({"metadata": {"labels": {"role": role}}});
        let cluster = self.control.cluster(&name(cluster)).unwrap();
        cluster
            .patch(&self::pod(cluster.name().as_str(), pod), &patch)
            .await
            .unwrap();
    }

    /// Lines of a program's log that contain this.
    pub fn log_lines(&self, program: &str, words: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.control.folder().log(program)).unwrap();
        log.lines()
            .filter(|line| line.contains(words))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until a program's log says this.
    pub async fn log_says(&self, program: &str, words: &str) {
        let what = format!("{words:?} in the log of {program}");
        wait_until(&what, async || !self.log_lines(program, words).is_empty()).await;
    }
}

/// Waits until something is so.
pub async fn wait_until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looked = until(LIMIT, async || {
        Ok(if is_so().await {
            Look::Done(())
        } else {
            Look::NotYet(what.to_owned())
        })
    });
    looked.await.unwrap();
}
