use super::*;
use proto::model::Epoch;

fn revision(epoch: u128, sequence: u64) -> Revision {
    Revision {
        epoch: Epoch(epoch),
        sequence,
    }
}

fn frame(sequence: u64, kind: Kind, at: Instant) -> Sealed {
    Sealed {
        revision: revision(7, sequence),
        kind,
        at,
        bytes: Bytes::from(vec![0; 10]),
    }
}

const DELTA: Kind = Kind::Delta {
    changes: 1,
    oldest: Duration::ZERO,
};

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do, and there is no other way to one"
)]
fn some_instant() -> Instant {
    Instant::now()
}

/// A ring for three frames of ten bytes that has seen the deltas 1 to 4, a heartbeat after the third.
fn ring(start: Instant) -> Ring {
    let mut ring = Ring::new(revision(7, 0), 30);
    for (second, (sequence, kind)) in [(1, DELTA), (2, DELTA), (3, DELTA), (3, Kind::Heartbeat), (4, DELTA)]
        .into_iter()
        .enumerate()
    {
        ring.push(frame(sequence, kind, start + Duration::from_secs(second as u64)));
    }
    ring
}

#[test]
fn resumes_only_where_nothing_is_missed() {
    let ring = ring(some_instant());
    let since = [
        revision(7, 0),
        revision(7, 1),
        revision(7, 2),
        revision(7, 3),
        revision(7, 4),
        revision(7, 5),
        revision(8, 3),
    ]
    .map(|revision| ring.since(revision));
    // The ring holds delta 3, the heartbeat and delta 4, at positions 2, 3 and 4.
    let expected = [
        None,
        None,
        Some(Position(2)),
        Some(Position(4)),
        Some(Position(5)),
        None,
        None,
    ];
    // Who holds 3 needs no heartbeat of 3.
    assert_eq!(since, expected);
}

#[test]
fn a_heartbeat_is_not_the_change_that_led_to_its_revision() {
    let mut ring = ring(some_instant());
    for _ in 0..3 {
        ring.push(frame(4, Kind::Heartbeat, some_instant()));
    }
    // The ring holds nothing but heartbeats of 4.
    let since = [revision(7, 3), revision(7, 4)].map(|revision| ring.since(revision));
    assert_eq!(since, [None, Some(ring.end())]);
}

#[test]
fn an_empty_ring_continues_its_own_revision_only() {
    let ring = Ring::new(revision(7, 0), 30);
    assert_eq!(ring.since(revision(7, 0)), Some(ring.end()));
    assert_eq!(ring.since(revision(8, 0)), None);
}

#[test]
fn serves_from_any_position_and_says_which_are_gone() {
    let ring = ring(some_instant());
    let frame = Bytes::from(vec![0; 10]);
    assert_eq!(ring.next(Position(1)), Next::Gone);
    let all = vec![frame.clone(), frame.clone(), frame.clone()];
    assert_eq!(ring.next(Position(2)), Next::Frames(all, Position(5)));
    assert_eq!(ring.next(Position(4)), Next::Frames(vec![frame], Position(5)));
    assert_eq!(ring.next(Position(5)), Next::End);
}

#[test]
fn keeps_the_newest_frame_whatever_its_size() {
    let mut ring = ring(some_instant());
    let huge = Sealed {
        bytes: Bytes::from(vec![0; 1000]),
        ..frame(5, DELTA, some_instant())
    };
    ring.push(huge.clone());
    assert_eq!(ring.next(Position(5)), Next::Frames(vec![huge.bytes], Position(6)));
    assert_eq!(ring.next(Position(4)), Next::Gone);
    assert_eq!(ring.bytes, 1000);
}

#[test]
fn another_epoch_cuts_everybody_off() {
    let mut ring = ring(some_instant());
    let end = ring.end();
    let first = Sealed {
        revision: revision(8, 1),
        ..frame(1, Kind::Heartbeat, some_instant())
    };
    ring.push(first);
    assert_eq!(ring.next(end), Next::Gone);
    assert_eq!(ring.since(revision(7, 4)), None);
    assert_eq!(ring.since(revision(8, 1)), Some(ring.end()));
}

#[test]
fn lag_is_the_age_of_the_first_change_that_is_missing() {
    let start = some_instant();
    let ring = ring(start);
    let now = start + Duration::from_secs(10);
    let lags = [
        Some(revision(7, 4)),
        Some(revision(7, 3)),
        Some(revision(7, 2)),
        Some(revision(7, 0)),
        Some(revision(8, 9)),
        None,
    ]
    .map(|applied| ring.lag(applied, now).map(|lag| lag.as_secs()));
    // Delta 4 is of second 4, delta 3, the oldest that is kept, of second 2.
    assert_eq!(lags, [None, Some(6), Some(8), Some(8), Some(8), Some(8)]);
}
