//! Puts a running enforcer together: its feeds, its owner, its thread, and how they end.
//!
//! Shell. Every task is in the one [`JoinSet`]; one that ends before it should ends the process, and is named.

use crate::admin;
use crate::check;
use crate::config::first_packet::{FirstPacket, UnknownLocalPods};
use crate::config::{Config, Kubeconfig, Tls};
use crate::eventloop::{self, Wires};
use crate::events::Events;
use crate::kernel::{Bridges, Kernel};
use crate::lock::{self, Lock};
use crate::machine::{Input, Machine, Node};
use crate::metrics::Metrics;
use crate::nri::Plugin;
use crate::sandbox::InForce;
use crate::status::{Readiness, Status};
use crate::{dataplane, node, recorder, report};
use anyhow::Context;
use futures::{Stream, StreamExt};
use prometheus_client::registry::Registry;
use proto::kubeconfig::{Access, Trust};
use proto::observe::Observe;
use proto::subscribe::{Hubs, Reporter, Subscriber, subscribe};
use proto::tls::Files;
use proto::watch::{Event, Pace, Selection, watch};
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as value};
use tokio::task::JoinSet;

/// How many inputs wait for the event loop; more, and the feeds wait, which slows their servers down.
const INPUTS: usize = 1024;

/// How many requests for the ruleset's text wait.
const RULESET_REQUESTS: usize = 4;

/// This node, or what it was told, is not fit to run an enforcer; the text says what to do.
#[derive(Debug)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

pub(crate) fn unfit(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(Unfit(format!("{:#}", anyhow::Error::new(error))))
}

/// Enforces until SIGTERM or SIGINT. What is in force then stays in force.
///
/// # Errors
/// [`Unfit`] if this node cannot be enforced on; otherwise why a part of the process ended.
pub fn run(config: Config) -> anyhow::Result<()> {
    let _lock = Lock::take().map_err(refusal)?;
    let kernel = Kernel::open().map_err(unfit)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(config, kernel));
    // The netlink thread may be in the middle of a plan: it finishes it, and nothing waits for the answer.
    runtime.shutdown_background();
    result
}

/// An enforcer that runs already makes this node unfit for another; that the system refuses a lock is something else.
pub(crate) fn refusal(error: lock::Error) -> anyhow::Error {
    match error {
        lock::Error::Held { .. } => unfit(error),
        lock::Error::Refused(_) => error.into(),
    }
}

async fn serve(config: Config, kernel: Kernel) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    let Config {
        hubs,
        tls,
        cluster,
        node,
        kubeconfig,
        admin: address,
        first_packet,
        switches,
        log: _,
    } = config;
    let node = Node {
        cluster,
        name: node.into(),
        switches,
    };
    let listener = admin::bind(&address).await.map_err(unfit)?;
    let client = client(kubeconfig).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry, dataplane::counted);
    let (inputs, queue) = mpsc::channel(INPUTS);
    let (resubscribe, again) = value::channel(0);
    let (follow_own_cluster, follow) = value::channel(false);
    let (status, reported) = value::channel(None);
    let (events, asked) = value::channel(Arc::default());
    let (readiness, is_ready) = value::channel(Readiness::WaitsFor("starting".to_owned()));
    let (published, in_force) = value::channel(InForce::default());
    let (ruleset, ruleset_requests) = mpsc::channel(RULESET_REQUESTS);
    let bridges = kernel.bridges();
    let dataplane =
        dataplane::start(kernel, inputs.clone(), metrics.dropped()).context("cannot start the netlink thread")?;

    let mut tasks = JoinSet::new();
    let reporter = spawn_subscription(&mut tasks, targets(&hubs, tls)?, &node, again, &inputs);
    spawn_look(&mut tasks, &first_packet, &metrics);
    spawn_node(&mut tasks, bridges, &inputs);
    let unknown = first_packet.unknown;
    spawn_plugin(&mut tasks, first_packet, in_force, &inputs);
    spawn_watches(&mut tasks, &client, (&node, unknown), follow, inputs);
    let source = admin::Source {
        readiness: is_ready,
        ruleset,
        registry: Arc::new(registry),
    };
    spawn_admin(&mut tasks, listener, source);
    spawn_tellers(&mut tasks, &node, (reporter, reported), (client, asked));
    #[expect(clippy::disallowed_methods, reason = "the shell tells the machine what time it is")]
    let machine = machine(node, unknown, Instant::now());
    let wires = Wires {
        inputs: queue,
        dataplane,
        follow_own_cluster,
        resubscribe,
        status,
        events,
        in_force: published,
        readiness,
        ruleset_requests,
    };
    tasks.spawn(named("the event loop", async move {
        eventloop::run(machine, wires, &metrics).await
    }));

    tokio::select! {
        ended = tasks.join_next() => ended.context("there are tasks")?.context("a task panicked")?,
        _ = terminate.recv() => stopped("SIGTERM"),
        _ = interrupt.recv() => stopped("SIGINT"),
    }
}

