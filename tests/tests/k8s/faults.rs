//! Parts of the clusters fail under story 1: it holds throughout wherever the parts it needs are up, and everywhere
//! afterwards; a change that comes meanwhile is not lost.

use super::rig::Verdict::{Allowed, Refused};
use super::rig::{
    A, B, Connection, Pod, SOON, connections, kubectl, node, pod, pods, program, run, service, soon, throughout,
};
use super::stories::{Examples, FRONTENDS, OTHERS, from};
use std::time::Duration;
use tests::lab::wait::{Look, until};

const OURS: &str = "database of cluster-a";

/// How long an API server is away: longer than any watch goes on without noticing.
const A_MINUTE: Duration = Duration::from_secs(60);

/// The upstream suite passes while hub and enforcers are killed, one after the other, all the time.
#[tokio::test]
async fn upstream_suite_while_pods_are_killed() {
    const BETWEEN: Duration = Duration::from_secs(4);
    let suite = std::thread::spawn(|| run(&["tests/k8s/netpol", "--short", "--parallel", "2"]));
    let mut killed = 0;
    while !suite.is_finished() {
        for component in ["enforcer", "hub", "enforcer"] {
            let of = format!("--namespace bailey --selector app.kubernetes.io/component={component}");
            let list = kubectl(A, &format!("get pods {of} --output name"));
            if let Some(name) = list.lines().nth(killed % list.lines().count().max(1)) {
                kubectl(A, &format!("delete --namespace bailey {name} --force --grace-period=0"));
                killed += 1;
            }
            std::thread::sleep(BETWEEN);
        }
    }
    let output = suite.join().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "while {killed} pods were killed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(killed > 5, "only {killed} pods were killed");
    println!("{killed} pods of hub and enforcers killed meanwhile");
    settled();
}

/// What story 1 comes to at the database's addresses.
fn story(to: &Pod) -> Vec<Connection> {
    let mut all = from(&FRONTENDS, OURS, &to.addresses, Allowed);
    all.extend(from(&OTHERS, OURS, &to.addresses, Refused));
    all
}

/// Waits until hub and enforcers are as they should be.
fn settled() {
    kubectl(
        A,
        "rollout status --namespace bailey deployment/bailey-hub --timeout=120s",
    );
    for cluster in [A, B] {
        kubectl(
            cluster,
            "rollout status --namespace bailey daemonset/bailey-enforcer --timeout=120s",
        );
    }
}

/// A node loses its power and is switched on again: what does not need it goes on, and afterwards all is as before.
#[tokio::test]
async fn a_node_restarts() {
    let examples = Examples::start();
    examples.apply(1);
    let database = pod(A, "shop", "database");
    soon("story 1", story(&database)).await;

    let other = if database.node == "node-1" { "node-2" } else { "node-1" };
    let elsewhere = |connection: &Connection| connection.from.cluster == B || connection.from.node != other;
    let unaffected: Vec<Connection> = story(&database).into_iter().filter(elsewhere).collect();
    throughout("a node without the database restarts", &unaffected, || {
        node(&["restart", &format!("{A}/{other}")]);
        node(&["ready", &format!("{A}/{other}")]);
    });
    kubectl(A, "rollout status --namespace shop deployment/frontend --timeout=120s");
    soon("story 1 on the node that was away too", story(&database)).await;

    node(&["restart", &format!("{A}/{}", database.node)]);
    node(&["ready", &format!("{A}/{}", database.node)]);
    // The pod may be the same, and has new addresses: it was the kernel that knew the old ones.
    let database = come_back(&database).await;
    kubectl(A, "rollout status --namespace shop deployment --timeout=120s");
    settled();
    let mut expected = story(&database);
    expected.extend(from(&FRONTENDS[..1], OURS, &service(A, "shop", "database"), Allowed));
    soon("the database's node restarted", expected).await;
}

