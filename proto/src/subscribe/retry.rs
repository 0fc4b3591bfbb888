//! Which hub to try next, and when.
//!
//! Pure: randomness is passed in. The hubs are tried in turn, quickly within a round; rounds that all fail wait longer
//! and longer. Every delay is drawn at random, so that enforcers that lost one hub together do not return together.

use super::reason::Kind;
use std::time::Duration;

/// Shortest delay: nothing is tried more than ten times a second.
const FLOOR: Duration = Duration::from_millis(100);

/// Longest delay: a hub that is back is found within it.
const CEILING: Duration = Duration::from_secs(10);

/// A stream that lived so long was a good one; the next failure is a first one.
const GOOD_LIFE: Duration = CEILING;

#[derive(Debug)]
pub(super) struct Retry {
    hubs: usize,
    /// Whose turn it is.
    turn: usize,
    /// Failures since the last good stream.
    failures: usize,
    /// Of the last round, those that trying again will not mend.
    for_people: usize,
    random: fastrand::Rng,
}

impl Retry {
    pub(super) fn new(hubs: usize, random: fastrand::Rng) -> Self {
        Self {
            hubs,
            turn: 0,
            failures: 0,
            for_people: 0,
            random,
        }
    }

    /// Which hub to try.
    pub(super) fn turn(&self) -> usize {
        self.turn
    }

    /// The stream, which lived so long, has failed; how long to wait before the next attempt, at the next hub.
    pub(super) fn failed(&mut self, kind: Kind, lived: Duration) -> Duration {
        self.count(lived);
        self.for_people += usize::from(kind == Kind::ForPeople);
        self.turn = (self.turn + 1) % self.hubs;
        if !self.failures.is_multiple_of(self.hubs) {
            return self.draw(FLOOR * 2);
        }
        let all_for_people = std::mem::take(&mut self.for_people) == self.hubs;
        if all_for_people {
            self.draw(CEILING)
        } else {
            self.draw_for(self.failures / self.hubs)
        }
    }

    /// A new stream of the same hub is wanted after one that lived so long.
    pub(super) fn again(&mut self, lived: Duration) -> Duration {
        self.count(lived);
        self.draw_for(self.failures)
    }

    fn count(&mut self, lived: Duration) {
        if lived >= GOOD_LIFE {
            (self.failures, self.for_people) = (0, 0);
        }
        self.failures += 1;
    }

    fn draw_for(&mut self, failures: usize) -> Duration {
        let doublings = u32::try_from(failures).unwrap_or(u32::MAX);
        let most = 2u32.checked_pow(doublings).and_then(|factor| FLOOR.checked_mul(factor));
        self.draw(most.unwrap_or(CEILING).min(CEILING))
    }

    fn draw(&mut self, most: Duration) -> Duration {
        FLOOR + (most - FLOOR).mul_f64(self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::ZERO;

    fn retry(hubs: usize) -> Retry {
        Retry::new(hubs, fastrand::Rng::with_seed(7))
    }

    /// The longest of many draws, which tells the bound they were drawn from.
    fn longest(attempt: impl Fn(&mut Retry) -> Duration) -> u64 {
        let draws = (0..2000).map(|seed| {
            let delay = attempt(&mut Retry::new(2, fastrand::Rng::with_seed(seed)));
            assert!((FLOOR..=CEILING).contains(&delay), "{delay:?}");
            delay
        });
        let longest = draws.max().unwrap();
        (longest.as_secs_f64() * 10.0).round() as u64
    }

    #[test]
    fn rounds_wait_longer_and_longer_up_to_the_ceiling() {
        let tenths: Vec<_> = [1, 2, 3, 4, 5, 6, 8, 16, 400]
            .map(|failures| {
                longest(|retry| {
                    let delays = (0..failures).map(|_| retry.failed(Kind::Passing, FAST));
                    delays.last().unwrap()
                })
            })
            .into();
        assert_eq!(tenths, [2, 2, 2, 4, 2, 8, 16, 100, 100]);
    }

    #[test]
    fn hubs_take_turns() {
        let mut retry = retry(3);
        let turns: Vec<_> = (0..5)
            .map(|_| {
                let turn = retry.turn();
                retry.failed(Kind::Passing, FAST);
                turn
            })
            .collect();
        assert_eq!(turns, [0, 1, 2, 0, 1]);
        let turn = retry.turn();
        retry.again(FAST);
        assert_eq!(retry.turn(), turn, "a new stream is asked of the same hub");
    }

    #[test]
    fn a_good_stream_makes_the_next_failure_a_first_one() {
        let after_a_good_one = longest(|retry| {
            for _ in 0..40 {
                retry.failed(Kind::Passing, FAST);
            }
            retry.failed(Kind::Passing, GOOD_LIFE)
        });
        assert_eq!(after_a_good_one, 2);
    }

    #[test]
    fn what_people_must_mend_is_tried_at_the_ceiling() {
        let round = |kinds: [Kind; 2]| longest(move |retry| kinds.map(|kind| retry.failed(kind, FAST))[1]);
        assert_eq!(round([Kind::ForPeople, Kind::ForPeople]), 100);
        assert_eq!(round([Kind::ForPeople, Kind::Passing]), 2);
    }
}
