//! Pods that start: the container runtime waits with each until it is isolated (S79), and an enforcer that cannot isolate it
//! holds it up for no longer than it says.

use super::rig::{Rig, in_lab, node, pod};
use enforcer::nri::ANSWER_WITHIN;
use enforcer::nri::message::PodSandbox;
use enforcer::offline::ends::Verdict;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::slice;
use std::time::Instant;
use tests::apiserver::{Lists, Role};
use tests::lab::layout::Layout;
use tests::lab::runtime::{Plugin, REQUEST_TIMEOUT, Runtime};

/// Where the runtime of a/node-1 listens.
fn socket(rig: &Rig<'_>) -> PathBuf {
    rig.control.folder().path().join("nri.sock")
}

/// Starts the enforcer of a/node-1 anew, as a plugin of the runtime.
async fn with_runtime(rig: &mut Rig<'_>, more: &str) -> Runtime {
    let runtime = Runtime::listen(&socket(rig)).unwrap();
    let on = node("a/node-1");
    rig.control.stop_enforcer(&on).await.unwrap();
    let flags = [format!("--nri={}", socket(rig).display()), more.to_owned()];
    rig.control.start_enforcer_with(&rig.lab.fabric, &on, &flags).unwrap();
    runtime
}

/// The same where `stranger` was, whose addresses nobody is known to have then, with a runtime that runs nothing.
async fn in_strangers_place(rig: &mut Rig<'_>) -> (Runtime, Plugin) {
    let runtime = with_runtime(rig, "--nri-late=refuse").await;
    let plugin = runtime.plugin(&[], false).await.unwrap();
    rig.control.enforcers_ready().await.unwrap();
    rig.delete("a", &pod("a", "stranger")).await;
    rig.settle().await;
    (runtime, plugin)
}

/// A pod that the policy isolates, where `stranger` is: as the API server knows it before it has addresses.
fn starting() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "starts", "namespace": "x", "uid": "of-starts", "labels": {"app": "db"}},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Pending"},
    })
}

/// Its sandbox, with the network of `stranger`.
fn sandbox(uid: &str) -> PodSandbox {
    let stranger = pod("a", "stranger");
    let addresses = stranger["status"]["podIPs"].as_array().unwrap().iter();
    PodSandbox {
        id: "sandbox-of-starts".to_owned(),
        name: "starts".to_owned(),
        uid: uid.to_owned(),
        namespace: "x".to_owned(),
        labels: [("app".to_owned(), "db".to_owned())].into(),
        ips: addresses
            .map(|address| address["ip"].as_str().unwrap().to_owned())
            .collect(),
        ..PodSandbox::default()
    }
}

/// The UID that the API server gave the pod.
async fn uid(rig: &Rig<'_>) -> String {
    let cluster = rig.control.cluster(&super::rig::name("a")).unwrap();
    let object = cluster.pods(&starting()).get("starts").await.unwrap();
    object.metadata.uid.unwrap()
}

/// S79, S122: Whether or not the API server tells of the pod, its first packet is judged: when the runtime is answered, the
/// kernel has its chain. When the sandbox is gone, so is what it said.
#[test]
fn a_pod_is_isolated_when_the_runtime_is_answered() {
    in_lab(Layout::Routed, async |rig| {
        let (_runtime, plugin) = in_strangers_place(rig).await;
        for is_known in [true, false] {
            let mut uid_of_starts = "unknown".to_owned();
            if is_known {
                rig.write("a", slice::from_ref(&starting())).await;
                rig.settle().await;
                uid_of_starts = uid(rig).await;
            }
            rig.judge("b/x/other", "a/x/stranger", Verdict::Allowed).await;
            plugin.run(&sandbox(&uid_of_starts)).await.unwrap();
            rig.judge("b/x/other", "a/x/stranger", Verdict::Refused).await;
            rig.judge("a/x/near", "a/x/stranger", Verdict::Allowed).await;
            plugin.stop(&sandbox(&uid_of_starts)).await.unwrap();
            rig.becomes("b/x/other", "a/x/stranger", Verdict::Allowed).await;
            if is_known {
                rig.delete("a", &starting()).await;
                rig.settle().await;
            }
        }
    });
}

/// A runtime that was restarted is found again; what it ran meanwhile is isolated, and what ended is not.
#[test]
fn what_a_runtime_runs_that_comes_back_is_isolated() {
    in_lab(Layout::Routed, async |rig| {
        let (runtime, plugin) = in_strangers_place(rig).await;
        rig.judge("b/x/other", "a/x/stranger", Verdict::Allowed).await;
        drop((plugin, runtime));
        let program = "enforcer-a@node-1";
        rig.log_says(program, "no container runtime: ").await;
        let runtime = Runtime::listen(&socket(rig)).unwrap();
        let plugin = runtime.plugin(&[sandbox("unknown")], true).await.unwrap();
        rig.becomes("b/x/other", "a/x/stranger", Verdict::Refused).await;
        drop(plugin);
        let plugin = runtime.plugin(&[], true).await.unwrap();
        rig.becomes("b/x/other", "a/x/stranger", Verdict::Allowed).await;
        drop(plugin);
    });
}

