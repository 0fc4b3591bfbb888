//! What it takes until a new pod is isolated on its node: in the kernel, beside a bare watch that sees its address, and beside
//! the pod's own first instruction, which must find itself isolated.

use super::{SAMPLES, Seen, print, saw, shown, watch};
use crate::flow::netns_of_node;
use crate::rig::{A, apply, client, kubectl, with_components};
use k8s_openapi::api::core::v1;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tests::lab::measure::Samples;

const NAMESPACE: &str = "isolated";

/// Which addresses have become keys of a node's verdict map for egress, and when: `nft monitor` in the node's network
/// namespace, which the kernel tells of each transaction when it commits it.
struct Kernel {
    monitor: Child,
    isolated: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Kernel {
    fn watch(node: &str) -> Self {
        let start = || Command::new("nft").arg("monitor").stdout(Stdio::piped()).spawn();
        let mut monitor = netns_of_node(A, node).run(start).unwrap().expect("nft does not start");
        let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
        let isolated = Arc::<Mutex<BTreeMap<String, Instant>>>::default();
        let found = Arc::clone(&isolated);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // add element ip bailey egress { 10.1.1.5 : goto egress-10.1.1.5 }
                let words: Vec<&str> = line.split_whitespace().collect();
                if let ["add", "element", _, "bailey", "egress", "{", address, ":", ..] = words[..] {
                    found.lock().unwrap().insert(address.to_owned(), Instant::now());
                }
            }
        });
        Self { monitor, isolated }
    }

    fn isolated(&self, address: &str) -> Option<Instant> {
        self.isolated.lock().unwrap().get(address).copied()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _gone = self.monitor.kill();
        let _ended = self.monitor.wait();
    }
}

/// Pods that are started without NRI, to see how long they are not isolated.
const WITHOUT_NRI: usize = 40;

/// Since a pod was created.
struct Times {
    /// All of its addresses are isolated.
    isolated: Duration,
    /// A bare watch has seen its address.
    seen: Duration,
    /// The first word of its first instruction was heard.
    ran: Duration,
}

/// Creates pods that a policy selects, half of them on either node, where each waits for the end of the one before it.
async fn start(group: &str, count: usize) -> Vec<Times> {
    let [here, there] = ["node-1", "node-2"].map(|node| start_on(node, group, count / 2));
    let (mut times, others) = futures::join!(here, there);
    times.extend(others);
    times
}

async fn start_on(node: &'static str, group: &str, count: usize) -> Vec<Times> {
    let kernel = Kernel::watch(node);
    // The last word is the address once there is one.
    let address = |pod: &v1::Pod| {
        let status = pod.status.as_ref();
        status.and_then(|status| status.pod_ip.clone()).unwrap_or_default()
    };
    let watched: Seen = watch::<v1::Pod>(A, (A, node), NAMESPACE, address);
    let api: Api<v1::Pod> = Api::namespaced(client(A).await, NAMESPACE);
    let mut times = Vec::new();
    for number in 0..count {
        let name = format!("{group}-{node}-{number}");
        let (start, started) = (Instant::now(), SystemTime::now());
        api.create(&PostParams::default(), &pod(&name, node)).await.unwrap();
        let addresses = ended(&api, &name).await;
        let mut last = start;
        for address in &addresses {
            let what = format!("{name}, {address}, to be isolated");
            last = last.max(shown(&what, async || kernel.isolated(address)).await);
        }
        times.push(Times {
            isolated: last - start,
            seen: saw(&watched, &format!("{name} {}", addresses[0])) - start,
            ran: said(&api, &name).await.duration_since(started).unwrap(),
        });
        let now = DeleteParams::default().grace_period(0);
        api.delete(&name, &now).await.unwrap();
    }
    times
}

fn samples(of: &[Times], figure: impl Fn(&Times) -> Duration) -> Samples {
    let mut samples = Samples::new();
    of.iter().for_each(|times| samples.push(figure(times)));
    samples
}

/// A pod that a policy selects is created, until all of its addresses are isolated on its node: with NRI that is before its
/// first instruction; without, the first instruction comes first, and by how much is the gap that `enforcer check` tells of.
#[tokio::test]
async fn created_until_isolated() {
    kubectl(A, &format!("delete namespace {NAMESPACE} --ignore-not-found"));
    kubectl(A, &format!("create namespace {NAMESPACE}"));
    let nowhere = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "nowhere", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    });
    apply(A, &nowhere.to_string());

    let times = start("with", SAMPLES).await;
    with_components(A, &["nodeport", "without-nri"]);
    let without = start("without", WITHOUT_NRI).await;
    with_components(A, &["nodeport"]);
    // Until all is gone: what a node has to clean away would be measured by whatever comes next.
    kubectl(A, &format!("delete namespace {NAMESPACE} --timeout=120s"));

    print(
        "pod created → isolated",
        &mut samples(&times, |times| times.isolated),
        &mut samples(&times, |times| times.seen),
    );
    let mut margin = samples(&times, |times| times.ran.saturating_sub(times.isolated));
    let mut gap = samples(&without, |times| times.isolated.saturating_sub(times.ran));
    for percent in [50, 99] {
        println!(
            "its first word after that, p{percent}: {:.1} ms; without NRI before, p{percent} of {WITHOUT_NRI}: {:.1} ms",
            margin.percentile_ms(percent),
            gap.percentile_ms(percent)
        );
    }
    let late = times.iter().filter(|times| times.ran <= times.isolated).count();
    assert_eq!(late, 0, "of {SAMPLES} pods ran before they were isolated");
}

fn pod(name: &str, node: &str) -> v1::Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": node, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "first", "image": "busybox:1.37", "command": ["echo", "here"]}],
        },
    }))
    .unwrap()
}

/// Waits until a pod has run to its end, and gives the addresses that it had.
async fn ended(api: &Api<v1::Pod>, name: &str) -> Vec<String> {
    let pod = shown(&format!("the end of {name}"), async || {
        let status = api.get_status(name).await.unwrap().status.unwrap();
        (status.phase.as_deref() == Some("Succeeded")).then_some(status)
    })
    .await;
    let addresses = pod.pod_ips.unwrap_or_default();
    addresses.into_iter().map(|address| address.ip).collect()
}

/// When the container runtime got the first line that a pod said.
async fn said(api: &Api<v1::Pod>, name: &str) -> SystemTime {
    let timestamps = LogParams {
        timestamps: true,
        ..LogParams::default()
    };
    let log = api.logs(name, &timestamps).await.unwrap();
    let when = log.split_whitespace().next().expect("it said nothing");
    SystemTime::from(
        when.parse::<Timestamp>()
            .unwrap_or_else(|error| panic!("{log}: {error}")),
    )
}
