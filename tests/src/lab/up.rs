//! `lab up`: the clusters of some manifests, left running, and everything one needs to look around.

use super::args::Up;
use super::control::Control;
use super::doors::Door;
use super::fabric::Fabric;
use super::matrix::outside;
use super::screen::{Ink, Tone};
use super::setup::{Ground, Lab, Unfit};
use super::world::World;
use crate::apiserver::Role;
use crate::assets;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

/// Starts the lab, prints how to reach its parts, and waits for ever: the caller ends it.
///
/// # Errors
/// If the manifests do not fit, or a part of the lab ends.
pub async fn run(ground: &Ground, up: Up) -> Result<()> {
    let world = World::read(&up.dir).map_err(|error| Unfit(error.into()))?;
    let lab = Lab::build(world, &outside(&[]), up.network)?;
    let mut control = lab.start(&ground.programs, up.network).await?;
    let doors = open_doors(ground, &control)?;
    print!("{}", guide(&up.dir, &lab, &control, &doors));
    let ended = control.any_ended().await;
    drop(doors);
    anyhow::bail!("{ended}")
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
    Ok(Doors {
        hub: open(control.hub_address())?,
        api_servers,
    })
}

fn guide(dir: &Path, lab: &Lab, control: &Control, doors: &Doors) -> String {
    let ink = Ink::of_stdout();
    let folder = control.folder();
    let mut text = String::new();
    let head = |text: &mut String, words: &str| {
        let _ = writeln!(text, "\n{}", ink.paint(Tone::Strong, words));
    };
    let _ = writeln!(
        text,
        "{}: {} clusters, {} nodes, {} pods; network up in {:.1} s",
        dir.display(),
        control.clusters().len(),
        lab.fabric.nodes().count(),
        lab.fabric.pods().count(),
        lab.built_in.as_secs_f64()
    );
    head(&mut text, "API servers");
    let kubectl = program("kubectl");
    for (name, door) in control.clusters().keys().zip(&doors.api_servers) {
        let file = folder.kubeconfig(name);
        let _ = writeln!(text, "  {name}  https://{}", door.outside());
        let _ = writeln!(
            text,
            "    {kubectl} --kubeconfig {} get pods -A -o wide",
            file.display()
        );
    }
    head(&mut text, "Hub");
    let grpcurl = format!(
        "{} -cacert {} -cert {} -key {}",
        program("grpcurl"),
        folder.pki("ca.crt").display(),
        folder.pki("reader.crt").display(),
        folder.pki("reader.key").display()
    );
    for call in ["ListClusters", "ListEnforcers"] {
        let _ = writeln!(text, "    {grpcurl} {} bailey.v1.Inventory/{call}", doors.hub.outside());
    }
    let _ = writeln!(
        text,
        "    {grpcurl} {} describe bailey.v1.Inventory",
        doors.hub.outside()
    );
    text.push_str(&hosts(&lab.fabric, control, ink));
    head(&mut text, "Files");
    let _ = writeln!(
        text,
        "  logs in {}",
        control.hub().log().parent().unwrap_or(Path::new("/")).display()
    );
    let _ = writeln!(
        text,
        "\nPolicies and labels can be changed now. Ctrl-C ends the lab, and nothing of it stays."
    );
    text
}

/// Nodes and pods: addresses, and the way in.
fn hosts(fabric: &Fabric, control: &Control, ink: Ink) -> String {
    let mut text = format!("\n{}\n", ink.paint(Tone::Strong, "Nodes"));
    for (name, station) in fabric.nodes() {
        let addresses: Vec<String> = fabric.plan().nodes[name]
            .addresses()
            .map(|one| one.to_string())
            .collect();
        let pid = control.enforcers().get(name).map_or(0, super::process::Child::pid);
        let _ = writeln!(text, "  {name}  {}  enforcer pid {pid}", addresses.join(" "));
        let _ = writeln!(
            text,
            "    nsenter --net={} ip -brief address",
            station.netns().path().display()
        );
    }
    let _ = writeln!(text, "\n{}", ink.paint(Tone::Strong, "Pods"));
    let width = fabric.pods().map(|(name, _)| name.to_string().len()).max().unwrap_or(0);
    for (name, station) in fabric.pods() {
        let placed = &fabric.plan().pods[name];
        let addresses: Vec<String> = placed.addresses.iter().map(ToString::to_string).collect();
        let name = name.to_string();
        let way_in = station.netns().path();
        let _ = writeln!(
            text,
            "  {name:<width$}  {}  on {}   nsenter --net={}",
            addresses.join(" "),
            placed.node.name,
            way_in.display()
        );
    }
    text
}

/// From the assets folder if it is there, else from wherever the person has it.
fn program(name: &'static str) -> String {
    assets::program(name).map_or_else(|_missing| name.to_owned(), |path| path.display().to_string())
}
