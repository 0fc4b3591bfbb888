//! `lab up`: the clusters of some manifests, left running, and everything one needs to look around.

use super::args::Up;
use super::control::Control;
use super::doors::Door;
use super::fabric::Fabric;
use super::probe::answer_as_containers;
use super::process::Child;
use super::setup::{Ground, Lab, Unfit};
use super::world::{Pod, World};
use crate::apiserver::{Kind, Role};
use crate::assets;
use anyhow::{Context, Result};
use enforcer::offline::ends::End;
use enforcer::screen::{Ink, Tone};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Starts the lab, prints how to reach its parts, and keeps them running until the caller drops it.
///
/// # Errors
/// If the manifests do not fit, or a part cannot be started.
pub async fn run(ground: &Ground, up: Up) -> Result<Infallible> {
    let world = World::read(&up.dir).map_err(|error| Unfit(error.into()))?;
    let lab = Lab::build(world, &BTreeSet::new(), up.network)?;
    let pods = lab.world.pods();
    let _listeners = answer_as_containers(&lab.fabric, &pods).await?;
    let programs = ground.programs.with(up.switches.switches());
    let mut control = lab.start(&programs, up.network).await?;
    let doors = open_doors(ground, &control)?;
    println!(
        "{}: {} clusters, {} nodes, {} pods; network up in {:.1} s",
        up.dir.display(),
        control.clusters().len(),
        lab.fabric.nodes().count(),
        lab.fabric.pods().count(),
        lab.built_in.as_secs_f64()
    );
    let ink = Ink::of_stdout();
    print!("{}", services(&control, &doors, up.network.apiserver, ink));
    print!("{}", nodes(&lab.fabric, &control, ink));
    print!("{}", pods_of(&lab.fabric, &pods, ink));
    println!("\nPolicies and labels can be changed now. Ctrl-C ends the lab, and nothing of it stays.");
    control.supervise(&lab.fabric).await
}

/// One for the hub, then one for each API server.
struct Doors {
    hub: Door,
    api_servers: Vec<Door>,
}

fn open_doors(ground: &Ground, control: &Control) -> Result<Doors> {
    let open = |inside| Door::open(&ground.host, inside).context("cannot listen on the machine's 127.0.0.1");
    let mut api_servers = Vec::new();
    for (name, cluster) in control.clusters() {
        let door = open(cluster.address())?;
        let kubeconfig = cluster.kubeconfig_through(Role::Admin, door.outside());
        std::fs::write(control.folder().kubeconfig(name), kubeconfig)?;
        api_servers.push(door);
    }
    let hub = open(control.hub_address())?;
    Ok(Doors { hub, api_servers })
}

/// How to ask API servers and hub, from a shell in the lab's folder.
fn services(control: &Control, doors: &Doors, apiserver: Kind, ink: Ink) -> String {
    let mut text = heading(ink, "From a shell of this machine");
    let _ = writeln!(
        text,
        "  cd {}     logs/ has what the programs say",
        control.folder().path().display()
    );
    text.push_str(&heading(ink, "API servers"));
    let kubectl = program("kubectl");
    for (name, door) in control.clusters().keys().zip(&doors.api_servers) {
        let _ = writeln!(
            text,
            "  {kubectl} --kubeconfig {name}.kubeconfig get pods -A     {}",
            door.outside()
        );
    }
    if apiserver == Kind::Embedded {
        text.push_str("  The embedded API server has no schemas: kubectl apply --validate=false\n");
    }
    text.push_str(&heading(ink, "Hub"));
    for call in [
        "bailey.v1.Inventory/ListClusters",
        "bailey.v1.Inventory/ListEnforcers",
        "describe bailey.v1.Inventory",
    ] {
        let _ = writeln!(
            text,
            "  {} -cacert pki/ca.crt -cert pki/reader.crt -key pki/reader.key {} {call}",
            program("grpcurl"),
            doors.hub.outside()
        );
    }
    text
}

/// Addresses, enforcers, and the way in.
fn nodes(fabric: &Fabric, control: &Control, ink: Ink) -> String {
    let mut text = heading(ink, "Nodes");
    for (name, station) in fabric.nodes() {
        let addresses: Vec<String> = fabric.plan().nodes[name]
            .addresses()
            .map(|one| one.to_string())
            .collect();
        let pid = control.enforcers().get(name).map_or(0, Child::pid);
        let _ = writeln!(
            text,
            "  {name}  {}  enforcer pid {pid}   nsenter --net={}",
            addresses.join(" "),
            station.netns().path().display()
        );
    }
    text
}

/// Addresses, the way in, and what answers there.
fn pods_of(fabric: &Fabric, pods: &[Pod], ink: Ink) -> String {
    let mut text = heading(ink, "Pods");
    let width = pods.iter().map(|pod| pod.name.to_string().len()).max().unwrap_or(0);
    let mut answering = None;
    for pod in pods {
        let Some((station, addresses)) = fabric.locate(&End::Pod(pod.name.clone())) else {
            let _ = writeln!(text, "  {:<width$}  not in the network", pod.name.to_string());
            continue;
        };
        let ports: Vec<String> = pod
            .ports
            .iter()
            .map(|(protocol, port)| format!("{protocol}/{port}"))
            .collect();
        let _ = writeln!(
            text,
            "  {:<width$}  {}   nsenter --net={}   {}",
            pod.name.to_string(),
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            station.netns().path().display(),
            ports.join(" ")
        );
        let tcp = pod.ports.iter().find(|(protocol, _)| protocol == "TCP");
        if let (None, Some((_, port)), Some(&address)) = (answering, tcp, addresses.first()) {
            answering = Some((SocketAddr::new(address, *port), &pod.name));
        }
    }
    let asking = pods
        .iter()
        .rev()
        .find_map(|pod| fabric.locate(&End::Pod(pod.name.clone())).map(|found| (found.0, pod)));
    if let (Some((socket, to)), Some((station, from))) = (answering, asking) {
        let _ = writeln!(
            text,
            "  The ports answer. {} to {to}:\n    nsenter --net={} timeout 1 bash -c '</dev/tcp/{}/{}' && echo allowed || echo refused",
            from.name,
            station.netns().path().display(),
            socket.ip(),
            socket.port()
        );
    }
    text
}

fn heading(ink: Ink, words: &str) -> String {
    format!("\n{}\n", ink.paint(Tone::Strong, words))
}

/// From the assets folder if it is there, else from wherever the person has it.
fn program(name: &'static str) -> String {
    assets::program(name).map_or_else(|_missing| name.to_owned(), |path| path.display().to_string())
}
