//! The one owner of the machine: waits for inputs, feeds them in, performs what comes out.
//!
//! Shell. Decides nothing: every decision is the machine's.

use crate::dataplane;
use crate::events::Events;
use crate::machine::{Input, Machine, Output, Step};
use crate::metrics::{ClusterLabel, KindLabel, Metrics};
use crate::notice::Notice;
use crate::sandbox::{self, Answer, InForce};
use crate::status::{Readiness, Status};
use proto::model::ClusterState;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

/// How many inputs are taken in before the machine gets a turn: what has arrived meanwhile belongs to one pass, and yet a
/// storm must not keep the kernel waiting for ever.
const INPUTS_PER_TURN: usize = 1024;

/// What the loop hears and tells.
#[derive(Debug)]
pub struct Wires {
    /// Inputs from all feeds.
    pub inputs: mpsc::Receiver<Input>,
    /// The netlink thread.
    pub dataplane: mpsc::Sender<dataplane::Request>,
    /// Whether the own cluster is to be followed.
    pub follow_own_cluster: watch::Sender<bool>,
    /// Counts the times that the stream must be subscribed anew although it is not broken.
    pub resubscribe: watch::Sender<u64>,
    /// What is reported to the hub.
    pub status: watch::Sender<Option<Status>>,
    /// The Kubernetes Events that this node asks for.
    pub events: watch::Sender<Arc<Events>>,
    /// What is in force of this node's pods.
    pub in_force: watch::Sender<InForce>,
    /// What is said to who asks whether this node is ready.
    pub readiness: watch::Sender<Readiness>,
    /// Requests for the text of the ruleset.
    pub ruleset_requests: mpsc::Receiver<oneshot::Sender<String>>,
}

/// Runs until every feed is gone or the netlink thread is.
///
/// # Errors
/// If the netlink thread is gone.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the shell that tells the machine what time it is"
)]
pub async fn run(mut machine: Machine, mut wires: Wires, metrics: &Metrics) -> anyhow::Result<()> {
    loop {
        turn(&mut machine, &wires, metrics).await?;
        publish(&machine, &wires, metrics);
        let wake = machine.next_turn();
        let first = tokio::select! {
            input = wires.inputs.recv() => match input {
                Some(input) => input,
                None => return Ok(()),
            },
            () = sleep_until(wake) => continue,
            Some(answer) = wires.ruleset_requests.recv() => {
                // Whoever asked may have gone meanwhile, and then nobody misses the text.
                let _gone = answer.send(machine.ruleset().to_string());
                continue;
            }
        };
        let mut next = Some(first);
        for _ in 0..INPUTS_PER_TURN {
            let Some(input) = next else { break };
            count(&input, metrics);
            let outputs = machine.handle(input, Instant::now());
            perform(outputs, &wires, metrics).await?;
            next = wires.inputs.try_recv().ok();
        }
        if let Some(input) = next {
            let outputs = machine.handle(input, Instant::now());
            perform(outputs, &wires, metrics).await?;
        }
    }
}

