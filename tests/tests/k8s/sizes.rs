//! What hub and enforcers need as the ClusterSet grows: memory, processor time, and how long a new hub and a new enforcer
//! take. The pods are objects alone, on nodes that are objects alone; the policies' subjects are the examples' pods.
//!
//! The figures are printed, and make the README's table; the test fails only if not all of it comes into force.

#![expect(clippy::disallowed_methods, reason = "the clock is what this is about")]

use super::rig::{A, B, apply, client, kubectl, members};
use super::stories::Examples;
use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::lab::wait::{Look, until};

/// Pods of both clusters together, one step after the other.
const PODS: [usize; 3] = [1_000, 10_000, 50_000];
const NAMESPACES: usize = 50;
/// Kinds of pods: values of the label `app`, each of which a policy asks for.
const APPS: usize = 200;
const PODS_OF_A_NODE: usize = 100;
/// Requests to an API server at a time.
const AT_A_TIME: usize = 64;
/// Within what a step comes into force.
const LIMIT: Duration = Duration::from_secs(300);

/// A pod of nobody's: the half of them are cluster-b's.
fn of(number: usize) -> (&'static str, String, Value, Value) {
    let (cluster, block) = if number.is_multiple_of(2) { (A, 1) } else { (B, 2) };
    let own = number / 2;
    let (high, low) = (own / 250 + 8, own % 250 + 1);
    let name = format!("pod-{number}");
    let object = json!({
        "metadata": {"name": name, "labels": {"app": format!("app-{}", own % APPS), "pod-template-hash": format!("{:x}", own / 20)}},
        "spec": {
            "nodeName": format!("object-{}", own / PODS_OF_A_NODE), "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}], "containers": [{"name": "none", "image": "none"}],
        },
    });
    let addresses = [
        format!("10.{block}.{high}.{low}"),
        format!("fd00:{block}:{high:x}::{low:x}"),
    ];
    let status = json!({"status": {
        "phase": "Running", "podIP": addresses[0], "podIPs": addresses.map(|ip| json!({"ip": ip})),
    }});
    (cluster, namespace(own), object, status)
}

fn namespace(own: usize) -> String {
    format!("size-{}", own % NAMESPACES)
}

/// Makes the objects of a step.
async fn make(numbers: std::ops::Range<usize>) {
    let clients = [client(A).await, client(B).await];
    let nodes = numbers.clone().step_by(PODS_OF_A_NODE * 2).flat_map(|first| {
        let name = format!("object-{}", first / 2 / PODS_OF_A_NODE);
        [0, 1].map(|cluster| (cluster, name.clone()))
    });
    for (cluster, name) in nodes {
        let api: Api<v1::Node> = Api::all(clients[cluster].clone());
        let node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &node).await.unwrap();
    }
    let make = async |number: usize| {
        let (cluster, namespace, object, status) = of(number);
        let api: Api<v1::Pod> = Api::namespaced(clients[usize::from(cluster == B)].clone(), &namespace);
        let pod: v1::Pod = serde_json::from_value(object).unwrap();
        let name = pod.metadata.name.clone().unwrap();
        api.create(&PostParams::default(), &pod).await.unwrap();
        let patch = Patch::Merge(status);
        api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
    };
    stream::iter(numbers).for_each_concurrent(AT_A_TIME, make).await;
}

/// Waits until the hub knows so many pods and every enforcer has all of it in force.
async fn in_force(count: usize) {
    let done = until(LIMIT, async || {
        let members = match members(&format!("--hub-context {A}")) {
            Ok(members) => members,
            Err(reason) => return Ok(Look::NotYet(reason)),
        };
        let sum = |field: &str| -> u64 { members.iter().map(|member| member[field].as_u64().unwrap_or(0)).sum() };
        let (pods, connected, behind) = (sum("pods"), sum("enforcersConnected"), sum("enforcersBehind"));
        Ok(if pods >= count as u64 && connected == 4 && behind == 0 {
            Look::Done(())
        } else {
            Look::NotYet(format!(
                "{pods} pods are known, {behind} of {connected} enforcers are behind"
            ))
        })
    });
    done.await.unwrap_or_else(|error| panic!("{error:#}"));
}

/// What a program needs: memory that is resident, in MB, and processor time so far, in seconds. Of several, the largest.
fn needs(program: &str) -> (f64, f64) {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.unwrap().path();
        let is_it = std::fs::read_to_string(folder.join("cmdline"))
            .is_ok_and(|line| line.starts_with(&format!("/{program}\0")));
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        is_it.then(|| (read("status"), read("stat")))
    });
    let figures = all.filter_map(|(status, stat)| {
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        // utime and stime, proc_pid_stat(5), in hundredths of a second.
        let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
        Some((kilobytes * 1024.0 / 1e6, ticks / 100.0))
    });
    figures.fold((0.0, 0.0), |most: (f64, f64), one| {
        (most.0.max(one.0), most.1.max(one.1))
    })
}

/// Starts a component anew in clusters and says how long that took, until everything is in force again.
async fn anew(what: &str, clusters: &[&str], count: usize) -> Duration {
    let start = Instant::now();
    for cluster in clusters {
        kubectl(cluster, &format!("rollout restart --namespace bailey {what}"));
    }
    for cluster in clusters {
        kubectl(
            cluster,
            &format!("rollout status --namespace bailey {what} --timeout=300s"),
        );
    }
    in_force(count).await;
    start.elapsed()
}

#[tokio::test]
async fn what_it_needs() {
    let _examples = Examples::start();
    let namespaces: Vec<Value> = (0..NAMESPACES)
        .map(|number| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number)}}))
        .collect();
    let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    for cluster in [A, B] {
        apply(cluster, &list(&namespaces));
    }
    let policies: Vec<Value> = (0..APPS)
        .map(|number| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": format!("size-{number}"), "namespace": "shop"},
                "spec": {"podSelector": {}, "ingress": [{"from": [{
                    "namespaceSelector": {}, "podSelector": {"matchLabels": {"app": format!("app-{number}")}},
                }]}]},
            })
        })
        .collect();
    apply(A, &list(&policies));
    let mut made = 0;
    for count in PODS {
        make(made..count).await;
        made = count;
        in_force(count).await;
        let hub = anew("deployment/bailey-hub", &[A], count).await;
        let enforcer = anew("daemonset/bailey-enforcer", &[A, B], count).await;
        let ((hub_memory, hub_cpu), (memory, cpu)) = (needs("hub"), needs("enforcer"));
        println!(
            "{count} pods, {APPS} policies: hub {hub_memory:.0} MB, {hub_cpu:.1} s of a core and anew in {:.1} s; \
             enforcer {memory:.0} MB, {cpu:.1} s and anew in {:.1} s",
            hub.as_secs_f64(),
            enforcer.as_secs_f64()
        );
    }
}
