use super::reason::shown;
use super::*;
use crate::model::Epoch;
use crate::tls::ServerTls;
use crate::tls::pki::{Pki, Validity};
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response};
use wire::sync_server::{Sync, SyncServer};

/// Longest wait for what must come.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a scripted hub does with one subscription.
enum Answer {
    Refuse(Status),
    /// Frames, then the end; or none, and the stream stays open.
    Send(Vec<wire::Frame>, Option<Status>),
}

type Frames = Pin<Box<dyn Stream<Item = Result<wire::Frame, Status>> + Send>>;

struct Script {
    answers: Mutex<VecDeque<Answer>>,
    requests: mpsc::Sender<wire::SubscribeRequest>,
}

#[tonic::async_trait]
impl Sync for Script {
    type SubscribeStream = Frames;

    async fn subscribe(&self, request: Request<wire::SubscribeRequest>) -> Result<Response<Frames>, Status> {
        self.requests.try_send(request.into_inner()).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        let (frames, end) = match answer.unwrap_or(Answer::Send(Vec::new(), None)) {
            Answer::Refuse(status) => return Err(status),
            Answer::Send(frames, end) => (frames, end),
        };
        let rest: Frames = match end {
            Some(status) => Box::pin(tokio_stream::once(Err(status))),
            None => Box::pin(tokio_stream::pending()),
        };
        let frames = tokio_stream::iter(frames.into_iter().map(Ok));
        Ok(Response::new(Box::pin(frames.chain(rest))))
    }

    async fn report(&self, request: Request<wire::ReportRequest>) -> Result<Response<wire::ReportResponse>, Status> {
        let next_report_ms = request.into_inner().policies;
        Ok(Response::new(wire::ReportResponse { next_report_ms }))
    }
}

/// A scripted hub on loopback; it goes with this value.
struct Scripted {
    url: Uri,
    requests: mpsc::Receiver<wire::SubscribeRequest>,
    _tasks: JoinSet<()>,
}

async fn scripted(answers: impl IntoIterator<Item = Answer>, tls: Option<Arc<ServerConfig>>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (requests, received) = mpsc::channel(64);
    let answers = Mutex::new(answers.into_iter().collect());
    let hub = Server::builder().add_service(SyncServer::new(Script { answers, requests }));
    let mut tasks = JoinSet::new();
    let scheme = match tls {
        None => {
            tasks.spawn(async move { hub.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() });
            "http"
        }
        Some(config) => {
            let (accepted, incoming) = mpsc::channel(8);
            let acceptor = TlsAcceptor::from(config);
            tasks.spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        accepted.send(Ok::<_, std::io::Error>(stream)).await.unwrap();
                    }
                }
            });
            tasks.spawn(async move { hub.serve_with_incoming(ReceiverStream::new(incoming)).await.unwrap() });
            "https"
        }
    };
    Scripted {
        url: format!("{scheme}://127.0.0.1:{port}").parse().unwrap(),
        requests: received,
        _tasks: tasks,
    }
}

/// A running feed.
struct Fed {
    events: mpsc::Receiver<Event>,
    reporter: Reporter,
    again: watch::Sender<u64>,
    _task: JoinSet<()>,
}

fn feed(urls: &[&Uri], tls: Option<Files>) -> Fed {
    let hubs = Hubs {
        urls: urls.iter().map(|url| (*url).clone()).collect(),
        tls,
    };
    let subscriber = Subscriber {
        cluster: "a".parse().unwrap(),
        node: "n1".into(),
    };
    let again = watch::Sender::new(0);
    let (feed, reporter) = subscribe(hubs, subscriber, again.subscribe(), fastrand::Rng::with_seed(1));
    let (events, received) = mpsc::channel(2);
    let mut task = JoinSet::new();
    task.spawn(feed.run(events));
    Fed {
        events: received,
        reporter,
        again,
        _task: task,
    }
}

impl Fed {
    async fn next(&mut self) -> Event {
        let event = timeout(DEADLINE, self.events.recv()).await;
        event.expect("an event in time").expect("the feed runs")
    }

    /// The next events: `+` connected, the kind and sequence of a frame, or why the stream was lost.
    async fn next_few(&mut self, count: usize) -> Vec<String> {
        let mut shown = Vec::new();
        for _ in 0..count {
            shown.push(match self.next().await {
                Event::Connected(_) => "+".to_owned(),
                Event::Lost(reason) => reason,
                Event::Frame(frame) => {
                    let sequence = frame.revision.unwrap().sequence;
                    let kind = match frame.body {
                        Some(Body::Chunk(_)) => "chunk",
                        Some(Body::End(_)) => "end",
                        Some(Body::Delta(_)) => "delta",
                        Some(Body::Heartbeat(_)) => "heartbeat",
                        None => "nothing",
                    };
                    format!("{kind} {sequence}")
                }
            });
        }
        shown
    }