fn targets(urls: &[String], tls: Option<Tls>) -> anyhow::Result<Hubs> {
    let parse = |url: &String| {
        let parsed = url.parse();
        parsed.map_err(|error| Unfit(format!("--hub {url}: {error}: expected https://HOST:PORT")))
    };
    let urls = urls.iter().map(parse).collect::<Result<_, _>>()?;
    let files = |Tls {
                     certificate,
                     key,
                     hub_ca: ca,
                 }| Files { certificate, key, ca };
    Ok(Hubs {
        urls,
        tls: tls.map(files),
    })
}

/// What every task of the process ends with, if it ends.
type Tasks = JoinSet<anyhow::Result<()>>;

/// Starts what brings the hub's word; gives what takes reports there.
fn spawn_subscription(
    tasks: &mut Tasks,
    hubs: Hubs,
    node: &Node,
    again: value::Receiver<u64>,
    inputs: &mpsc::Sender<Input>,
) -> Reporter {
    let subscriber = Subscriber {
        cluster: node.cluster.clone(),
        node: node.name.clone(),
    };
    let (feed, reporter) = subscribe(hubs, subscriber, again, fastrand::Rng::new());
    tasks.spawn(named("the subscription", subscription(feed, inputs.clone())));
    reporter
}

/// The machine of a node.
fn machine(node: Node, unknown: UnknownLocalPods, now: Instant) -> Machine {
    let machine = Machine::new(node, now);
    match unknown {
        UnknownLocalPods::Allow => machine,
        UnknownLocalPods::Hold => machine.holding_unknown_pods(),
    }
}

/// Starts what brings the own API server's word.
fn spawn_watches(
    tasks: &mut Tasks,
    client: &kube::Client,
    (node, unknown): (&Node, UnknownLocalPods),
    follow: value::Receiver<bool>,
    inputs: mpsc::Sender<Input>,
) {
    let policies = watch(client.clone(), Selection::All, Pace::default());
    tasks.spawn(named(
        "the watch of NetworkPolicies",
        forward(policies, inputs.clone(), Input::Policies),
    ));
    let own_node = Selection::Fields(format!("spec.nodeName={}", node.name));
    let pods = watch(client.clone(), own_node, Pace::default());
    tasks.spawn(named(
        "the watch of this node's pods",
        forward(pods, inputs.clone(), Input::Pods),
    ));
    if unknown == UnknownLocalPods::Hold {
        let own_node = Selection::Fields(format!("metadata.name={}", node.name));
        let node = watch(client.clone(), own_node, Pace::default());
        tasks.spawn(named(
            "the watch of this node's Node object",
            forward(node, inputs.clone(), Input::OwnNode),
        ));
    }
    tasks.spawn(named(
        "the own cluster's watches",
        own_cluster(client.clone(), follow, inputs.clone()),
    ));
}

/// Starts what answers who asks this node.
fn spawn_admin(tasks: &mut Tasks, listener: admin::Listener, source: admin::Source) {
    tasks.spawn(named("the admin server", async move {
        Ok(admin::serve(listener, source).await?)
    }));
}

/// Starts what looks for faults of the node.
fn spawn_look(tasks: &mut Tasks, first_packet: &FirstPacket, metrics: &Metrics) {
    let (nri, findings) = (first_packet.nri.clone().socket(), metrics.findings.clone());
    tasks.spawn(named("the look at the node", async move {
        check::watch::run(nri, findings).await;
        Ok(())
    }));
}

