//! The three user stories by packets, rules put into the kernels by the enforcer's own compiler: both layouts, both
//! families, every chapter after the other in one network, so that each is also an update of the one before.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy sees tests here only inside #[test]"
)]

use enforcer::offline::ends::Probe;
use enforcer::offline::grid;
use enforcer::ruleset::Family;
use enforcer::screen::Ink;
use enforcer::switches::Switches;
use tests::lab::direct;
use tests::lab::fabric::{Blueprint, Fabric};
use tests::lab::layout::Layout;
use tests::lab::netns::{self, Netns};
use tests::lab::probe::Range;
use tests::lab::story::{self, CHAPTERS, Chapter};

async fn open(fabric: &Fabric, family: Family) -> Range<'_> {
    let (ends, _) = CHAPTERS[0].expected(family).unwrap();
    let probes = ["TCP/5432", "TCP/8080"].map(|probe| Probe {
        family: Some(family),
        ..probe.parse().unwrap()
    });
    let range = Range::open(fabric, ends, probes.into()).await.unwrap();
    range.baseline().await.unwrap();
    range
}

async fn judge(range: &Range<'_>, chapter: &Chapter, layout: Layout, family: Family) {
    let (ends, expected) = chapter.expected(family).unwrap();
    let probes: Vec<Probe> = expected.iter().map(|table| table.probe).collect();
    let got = range.judge_these(&probes).await.unwrap();
    for (got, expected) in got.iter().zip(&expected) {
        let [got, expected] = [got, expected].map(|table| grid::table(&ends, table, Ink::Plain));
        assert!(
            got == expected,
            "{} ({layout:?})\n{got}\nbut expected\n{expected}",
            chapter.folder
        );
    }
}

async fn tell(fabric: &Fabric, layout: Layout) {
    let (v4, v6) = (open(fabric, Family::V4).await, open(fabric, Family::V6).await);
    for chapter in CHAPTERS {
        let world = direct::with_objects(&story::world().unwrap(), &chapter.objects().unwrap());
        let rulesets = direct::rulesets_with_links(&world, fabric, Switches::default()).unwrap();
        direct::enforce(fabric, &rulesets).unwrap();
        tokio::join!(
            judge(&v4, chapter, layout, Family::V4),
            judge(&v6, chapter, layout, Family::V6)
        );
    }
}

fn in_layout(layout: Layout) {
    Netns::leave().expect("these tests make network namespaces: run them as root");
    let world = story::world().unwrap();
    let blueprint = Blueprint {
        world: &world,
        outside: &story::outside().into(),
        api_servers: 3,
        layout,
    };
    let fabric = Fabric::build(blueprint).unwrap();
    netns::block_on(tell(&fabric, layout));
}

/// S98, S100, S103, S104, S106, S116: The stories by packets.
#[test]
fn packets_do_as_the_stories_say_on_bridges() {
    in_layout(Layout::Bridge);
}

/// S98, S100, S103, S104, S106, S116: The same on routed links.
#[test]
fn packets_do_as_the_stories_say_on_routed_links() {
    in_layout(Layout::Routed);
}
