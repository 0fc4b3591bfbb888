//! The whole line, against real API servers and embedded ones: hub and enforcers as programs with mutual TLS, a policy in
//! one cluster, and what happens in the other down to a packet of either family that is answered or not.
//!
//! One scenario for both kinds of API server, so that the embedded one cannot drift. Each refusal counts because the same
//! probe was answered before there was a policy; each wait has a limit and ends with what was waited for.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::ruleset::Family;
use proto::model::ClusterName;
use proto::wire::inventory_client::InventoryClient;
use proto::wire::{ListClustersRequest, LookupAddressRequest, cluster_status::State};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tests::apiserver::{Kind, Lists, Role};
use tests::lab::args::Network;
use tests::lab::control::Control;
use tests::lab::ends::{End, Probe, Verdict};
use tests::lab::layout::Layout;
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
const CLUSTER_LABEL: &str = "cluster.clusterset.k8s.io/cluster-name";

/// Clusters `cluster-a` and `cluster-b` of the stories.
fn world() -> World {
    let mut world = story::world().unwrap();
    world.clusters.retain(|name, _| name.as_str() != "pci");
    world
}

fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

/// The database takes what comes from frontends of the shop in whichever cluster says that the namespace is its own.
fn policy() -> (ClusterName, Value) {
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

fn namespace(labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
}

/// A lab in which everything runs, and what the tests ask it.
struct Play<'a> {
    lab: &'a Lab,
    control: Control,
    range: Range<'a>,
    inventory: InventoryClient<Channel>,
}

