//! Parts of the clusters fail, or are replaced, under the stories: they hold throughout wherever the parts they need are up,
//! and everywhere afterwards; a change that comes meanwhile is not lost.

use super::rig::Verdict::{Allowed, Refused};
use super::rig::{
    A, B, Connection, Pod, SOON, connections, kubectl, node, pod, pods, program, run, service, soon, throughout,
};
use super::stories::{BILLING, EVERYBODY, Examples, FRONTENDS, NO_BILLING, OTHERS, from};
use std::time::Duration;
use tests::lab::wait::{Look, until};

const OURS: &str = "database of cluster-a";
const THEIRS: &str = "database of cluster-b";
const LEDGER: &str = "ledger of cluster-a";

/// How long an API server is away: longer than any watch goes on without noticing.
const A_MINUTE: Duration = Duration::from_secs(60);

/// The upstream suite passes while hub and enforcers are killed, one after the other, all the time.
#[tokio::test]
async fn upstream_suite_while_pods_are_killed() {
    const BETWEEN: Duration = Duration::from_secs(4);
    let suite = std::thread::spawn(|| run(&["tests/k8s/netpol", "--parallel", "3"]));
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

/// Stories 1 and 2 in force, at the pods that serve; and that neither reaches beyond its cluster.
struct Told {
    /// Whose end takes the policies away.
    _examples: Examples,
    database: Pod,
    ledger: Pod,
    theirs: Pod,
}

impl Told {
    /// Applies them, and waits until they hold.
    async fn start() -> Self {
        let examples = Examples::start();
        examples.apply(1);
        examples.apply(2);
        let told = Self {
            _examples: examples,
            database: pod(A, "shop", "database"),
            ledger: pod(A, "payments", "ledger"),
            theirs: pod(B, "shop", "database"),
        };
        soon("the stories", told.connections()).await;
        told
    }

    /// What they come to, from the pods of now.
    fn connections(&self) -> Vec<Connection> {
        let mut all = from(&FRONTENDS, OURS, &self.database.addresses, Allowed);
        all.extend(from(&OTHERS, OURS, &self.database.addresses, Refused));
        all.extend(from(&BILLING, LEDGER, &self.ledger.addresses, Allowed));
        all.extend(from(&NO_BILLING, LEDGER, &self.ledger.addresses, Refused));
        all.extend(from(&EVERYBODY, THEIRS, &self.theirs.addresses, Allowed));
        all
    }

    /// Those from pods of a cluster.
    fn connections_from(&self, cluster: &str) -> Vec<Connection> {
        let mut all = self.connections();
        all.retain(|connection| connection.from.cluster == cluster);
        all
    }

    /// Those with neither end on a node of cluster-a.
    fn connections_without(&self, node: &str) -> Vec<Connection> {
        let is_there = |pod: &Pod| pod.cluster == A && pod.node == node;
        let mut all = self.connections();
        all.retain(|connection| {
            let to = match connection.server {
                OURS => &self.database,
                LEDGER => &self.ledger,
                _ => &self.theirs,
            };
            !is_there(&connection.from) && !is_there(to)
        });
        all
    }
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

/// Hub and enforcers are replaced, as an upgrade replaces them: nothing that is allowed drops, nothing else passes.
#[tokio::test]
async fn all_is_rolled_out_anew() {
    let told = Told::start().await;
    let before = kubectl(A, "get pods --namespace bailey --output name");
    throughout("hub and enforcers are rolled out anew", &told.connections(), || {
        kubectl(A, "rollout restart --namespace bailey deployment/bailey-hub");
        for cluster in [A, B] {
            kubectl(cluster, "rollout restart --namespace bailey daemonset/bailey-enforcer");
        }
        settled();
    });
    let after = kubectl(A, "get pods --namespace bailey --output name");
    let stayed: Vec<&str> = after
        .lines()
        .filter(|name| before.lines().any(|was| was == *name))
        .collect();
    assert_eq!(stayed, [""; 0], "these were not replaced");
    soon("and then", told.connections()).await;
}

/// A node loses its power and is switched on again: what does not need it goes on, and afterwards all is as before.
#[tokio::test]
async fn a_node_restarts() {
    let mut told = Told::start().await;
    let with_the_database = told.database.node.clone();
    let other = if with_the_database == "node-1" {
        "node-2"
    } else {
        "node-1"
    };
    for name in [other, &with_the_database] {
        throughout(&format!("{name} restarts"), &told.connections_without(name), || {
            node(&["restart", &format!("{A}/{name}")]);
            node(&["ready", &format!("{A}/{name}")]);
        });
        // A pod may be the same, and has new addresses: it was the kernel that knew the old ones.
        for pod in [&mut told.database, &mut told.ledger] {
            if pod.node == name {
                *pod = come_back(pod).await;
            }
        }
        for namespace in ["shop", "payments"] {
            kubectl(
                A,
                &format!("rollout status --namespace {namespace} deployment --timeout=120s"),
            );
        }
        settled();
        soon("on the node that was away too", told.connections()).await;
    }
    let mut expected = told.connections();
    expected.extend(from(&FRONTENDS[..1], OURS, &service(A, "shop", "database"), Allowed));
    soon("by the Service too", expected).await;
}

/// The policy's own API server is away for a minute; pods of the other cluster change meanwhile.
#[tokio::test]
async fn the_policys_api_server_is_away() {
    let (told, batch) = (Told::start().await, pod(B, "shop", "batch"));
    let whole = told.connections();
    let reachable = told.connections_from(B);
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
    let to = &told.database.addresses;
    let batch_is = |verdict| connections(std::slice::from_ref(&batch), OURS, to, verdict).collect();
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
    let told = Told::start().await;
    let whole = told.connections();
    let reachable = told.connections_from(A);
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
    soon("a frontend is scheduled anew", told.connections()).await;
}

/// Every containerd of the policy's cluster is killed and starts again: pods run on, new ones are as good as any.
#[tokio::test]
async fn containerd_restarts() {
    let told = Told::start().await;
    for node in ["node-1", "node-2"] {
        program("restart", &format!("{A}/{node}"), "containerd");
    }
    throughout("containerd restarts", &told.connections_from(B), || {
        kubectl(A, "scale deployment --namespace shop frontend --replicas=4");
        kubectl(A, "rollout status --namespace shop deployment/frontend --timeout=120s");
    });
    assert_eq!(pods(A, "shop", "frontend").len(), 4);
    soon("pods that started after it", told.connections()).await;
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
