//! Bailey beside what else handles a pod's packets: kube-proxy, the CNI plugins, kubelet. Every way that leads to a pod, in
//! each family that the rig has: what a policy refuses passed before, what it admits passes, and what no policy may refuse
//! passes always.
//!
//! `tests/k8s/run` runs it on rigs of several kinds; the ways are the same on all of them.

use super::rig::Verdict::{self, Allowed, Refused};
use super::rig::{A, Pod, SOON, apply, kubectl, pod, pods, run, service};
use serde_json::Value;
use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Output;
use std::time::Duration;
use tests::lab::wait::{Look, until};

const NAMESPACE: &str = "neighbours";
/// Where the server listens, and where its node hands connections on to it.
const PORT: u16 = 8080;
const HOST_PORT: u16 = 18_080;
/// What the server answers.
const ANSWER: &str = "server";
/// How long a connection may take; a refusal takes as long.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how many of kubelet's probes a policy stands: one each second, and a single one that fails shows.
const PROBES: usize = 5;

/// Who opens a connection.
#[derive(Clone, Debug)]
enum From {
    /// A pod that the policy of the last act selects, or one that it does not.
    Pod(Pod),
    /// A process of a node's own.
    Node(&'static str),
    /// Somebody on the flat network who is in no cluster: this process.
    Outside,
}

/// A way to the server. The verdicts are those without a policy, under one that admits nobody, and under one that admits the
/// clients, the outside host and the second node.
#[derive(Clone, Debug)]
struct Way {
    name: String,
    from: From,
    to: To,
    verdicts: [Verdict; 3],
}

/// What is connected to.
#[derive(Clone, Debug)]
enum To {
    Address(SocketAddr),
    /// By a name of the cluster's DNS, from a pod.
    Name(String),
}

const PASSES: [Verdict; 3] = [Allowed; 3];
const ADMITTED: [Verdict; 3] = [Allowed, Refused, Allowed];
const REFUSED: [Verdict; 3] = [Allowed, Refused, Refused];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match &self.to {
            To::Address(address) => address.to_string(),
            To::Name(name) => name.clone(),
        };
        match &self.from {
            From::Pod(pod) => write!(f, "{}: {pod} → {to}", self.name),
            From::Node(node) => write!(f, "{}: {node} → {to}", self.name),
            From::Outside => write!(f, "{}: outside → {to}", self.name),
        }
    }
}

impl Way {
    fn open(&self) -> Verdict {
        let seconds = PATIENCE.as_secs().to_string();
        let url = match &self.to {
            To::Address(address) => format!("http://{address}/"),
            To::Name(name) => format!("http://{name}:{PORT}/"),
        };
        let answered = |output: &Output| String::from_utf8_lossy(&output.stdout).contains(ANSWER);
        let is_answered = match (&self.from, &self.to) {
            (From::Pod(pod), _) => {
                let exec = [
                    "kubectl",
                    "--context",
                    A,
                    "exec",
                    "--namespace",
                    NAMESPACE,
                    &pod.name,
                    "--",
                ];
                let wget = ["timeout", &seconds, "wget", "-q", "-O", "-", &url];
                answered(&run(&[&exec[..], &wget].concat()))
            }
            (From::Node(node), To::Address(to)) => {
                let node = format!("{A}/{node}");
                let (ip, port) = (to.ip(), to.port());
                let script = format!("exec 3<>/dev/tcp/{ip}/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
                let exec = [
                    "tests/k8s/node",
                    "exec",
                    &node,
                    "timeout",
                    &seconds,
                    "bash",
                    "-c",
                    &script,
                ];
                answered(&run(&exec))
            }
            (From::Outside, To::Address(to)) => get(*to).is_ok_and(|answer| answer.contains(ANSWER)),
            (From::Node(_) | From::Outside, To::Name(name)) => panic!("{name} is a name within the cluster"),
        };
        if is_answered { Allowed } else { Refused }
    }
}

fn get(to: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The server, clients and strangers on both nodes, and Services of each kind.
fn manifests(families: &[&str]) -> String {
    let pod = |name: &str, app: &str, node: &str, container: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {NAMESPACE}, labels: {{app: {app}}}}}\nspec:\n  \
             nodeName: {node}\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: main\n    image: busybox:1.37\n{container}"
        )
    };
    let serve = format!(
        "    command: [sh, -c, 'echo {ANSWER} >/tmp/index.html; exec httpd -f -v -p {PORT} -h /tmp']\n    \
         ports: [{{containerPort: {PORT}, hostPort: {HOST_PORT}}}]\n    \
         readinessProbe: {{httpGet: {{path: /, port: {PORT}}}, periodSeconds: 1, failureThreshold: 1}}\n    \
         livenessProbe: {{tcpSocket: {{port: {PORT}}}, periodSeconds: 1, failureThreshold: 1}}\n"
    );
    let sleep = "    command: [sleep, infinity]\n";
    let mut text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    text += &pod("server", "server", "node-1", &serve);
    for node in ["node-1", "node-2"] {
        for app in ["client", "stranger"] {
            text += &pod(&format!("{app}-{node}"), app, node, sleep);
        }
    }
    let mut service = |name: &str, spec: &str| {
        text += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n  \
             selector: {{app: server}}\n  ports: [{{port: {PORT}}}]\n{spec}"
        );
    };
    for family in families {
        let of = format!("  ipFamilyPolicy: SingleStack\n  ipFamilies: [{family}]\n");
        let word = family.to_lowercase();
        service(&format!("cluster-ip-{word}"), &of);
        service(&format!("headless-{word}"), &format!("{of}  clusterIP: None\n"));
    }
    for policy in ["Cluster", "Local"] {
        let name = format!("node-port-{}", policy.to_lowercase());
        let spec = format!("  type: NodePort\n  externalTrafficPolicy: {policy}\n  ipFamilyPolicy: PreferDualStack\n");
        service(&name, &spec);
    }
    text
}

