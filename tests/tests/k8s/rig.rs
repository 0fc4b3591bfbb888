//! The rig as its administrator sees it: kubectl, pods, and whether one reaches another.

use serde_json::Value;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tests::lab::wait::{Look, until};

/// The rig's clusters.
pub const A: &str = "cluster-a";
pub const B: &str = "cluster-b";

/// Within what a change must show on every node; what it takes is measured elsewhere.
pub const SOON: Duration = Duration::from_secs(20);

/// How long a packet may take; a refusal takes as long.
const PROBE_SECONDS: &str = "2";

/// How often connections are opened at least that must hold through something.
const ROUNDS: u32 = 5;

/// What kubectl says of a program that busybox's `timeout` has ended. (The `wget -T` of Debian 12's busybox crashes.)
const TIMED_OUT: &str = "exit code 143";

/// Of this repository, which the README's commands take for granted.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first block of a language after some words of the README.
pub fn readmes_block(words: &str, language: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let after = readme.split_once(words);
    let (_, after) = after.unwrap_or_else(|| panic!("the README has no {words:?}"));
    let block = after.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The rig's folder.
#[expect(clippy::disallowed_methods, reason = "a rig is known by its environment")]
fn folder() -> PathBuf {
    std::env::var("BAILEY_RIG")
        .expect("BAILEY_RIG names no rig: run this by tests/k8s/run or tests/k8s/desk")
        .into()
}

/// The root of the file system that a pod's node has.
pub fn node_root(pod: &Pod) -> PathBuf {
    let file = folder().join(pod.cluster).join(&pod.node).join("pid");
    let pid = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    PathBuf::from(format!("/proc/{}/root", pid.split_whitespace().next().unwrap()))
}

/// Where a node's network namespace is: that of cluster-a/node-1 is called bailey-a-1.
pub fn node_netns(cluster: &str, node: &str) -> PathBuf {
    let (letter, number) = (
        cluster.strip_prefix("cluster-").unwrap(),
        node.strip_prefix("node-").unwrap(),
    );
    PathBuf::from(format!("/run/netns/bailey-{letter}-{number}"))
}

/// A client of a cluster's API server, as its administrator.
pub async fn client(cluster: &str) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(folder().join(cluster).join("kubeconfig")).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Runs a command line, in words, in the repository.
pub fn run(words: &[&str]) -> Output {
    Command::new(words[0])
        .args(&words[1..])
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", words[0]))
}

/// Runs one of the rig's commands, which must succeed.
fn command(words: &[&str]) {
    let output = run(words);
    assert!(
        output.status.success(),
        "{}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `tests/k8s/node`: what one does to a node.
pub fn node(arguments: &[&str]) {
    command(&[&["tests/k8s/node"], arguments].concat());
}

/// `tests/k8s/service`: stops and starts a program of a node or a control plane.
pub fn program(verb: &str, machine: &str, name: &str) {
    command(&["tests/k8s/service", verb, machine, name]);
}

/// kubectl in a cluster, which must succeed; its output.
pub fn kubectl(cluster: &str, arguments: &str) -> String {
    let words: Vec<&str> = ["kubectl", "--context", cluster]
        .into_iter()
        .chain(arguments.split_whitespace())
        .collect();
    let output = run(&words);
    assert!(
        output.status.success(),
        "{}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Applies manifests to a cluster.
pub fn apply(cluster: &str, manifests: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifests).unwrap();
    kubectl(cluster, &format!("apply -f {}", file.path().display()));
}

/// Installs a cluster's part of Bailey anew, its overlay with these components (deploy/kustomize/components), and waits until
/// its enforcers are.
pub fn with_components(cluster: &str, components: &[&str]) {
    let overlay = overlay(cluster);
    let file = overlay.join("kustomization.yaml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let paths: Vec<String> = components
        .iter()
        .map(|name| format!("../../components/{name}"))
        .collect();
    let lines = text.lines().filter(|line| !line.starts_with("components:"));
    let components = format!("components: [{}]", paths.join(", "));
    let lines: Vec<&str> = lines.chain([&*components]).collect();
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    kubectl(cluster, &format!("apply -k {}", overlay.display()));
    kubectl(
        cluster,
        "rollout status --namespace bailey daemonset/bailey-enforcer --timeout=120s",
    );
}

/// The ClusterSet's members as the hub says they are (`hub members list`, asked as these flags say), or why it does not.
pub fn members(flags: &str) -> Result<Vec<Value>, String> {
    let list = format!("hub members list --format json {flags}");
    let output = run(&list.split(' ').collect::<Vec<_>>());
    let said: Value =
        serde_json::from_slice(&output.stdout).map_err(|_none| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(said["members"].as_array().unwrap().clone())
}

/// The trial PKI with which tests/k8s/install has installed Bailey.
pub fn pki() -> PathBuf {
    folder().join("install/pki")
}

/// The overlay by which tests/k8s/install has installed a cluster's part of Bailey.
pub fn overlay(cluster: &str) -> PathBuf {
    let name = if cluster == A { "hub-and-member" } else { "member" };
    folder().join("install/mine/overlays").join(name)
}

/// A running pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    pub cluster: &'static str,
    pub namespace: String,
    pub name: String,
    pub node: String,
    pub addresses: Vec<IpAddr>,
}

impl std::fmt::Display for Pod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// The pods of an application that run and are not on their way out, by name.
pub fn pods(cluster: &'static str, namespace: &str, app: &str) -> Vec<Pod> {
    let list = kubectl(
        cluster,
        &format!("get pods --namespace {namespace} --selector app={app} --output json"),
    );
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut pods: Vec<Pod> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pod| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| Pod {
            cluster,
            namespace: namespace.to_owned(),
            name: pod["metadata"]["name"].as_str().unwrap().to_owned(),
            node: pod["spec"]["nodeName"].as_str().unwrap().to_owned(),
            addresses: addresses(&pod["status"]["podIPs"], "ip"),
        })
        .collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

/// The only pod of an application.
pub fn pod(cluster: &'static str, namespace: &str, app: &str) -> Pod {
    let pods = pods(cluster, namespace, app);
    assert_eq!(pods.len(), 1, "{app} in {cluster}/{namespace}: {pods:?}");
    pods.into_iter().next().unwrap()
}

/// The addresses of a Service.
pub fn service(cluster: &str, namespace: &str, name: &str) -> Vec<IpAddr> {
    let service = kubectl(
        cluster,
        &format!("get service --namespace {namespace} {name} --output json"),
    );
    let service: Value = serde_json::from_str(&service).unwrap();
    service["spec"]["clusterIPs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ip| ip.as_str().unwrap().parse().unwrap())
        .collect()
}

/// Those in a list of objects.
fn addresses(list: &Value, field: &str) -> Vec<IpAddr> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().parse().unwrap())
        .collect()
}

/// What a connection came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was served, by whom it was meant for.
    Allowed,
    /// Nothing came back.
    Refused,
}

/// A connection that a pod opens to an example's server, and what must come of it.
#[derive(Clone, Debug)]
pub struct Connection {
    pub from: Pod,
    /// Who answers, as the examples' servers say it: `ledger of cluster-a`.
    pub server: &'static str,
    pub address: IpAddr,
    pub verdict: Verdict,
}

/// Connections to every address of a server.
pub fn connections(
    from: &[Pod],
    server: &'static str,
    addresses: &[IpAddr],
    verdict: Verdict,
) -> impl Iterator<Item = Connection> {
    from.iter().flat_map(move |from| {
        addresses.iter().map(move |&address| Connection {
            from: from.clone(),
            server,
            address,
            verdict,
        })
    })
}

impl Connection {
    /// Opens it. Anything but an answer of the right server, or silence, is a fault of the rig.
    fn open(&self) -> Result<Verdict, String> {
        let host = match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let url = format!("http://{host}:5432/");
        let output = run(&[
            "kubectl",
            "--context",
            self.from.cluster,
            "exec",
            "--namespace",
            &self.from.namespace,
            &self.from.name,
            "--",
            "timeout",
            PROBE_SECONDS,
            "wget",
            "-q",
            "-O",
            "-",
            &url,
        ]);
        let (answer, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if output.status.success() && answer.trim_end() == self.server {
            return Ok(Verdict::Allowed);
        }
        if answer.is_empty() && complaint.contains(TIMED_OUT) {
            return Ok(Verdict::Refused);
        }
        Err(format!("{} → {url}: {answer}{complaint}", self.from))
    }

    /// Opens it and says what is wrong with the outcome.
    fn complaint(&self) -> Option<String> {
        match self.open() {
            Ok(verdict) if verdict == self.verdict => None,
            Ok(verdict) => Some(format!(
                "{} → {} at {}: {verdict:?}, not {:?}",
                self.from, self.server, self.address, self.verdict
            )),
            Err(fault) => Some(fault),
        }
    }
}

/// All connections end as they must, at once or soon after a change; then they must do so once more.
pub async fn soon(what: &str, connections: Vec<Connection>) {
    within(SOON, what, connections).await;
}

/// The same for a change that takes as long as that.
pub async fn within(limit: Duration, what: &str, connections: Vec<Connection>) {
    assert!(!connections.is_empty(), "{what}: nothing to open");
    let done = until(limit, async || {
        let wrong = all(&connections);
        Ok(match wrong.first() {
            None => Look::Done(()),
            Some(first) => Look::NotYet(format!(
                "{what}: {} of {} connections: {first}",
                wrong.len(),
                connections.len()
            )),
        })
    });
    done.await.unwrap_or_else(|error| panic!("{error:#}"));
    let wrong = all(&connections);
    assert!(wrong.is_empty(), "{what}, and then no more: {wrong:#?}");
    println!("{what}: {} connections", connections.len());
}

/// While `fault` runs and for a while after it, all connections end as they must, all the time.
pub fn throughout(what: &str, connections: &[Connection], fault: impl FnOnce() + Send) {
    assert!(!connections.is_empty(), "{what}: nothing to open");
    let rounds = std::thread::scope(|scope| {
        let fault = scope.spawn(fault);
        let mut rounds = 0;
        while !fault.is_finished() || rounds < ROUNDS {
            let wrong = all(connections);
            assert!(wrong.is_empty(), "{what}, round {rounds}: {wrong:#?}");
            rounds += 1;
        }
        fault.join().unwrap();
        rounds
    });
    println!("{what}: {} connections, {rounds} times", connections.len());
}

/// Opens all, a few at a time, and says what is wrong.
fn all(connections: &[Connection]) -> Vec<String> {
    const AT_A_TIME: usize = 8;
    connections
        .chunks(AT_A_TIME)
        .flat_map(|chunk| {
            std::thread::scope(|scope| {
                let running: Vec<_> = chunk
                    .iter()
                    .map(|connection| scope.spawn(|| connection.complaint()))
                    .collect();
                running
                    .into_iter()
                    .filter_map(|thread| thread.join().unwrap())
                    .collect::<Vec<_>>()
            })
        })
        .collect()
}