    async fn lost(&mut self) -> String {
        match self.next().await {
            Event::Lost(reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn revision(sequence: u64) -> Revision {
    Revision {
        epoch: Epoch(5),
        sequence,
    }
}

fn frame(sequence: u64, body: Body) -> wire::Frame {
    wire::Frame {
        revision: Some(revision(sequence).into()),
        oldest_age_us: 0,
        body: Some(body),
    }
}

fn chunk(sequence: u64) -> wire::Frame {
    frame(sequence, Body::Chunk(wire::SnapshotChunk::default()))
}

fn end(sequence: u64) -> wire::Frame {
    frame(sequence, Body::End(wire::SnapshotEnd::default()))
}

fn delta(sequence: u64) -> wire::Frame {
    frame(sequence, Body::Delta(wire::Delta::default()))
}

fn heartbeat(sequence: u64) -> wire::Frame {
    frame(sequence, Body::Heartbeat(wire::Heartbeat::default()))
}

fn stopping() -> Option<Status> {
    Some(Status::unavailable("the hub stops"))
}

impl Scripted {
    /// From where the next subscription resumes.
    async fn resumed(&mut self) -> Option<u64> {
        let request = timeout(DEADLINE, self.requests.recv()).await.unwrap().unwrap();
        let resume = request.resume;
        let expected = wire::SubscribeRequest {
            cluster: "a".to_owned(),
            node: "n1".to_owned(),
            resume,
            wire_version: 1,
        };
        assert_eq!(request, expected);
        resume.map(|revision| revision.sequence)
    }
}

#[tokio::test]
async fn a_stream_resumes_where_its_frames_led() {
    let mut hub = scripted(
        [
            Answer::Send(vec![chunk(3), end(3), delta(4), heartbeat(4)], stopping()),
            Answer::Send(vec![delta(5)], Some(Status::out_of_range("too slow"))),
            Answer::Send(vec![chunk(9)], stopping()),
            Answer::Send(vec![chunk(10), end(10)], None),
        ],
        None,
    )
    .await;
    let mut fed = feed(&[&hub.url], None);
    let url = shown(&hub.url);
    assert_eq!(
        fed.next_few(14).await,
        [
            "+",
            "chunk 3",
            "end 3",
            "delta 4",
            "heartbeat 4",
            &format!("hub {url} broke off the stream: the hub stops"),
            "+",
            "delta 5",
            &format!("hub {url} has cut the stream off, this node fell behind: too slow"),
            "+",
            "chunk 9",
            &format!("hub {url} broke off the stream: the hub stops"),
            "+",
            "chunk 10",
        ]
    );
    let mut resumed = Vec::new();
    for _ in 0..4 {
        resumed.push(hub.resumed().await);
    }
    assert_eq!(
        resumed,
        [None, Some(4), Some(5), Some(5)],
        "an unfinished snapshot counts for nothing"
    );
}

#[tokio::test]
async fn a_new_stream_for_a_whole_snapshot_on_demand() {
    let mut hub = scripted(
        [Answer::Send(vec![end(3)], None), Answer::Send(vec![end(3)], None)],
        None,
    )
    .await;
    let mut fed = feed(&[&hub.url], None);
    assert_eq!(fed.next_few(2).await, ["+", "end 3"]);
    assert_eq!(hub.resumed().await, None);
    fed.again.send_modify(|times| *times += 1);
    assert_eq!(fed.next_few(2).await, ["+", "end 3"]);
    assert_eq!(hub.resumed().await, None);
}

#[tokio::test]
async fn a_reason_is_said_once() {
    let refuse = || Answer::Refuse(Status::unavailable("not yet"));
    let mut hub = scripted([refuse(), refuse(), refuse(), Answer::Send(vec![end(1)], None)], None).await;
    let mut fed = feed(&[&hub.url], None);
    let lost = format!("hub {} broke off the stream: not yet", shown(&hub.url));
    assert_eq!(fed.next_few(3).await, [&lost, "+", "end 1"]);
    for _ in 0..4 {
        assert_eq!(hub.resumed().await, None);
    }
}

#[tokio::test]
async fn refusals_name_what_to_do() {
    for (status, expected) in [
        (
            Status::permission_denied("not your cluster"),
            "refuses this enforcer: not your cluster",
        ),
        (
            Status::unauthenticated("who are you"),
            "refuses this enforcer: who are you",
        ),
        (
            Status::failed_precondition("a is no member"),
            "does not serve this enforcer: a is no member",
        ),
        (
            Status::unimplemented("x"),
            "is no Bailey hub, it does not know the service (x)",
        ),
    ] {
        let hub = scripted([Answer::Refuse(status)], None).await;
        let lost = feed(&[&hub.url], None).lost().await;
        assert_eq!(lost, format!("hub {} {expected}", shown(&hub.url)));
    }
}

#[tokio::test]
async fn hubs_are_tried_in_turn() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone: Uri = format!("http://{gone}").parse().unwrap();
    let hub = scripted([Answer::Send(vec![end(1)], None)], None).await;
    let mut fed = feed(&[&gone, &hub.url], None);
    let lost = fed.lost().await;
    assert!(
        lost.starts_with(&format!("hub {} cannot be reached (Connection refused", shown(&gone))),
        "{lost}"
    );
    assert_eq!(fed.next().await, Event::Connected(shown(&hub.url)));
}

#[tokio::test]
async fn silence_is_a_loss() {
    let hub = scripted([Answer::Send(vec![end(1)], None)], None).await;
    let mut fed = feed(&[&hub.url], None);
    assert_eq!(fed.next_few(2).await, ["+", "end 1"]);
    // From here on nothing moves but the clock, which jumps to what is waited for.
    tokio::time::pause();
    let event = fed.events.recv().await;
    assert_eq!(
        event,
        Some(Event::Lost(format!("hub {} has been silent for 15 s", shown(&hub.url))))
    );
}

#[tokio::test]
async fn reports_take_the_way_of_the_stream() {
    let hub = scripted([], None).await;
    let mut fed = feed(&[&hub.url], None);
    let report = wire::ReportRequest {
        policies: 42,
        ..wire::ReportRequest::default()
    };
    let refused = fed.reporter.report(report.clone()).await;
    assert!(matches!(refused, Err(ReportError::NotConnected)), "{refused:?}");
    timeout(DEADLINE, fed.reporter.connected()).await.unwrap();
    assert_eq!(fed.reporter.report(report).await.unwrap().next_report_ms, 42);
}

#[tokio::test]
async fn a_feed_ends_when_nobody_listens() {
    let hub = scripted([], None).await;
    let Fed {
        events,
        _task: mut task,
        ..
    } = feed(&[&hub.url], None);
    drop(events);
    timeout(DEADLINE, task.join_next()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn mutual_tls() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let node = pki.issue("node", "cluster/a/node/n1");
    let (server, _watch) = ServerTls::open(pki.issue("hub", "hub")).await.unwrap();
    let config = || Some(Arc::clone(&server.accepting().config));
    let hub = scripted([Answer::Send(vec![end(1)], None)], config()).await;
    assert_eq!(feed(&[&hub.url], Some(node.clone())).next_few(2).await, ["+", "end 1"]);

    let (elsewhere, _watch) = ServerTls::open(pki.issue_uri("else", "bailey://elsewhere/hub", Validity::Now))
        .await
        .unwrap();
    let elsewhere = scripted([], Some(Arc::clone(&elsewhere.accepting().config))).await;
    let (expired, _watch) = ServerTls::open(pki.issue_uri("old", "bailey://test/hub", Validity::Expired))
        .await
        .unwrap();
    let expired = scripted([], Some(Arc::clone(&expired.accepting().config))).await;
    let plain = scripted([], None).await;
    let plain: Uri = format!("https://{}", plain.url.authority().unwrap()).parse().unwrap();
    let unsecured: Uri = format!("http://{}", hub.url.authority().unwrap()).parse().unwrap();
    let stranger = Files {
        ca: node.ca.clone(),
        ..foreign.issue("node", "cluster/a")
    };
    let misled = Files {
        ca: foreign.files("node").ca,
        ..node.clone()
    };
    let late = pki.issue_uri("late", "bailey://test/cluster/a", Validity::Expired);
    let missing = Files {
        key: "/nowhere/tls.key".into(),
        ..node.clone()
    };
    for (url, files, expected) in [
        (&hub.url, Some(misled), "is foreign: no CA in --hub-ca"),
        (
            &hub.url,
            Some(stranger),
            "refuses this enforcer's certificate (TLS alert",
        ),
        (&hub.url, Some(late), "refuses this enforcer's certificate (TLS alert"),
        (
            &hub.url,
            Some(missing),
            "cannot be asked: cannot read /nowhere/tls.key: No such file",
        ),
        (&hub.url, None, "is https, and this enforcer was given no certificate"),
        (
            &elsewhere.url,
            Some(node.clone()),
            "is not the hub it should be: its certificate is that of bailey://elsewhere/hub",
        ),
        (&expired.url, Some(node.clone()), "has an expired certificate"),
        (&unsecured, None, "speaks no plain HTTP/2: say https://"),
        (
            &plain,
            Some(node),
            "does not speak TLS: say http:// if it runs with --insecure",
        ),
    ] {
        let lost = feed(&[url], files).lost().await;
        assert!(lost.starts_with(&format!("hub {} {expected}", shown(url))), "{lost}");
    }
}
