//! New connections all the time, while something happens: the allowed ones must be answered, the others must not.

use super::rig::Way;
use enforcer::offline::ends::Verdict;
use futures::future::{Either, join_all, select};
use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;
use tests::lab::sockets::Answer;
use tokio::time::interval;

/// Between two connections on one way.
const PACE: Duration = Duration::from_millis(10);
/// How long an allowed connection may take. Less than the second after which TCP sends again: a packet that was dropped
/// is seen.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long a refused one is waited for.
const REFUSAL: Duration = Duration::from_millis(100);
/// Connections on each way without which nothing was shown.
const ENOUGH: usize = 5;

/// Does `work` while connections are made on all ways. Panics if one did not do as it should.
pub async fn during<T>(ways: &[Way<'_>], work: impl Future<Output = T>) -> T {
    let is_over = Cell::new(false);
    let ways = join_all(ways.iter().map(|way| keep_connecting(way, &is_over)));
    let work = pin!(async {
        let done = work.await;
        is_over.set(true);
        done
    });
    match select(work, pin!(ways)).await {
        Either::Left((done, ways)) => {
            ways.await;
            done
        }
        Either::Right(_) => unreachable!("ways end only after the work"),
    }
}

/// One connection after the other until it is over and there were enough.
async fn keep_connecting(way: &Way<'_>, is_over: &Cell<bool>) {
    let mut ticks = interval(PACE);
    let (expected, patience) = match way.verdict {
        Verdict::Allowed => (Answer::Answered, PATIENCE),
        Verdict::Refused => (Answer::Silence, REFUSAL),
        Verdict::Absent => unreachable!("the lab has every pod in both families"),
    };
    let mut made = 0;
    while made < ENOUGH || !is_over.get() {
        ticks.tick().await;
        let answer = way.path.fire(patience).await.unwrap();
        let (from, to, source) = (way.from, way.to, way.path.source());
        assert_eq!(answer, expected, "connection {made} from {from} ({source}) to {to}");
        made += 1;
    }
}