/// Isolates the server; admits the peers.
fn policy(ingress: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: server, namespace: {NAMESPACE}}}\nspec:\n  \
         podSelector: {{matchLabels: {{app: server}}}}\n  policyTypes: [Ingress]\n  ingress: {ingress}\n"
    )
}

fn json(arguments: &str) -> Value {
    serde_json::from_str(&kubectl(A, &format!("{arguments} --output json"))).unwrap()
}

/// A node's own addresses.
fn node_addresses(node: &str) -> Vec<IpAddr> {
    let node = json(&format!("get node {node}"));
    let addresses = node["status"]["addresses"].as_array().unwrap();
    let internal = addresses.iter().filter(|address| address["type"] == "InternalIP");
    internal
        .map(|address| address["address"].as_str().unwrap().parse().unwrap())
        .collect()
}

fn node_port(service: &str) -> u16 {
    let service = json(&format!("get service --namespace {NAMESPACE} {service}"));
    u16::try_from(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap()).unwrap()
}

/// The address that this process sends to an address from.
fn own_address(to: IpAddr) -> IpAddr {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = std::net::UdpSocket::bind((any, 0)).unwrap();
    socket.connect((to, 9)).unwrap();
    socket.local_addr().unwrap().ip()
}

/// All ways to the server over the family of one of its addresses.
fn ways(server: &Pod, address: IpAddr) -> Vec<Way> {
    let (family, is_v4) = if address.is_ipv4() {
        ("ipv4", true)
    } else {
        ("ipv6", false)
    };
    let mut ways = Vec::new();
    let mut way = |name: &str, from: From, to: To, verdicts| {
        ways.push(Way {
            name: format!("{family} {name}"),
            from,
            to,
            verdicts,
        });
    };
    let at = |address: IpAddr, port| To::Address(SocketAddr::new(address, port));
    let cluster_ip = service(A, NAMESPACE, &format!("cluster-ip-{family}"))[0];
    for (app, verdicts) in [("client", ADMITTED), ("stranger", REFUSED)] {
        for from in pods(A, NAMESPACE, app) {
            let from = || From::Pod(from.clone());
            way("pod to pod", from(), at(address, PORT), verdicts);
            way("ClusterIP", from(), at(cluster_ip, PORT), verdicts);
            let name = format!("headless-{family}.{NAMESPACE}.svc.cluster.local");
            way("headless", from(), To::Name(name), verdicts);
        }
    }
    way("hairpin", From::Pod(server.clone()), at(cluster_ip, PORT), PASSES);
    way("own node", From::Node("node-1"), at(address, PORT), PASSES);
    way("other node", From::Node("node-2"), at(address, PORT), ADMITTED);
    way("outside", From::Outside, at(address, PORT), ADMITTED);
    let of_node = |node| {
        let addresses = node_addresses(node);
        addresses
            .into_iter()
            .find(|address| address.is_ipv4() == is_v4)
            .unwrap()
    };
    let [first, second] = ["node-1", "node-2"].map(of_node);
    let (cluster, local) = (node_port("node-port-cluster"), node_port("node-port-local"));
    way(
        "NodePort Cluster, its node",
        From::Outside,
        at(first, cluster),
        ADMITTED,
    );
    way(
        "NodePort Cluster, another node",
        From::Outside,
        at(second, cluster),
        ADMITTED,
    );
    way("NodePort Local", From::Outside, at(first, local), ADMITTED);
    way("hostPort", From::Outside, at(first, HOST_PORT), ADMITTED);
    ways
}

