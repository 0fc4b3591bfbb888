//! Verdicts from packets: a probe is allowed if it is answered, and refused if it, and its repetitions, are not.
//!
//! A refusal proves something only where the same probe was answered before there were policies: see [`Baseline`].

use super::fabric::Fabric;
use super::sockets::{self, Answer, Listeners, Shot};
use super::station::Station;
use super::world::Pod;
use anyhow::{Context, Result, bail};
use enforcer::offline::ends::{End, Probe, Table, Transport, Verdict};
use enforcer::ruleset::Family;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer may take: four orders of magnitude more than it takes on an idle machine.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often a probe is sent before it counts as refused.
const ATTEMPTS: usize = 3;
/// How long a network that was just built may refuse: the kernel lets packets through a new link once it has noticed that
/// both ends are up, for which it takes up to a second (linkwatch), and longer on a busy machine.
const LINKS_COME_UP: Duration = Duration::from_secs(5);
/// Probes under way at once. Bounds sockets, and keeps answers well within [`PATIENCE`].
const CONCURRENT: usize = 512;
/// How many source ports in a row may be in use.
const PORTS_TRIED: usize = 16;

/// The ends of a lab and the probes between them, with sockets that answer.
#[derive(Debug)]
pub struct Range<'a> {
    fabric: &'a Fabric,
    ends: Vec<End>,
    probes: Vec<Probe>,
    _listeners: Listeners,
}

/// Answers at the ports that the pods' containers say they listen on.
///
/// # Errors
/// If a port is taken.
pub async fn answer_as_containers(fabric: &Fabric, pods: &[Pod]) -> Result<Listeners> {
    let mut listeners = Listeners::default();
    let mut open = BTreeSet::new();
    for pod in pods {
        let end = End::Pod(pod.name.clone());
        let Some((station, addresses)) = fabric.locate(&end) else {
            continue;
        };
        for (protocol, port) in &pod.ports {
            // Whoever listens on something else is not played here.
            let Ok(Probe { transport, port, .. }) = format!("{protocol}/{port}").parse() else {
                continue;
            };
            for &address in addresses {
                let socket = SocketAddr::new(address, port);
                if open.insert((transport, socket)) {
                    let opened = listeners.open(station, transport, socket).await;
                    opened.with_context(|| format!("{end} cannot answer {transport} at {socket}"))?;
                }
            }
        }
    }
    Ok(listeners)
}

/// What passed before there were policies.
#[derive(Clone, Debug)]
pub struct Baseline(Vec<Table>);

/// A probe that nobody answered although no policy was there: the lab is broken, and its refusals prove nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("without any policy, {probe} from {from} to {to} was not answered: the lab's network is broken")]
pub struct Broken {
    probe: Probe,
    from: End,
    to: End,
}

