//! Worlds have nothing to do with each other: as many at once as there are cores.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

/// What the work yields for each of the seeds, in their order.
pub fn each<T: Send>(seeds: Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = |first: usize| {
        let seeds = seeds.clone().skip(first).step_by(threads);
        seeds.map(|seed| (seed, work(seed))).collect::<Vec<_>>()
    };
    let share = &share;
    let mut yields: Vec<(u64, T)> = thread::scope(|scope| {
        let shares: Vec<_> = (0..threads).map(|first| scope.spawn(move || share(first))).collect();
        let joined = shares.into_iter().flat_map(|share| match share.join() {
            Ok(share) => share,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    yields.sort_by_key(|(seed, _)| *seed);
    yields.into_iter().map(|(_, it)| it).collect()
}