impl<'a> Play<'a> {
    /// Without policies everything passes.
    async fn open(ground: &Ground, lab: &'a Lab, network: Network) -> Self {
        let ends = [DATABASE, FRONTEND, BATCH].map(|end| end.parse().unwrap());
        let probes = Family::ALL.map(over);
        let range = Range::open(&lab.fabric, ends.into(), probes.into()).await.unwrap();
        range.baseline().await.unwrap();
        let control = lab.start(&ground.programs, network).await.unwrap();
        let inventory = control.inventory().await.unwrap();
        let mut play = Self {
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
    fn original(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let objects = self.lab.world.clusters[&cluster("cluster-b")].iter();
        objects.filter(|object| wanted(object)).cloned().collect()
    }

    async fn write(&self, objects: &[Value]) {
        let b = self.control.cluster(&cluster("cluster-b")).unwrap();
        b.write(objects).await.unwrap();
    }

    async fn label_batch(&self, app: &str) {
        let pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "batch-0"}});
        let patch = json!({"metadata": {"labels": {"app": app}}});
        let b = self.control.cluster(&cluster("cluster-b")).unwrap();
        b.patch(&pod, &patch).await.unwrap();
    }

    /// Waits until every enforcer's report says that it holds its policies and enforces the newest revision.
    async fn settle(&self) {
        let policies = settle::policies_among(&[policy()]);
        settle::wait(&self.control, &policies).await.unwrap();
    }

    /// Once everything is in force, packets of frontend and batch job do this: at once, unless what was written last was
    /// still on its way to the hub.
    async fn settled(&self, when: &str, frontend: Verdict, batch: Verdict) {
        self.settle().await;
        self.packets(when, frontend, batch).await;
    }

    /// Waits until packets of frontend and batch job do this.
    async fn packets(&self, when: &str, frontend: Verdict, batch: Verdict) {
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
    async fn now(&self, when: &str, frontend: Verdict, batch: Verdict) {
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
    async fn is(&mut self, id: &str, state: State) {
        let reached = until(LIMIT, async || {
            let answer = self.inventory.list_clusters(ListClustersRequest::default()).await?;
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

    /// Waits until the hub says that the frontend has its addresses, or that nobody has them.
    async fn frontend_has_addresses(&mut self, has: bool) {
        for address in FRONTEND_ADDRESSES {
            let reached = until(LIMIT, async || {
                let address = address.to_owned();
                let answer = self.inventory.lookup_address(LookupAddressRequest { address }).await?;
                let owners = answer.into_inner().owners;
                Ok(if owners.len() == usize::from(has) {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("the owners of a frontend's address to change from {owners:?}"))
                })
            });
            reached.await.map_err(|error| self.control.explain(&error)).unwrap();
        }
    }

    /// The file that makes cluster-b a member.
    fn membership(&self) -> PathBuf {
        self.control.folder().clusters().join("cluster-b.kubeconfig")
    }

    fn kubeconfig(&self, role: Role) -> String {
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

/// A label in cluster-b changes what happens to a packet in cluster-a, there and back.
async fn a_label_changes(play: &Play<'_>) {
    play.settled("with the policy", Verdict::Allowed, Verdict::Refused)
        .await;
    play.label_batch("frontend").await;
    play.settled("with a frontend's label", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.label_batch("batch").await;
    play.settled("with its own label again", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// Nobody inherits what a namespace of the same name had (S86, S87).
async fn a_namespace_ends(play: &mut Play<'_>) {
    let in_shop = |object: &Value| object["kind"] == "Pod" && object["metadata"]["namespace"] == "shop";
    let pods = play.original(in_shop);
    let name = cluster("cluster-b");
    let b = play.control.cluster(&name).unwrap();
    b.delete(&namespace(&json!({}))).await.unwrap();
    assert_eq!(b.phase("shop").await.unwrap().as_deref(), Some("Terminating"));
    play.settled("while its pods live", Verdict::Allowed, Verdict::Refused)
        .await;
    b.delete_pods("shop").await.unwrap();
    play.frontend_has_addresses(false).await;
    play.settled("without its pods", Verdict::Refused, Verdict::Refused)
        .await;
    let b = play.control.cluster(&name).unwrap();
    b.finalize("shop").await.unwrap();
    assert_eq!(b.phase("shop").await.unwrap(), None);
    play.write(&[&[namespace(&json!({}))], &*pods].concat()).await;
    play.frontend_has_addresses(true).await;
    play.settled("in a new namespace without labels", Verdict::Refused, Verdict::Refused)
        .await;
    play.write(&[namespace(&json!({CLUSTER_LABEL: "cluster-b"}))]).await;
    play.settled("in a new namespace with its label", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// What was known stays while an API server is away; what it has to say afterwards counts, and so does a list in pages.
async fn an_api_server_dies(play: &mut Play<'_>) {
    let name = cluster("cluster-b");
    let lists = play.control.cluster(&name).unwrap().lists().await.unwrap();
    assert_eq!(lists, Lists::Streamed);
    play.control.cluster_mut(&name).unwrap().kill().await.unwrap();
    play.is("cluster-b", State::Stale).await;
    play.now("without its API server", Verdict::Allowed, Verdict::Refused)
        .await;
    let b = play.control.cluster_mut(&name).unwrap();
    b.restart_with(Lists::Paged).await.unwrap();
    assert_eq!(b.lists().await.unwrap(), Lists::Paged);
    play.label_batch("frontend").await;
    play.is("cluster-b", State::Live).await;
    play.settled("with a label from afterwards", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.control.kill_hub().await;
    play.label_batch("batch").await;
    play.now("without a hub", Verdict::Allowed, Verdict::Allowed).await;
    play.control.restart_hub().await.unwrap();
    play.settled("with a hub that listed in pages", Verdict::Allowed, Verdict::Refused)
        .await;
}

/// Credentials that are refused cost the hub its sight, not what it knew; with good ones it sees again.
async fn credentials_change(play: &mut Play<'_>) {
    let file = play.membership();
    let before = play.kubeconfig(Role::Hub);
    let refused = before.replace(Role::Hub.token(), "no-token");
    assert_ne!(refused, before);
    std::fs::write(&file, refused).unwrap();
    play.is("cluster-b", State::Stale).await;
    play.label_batch("frontend").await;
    play.now("with refused credentials", Verdict::Allowed, Verdict::Refused)
        .await;
    std::fs::write(&file, play.kubeconfig(Role::Enforcer)).unwrap();
    play.is("cluster-b", State::Live).await;
    play.settled(
        "with the credentials of another user",
        Verdict::Allowed,
        Verdict::Allowed,
    )
    .await;
}

/// A cluster is a member as long as its kubeconfig is in the hub's folder.
async fn a_cluster_leaves(play: &mut Play<'_>) {
    let file = play.membership();
    let kubeconfig = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    play.is("cluster-b", State::Left).await;
    play.frontend_has_addresses(false).await;
    play.packets("after it left", Verdict::Refused, Verdict::Refused).await;
    std::fs::write(&file, kubeconfig).unwrap();
    play.is("cluster-b", State::Live).await;
    play.packets("as a member again", Verdict::Allowed, Verdict::Allowed)
        .await;
    play.settle().await;
}

fn scenario(apiserver: Kind) {
    let ground = Ground::prepare().unwrap();
    let network = Network {
        layout: Layout::Bridge,
        apiserver,
    };
    let lab = Lab::build(world(), &[].into(), network).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::open(&ground, &lab, network).await;
        let (name, policy) = policy();
        play.control.cluster(&name).unwrap().write(&[policy]).await.unwrap();
        a_label_changes(&play).await;
        a_namespace_ends(&mut play).await;
        an_api_server_dies(&mut play).await;
        credentials_change(&mut play).await;
        a_cluster_leaves(&mut play).await;
        play.control.stop().await;
    });
}

#[test]
fn packets_follow_two_embedded_api_servers() {
    scenario(Kind::Embedded);
}

#[test]
fn packets_follow_two_real_api_servers() {
    scenario(Kind::Real);
}