impl<'a> Range<'a> {
    /// Opens sockets that answer the probes at every end.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn open(fabric: &'a Fabric, ends: Vec<End>, probes: Vec<Probe>) -> Result<Self> {
        let mut listeners = Listeners::default();
        let mut open = BTreeSet::new();
        for end in &ends {
            let Some((station, addresses)) = fabric.locate(end) else {
                continue;
            };
            for &address in addresses {
                for probe in probes.iter().filter(|probe| probe.goes_to(address)) {
                    let (transport, socket) = (probe.transport, SocketAddr::new(address, probe.port));
                    if open.insert((transport, socket)) {
                        let opened = listeners.open(station, transport, socket).await;
                        opened.with_context(|| format!("{end} cannot answer {transport} at {socket}"))?;
                    }
                }
            }
        }
        Ok(Self {
            fabric,
            ends,
            probes,
            _listeners: listeners,
        })
    }

    /// The ends, in order.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// Every probe from every end to every end.
    ///
    /// # Errors
    /// If a probe could not even be sent.
    pub async fn judge(&self) -> Result<Vec<Table>> {
        self.judge_these(&self.probes).await
    }

    /// Some probes of those that the ends answer, from every end to every end.
    ///
    /// # Errors
    /// If a probe could not even be sent.
    pub async fn judge_these(&self, probes: &[Probe]) -> Result<Vec<Table>> {
        let (ends, count) = (&self.ends, self.ends.len());
        let pairs = || ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to)));
        let shots = probes
            .iter()
            .flat_map(|&probe| pairs().map(move |(from, to)| (probe, from, to)));
        let verdicts: Vec<Verdict> = stream::iter(shots)
            .map(|(probe, from, to)| self.judge_one(from, to, probe))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        let mut rows = verdicts.chunks(count.max(1)).map(<[Verdict]>::to_vec);
        Ok(probes
            .iter()
            .map(|&probe| Table {
                probe,
                rows: rows.by_ref().take(count).collect(),
            })
            .collect())
    }

    /// One probe, repeated until it is answered or counts as refused.
    ///
    /// # Errors
    /// If it could not even be sent.
    pub async fn judge_one(&self, from: &End, to: &End, probe: Probe) -> Result<Verdict> {
        let Some(path) = Path::find(self.fabric, from, to, probe) else {
            return Ok(Verdict::Absent);
        };
        for _ in 0..ATTEMPTS {
            let answer = path.fire(PATIENCE).await;
            match answer.with_context(|| format!("cannot send {probe} from {from} to {to}"))? {
                Answer::Answered => return Ok(Verdict::Allowed),
                Answer::Silence => {}
            }
        }
        Ok(Verdict::Refused)
    }

    /// Judges a network without policies, which may have been built a moment ago.
    ///
    /// # Errors
    /// If anything is refused.
    pub async fn baseline(&self) -> Result<Baseline> {
        let start = Instant::now();
        loop {
            let tables = self.judge().await?;
            match self.broken(&tables) {
                None => return Ok(Baseline(tables)),
                Some(broken) if start.elapsed() >= LINKS_COME_UP => bail!(broken),
                Some(_) => {}
            }
        }
    }

    /// The first refusal.
    fn broken(&self, tables: &[Table]) -> Option<Broken> {
        tables.iter().find_map(|table| {
            self.ends.iter().zip(&table.rows).find_map(|(from, row)| {
                let to = row.iter().position(|verdict| *verdict == Verdict::Refused)?;
                Some(Broken {
                    probe: table.probe,
                    from: from.clone(),
                    to: self.ends[to].clone(),
                })
            })
        })
    }
}

impl Baseline {
    /// The verdicts: nothing is refused.
    pub fn tables(&self) -> &[Table] {
        &self.0
    }
}

/// From where to where a probe goes.
#[derive(Debug)]
pub struct Path<'a> {
    station: &'a Station,
    source: IpAddr,
    destination: SocketAddr,
    transport: Transport,
}

impl<'a> Path<'a> {
    /// None: an end is not in the network, or has no address of the family; or both are one host outside, of which nobody
    /// has anything to say.
    pub fn find(fabric: &'a Fabric, from: &End, to: &End, probe: Probe) -> Option<Self> {
        let (station, sources) = fabric.locate(from)?;
        let (_, destinations) = fabric.locate(to)?;
        if let (End::Address(one), End::Address(other)) = (from, to)
            && one == other
            && fabric.plan().outside.contains(one)
        {
            return None;
        }
        let families: &[Family] = match &probe.family {
            Some(family) => std::slice::from_ref(family),
            None => &Family::ALL,
        };
        families.iter().find_map(|&family| {
            let of_family = |addresses: &[IpAddr]| addresses.iter().copied().find(|one| Family::of(*one) == family);
            Some(Self {
                station,
                source: of_family(sources)?,
                destination: SocketAddr::new(of_family(destinations)?, probe.port),
                transport: probe.transport,
            })
        })
    }

    /// The source's address.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Sends the probe once, from a port that no probe of this source has had.
    ///
    /// # Errors
    /// If it could not be sent.
    pub async fn fire(&self, patience: Duration) -> std::io::Result<Answer> {
        let mut in_use = None;
        for _ in 0..PORTS_TRIED {
            let shot = Shot {
                transport: self.transport,
                source: SocketAddr::new(self.source, self.station.fresh_port()),
                destination: self.destination,
                patience,
            };
            match self
                .station
                .spawn(sockets::fire(shot))
                .await
                .map_err(std::io::Error::other)?
            {
                Err(error) if error.kind() == ErrorKind::AddrInUse => in_use = Some(error),
                answer => return answer,
            }
        }
        Err(in_use.expect("every attempt found its port in use"))
    }
}
