//! `lab demo`: the three user stories of NPEP-311, told with real packets, and a label that changes while they flow.

use super::args::Network;
use super::live::{Effect, KernelWatch, first_packet};
use super::probe::Range;
use super::scene::{Scene, Spot};
use super::settle;
use super::setup::{Ground, Lab, now};
use super::story::{self, CHAPTERS, Chapter, Highlight};
use anyhow::{Context, Result};
use enforcer::offline::ends::{End, Probe, Table, Verdict, family_number};
use enforcer::ruleset::Family;
use enforcer::screen::{Ink, Tone};
use futures::future::try_join_all;
use proto::model::ClusterName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long connections are made before the label changes.
const HEAD_START: Duration = Duration::from_millis(20);

/// A demo under way.
struct Demo<'a> {
    scene: Scene<'a>,
    ranges: BTreeMap<Family, Range<'a>>,
    ink: Ink,
    right: usize,
    wrong: usize,
}

/// Runs it; fails only where a part of the lab does. A packet that does what no policy says is in the exit code.
///
/// # Errors
/// If a part of the lab fails.
pub async fn run(ground: &Ground, network: Network) -> Result<ExitCode> {
    let ink = Ink::of_stdout();
    let lab = Lab::build(story::world()?, &story::outside().into(), network)?;
    println!(
        "{}   network up in {:.1} s",
        ink.paint(
            Tone::Strong,
            format_args!(
                "Bailey lab: {} clusters, {} nodes, {} pods, IPv4 and IPv6, real packets, no Kubernetes needed",
                lab.world.clusters.len(),
                lab.fabric.nodes().count(),
                lab.fabric.pods().count()
            )
        ),
        lab.built_in.as_secs_f64()
    );
    let mut ranges = BTreeMap::new();
    let mut answered = 0;
    for family in Family::ALL {
        let range = open_range(&lab, family).await?;
        answered += range
            .baseline()
            .await?
            .tables()
            .iter()
            .flat_map(|table| &table.rows)
            .flatten()
            .filter(|verdict| **verdict == Verdict::Allowed)
            .count();
        ranges.insert(family, range);
    }
    let start = now();
    let control = lab.start(&ground.programs, network).await?;
    println!(
        "Without policies, all of {answered} packets arrive. API servers, hub and enforcers up in {:.1} s.",
        start.elapsed().as_secs_f64()
    );
    let mut demo = Demo {
        scene: Scene {
            lab: &lab,
            control: &control,
        },
        ranges,
        ink,
        right: 0,
        wrong: 0,
    };
    for chapter in CHAPTERS {
        demo.tell(chapter).await?;
    }
    demo.live().await?;
    let code = demo.sum_up();
    control.stop().await;
    Ok(code)
}

/// The ends of the chapters' tables, which all have the same ones, and the probes of all.
async fn open_range(lab: &Lab, family: Family) -> Result<Range<'_>> {
    let (mut ends, mut probes) = (Vec::new(), Vec::new());
    for chapter in CHAPTERS {
        let (rows, tables) = chapter.expected(family)?;
        ends = rows;
        probes.extend(tables.into_iter().map(|table| table.probe));
    }
    probes.sort();
    probes.dedup();
    Range::open(&lab.fabric, ends, probes).await
}