/// Opens all ways at once, and says what is wrong.
fn wrong(ways: &[Way], act: usize) -> Vec<String> {
    const AT_A_TIME: usize = 8;
    let complaint = |way: &Way| {
        let (verdict, expected) = (way.open(), way.verdicts[act]);
        (verdict != expected).then(|| format!("{way}: {verdict:?}, not {expected:?}"))
    };
    let complaints = ways.chunks(AT_A_TIME).flat_map(|chunk| {
        std::thread::scope(|scope| {
            let running: Vec<_> = chunk.iter().map(|way| scope.spawn(|| complaint(way))).collect();
            running
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        })
    });
    complaints.collect()
}

async fn act(number: usize, what: &str, ways: &[Way]) {
    let done = until(SOON, async || {
        let wrong = wrong(ways, number);
        Ok(match wrong.is_empty() {
            true => Look::Done(()),
            false => Look::NotYet(format!("{what}: {wrong:#?}")),
        })
    });
    done.await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{what}: {} ways", ways.len());
}

/// How many requests the server has answered.
fn answered() -> usize {
    let log = kubectl(A, &format!("logs --namespace {NAMESPACE} server"));
    log.lines().filter(|line| line.contains("response:200")).count()
}

/// Kubelet's probes of the server, from its own node, are answered, and none has failed: it is ready, and runs as it was
/// started.
async fn is_probed(what: &str) {
    let before = answered();
    let done = until(SOON, async || {
        Ok(match answered() - before {
            few if few < PROBES => Look::NotYet(format!("{what}: kubelet's probe {few} of {PROBES}")),
            _ => Look::Done(()),
        })
    });
    done.await.unwrap_or_else(|error| panic!("{error:#}"));
    let server = json(&format!("get pod --namespace {NAMESPACE} server"));
    let container = &server["status"]["containerStatuses"][0];
    let (ready, restarts) = (&container["ready"], &container["restartCount"]);
    assert_eq!((ready, restarts), (&Value::Bool(true), &Value::from(0)), "{what}");
}

struct Scene;

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            kubectl(A, &format!("delete namespace {NAMESPACE} --wait=false"));
        }
    }
}

/// All ways to a pod: each admitted and each refused as its policy says, whatever kube-proxy and the CNI plugin make of the
/// packets on their way.
#[tokio::test]
async fn every_way_to_a_pod() {
    let families = json("get service --namespace default kubernetes")["spec"]["ipFamilies"].clone();
    let dual = json("get node node-1")["spec"]["podCIDRs"].as_array().unwrap().len() == 2;
    let families: Vec<&str> = match (dual, families[0].as_str().unwrap()) {
        (true, _) => vec!["IPv4", "IPv6"],
        (false, only) => vec![only],
    };
    apply(A, &manifests(&families));
    let _scene = Scene;
    let ready = "wait --for=condition=Ready pod --all --timeout=90s --namespace";
    kubectl(A, &format!("{ready} {NAMESPACE}"));
    let server = pod(A, NAMESPACE, "server");
    assert_eq!(server.addresses.len(), families.len());
    let ways: Vec<Way> = server
        .addresses
        .iter()
        .flat_map(|address| ways(&server, *address))
        .collect();
    act(0, "without a policy", &ways).await;

    apply(A, &policy("[]"));
    act(1, "a policy that admits nobody", &ways).await;
    is_probed("a policy that admits nobody").await;

    let admitted = server.addresses.iter().flat_map(|address| {
        let node = node_addresses("node-2")
            .into_iter()
            .find(|node| node.is_ipv4() == address.is_ipv4());
        [own_address(*address), node.unwrap()]
    });
    let blocks: Vec<String> = admitted
        .map(|address| {
            format!(
                "{{ipBlock: {{cidr: '{address}/{}'}}}}",
                if address.is_ipv4() { 32 } else { 128 }
            )
        })
        .collect();
    let client = "{podSelector: {matchLabels: {app: client}}}";
    apply(A, &policy(&format!("[{{from: [{client}, {}]}}]", blocks.join(", "))));
    act(2, "a policy that admits clients, the outside and another node", &ways).await;
}