/// The policy's own API server is away for a minute; pods of the other cluster change meanwhile.
#[tokio::test]
async fn the_policys_api_server_is_away() {
    let examples = Examples::start();
    examples.apply(1);
    let (database, batch) = (pod(A, "shop", "database"), pod(B, "shop", "batch"));
    soon("story 1", story(&database)).await;

    let (whole, from_b) = (story(&database), |connection: &Connection| connection.from.cluster == B);
    let reachable: Vec<Connection> = whole.iter().filter(|&one| from_b(one)).cloned().collect();
    program("stop", A, "kube-apiserver");
    throughout("without the API server of cluster-a", &reachable, || {
        std::thread::sleep(A_MINUTE);
    });
    let labelled = |app: &str| {
        kubectl(
            B,
            &format!("label pod --namespace shop {} app={app} --overwrite", batch.name),
        );
    };
    let batch_is = |verdict| connections(std::slice::from_ref(&batch), OURS, &database.addresses, verdict).collect();
    labelled("frontend");
    soon("a pod of cluster-b becomes a frontend meanwhile", batch_is(Allowed)).await;
    labelled("batch");
    soon("and is none any more", batch_is(Refused)).await;
    program("start", A, "kube-apiserver");
    back(A).await;
    soon("the API server is back", whole).await;

    kubectl(A, "delete -f deploy/examples/story-1.yaml");
    soon("and the policy goes", batch_is(Allowed)).await;
    kubectl(B, "rollout status --namespace shop deployment --timeout=120s");
}

/// The other cluster's API server is away for a minute: what is known of its pods stays, and what changed is caught up.
#[tokio::test]
async fn the_other_clusters_api_server_is_away() {
    let examples = Examples::start();
    examples.apply(1);
    let database = pod(A, "shop", "database");
    soon("story 1", story(&database)).await;

    let (whole, from_a) = (story(&database), |connection: &Connection| connection.from.cluster == A);
    let reachable: Vec<Connection> = whole.iter().filter(|&one| from_a(one)).cloned().collect();
    program("stop", B, "kube-apiserver");
    throughout("without the API server of cluster-b", &reachable, || {
        std::thread::sleep(A_MINUTE);
    });
    program("start", B, "kube-apiserver");
    back(B).await;
    throughout("it is back", &whole, || ());
    let frontend = pod(B, "shop", "frontend");
    kubectl(
        B,
        &format!("delete pod --namespace shop {} --force --grace-period=0", frontend.name),
    );
    come_back(&frontend).await;
    soon("a frontend is scheduled anew", story(&database)).await;
}

/// Every containerd of the policy's cluster is killed and starts again: pods run on, new ones are as good as any.
#[tokio::test]
async fn containerd_restarts() {
    let examples = Examples::start();
    examples.apply(1);
    let database = pod(A, "shop", "database");
    soon("story 1", story(&database)).await;
    for node in ["node-1", "node-2"] {
        program("restart", &format!("{A}/{node}"), "containerd");
    }
    let from_b = |connection: &Connection| connection.from.cluster == B;
    let reachable: Vec<Connection> = story(&database).into_iter().filter(from_b).collect();
    throughout("containerd restarts", &reachable, || {
        kubectl(A, "scale deployment --namespace shop frontend --replicas=4");
        kubectl(A, "rollout status --namespace shop deployment/frontend --timeout=120s");
    });
    assert_eq!(pods(A, "shop", "frontend").len(), 4);
    soon("pods that started after it", story(&database)).await;
    kubectl(A, "scale deployment --namespace shop frontend --replicas=2");
    kubectl(A, "rollout status --namespace shop deployment/frontend --timeout=120s");
}

/// Waits until the only pod of an application runs with other addresses than it had, and gives it. That takes as long as
/// controllers back off that have missed their API server.
async fn come_back(before: &Pod) -> Pod {
    let app = before.name.split('-').next().unwrap();
    let done = until(SOON * 5, async || {
        let now = pods(before.cluster, &before.namespace, app);
        Ok(match now.as_slice() {
            [pod] if pod.addresses != before.addresses => Look::Done(pod.clone()),
            _ => Look::NotYet(format!("{before} has not come back: {now:?}")),
        })
    });
    done.await.unwrap()
}

/// Waits until a cluster's API server answers, and its nodes are known to be well.
async fn back(cluster: &str) {
    let done = until(SOON * 3, async || {
        let output = run(&["kubectl", "--context", cluster, "get", "--raw", "/readyz"]);
        Ok(if output.status.success() {
            Look::Done(())
        } else {
            Look::NotYet(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    });
    done.await.unwrap();
    kubectl(cluster, "wait --for=condition=Ready node --all --timeout=120s");
}
