//! `lab matrix`: verdicts by packets, in the tables and the JSON of everything that judges.

use super::args::{Format, Matrix};
use super::cluster::Written;
use super::probe::Range;
use super::settle;
use super::setup::{Ground, Lab, Unfit};
use super::world::World;
use anyhow::Result;
use enforcer::offline::clusterset::ClusterSet;
use enforcer::offline::ends::{End, Exchange};
use enforcer::offline::{grid, load};
use enforcer::screen::{self, Ink};
use std::collections::BTreeSet;
use std::net::IpAddr;

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
    let set = world.clusterset(switches.switches());
    let ends = match ends {
        None => set.ends(),
        Some(file) => load::ends(&file, |end| set.knows(end)).map_err(|error| Unfit(error.into()))?,
    };
    warn_without_policies(&world);
    let lab = Lab::build(world, &outside(&ends, &set), network)?;
    let range = Range::open(&lab.fabric, ends, probes).await?;
    range.baseline().await?;
    let programs = ground.programs.with(switches.switches());
    let control = lab.start(&programs, network).await?;
    settle::wait(&control, &settle::policies_of(&lab.world)).await?;
    let tables = range.judge().await?;
    control.check_alive()?;
    control.stop().await;
    let text = match format {
        Format::Json => serde_json::to_string(&Exchange::new(range.ends(), &tables))?,
        Format::Table => grid::matrix(range.ends(), &tables, Ink::of_stdout()),
    };
    screen::answer(&text)?;
    Ok(())
}

/// The addresses among some ends that are nobody's: hosts outside of all clusters.
fn outside(ends: &[End], set: &ClusterSet) -> BTreeSet<IpAddr> {
    let addresses = ends.iter().filter_map(|end| match end {
        End::Address(address) => Some(*address),
        End::Pod(_) => None,
    });
    let is_nobodys = |address: &IpAddr| set.owners(*address).is_empty() && set.nodes_at(*address).is_empty();
    addresses.filter(is_nobodys).collect()
}

fn warn_without_policies(world: &World) {
    let policies = world
        .clusters
        .values()
        .flatten()
        .filter(|object| Written::of(object) == Some(Written::NetworkPolicy));
    if policies.count() == 0 {
        eprintln!("lab: no manifest has a NetworkPolicy: everything will be allowed");
    }
}
