//! How long to wait before the next try.
//!
//! Pure: the random numbers come from the caller.

use std::time::Duration;

/// Delays that double from a floor to a ceiling, each shortened by up to half, so that many who lost the same server do
/// not return to it at once (C20).
#[derive(Clone, Debug)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `floor`.
    pub fn new(floor: Duration, ceiling: Duration) -> Self {
        Self {
            floor,
            ceiling,
            next: floor.min(ceiling),
        }
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self, random: &mut fastrand::Rng) -> Duration {
        let delay = self.next.mul_f64(random.f64().mul_add(0.5, 0.5));
        self.next = (self.next * 2).min(self.ceiling);
        delay
    }

    /// A try succeeded.
    pub fn reset(&mut self) {
        self.next = self.floor.min(self.ceiling);
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn delays_double_up_to_the_ceiling_and_are_shortened_by_up_to_half() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        for full in [1.0, 2.0, 4.0, 5.0, 5.0] {
            let delay = backoff.next_delay(&mut random).as_secs_f64();
            assert!((full / 2.0..=full).contains(&delay), "{delay} of {full}");
        }
        backoff.reset();
        assert!(backoff.next_delay(&mut random) <= Duration::from_secs(1));
    }

    /// C20: Two that failed together do not return together.
    #[test]
    fn two_that_failed_together_do_not_return_together() {
        let delay =
            |seed| Backoff::new(Duration::from_secs(1), Duration::MAX).next_delay(&mut fastrand::Rng::with_seed(seed));
        assert_ne!(delay(1), delay(2));
    }
}
