//! `kill -9` of hub and enforcers, in several orders, while a policy is in force: no verdict changes, and what was killed
//! comes back into the same state.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::ruleset::Family;
use tests::apiserver::Kind;
use tests::lab::args::Network;
use tests::lab::control::Control;
use tests::lab::ends::Table;
use tests::lab::layout::Layout;
use tests::lab::probe::Range;
use tests::lab::scene::Scene;
use tests::lab::setup::{Ground, Lab};
use tests::lab::world::NodeName;
use tests::lab::{screen, settle, story};

const NETWORK: Network = Network {
    layout: Layout::Bridge,
    apiserver: Kind::Embedded,
};

/// The second story: policies in two clusters, both directions.
fn chapter() -> story::Chapter {
    *story::CHAPTERS
        .iter()
        .find(|chapter| chapter.folder == "story-2")
        .unwrap()
}

/// A lab whose programs can be killed, and what must be true of its packets all the time.
struct Stage<'a> {
    lab: &'a Lab,
    control: Control,
    range: Range<'a>,
    expected: Vec<Table>,
}

impl<'a> Stage<'a> {
    async fn set(ground: &Ground, lab: &'a Lab) -> Self {
        let (ends, expected) = chapter().expected(Family::V4).unwrap();
        let probes = expected.iter().map(|table| table.probe).collect();
        let range = Range::open(&lab.fabric, ends, probes).await.unwrap();
        range.baseline().await.unwrap();
        let control = lab.start(&ground.programs, NETWORK).await.unwrap();
        let objects = chapter().objects().unwrap();
        Scene { lab, control: &control }.write(&objects).await.unwrap();
        let stage = Self {
            lab,
            control,
            range,
            expected,
        };
        stage.settle().await;
        stage
    }

    async fn settle(&self) {
        let policies = settle::policies_among(&chapter().objects().unwrap());
        settle::wait(&self.control, &policies).await.unwrap();
    }

    async fn same_verdicts(&self, when: &str) {
        for (got, expected) in self.range.judge().await.unwrap().iter().zip(&self.expected) {
            let [got, expected] = [got, expected].map(|table| screen::table(self.range.ends(), table));
            assert!(got == expected, "{when}\n{got}\nbut expected\n{expected}");
        }
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.lab.fabric.nodes().map(|(name, _)| name.clone()).collect()
    }

    async fn kill_enforcers(&mut self) {
        for node in self.nodes() {
            self.control.kill_enforcer(&node).await.unwrap();
        }
    }

    async fn restart_enforcers(&mut self) {
        for node in self.nodes() {
            self.control.start_enforcer(&self.lab.fabric, &node).unwrap();
        }
        self.control.enforcers_ready().await.unwrap();
    }
}

#[test]
fn no_verdict_changes_whatever_is_killed() {
    let ground = Ground::prepare().unwrap();
    let lab = Lab::build(story::world().unwrap(), &story::outside().into(), NETWORK).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut stage = Stage::set(&ground, &lab).await;
        stage.same_verdicts("before anything is killed").await;
        stage.control.kill_hub().await;
        stage.same_verdicts("without a hub").await;
        stage.kill_enforcers().await;
        stage.same_verdicts("without hub and enforcers").await;
        stage.restart_enforcers().await;
        stage.same_verdicts("with enforcers that have never seen a hub").await;
        stage.control.restart_hub().await.unwrap();
        stage.settle().await;
        stage.same_verdicts("with a new hub").await;
        stage.kill_enforcers().await;
        stage.control.kill_hub().await;
        stage.control.restart_hub().await.unwrap();
        stage.restart_enforcers().await;
        stage.settle().await;
        stage.same_verdicts("with everything new").await;
        stage.control.stop().await;
    });
}
