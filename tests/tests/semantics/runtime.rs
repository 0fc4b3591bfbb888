//! A container runtime of the simulation. In the end each pod of the node has the sandbox that it should have; what is said
//! before is anything. Of some pods the API server never tells the addresses: the runtime alone does.

use super::history::Feed;
use enforcer::sandbox::{Event, PodName, Sandbox};
use fastrand::Rng;
use proto::observe::Pod;
use proto::watch;
use std::sync::Arc;

/// Whether the API server is late with this pod's addresses, for as long as there is a simulation. What a pod on the host
/// network calls its own is its node's.
fn is_late(pod: &Pod) -> bool {
    !pod.host_network
        && pod
            .name
            .bytes()
            .chain(pod.namespace.bytes())
            .map(u32::from)
            .sum::<u32>()
            .is_multiple_of(3)
}

/// What the API server says of pods, less the addresses that it is late with.
pub fn without_late_addresses(event: watch::Event<Pod>) -> watch::Event<Pod> {
    let without = |mut pod: Pod| {
        if is_late(&pod) {
            pod.addresses.clear();
        }
        pod
    };
    match event {
        watch::Event::Synced(pods) => watch::Event::Synced(pods.into_iter().map(without).collect()),
        watch::Event::Applied(pod) => watch::Event::Applied(without(pod)),
        event @ (watch::Event::Deleted(_) | watch::Event::Heard | watch::Event::Lost(_)) => event,
    }
}

/// Anything that a runtime says.
pub fn event(pods: &Feed<Pod>, rng: &mut Rng) -> Event {
    let sandbox = rng.choice(pods.now()).map(|pod| any(pod, pods, rng));
    match (rng.u8(..16), sandbox) {
        (0, _) => Event::Absent("nowhere".to_owned()),
        (1..3, _) => Event::Lost("it ended".to_owned()),
        (3..5, sandbox) => synced(sandbox.into_iter().collect()),
        (5..7, Some(sandbox)) => Event::Stopped(sandbox.id),
        (_, Some(sandbox)) => Event::Started(sandbox),
        (_, None) => synced(Vec::new()),
    }
}

/// What it says in the end: all that there is, and perhaps nothing from then on.
pub fn last(pods: &Feed<Pod>, rng: &mut Rng) -> Vec<Event> {
    let mut sandboxes: Vec<Sandbox> = pods.now().filter(|pod| !pod.host_network).map(own).collect();
    rng.shuffle(&mut sandboxes);
    let kept = rng.usize(..=sandboxes.len());
    let started = sandboxes.split_off(kept);
    let started = started.into_iter().map(Event::Started);
    let mut events: Vec<Event> = [synced(sandboxes)].into_iter().chain(started).collect();
    if rng.bool() {
        events.push(Event::Lost("it ended".to_owned()));
    }
    events
}

fn synced(sandboxes: Vec<Sandbox>) -> Event {
    let runtime = "containerd".to_owned();
    Event::Synced { runtime, sandboxes }
}

/// The sandbox that a pod should have.
fn own(pod: &Pod) -> Sandbox {
    Sandbox {
        id: format!("{}/{}/{}", pod.namespace, pod.name, pod.uid).into(),
        pod: PodName {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
        },
        uid: pod.uid.clone(),
        is_static: false,
        labels: Arc::clone(&pod.labels),
        addresses: pod.addresses.clone(),
    }
}

/// A sandbox of a pod, or of one of its name that was or will be, with its addresses or another pod's.
fn any(pod: &Pod, pods: &Feed<Pod>, rng: &mut Rng) -> Sandbox {
    let mut sandbox = own(pod);
    if rng.u8(..4) == 0 {
        sandbox.uid = "of-another-time".into();
    }
    if rng.u8(..3) == 0
        && let Some(other) = rng.choice(pods.now())
    {
        sandbox.addresses.clone_from(&other.addresses);
    }
    if rng.u8(..4) == 0 {
        sandbox.id = format!("{} of another time", sandbox.id).into();
    }
    sandbox
}
