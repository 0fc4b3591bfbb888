use super::*;
use crate::ring::{Kind, Sealed};
use crate::shutdown::Trigger;
use proto::model::Epoch;

const START: Revision = Revision {
    epoch: Epoch(7),
    sequence: 0,
};

fn frame(sequence: u64, size: usize) -> Sealed {
    Sealed {
        revision: Revision { sequence, ..START },
        kind: Kind::Delta {
            changes: 1,
            oldest: Duration::ZERO,
        },
        at: crate::sample::some_instant(),
        bytes: Bytes::from(vec![0; size]),
    }
}

fn subscriber(ring: &Arc<SharedRing>, expires: Option<Duration>) -> (Subscriber, Trigger) {
    let (trigger, shutdown) = Shutdown::new();
    let subscriber = Subscriber {
        ring: Arc::clone(ring),
        ends: ring.ends(),
        metrics: Metrics::default(),
        shutdown,
        members: watch::channel(Members::new()).1,
        cluster: crate::sample::cluster("a"),
        expires,
    };
    (subscriber, trigger)
}

fn code(trailers: Frame<Bytes>) -> tonic::Code {
    Status::from_header_map(trailers.trailers_ref().unwrap())
        .unwrap()
        .code()
}

/// C15: A subscriber that does not read is cut off, and told so when it does.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_is_cut_off_and_told_so_when_it_does() {
    let ring = Arc::new(SharedRing::new(START));
    ring.push((1..=5).map(|sequence| frame(sequence, 10)));
    let (subscriber, _trigger) = subscriber(&ring, None);
    let start = Start::resume(START, ring.read(|ring| ring.since(START)).unwrap());
    let (frames, mut received) = mpsc::channel(2);
    let began = tokio::time::Instant::now();
    let task = tokio::spawn(subscriber.run(start, frames));
    // Nobody reads: the clock, which is paused while anybody has something to do, moves on to the end of patience.
    tokio::time::sleep(STALL * 2).await;
    for _ in 0..2 {
        assert!(received.recv().await.unwrap().is_data());
    }
    assert_eq!(code(received.recv().await.unwrap()), tonic::Code::OutOfRange);
    assert_eq!(task.await.unwrap(), Ended::Behind);
    assert!(began.elapsed() >= STALL);
}

#[tokio::test(start_paused = true)]
async fn one_whose_place_is_gone_is_told_to_begin_anew() {
    let ring = Arc::new(SharedRing::new(START));
    let position = ring.read(|ring| ring.since(START)).unwrap();
    // More than the ring keeps.
    let size = crate::ring::RING_LIMIT_BYTES / 2;
    ring.push((1..=3).map(|sequence| frame(sequence, size)));
    let (subscriber, _trigger) = subscriber(&ring, None);
    let metrics = subscriber.metrics.clone();
    let (frames, mut received) = mpsc::channel(2);
    assert_eq!(
        subscriber.run(Start::resume(START, position), frames).await,
        Ended::Behind
    );
    assert_eq!(code(received.recv().await.unwrap()), tonic::Code::OutOfRange);
    assert_eq!(metrics.cut_off.get(), 1);
}

/// C22: A stream ends with the certificate it was granted on.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_certificate_it_was_granted_on() {
    let ring = Arc::new(SharedRing::new(START));
    let (subscriber, _trigger) = subscriber(&ring, Some(Duration::from_secs(3600)));
    let start = Start::resume(START, ring.read(|ring| ring.since(START)).unwrap());
    let (frames, mut received) = mpsc::channel(2);
    let began = tokio::time::Instant::now();
    assert_eq!(subscriber.run(start, frames).await, Ended::Expired);
    assert_eq!(code(received.recv().await.unwrap()), tonic::Code::Unauthenticated);
    assert!(began.elapsed() >= Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind_by_one_that_goes() {
    let ring = Arc::new(SharedRing::new(START));
    let (subscriber, _trigger) = subscriber(&ring, None);
    let start = Start::resume(START, ring.read(|ring| ring.since(START)).unwrap());
    let (frames, received) = mpsc::channel(2);
    drop(received);
    assert_eq!(subscriber.run(start, frames).await, Ended::Gone);
    assert_eq!(ring.subscribers(), 0);
}