impl Demo<'_> {
    async fn tell(&mut self, chapter: &Chapter) -> Result<()> {
        println!("\n{}", self.ink.paint(Tone::Strong, chapter.title));
        let objects = chapter.objects()?;
        for (cluster, object) in &objects {
            println!(
                "         {}",
                self.ink.paint(Tone::Quiet, describe(chapter, cluster, object))
            );
        }
        self.scene.write(&objects).await?;
        settle::wait(self.scene.control, &settle::policies_among(&objects)).await?;
        let judged = Family::ALL.map(|family| self.judge(chapter, family));
        let seen: BTreeMap<Family, Vec<Seen>> = Family::ALL.into_iter().zip(try_join_all(judged).await?).collect();
        for highlight in chapter.highlights {
            self.show(highlight, &seen)?;
        }
        let all: Vec<Seen> = seen.into_values().flatten().collect();
        let wrong: Vec<&Seen> = all.iter().filter(|one| one.got != one.expected).collect();
        self.right += all.len() - wrong.len();
        self.wrong += wrong.len();
        for one in &wrong {
            println!(
                "           {one}  {}",
                self.ink.paint(
                    Tone::Bad,
                    format_args!("{}, but should be {}", word(one.got), word(one.expected))
                )
            );
        }
        println!(
            "           {} of {} packets as expected",
            all.len() - wrong.len(),
            all.len()
        );
        self.scene.take_back(&objects).await
    }

    /// Sends all packets of a chapter's tables; each with what was expected of it.
    async fn judge(&self, chapter: &Chapter, family: Family) -> Result<Vec<Seen>> {
        let range = &self.ranges[&family];
        let (ends, expected) = chapter.expected(family)?;
        let probes: Vec<Probe> = expected.iter().map(|table| table.probe).collect();
        let got = range.judge_these(&probes).await?;
        Ok(got
            .iter()
            .zip(&expected)
            .flat_map(|(got, expected)| compare(&ends, got, expected))
            .collect())
    }

    fn show(&self, highlight: &Highlight, seen: &BTreeMap<Family, Vec<Seen>>) -> Result<()> {
        let probe: Probe = highlight.probe.parse()?;
        let mut words = Vec::new();
        let mut good = true;
        for (&family, all) in seen {
            let (from, to) = (story::end(highlight.from, family)?, story::end(highlight.to, family)?);
            let probe = Probe {
                family: Some(family),
                ..probe
            };
            let one = all
                .iter()
                .find(|one| one.from == from && one.to == to && one.probe == probe);
            let one = one.with_context(|| format!("no table has {from} to {to} by {probe}"))?;
            good &= one.got == one.expected;
            words.push(word(one.got));
        }
        words.dedup();
        let (tone, mark) = if good { (Tone::Good, "ok") } else { (Tone::Bad, "WRONG") };
        println!(
            "           {:<27} → {:<27} {:<9} {:<8} {:<3} {}",
            highlight.from,
            highlight.to,
            highlight.probe,
            words.join("/"),
            self.ink.paint(tone, mark),
            self.ink.paint(Tone::Quiet, highlight.why)
        );
        Ok(())
    }

    /// The first story's policy, and a pod of the other cluster that gets the label and loses it again.
    async fn live(&mut self) -> Result<()> {
        let title =
            "Live     Story 1 again; a pod of the other cluster gets the label and loses it, connecting all the while";
        println!("\n{}", self.ink.paint(Tone::Strong, title));
        let objects = CHAPTERS[0].objects()?;
        self.scene.write(&objects).await?;
        settle::wait(self.scene.control, &settle::policies_among(&objects)).await?;
        for family in Family::ALL {
            for (label, effect) in [("frontend", Effect::Opens), ("batch", Effect::Closes)] {
                let times = self.change(label, effect, family).await?;
                self.say(label, effect, family, &times);
            }
        }
        self.scene.take_back(&objects).await
    }

    async fn change(&self, label: &str, effect: Effect, family: Family) -> Result<Times> {
        let spot = self.scene.spot(family)?;
        let cluster = self.scene.cluster_of(&spot)?;
        let watch = KernelWatch::begin(spot.station.netns(), spot.address, effect).await?;
        let write = async {
            // Connections that the change is about to catch are under way by then.
            sleep(HEAD_START).await;
            let start = now();
            cluster
                .patch(spot.pod, &json!({"metadata": {"labels": {"app": label}}}))
                .await?;
            anyhow::Ok((start, now()))
        };
        let (kernel, packet, written) = tokio::join!(watch.seen(), first_packet(&spot.path, effect), write);
        let (start, answered) = written?;
        Ok(Times {
            start,
            answered,
            kernel: kernel?,
            packet: packet?,
        })
    }

    fn say(&mut self, label: &str, effect: Effect, family: Family, times: &Times) {
        let becomes = match effect {
            Effect::Opens => "allowed",
            Effect::Closes => "refused",
        };
        self.right += 1;
        println!(
            "           {} gets app={label:<9} IPv{} {becomes} after {:>5.1} ms  {}  (API server answered {:.1}, in the kernel of the other cluster's node {:.1})",
            Spot::who(),
            family_number(family),
            times.ms(times.packet),
            self.ink.paint(Tone::Good, "ok"),
            times.ms(times.answered),
            times.ms(times.kernel)
        );
    }

    fn sum_up(&self) -> ExitCode {
        let all = self.right + self.wrong;
        let (tone, code) = if self.wrong == 0 {
            (Tone::Good, ExitCode::SUCCESS)
        } else {
            (Tone::Bad, ExitCode::FAILURE)
        };
        let sum = self.ink.paint(
            tone,
            format_args!("{} of {all} packets did as the policies say.", self.right),
        );
        println!("\n{sum}  Look around:  cargo lab up tests/worlds/stories");
        code
    }
}

/// One packet: what was expected, and what happened.
struct Seen {
    from: End,
    to: End,
    probe: Probe,
    expected: Verdict,
    got: Verdict,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}  {}", self.from, self.to, self.probe)
    }
}

/// When something happened.
struct Times {
    start: Instant,
    answered: Instant,
    kernel: Instant,
    packet: Instant,
}

impl Times {
    fn ms(&self, when: Instant) -> f64 {
        when.saturating_duration_since(self.start).as_secs_f64() * 1e3
    }
}

fn compare(ends: &[End], got: &Table, expected: &Table) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (from, (got, wanted)) in ends.iter().zip(got.rows.iter().zip(&expected.rows)) {
        for (to, (&got, &wanted)) in ends.iter().zip(got.iter().zip(wanted)) {
            if (got, wanted) != (Verdict::Absent, Verdict::Absent) {
                seen.push(Seen {
                    from: from.clone(),
                    to: to.clone(),
                    probe: expected.probe,
                    expected: wanted,
                    got,
                });
            }
        }
    }
    seen
}

/// What a chapter writes, as people name it, and where to read it.
fn describe(chapter: &Chapter, cluster: &ClusterName, object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
    let name = match metadata["namespace"].as_str() {
        Some(namespace) => format!("{cluster}/{namespace}/{}", text(&metadata["name"])),
        None => format!("{cluster}/{}", text(&metadata["name"])),
    };
    format!("{kind} {name}   (tests/worlds/{}/{cluster})", chapter.folder)
}

/// A verdict in words.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Refused => "refused",
        Verdict::Absent => "no such traffic",
    }
}
