//! Two clusters in which everything runs, what the tests do to them, and what they ask.

use enforcer::offline::ends::{End, Probe, Verdict};
use enforcer::ruleset::Family;
use proto::model::ClusterName;
use proto::wire::inventory_client::InventoryClient;
use proto::wire::{ListClustersRequest, LookupAddressRequest, cluster_status::State};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tests::apiserver::Role;
use tests::lab::args::Network;
use tests::lab::control::Control;
use tests::lab::live::{Effect, KernelWatch};
use tests::lab::probe::Range;
use tests::lab::settle;
use tests::lab::setup::{Ground, Lab};
use tests::lab::story;
use tests::lab::wait::{Look, until};
use tests::lab::world::World;
use tonic::transport::Channel;

/// How long anything may take. What takes longest is by design: a cluster has left after some looks at the folder, and
/// a feed that was refused waits before it tries again.
const LIMIT: Duration = Duration::from_secs(45);

const DATABASE: &str = "cluster-a/shop/database-0";
const FRONTEND: &str = "cluster-b/shop/frontend-0";
const FRONTEND_ADDRESSES: [&str; 2] = ["10.2.1.2", "fd00:10:2:1::2"];
const BATCH: &str = "cluster-b/shop/batch-0";
pub const CLUSTER_LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";

/// Clusters `cluster-a` and `cluster-b` of the stories.
pub fn world() -> World {
    let mut world = story::world().unwrap();
    world.clusters.retain(|name, _| name.as_str() != "pci");
    world
}

pub fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

/// The database takes what comes from frontends of the shop in whichever cluster says that the namespace is its own.
pub fn policy() -> (ClusterName, Value) {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "database-from-frontends", "namespace": "shop"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "database"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{
                "podSelector": {"matchLabels": {"app": "frontend"}},
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "shop"},
                    "matchExpressions": [{"key": CLUSTER_LABEL, "operator": "Exists"}],
                },
            }]}],
        },
    });
    (cluster("cluster-a"), policy)
}

pub fn namespace(labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
}

/// A lab in which everything runs, and what the tests ask it.
pub struct Play<'a> {
    lab: &'a Lab,
    pub control: Control,
    range: Range<'a>,
    inventory: InventoryClient<Channel>,
}

impl<'a> Play<'a> {
    /// Without policies everything passes.
    pub async fn open(ground: &Ground, lab: &'a Lab, network: Network) -> Self {
        let ends = [DATABASE, FRONTEND, BATCH].map(|end| end.parse().unwrap());
        let probes = Family::ALL.map(over);
        let range = Range::open(&lab.fabric, ends.into(), probes.into()).await.unwrap();
        range.baseline().await.unwrap();
        let control = lab.start(&ground.programs, network).await.unwrap();
        let inventory = control.inventory().await.unwrap();
        let play = Self {
            lab,
            control,
            range,
            inventory,
        };
        play.is("cluster-a", State::Live).await;
        play.is("cluster-b", State::Live).await;
        play
    }

    /// The objects of cluster-b that pass a test, as they were at first.
    pub fn original(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let objects = self.lab.world.clusters[&cluster("cluster-b")].iter();
        objects.filter(|object| wanted(object)).cloned().collect()
    }

    pub async fn write(&self, objects: &[Value]) {
        let b = self.control.cluster(&cluster("cluster-b")).unwrap();
        b.write(objects).await.unwrap();
    }

