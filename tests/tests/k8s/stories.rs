//! The three stories, told by the manifests of `deploy/examples` that the README has its reader apply, in both families,
//! by pod addresses and by Services; and what happens to a story when its pods, namespaces and clusters change.

use super::rig::Verdict::{Allowed, Refused};
use super::rig::{A, B, Connection, Pod, SOON, connections, kubectl, pod, pods, run, service, soon, within};
use std::net::IpAddr;
use std::time::Duration;
use tests::lab::wait::{Look, until};

/// The examples' pods, ready, with no policy in force.
pub struct Examples;

impl Examples {
    /// Applies them, and waits.
    pub fn start() -> Self {
        for cluster in [A, B] {
            kubectl(cluster, "delete networkpolicy --all-namespaces --all");
            kubectl(cluster, &format!("apply -f deploy/examples/{cluster}.yaml"));
        }
        for (cluster, namespaces) in [(A, ["shop", "payments"]), (B, ["shop", "billing"])] {
            for namespace in namespaces {
                let rollout = "wait --for=condition=Available --timeout=90s deployment --all --namespace";
                kubectl(cluster, &format!("{rollout} {namespace}"));
            }
        }
        Self
    }

    /// Applies a story's policy.
    pub fn apply(&self, story: u8) {
        kubectl(A, &format!("apply -f deploy/examples/story-{story}.yaml"));
    }
}

impl Drop for Examples {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            kubectl(A, "delete networkpolicy --all-namespaces --all");
        }
    }
}