/// Has the machine take the next step, and tells it how long that took.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the shell that tells the machine what time it is"
)]
async fn turn(machine: &mut Machine, wires: &Wires, metrics: &Metrics) -> anyhow::Result<()> {
    let begin = Instant::now();
    let outputs = machine.turn(begin);
    let end = Instant::now();
    let is_pass = |output: &Output| matches!(output, Output::Apply(_) | Output::Enforced { .. });
    let has_compiled = outputs.iter().any(is_pass);
    perform(outputs, wires, metrics).await?;
    if has_compiled {
        let took = Input::Took(Step::Compile, end.duration_since(begin));
        count(&took, metrics);
        perform(machine.handle(took, end), wires, metrics).await?;
    }
    Ok(())
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn perform(outputs: Vec<Output>, wires: &Wires, metrics: &Metrics) -> anyhow::Result<()> {
    for output in outputs {
        match output {
            Output::Read => ask(wires, dataplane::Request::Read).await?,
            Output::Apply(plan) => {
                tracing::debug!(%plan, "applying");
                ask(wires, dataplane::Request::Apply(plan)).await?;
            }
            Output::FollowOwnCluster => {
                wires.follow_own_cluster.send_replace(true);
            }
            Output::LeaveOwnCluster => {
                wires.follow_own_cluster.send_replace(false);
            }
            Output::Resubscribe => wires.resubscribe.send_modify(|times| *times += 1),
            Output::Say(notice) => say(&notice),
            Output::Enforced { oldest } => {
                metrics.passes.inc();
                if let Some(oldest) = oldest {
                    metrics.enforced_seconds.observe(oldest.as_secs_f64());
                }
            }
        }
    }
    Ok(())
}

async fn ask(wires: &Wires, request: dataplane::Request) -> anyhow::Result<()> {
    let sent = wires.dataplane.send(request).await;
    sent.map_err(|_gone| anyhow::anyhow!("the netlink thread has ended"))
}

fn say(notice: &Notice) {
    if notice.is_warning() {
        tracing::warn!("{notice}");
    } else {
        tracing::info!("{notice}");
    }
}

fn count(input: &Input, metrics: &Metrics) {
    use proto::subscribe::Event;
    match input {
        Input::Hub(Event::Connected(_)) => {
            metrics.hub_connected.set(1);
        }
        Input::Hub(Event::Lost(_)) => {
            metrics.hub_connected.set(0);
        }
        Input::Hub(Event::Frame(_)) => {
            metrics.frames.inc();
        }
        Input::Kernel(Err(_)) | Input::Done(Err(_)) => {
            metrics.kernel_failures.inc();
        }
        Input::Runtime(event) => count_runtime(event, metrics),
        Input::Took(Step::Compile, took) => metrics.compile_seconds.observe(took.as_secs_f64()),
        Input::Took(Step::Apply, took) => metrics.apply_seconds.observe(took.as_secs_f64()),
        Input::Kernel(Ok(_))
        | Input::Done(Ok(_))
        | Input::Policies(_)
        | Input::Pods(_)
        | Input::OwnNode(_)
        | Input::OwnPods(_)
        | Input::OwnNamespaces(_)
        | Input::NodeAddresses(_)
        | Input::Links(_) => {}
    }
}

fn count_runtime(event: &sandbox::Event, metrics: &Metrics) {
    match event {
        sandbox::Event::Synced { .. } => {
            metrics.pod_starts.runtime_connected.set(1);
        }
        sandbox::Event::Absent(_) | sandbox::Event::Lost(_) => {
            metrics.pod_starts.runtime_connected.set(0);
        }
        sandbox::Event::Answered(answered) => {
            metrics.pod_starts.held_seconds.observe(answered.waited.as_secs_f64());
            match answered.answer {
                Answer::InForce => {}
                Answer::Allowed | Answer::Refused => {
                    metrics.pod_starts.late.inc();
                }
            }
        }
        sandbox::Event::Started(_) | sandbox::Event::Stopped(_) => {}
    }
}

/// Tells everybody who looks on what is so now; those who saw it already are not woken.
fn publish(machine: &Machine, wires: &Wires, metrics: &Metrics) {
    let status = machine.status();
    let readiness = machine.readiness();
    wires
        .readiness
        .send_if_modified(|old| std::mem::replace(old, readiness.clone()) != readiness);
    wires.in_force.send_if_modified(|old| {
        let changed = old != machine.in_force();
        if changed {
            *old = machine.in_force().clone();
        }
        changed
    });
    wires.events.send_if_modified(|old| {
        let changed = !Arc::ptr_eq(old, machine.events());
        if changed {
            *old = Arc::clone(machine.events());
        }
        changed
    });
    let known = wires.status.send_if_modified(|old| {
        let changed = old.as_ref() != Some(&status);
        if changed {
            *old = Some(status.clone());
        }
        changed
    });
    if known {
        show(&status, metrics);
    }
}

fn show(status: &Status, metrics: &Metrics) {
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.policies.set(gauge(status.policies.len()));
    for (kind, count) in status.refused_pieces() {
        let label = KindLabel { kind: kind.name() };
        metrics.refused_pieces.get_or_create(&label).set(gauge(count));
    }
    metrics.isolated_pods.set(gauge(status.counts.isolated_pods));
    metrics.rules.set(gauge(status.counts.rules));
    metrics.sets.set(gauge(status.counts.sets));
    metrics.members.set(gauge(status.counts.members));
    metrics.cut.set(gauge(status.counts.cut));
    metrics.clusters.clear();
    for (cluster, state) in &status.clusters {
        let state = match state {
            ClusterState::Syncing => "syncing",
            ClusterState::Live => "live",
            ClusterState::Stale => "stale",
            ClusterState::Left => "left",
        };
        metrics
            .clusters
            .get_or_create(&ClusterLabel {
                cluster: cluster.to_string(),
                state,
            })
            .set(1);
    }
}