/// S126: An enforcer that does not know the policies answers in time, as it was told, says so, and isolates the pod once it
/// knows them.
#[test]
fn an_enforcer_that_is_late_holds_a_pod_up_for_so_long_and_says_so() {
    in_lab(Layout::Routed, async |rig| {
        rig.delete("a", &pod("a", "stranger")).await;
        rig.settle().await;
        for (flag, answer) in [
            ("--nri-late=allow", "(--nri-late allow)"),
            ("--nri-late=refuse", "(--nri-late refuse)"),
        ] {
            let cluster = super::rig::name("a");
            rig.control.cluster_mut(&cluster).unwrap().kill().await.unwrap();
            let runtime = with_runtime(rig, flag).await;
            let plugin = runtime.plugin(&[], false).await.unwrap();
            rig.judge("b/x/other", "a/x/stranger", Verdict::Allowed).await;
            #[expect(clippy::disallowed_methods, reason = "what is measured is time")]
            let begin = Instant::now();
            let answered = plugin.run(&sandbox("unknown")).await;
            let took = begin.elapsed();
            assert!((ANSWER_WITHIN..REQUEST_TIMEOUT).contains(&took), "{took:?}");
            assert_eq!(answered.is_ok(), flag == "--nri-late=allow", "{answered:?}");
            rig.log_says("enforcer-a@node-1", answer).await;
            let metrics = rig.ask(&node("a/node-1"), "/metrics").await;
            assert!(
                metrics.contains("bailey_enforcer_pod_starts_late_total 1\n"),
                "{metrics}"
            );
            rig.control
                .cluster_mut(&cluster)
                .unwrap()
                .restart_with(Lists::Streamed)
                .await
                .unwrap();
            rig.becomes("b/x/other", "a/x/stranger", Verdict::Refused).await;
            rig.control.enforcers_ready().await.unwrap();
            plugin.run(&sandbox("unknown")).await.unwrap();
            plugin.stop(&sandbox("unknown")).await.unwrap();
            rig.becomes("b/x/other", "a/x/stranger", Verdict::Allowed).await;
        }
    });
}

/// S122: `--unknown-local-pods hold` lets nothing through from or to an address of the node's ranges that no pod is known to
/// have, except from and to the node itself; while the enforcer is away too; and it says so.
#[test]
fn unknown_addresses_of_the_nodes_ranges_are_held() {
    in_lab(Layout::Routed, async |rig| {
        let on = node("a/node-1");
        let ranges = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"},
            "spec": {"podCIDRs": ["10.1.0.0/24", "fd00:10:1::/64"]},
        });
        rig.write("a", slice::from_ref(&ranges)).await;
        rig.delete("a", &pod("a", "stranger")).await;
        rig.settle().await;
        let both_ways = [("b/x/other", "a/x/stranger"), ("a/x/stranger", "b/x/other")];
        for (from, to) in both_ways {
            rig.judge(from, to, Verdict::Allowed).await;
        }
        rig.control.stop_enforcer(&on).await.unwrap();
        // Enforcers may read Nodes only where they are told to hold.
        let kubeconfig = rig.control.folder().path().join("reads-nodes.kubeconfig");
        let cluster = rig.control.cluster(&super::rig::name("a")).unwrap();
        std::fs::write(&kubeconfig, cluster.kubeconfig(Role::Admin)).unwrap();
        let hold = [
            "--unknown-local-pods=hold".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
        ];
        rig.control.start_enforcer_with(&rig.lab.fabric, &on, &hold).unwrap();
        rig.becomes("b/x/other", "a/x/stranger", Verdict::Refused).await;
        rig.control.kill_enforcer(&on).await.unwrap();
        for (from, to) in both_ways {
            rig.judge(from, to, Verdict::Refused).await;
        }
        // Known pods are judged as ever, isolated or not.
        rig.judge("a/x/near", "a/x/db", Verdict::Allowed).await;
        rig.judge("b/x/other", "a/x/db", Verdict::Refused).await;
        rig.judge("b/x/other", "a/x/near", Verdict::Allowed).await;
        rig.control.start_enforcer_with(&rig.lab.fabric, &on, &hold).unwrap();
        rig.control.enforcers_ready().await.unwrap();
        rig.judge("b/x/other", "a/x/stranger", Verdict::Refused).await;
        rig.write("a", &[pod("a", "stranger")]).await;
        for (from, to) in both_ways {
            rig.becomes(from, to, Verdict::Allowed).await;
        }
        let said = rig.log_lines(
            "enforcer-a@node-1",
            "--unknown-local-pods hold: addresses of 10.1.0.0/24 and fd00:10:1::/64",
        );
        assert_eq!(said.len(), 2);
    });
}