/// Connections from applications, written `cluster-a shop/frontend`, to a server.
pub fn from(
    apps: &[(&'static str, &str, &str)],
    server: &'static str,
    to: &[IpAddr],
    verdict: super::rig::Verdict,
) -> Vec<Connection> {
    let sources: Vec<Pod> = apps
        .iter()
        .flat_map(|&(cluster, namespace, app)| {
            let found = pods(cluster, namespace, app);
            assert!(!found.is_empty(), "no {app} in {cluster}/{namespace}");
            found
        })
        .collect();
    connections(&sources, server, to, verdict).collect()
}

/// Every application but the servers.
pub const EVERYBODY: [(&str, &str, &str); 5] = [
    (A, "shop", "frontend"),
    (B, "shop", "frontend"),
    (B, "shop", "batch"),
    (B, "billing", "billing"),
    (B, "billing", "report"),
];

/// Whom story 1 admits, and whom it does not.
pub const FRONTENDS: [(&str, &str, &str); 2] = [EVERYBODY[0], EVERYBODY[1]];
pub const OTHERS: [(&str, &str, &str); 3] = [EVERYBODY[2], EVERYBODY[3], EVERYBODY[4]];

/// Whom story 2 admits, and some of those whom it does not.
pub const BILLING: [(&str, &str, &str); 1] = [EVERYBODY[3]];
pub const NO_BILLING: [(&str, &str, &str); 3] = [EVERYBODY[0], EVERYBODY[1], EVERYBODY[4]];

/// One policy admits a stretched application's frontends wherever they run.
#[tokio::test]
async fn story_1() {
    let examples = Examples::start();
    let database = pod(A, "shop", "database");
    let by_service = service(A, "shop", "database");
    let to = &database.addresses;
    let ours = "database of cluster-a";
    soon(
        "without a policy everybody reaches the database",
        from(&EVERYBODY, ours, to, Allowed),
    )
    .await;

    examples.apply(1);
    let mut expected = from(&FRONTENDS, ours, to, Allowed);
    expected.extend(from(&FRONTENDS[..1], ours, &by_service, Allowed));
    expected.extend(from(&OTHERS, ours, to, Refused));
    let theirs = pod(B, "shop", "database");
    expected.extend(from(&EVERYBODY, "database of cluster-b", &theirs.addresses, Allowed));
    soon(
        "story 1: frontends of both clusters, and nobody else; in the other cluster there is no policy",
        expected,
    )
    .await;
}

/// Story 1 holds while its pods change: relabelled, scaled, scheduled anew.
#[tokio::test]
async fn pods_change() {
    let examples = Examples::start();
    examples.apply(1);
    let (database, by_service) = (pod(A, "shop", "database"), service(A, "shop", "database"));
    let (ours, to) = ("database of cluster-a", &database.addresses);
    soon("story 1", from(&FRONTENDS, ours, to, Allowed)).await;

    let batch = pod(B, "shop", "batch");
    kubectl(
        B,
        &format!("label pod --namespace shop {} app=frontend --overwrite", batch.name),
    );
    let relabelled = |verdict| connections(std::slice::from_ref(&batch), ours, to, verdict).collect();
    soon(
        "a pod of the other cluster is relabelled to be a frontend",
        relabelled(Allowed),
    )
    .await;
    kubectl(
        B,
        &format!("label pod --namespace shop {} app=batch --overwrite", batch.name),
    );
    soon("and is none any more", relabelled(Refused)).await;
    kubectl(B, "rollout status --namespace shop deployment --timeout=90s");

    let before = pods(B, "shop", "frontend");
    kubectl(B, "scale deployment --namespace shop frontend --replicas=3");
    kubectl(B, "rollout status --namespace shop deployment/frontend --timeout=90s");
    let after = pods(B, "shop", "frontend");
    assert_eq!((before.len(), after.len()), (1, 3));
    soon(
        "scaled up in the other cluster",
        connections(&after, ours, to, Allowed).collect(),
    )
    .await;
    kubectl(B, "scale deployment --namespace shop frontend --replicas=1");

    kubectl(A, &format!("delete pod --namespace shop {}", database.name));
    kubectl(A, "rollout status --namespace shop deployment/database --timeout=90s");
    let moved = pod(A, "shop", "database");
    assert_ne!(
        moved.addresses, *to,
        "the new pod has the old one's addresses: nothing is shown"
    );
    let mut expected = from(&FRONTENDS, ours, &moved.addresses, Allowed);
    expected.extend(from(&FRONTENDS[..1], ours, &by_service, Allowed));
    expected.extend(from(&OTHERS, ours, &moved.addresses, Refused));
    soon("the database is scheduled anew", expected).await;

    let frontend = pod(B, "shop", "frontend");
    kubectl(B, &format!("delete pod --namespace shop {}", frontend.name));
    kubectl(B, "rollout status --namespace shop deployment/frontend --timeout=90s");
    let anew = pod(B, "shop", "frontend");
    assert_ne!(anew.name, frontend.name);
    soon(
        "a frontend is scheduled anew",
        connections(&[anew], ours, &moved.addresses, Allowed).collect(),
    )
    .await;
}

/// A database admits one application of one other cluster, by the cluster's name.
#[tokio::test]
async fn story_2() {
    let examples = Examples::start();
    let ledger = pod(A, "payments", "ledger");
    let by_service = service(A, "payments", "ledger");
    let to = &ledger.addresses;
    let server = "ledger of cluster-a";
    soon(
        "without a policy everybody reaches the ledger",
        from(&EVERYBODY, server, to, Allowed),
    )
    .await;

    examples.apply(2);
    let mut expected = from(&BILLING, server, to, Allowed);
    expected.extend(from(&NO_BILLING, server, to, Refused));
    expected.extend(from(&NO_BILLING[..1], server, &by_service, Refused));
    soon("story 2: the billing of cluster-b, and nobody else", expected).await;

    // A twin in the policy's own cluster is not meant, and cannot say that it is of cluster-b.
    kubectl(A, "create namespace billing");
    let claim = "label namespace billing cluster.clusterset.k8s.io/cluster-name=cluster-b --overwrite";
    let refused = run(&format!("kubectl --context {A} {claim}").split(' ').collect::<Vec<_>>());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("this is cluster cluster-a"),
        "a false cluster label is taken: {refused:?}"
    );

    // Nor where nobody refuses it the label.
    unlabelled(A);
    soon_done(A, claim).await;
    kubectl(
        A,
        "create deployment --namespace billing billing --image=busybox:1.37 -- sleep infinity",
    );
    kubectl(A, "rollout status --namespace billing deployment/billing --timeout=90s");
    let mut expected = from(&[(A, "billing", "billing")], server, to, Refused);
    expected.extend(from(&BILLING, server, to, Allowed));
    soon("its twin in cluster-a, which claims to be of cluster-b", expected).await;
    kubectl(A, "delete namespace billing --wait=false");
    labelled(A);

    unlabelled(B);
    let label = "label namespace billing cluster.clusterset.k8s.io/cluster-name";
    soon_done(B, &format!("{label}-")).await;
    soon(
        "the namespace loses its cluster label",
        from(&BILLING, server, to, Refused),
    )
    .await;
    labelled(B);
    kubectl(B, &format!("{label}=cluster-b"));
    soon("and has it again", from(&BILLING, server, to, Allowed)).await;
}

/// Takes away what deploy/cluster-label goes by: nothing keeps namespaces labelled any more.
fn unlabelled(cluster: &str) {
    kubectl(cluster, "delete configmap --namespace bailey bailey-cluster");
}

/// The contrary.
fn labelled(cluster: &str) {
    kubectl(
        cluster,
        &format!("create configmap --namespace bailey bailey-cluster --from-literal=id={cluster}"),
    );
}

/// kubectl that the API server may refuse or undo as long as it has not heard of the change before; it is done when its
/// output says that it changes nothing any more.
async fn soon_done(cluster: &str, arguments: &str) {
    let done = until(SOON, async || {
        let line = format!("kubectl --context {cluster} {arguments}");
        let output = run(&line.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok(if said.contains("not labeled") {
            Look::Done(())
        } else {
            Look::NotYet(said)
        })
    });
    done.await.unwrap();
}

/// A policy never reaches beyond its own cluster.
#[tokio::test]
async fn story_3() {
    let examples = Examples::start();
    let (ours, theirs) = (pod(A, "shop", "database"), pod(B, "shop", "database"));
    let everywhere = || {
        let mut all = from(&EVERYBODY, "database of cluster-a", &ours.addresses, Allowed);
        all.extend(from(&EVERYBODY, "database of cluster-b", &theirs.addresses, Allowed));
        all
    };
    soon("without a policy everybody reaches both databases", everywhere()).await;

    examples.apply(3);
    let (mine, foreign) = EVERYBODY.split_at(1);
    let mut expected = from(mine, "database of cluster-a", &ours.addresses, Allowed);
    expected.extend(from(
        mine,
        "database of cluster-a",
        &service(A, "shop", "database"),
        Allowed,
    ));
    expected.extend(from(mine, "database of cluster-b", &theirs.addresses, Refused));
    expected.extend(from(foreign, "database of cluster-a", &ours.addresses, Refused));
    expected.extend(from(foreign, "database of cluster-b", &theirs.addresses, Allowed));
    soon(
        "story 3: the shop of cluster-a keeps to its cluster, that of cluster-b does as before",
        expected,
    )
    .await;

    kubectl(A, "delete -f deploy/examples/story-3.yaml");
    soon("the policy is gone", everywhere()).await;
}

/// A cluster leaves and becomes a member again, by the commands of the README.
#[tokio::test]
async fn a_cluster_leaves_and_comes_back() {
    let examples = Examples::start();
    let ledger = pod(A, "payments", "ledger");
    let billing = |verdict| from(&BILLING, "ledger of cluster-a", &ledger.addresses, verdict);
    examples.apply(2);
    soon("story 2", billing(Allowed)).await;
    let of_a_member = ["--id", B, "--context", B, "--hub-context", A];
    hub(&[&["members", "remove"], &of_a_member[..]].concat());
    within(KUBELETS_TIME, "cluster-b is no member any more", billing(Refused)).await;
    hub(&[&["members", "add"], &of_a_member[..]].concat());
    within(KUBELETS_TIME, "and is one again", billing(Allowed)).await;
}

/// Within what kubelet shows a hub that its Secret has changed.
const KUBELETS_TIME: Duration = Duration::from_secs(150);

/// Runs the hub's program, which must succeed.
fn hub(arguments: &[&str]) {
    let output = run(&[&["hub"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "hub {}: {said}", arguments.join(" "));
}