    pub async fn label_batch(&self, app: &str) {
        let pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "batch-0"}});
        let patch = json!({"metadata": {"labels": {"app": app}}});
        let b = self.control.cluster(&cluster("cluster-b")).unwrap();
        b.patch(&pod, &patch).await.unwrap();
    }

    /// Waits until every enforcer's report says that it holds its policies and enforces the newest revision.
    pub async fn settle(&self) {
        let policies = settle::policies_among(&[policy()]);
        settle::wait(&self.control, &policies).await.unwrap();
    }

    /// Once everything is in force, packets of frontend and batch job do this: at once, unless what was written last was
    /// still on its way to the hub.
    pub async fn settled(&self, when: &str, frontend: Verdict, batch: Verdict) {
        self.settle().await;
        self.packets(when, frontend, batch).await;
    }

    /// Waits until packets of frontend and batch job do this.
    pub async fn packets(&self, when: &str, frontend: Verdict, batch: Verdict) {
        let wanted = [frontend, frontend, batch, batch];
        let reached = until(LIMIT, async || {
            let got = self.verdicts().await;
            Ok(if got == wanted {
                Look::Done(())
            } else {
                Look::NotYet(format!("{when}: {wanted:?} (they are {got:?})"))
            })
        });
        reached.await.map_err(|error| self.control.explain(&error)).unwrap();
    }

    /// Packets of frontend and batch job do this now, whatever is in force.
    pub async fn now(&self, when: &str, frontend: Verdict, batch: Verdict) {
        assert_eq!(self.verdicts().await, [frontend, frontend, batch, batch], "{when}");
    }

    /// What packets to the database do: the frontend's over IPv4 and IPv6, the batch job's over IPv4 and IPv6.
    async fn verdicts(&self) -> [Verdict; 4] {
        let to: End = DATABASE.parse().unwrap();
        let mut verdicts = Vec::new();
        for from in [FRONTEND, BATCH] {
            let from: End = from.parse().unwrap();
            let [v4, v6] = Family::ALL.map(|family| self.range.judge_one(&from, &to, over(family)));
            let (v4, v6) = tokio::try_join!(v4, v6).unwrap();
            verdicts.extend([v4, v6]);
        }
        verdicts.try_into().unwrap()
    }

    /// Waits until the hub lists a cluster in a state; one that has left is not listed.
    pub async fn is(&self, id: &str, state: State) {
        let mut inventory = self.inventory.clone();
        let reached = until(LIMIT, async || {
            let answer = inventory.list_clusters(ListClustersRequest::default()).await?;
            let listed = answer.into_inner().clusters.into_iter().find(|one| one.id == id);
            let now = listed.as_ref().map_or(State::Left, |one| one.state());
            Ok(if now == state {
                Look::Done(())
            } else {
                let reason = listed.map(|one| one.reason).unwrap_or_default();
                Look::NotYet(format!("{id} to be {state:?} (it is {now:?}: {reason})"))
            })
        });
        reached.await.map_err(|error| self.control.explain(&error)).unwrap();
    }

    /// Waits until the hub says that so many pods own each of the frontend's addresses.
    pub async fn owners_of_frontend_addresses(&self, wanted: usize) {
        let mut inventory = self.inventory.clone();
        for address in FRONTEND_ADDRESSES {
            let reached = until(LIMIT, async || {
                let address = address.to_owned();
                let answer = inventory.lookup_address(LookupAddressRequest { address }).await?;
                let owners = answer.into_inner().owners;
                Ok(if owners.len() == wanted {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("{wanted} owners of a frontend's address (they are {owners:?})"))
                })
            });
            reached.await.map_err(|error| self.control.explain(&error)).unwrap();
        }
    }

    /// While something is waited for, the frontend's address stays in the sets of the database's node.
    pub async fn nothing_lost_until(&self, waited_for: impl Future<Output = ()>) {
        let End::Pod(database) = DATABASE.parse().unwrap() else {
            unreachable!("it is a pod");
        };
        let placed = &self.lab.fabric.plan().pods[&database];
        let node = self.lab.fabric.node(&placed.node).unwrap();
        let address = FRONTEND_ADDRESSES[0].parse().unwrap();
        let gone = KernelWatch::begin(node.netns(), address, Effect::Closes).await.unwrap();
        tokio::select! {
            () = waited_for => {}
            gone = gone.seen() => panic!("the frontend's address was lost, or this took too long: {gone:?}"),
        }
    }

    /// The file that makes cluster-b a member.
    pub fn membership(&self) -> PathBuf {
        self.control.folder().clusters().join("cluster-b.kubeconfig")
    }

    pub fn kubeconfig(&self, role: Role) -> String {
        let b = self.control.cluster(&cluster("cluster-b")).unwrap();
        b.kubeconfig(role)
    }
}

/// What the database listens for.
fn over(family: Family) -> Probe {
    Probe {
        family: Some(family),
        ..("TCP/5432".parse().unwrap())
    }
}
