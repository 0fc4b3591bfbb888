//! `lab bench latency`: a label written in one cluster, until the pod is a member in the ipset on a node of another.
//!
//! Three clocks on each sample: the kernel's set as this program sees it; the enforcer's own measure from the hub's
//! receipt to the kernel; and, as the baseline, a plain watch of the same API server, which no controller can beat.

use super::args::{Format, Latency};
use super::control::Control;
use super::live::{Effect, KernelWatch};
use super::measure::{Enforced, Samples};
use super::scene::{Scene, Spot};
use super::settle;
use super::setup::{Ground, Lab, now};
use super::story::{self, CHAPTERS};
use anyhow::{Context, Result};
use enforcer::ruleset::Family;
use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long a watch may take to tell of a write.
const LIMIT: Duration = Duration::from_secs(10);
/// At most so long between two samples: at random, so that no timer beats in time with them.
const PAUSE_MS: u64 = 20;
/// Events that may wait for the sample that takes them: one each is expected.
const EVENTS: usize = 64;
/// Where the samples' pauses come from.
const SEED: u64 = 1;

/// Measures and prints.
///
/// # Errors
/// If a part of the lab fails.
pub async fn run(ground: &Ground, latency: Latency) -> Result<()> {
    let Latency {
        samples,
        format,
        network,
    } = latency;
    let lab = Lab::build(story::world()?, &story::outside().into(), network)?;
    let control = lab.start(&ground.programs, network).await?;
    let scene = Scene {
        lab: &lab,
        control: &control,
    };
    scene.write(&CHAPTERS[0].objects()?).await?;
    settle::wait(&control, &settle::policies_among(&CHAPTERS[0].objects()?)).await?;
    let spot = scene.spot(Family::V4)?;
    let mut plain = PlainWatch::begin(&scene, &spot).await?;
    let mut pauses = fastrand::Rng::with_seed(SEED);
    let [mut whole, mut from_hub, mut baseline] = [const { Samples::new() }; 3];
    let start = now();
    for number in 1..=samples {
        let before = Enforced::read(&control, &spot.node).await?;
        let sample = change(&control, &spot, "frontend", Effect::Opens).await?;
        whole.push(sample.kernel - sample.start);
        baseline.push(plain.saw("frontend").await?.saturating_duration_since(sample.start));
        let (opened, time) = before.next(&control, &spot.node).await?;
        from_hub.push(time);
        change(&control, &spot, "batch", Effect::Closes).await?;
        opened.next(&control, &spot.node).await?;
        plain.saw("batch").await?;
        if number % 100 == 0 && number < samples {
            let rate = f64::from(number) / start.elapsed().as_secs_f64();
            eprintln!("lab: {number} of {samples} samples, {rate:.0} a second");
        }
        sleep(Duration::from_millis(pauses.u64(0..PAUSE_MS))).await;
    }
    control.check_alive()?;
    control.stop().await;
    print(format, &mut whole, &mut from_hub, &mut baseline)
}

/// When a change was written, and when it was in the kernel.
struct Change {
    start: Instant,
    kernel: Instant,
}

async fn change(control: &Control, spot: &Spot<'_>, label: &str, effect: Effect) -> Result<Change> {
    let watch = KernelWatch::begin(spot.station.netns(), spot.address, effect).await?;
    let start = now();
    let cluster = control.cluster(&spot.cluster)?;
    cluster
        .patch(spot.pod, &json!({"metadata": {"labels": {"app": label}}}))
        .await?;
    Ok(Change {
        start,
        kernel: watch.seen().await?,
    })
}

/// A watch of one pod, as any controller has.
struct PlainWatch {
    events: mpsc::Receiver<(String, Instant)>,
    task: AbortHandle,
}

impl PlainWatch {
    async fn begin(scene: &Scene<'_>, spot: &Spot<'_>) -> Result<Self> {
        let api = scene.control.cluster(&spot.cluster)?.pods(spot.pod);
        let name = spot.pod["metadata"]["name"].as_str().unwrap_or_default();
        let mut stream = Box::pin(watcher(
            api,
            watcher::Config::default().fields(&format!("metadata.name={name}")),
        ));
        let (found, events) = mpsc::channel(EVENTS);
        let task = tokio::spawn(async move {
            while let Some(event) = stream.next().await {
                if let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event {
                    let label = pod.metadata.labels.and_then(|mut labels| labels.remove("app"));
                    if found.send((label.unwrap_or_default(), now())).await.is_err() {
                        return;
                    }
                }
            }
        });
        let mut watch = Self {
            events,
            task: task.abort_handle(),
        };
        watch.saw("batch").await?;
        Ok(watch)
    }

    async fn saw(&mut self, label: &str) -> Result<Instant> {
        let next = async {
            while let Some((seen, when)) = self.events.recv().await {
                if seen == label {
                    return Some(when);
                }
            }
            None
        };
        timeout(LIMIT, next)
            .await
            .ok()
            .flatten()
            .context("a plain watch does not see the write")
    }
}

impl Drop for PlainWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A line of every bench.
#[derive(Serialize)]
struct Line {
    bench: &'static str,
    case: String,
    figure: f64,
    unit: &'static str,
    baseline: f64,
    baseline_name: &'static str,
    ratio: f64,
}

/// One line for each figure; the baseline is of the same run.
fn print(format: Format, whole: &mut Samples, from_hub: &mut Samples, baseline: &mut Samples) -> Result<()> {
    for percent in [50, 99] {
        let floor = baseline.percentile_ms(percent);
        for (case, samples) in [
            ("write to kernel", &mut *whole),
            ("hub's receipt to kernel", &mut *from_hub),
        ] {
            let figure = samples.percentile_ms(percent);
            let line = Line {
                bench: "latency",
                case: format!("{case}, p{percent}"),
                figure,
                unit: "ms",
                baseline: floor,
                baseline_name: "write to a plain watch",
                ratio: figure / floor,
            };
            match format {
                Format::Json => println!("{}", serde_json::to_string(&line)?),
                Format::Table => println!(
                    "{:<28} {figure:>7.2} ms   {} {floor:>6.2} ms   ratio {:.2}   {} samples",
                    line.case,
                    line.baseline_name,
                    line.ratio,
                    samples.len()
                ),
            }
        }
    }
    Ok(())
}
