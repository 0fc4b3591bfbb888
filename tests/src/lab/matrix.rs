//! `lab matrix`: verdicts by packets, in the tables and the JSON of everything that judges.

use super::args::{Format, Matrix};
use super::ends::{End, Exchange, ParseError};
use super::probe::Range;
use super::settle;
use super::setup::{Ground, Lab, Unfit};
use super::world::World;
use super::{cluster::Written, screen};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

/// Builds the lab, sends every probe once without and once with enforcers, and prints what happened.
///
/// # Errors
/// If the manifests do not fit, or a part of the lab fails.
pub async fn run(ground: &Ground, matrix: Matrix) -> Result<()> {
    let Matrix {
        dir,
        probes,
        ends,
        format,
        network,
        switches,
    } = matrix;
    let world = World::read(&dir).map_err(|error| Unfit(error.into()))?;
    let ends = match ends {
        None => End::all(&world),
        Some(file) => read_ends(&file).map_err(Unfit)?,
    };
    check_known(&world, &ends).map_err(Unfit)?;
    let lab = Lab::build(world, &outside(&ends), network)?;
    let range = Range::open(&lab.fabric, ends, probes).await?;
    range.baseline().await?;
    let programs = ground.programs.with(switches.switches());
    let control = lab.start(&programs, network).await?;
    settle::wait(&control, &settle::policies_of(&lab.world)).await?;
    let tables = range.judge().await?;
    control.check_alive()?;
    control.stop().await;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&Exchange::new(range.ends(), &tables))?),
        Format::Table => {
            for table in &tables {
                println!("{}", screen::table(range.ends(), table));
            }
            println!("{}", screen::count(&tables));
        }
    }
    Ok(())
}

/// The outside hosts among some ends.
pub fn outside(ends: &[End]) -> BTreeSet<IpAddr> {
    let addresses = ends.iter().filter_map(|end| match end {
        End::Outside(address) => Some(*address),
        End::Pod(_) => None,
    });
    addresses.collect()
}

/// One end a line; empty lines are none.
fn read_ends(file: &Path) -> Result<Vec<End>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            line.parse()
                .map_err(|error: ParseError| anyhow::anyhow!("{}, line {number}: {error}", file.display()))
        })
        .collect()
}

/// An end that is in no manifest is a slip of the pen, not a pod without traffic.
fn check_known(world: &World, ends: &[End]) -> Result<()> {
    let pods: BTreeSet<_> = world.pods().into_iter().map(|pod| pod.name).collect();
    for end in ends {
        if let End::Pod(name) = end {
            anyhow::ensure!(pods.contains(name), "no manifest has the pod {name}");
        }
    }
    let policies = world
        .clusters
        .values()
        .flatten()
        .filter(|object| Written::of(object) == Some(Written::NetworkPolicy));
    if policies.count() == 0 {
        eprintln!("lab: no manifest has a NetworkPolicy: everything will be allowed");
    }
    Ok(())
}