/// Starts what follows the node's own addresses and links.
fn spawn_node(tasks: &mut Tasks, bridges: Bridges, inputs: &mpsc::Sender<Input>) {
    let links = inputs.clone();
    tasks.spawn(named("the node's links", async move {
        Ok(node::follow_links(links, bridges).await?)
    }));
    let addresses = inputs.clone();
    tasks.spawn(named("the node's addresses", async move {
        Ok(node::follow_addresses(addresses).await?)
    }));
}

/// Starts what the container runtime asks before a pod starts.
fn spawn_plugin(
    tasks: &mut Tasks,
    first_packet: FirstPacket,
    in_force: value::Receiver<InForce>,
    inputs: &mpsc::Sender<Input>,
) {
    let FirstPacket { nri, late, unknown: _ } = first_packet;
    let Some(socket) = nri.socket() else {
        tracing::info!(
            "--nri off: a pod is isolated once the API server tells its addresses, which is after its first container has \
             started"
        );
        return;
    };
    let plugin = Plugin {
        socket,
        late,
        inputs: inputs.clone(),
        in_force,
    };
    tasks.spawn(named("the plugin of the container runtime", async move {
        plugin.run(fastrand::Rng::new()).await;
        Ok(())
    }));
}

/// Starts what tells others of this node: the hub, and whoever writes policies.
fn spawn_tellers(
    tasks: &mut Tasks,
    node: &Node,
    (reporter, reported): (Reporter, value::Receiver<Option<Status>>),
    (client, asked): (kube::Client, value::Receiver<Arc<Events>>),
) {
    let (reporting, writing) = (node.clone(), Arc::clone(&node.name));
    tasks.spawn(named("the reports", async move {
        report::run(reporter, reported, &reporting).await;
        Ok(())
    }));
    tasks.spawn(named("the recorder of Events", async move {
        recorder::run(client, asked, &writing).await;
        Ok(())
    }));
}

fn stopped(signal: &str) -> anyhow::Result<()> {
    tracing::info!(signal, "stopping; what is in force stays in force");
    Ok(())
}

/// A task that should outlive all others: whatever it ends with is an error, under its name.
async fn named(name: &'static str, task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    task.await.context(name)?;
    anyhow::bail!("{name} ended")
}

async fn forward<T: Observe>(
    events: impl Stream<Item = Event<T>>,
    inputs: mpsc::Sender<Input>,
    input: fn(Event<T>) -> Input,
) -> anyhow::Result<()> {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        inputs.send(input(event)).await?;
    }
    Ok(())
}

async fn subscription(feed: proto::subscribe::Feed, inputs: mpsc::Sender<Input>) -> anyhow::Result<()> {
    // The feed's own queue is as short as can be: what waits, waits in the one of the event loop.
    let (events, mut queue) = mpsc::channel(1);
    let forward = async {
        while let Some(event) = queue.recv().await {
            inputs.send(Input::Hub(event)).await?;
        }
        Ok(())
    };
    tokio::select! {
        () = feed.run(events) => Ok(()),
        forwarded = forward => forwarded,
    }
}

/// Watches the own cluster's pods and namespaces while it is wanted.
async fn own_cluster(
    client: kube::Client,
    mut wanted: value::Receiver<bool>,
    inputs: mpsc::Sender<Input>,
) -> anyhow::Result<()> {
    loop {
        wanted.wait_for(|wanted| *wanted).await?;
        let pods = watch(client.clone(), Selection::All, Pace::default());
        let namespaces = watch(client.clone(), Selection::All, Pace::default());
        tokio::select! {
            ended = forward(pods, inputs.clone(), Input::OwnPods) => return ended,
            ended = forward(namespaces, inputs.clone(), Input::OwnNamespaces) => return ended,
            unwanted = wanted.wait_for(|wanted| !*wanted) => { unwanted?; }
        }
    }
}

/// A client of the own API server.
async fn client(kubeconfig: Kubeconfig) -> anyhow::Result<kube::Client> {
    let (name, access) = match kubeconfig {
        Kubeconfig::InCluster => ("in-cluster".to_owned(), Access::in_cluster()),
        Kubeconfig::File(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| format!("--kubeconfig {name}"))?;
            let folder = path.parent().unwrap_or(Path::new("."));
            (name, Access::read(&text, folder, Trust::Own).await)
        }
    };
    let client = access.and_then(|access| access.client());
    client.map_err(|error| Unfit(format!("--kubeconfig {name}: {:#}", anyhow::Error::new(error))).into())
}
