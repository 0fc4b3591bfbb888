//! How long a matrix of a thousand pods takes, from manifests to verdicts, and how much memory.
//!
//! `cargo bench -p enforcer --bench matrix [-- DIR]`: with DIR the manifests are left there, for `enforcer matrix DIR`. The
//! baseline is the same verdicts asked one by one, measured on a sample in the same run.

use enforcer::offline::tables::tables;
use enforcer::offline::{ClusterSet, Judge, Manifests};
use enforcer::switches::Switches;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

const CLUSTERS: usize = 4;
const NODES: usize = 25;
const NAMESPACES: usize = 50;
const PODS: usize = 250;
const POLICIES: usize = 50;

const APPS: [&str; 5] = ["web", "api", "db", "cache", "batch"];

/// How many verdicts the baseline is measured on.
const SAMPLE: usize = 20_000;

fn main() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let dir = std::env::args_os()
        .skip(1)
        .find(|word| !word.to_string_lossy().starts_with('-'));
    let dir = dir.map_or_else(|| scratch.path().to_owned(), Into::into);
    write(&dir);
    let probe = "TCP/8080".parse().expect("a probe");
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);

    let (reading, manifests) = timed(|| Manifests::read(&dir).expect("manifests"));
    let (knowing, set) = timed(|| ClusterSet::new(&manifests, Switches::default()));
    let ends = set.ends();
    let (judging, all) = timed(|| tables(&set, &ends, &[probe], workers));
    let memory = peak_memory();
    let refused: usize = all[0]
        .rows
        .iter()
        .flatten()
        .filter(|verdict| verdict.sign() == 'X')
        .count();
    eprintln!(
        "read {reading:.3?}, ClusterSet {knowing:.3?}, verdicts {judging:.3?}; {refused} of {} refused; peak {memory} MB",
        ends.len() * ends.len()
    );

    let judge = Judge::new(&set);
    let pairs = (0..SAMPLE).map(|number| {
        let place = number * (ends.len() * ends.len() / SAMPLE) + number % ends.len();
        (place / ends.len() % ends.len(), place % ends.len())
    });
    let (sampled, agree) = timed(|| {
        pairs
            .clone()
            .all(|(from, to)| judge.verdict(&ends[from], &ends[to], probe) == all[0].rows[from][to])
    });
    assert!(agree, "both ways give the same verdicts");
    let figure = (reading + knowing + judging).as_secs_f64();
    let one_by_one = sampled.as_secs_f64() * (ends.len() * ends.len()) as f64 / SAMPLE as f64;
    let baseline = (reading + knowing).as_secs_f64() + one_by_one;
    let line = |case: &str, figure: f64, unit: &str, baseline: f64, name: &str| {
        println!(
            "{}",
            json!({"bench": "matrix", "case": case, "figure": figure, "unit": unit, "baseline": baseline, "baseline_name": name, "ratio": baseline / figure})
        );
    };
    let case = format!(
        "{} pods, {} policies, {CLUSTERS} clusters, {} nodes, one probe",
        ends.len(),
        CLUSTERS * POLICIES,
        CLUSTERS * NODES
    );
    line(&case, figure, "s", baseline, "each verdict by itself, from a sample");
    line(&case, memory, "MB", 200.0, "the limit");
}

#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// The most memory that this process has had, in MB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

fn write(dir: &Path) {
    for cluster in 0..CLUSTERS {
        let name = format!("cluster-{cluster}");
        let folder = dir.join(&name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let namespaces = (0..NAMESPACES).map(|number| {
            let labels =
                json!({"cluster.clusterset.k8s.io/cluster-name": name, "team": format!("team-{}", number % 7)});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number), "labels": labels}})
        });
        let pods = (0..PODS).map(|number| pod(cluster, number));
        let policies = (0..POLICIES).map(|number| policy(&name, number));
        for (file, objects) in [
            ("namespaces.yaml", namespaces.collect::<Vec<Value>>()),
            ("pods.yaml", pods.collect()),
            ("policies.yaml", policies.collect()),
        ] {
            let text: String = objects.iter().map(|object| format!("---\n{object:#}\n")).collect();
            std::fs::write(folder.join(file), text).expect("a file");
        }
    }
}

fn namespace(number: usize) -> String {
    format!("ns-{number:02}")
}

fn pod(cluster: usize, number: usize) -> Value {
    let (high, low) = (number / 200, number % 200 + 1);
    let address = format!("10.{cluster}.{high}.{low}");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("pod-{number:03}"), "namespace": namespace(number % NAMESPACES), "uid": format!("{cluster}-{number}"),
            "labels": {"app": APPS[number / NAMESPACES % APPS.len()], "pod-template-hash": format!("{:06x}", number * 7919)},
        },
        "spec": {
            "nodeName": format!("node-{:02}", number % NODES),
            "containers": [{"name": "main", "image": "app", "ports": [{"name": "http", "containerPort": 8080}, {"name": "sql", "containerPort": 5432}]}],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}, {"ip": format!("fd00:{cluster}:{high}::{low}")}]},
    })
}

/// One for each namespace, of eight kinds.
fn policy(cluster: &str, number: usize) -> Value {
    let label = "cluster.clusterset.k8s.io/cluster-name";
    let team = format!("team-{}", number % 7);
    let spec = match number % 8 {
        0 => json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
        1 => json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}),
        2 => {
            json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": "sql"}, {"port": "http"}]}]})
        }
        3 => {
            json!({"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": team}}}], "ports": [{"port": 8080}]}]})
        }
        4 => {
            json!({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16", "10.3.1.0/24"]}}, {"ipBlock": {"cidr": "fd00::/8"}}]}]})
        }
        5 => json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
            {"to": [{"namespaceSelector": {"matchExpressions": [{"key": label, "operator": "In", "values": [cluster]}]}}], "ports": [{"port": "http"}]},
            {"ports": [{"protocol": "UDP", "port": 53}]}]}),
        6 => {
            json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["batch"]}]}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {label: cluster}}, "podSelector": {"matchLabels": {"app": "web"}}}]}],
            "egress": [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 5432, "endPort": 8080}]}]})
        }
        _ => {
            json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 8000, "endPort": 9000}]}]})
        }
    };
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": format!("policy-{number}"), "namespace": namespace(number)}, "spec": spec})
}
