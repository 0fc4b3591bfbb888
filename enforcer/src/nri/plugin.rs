//! What the runtime asks of the plugin, and how it is answered.

use super::message::{
    ConfigureRequest, ConfigureResponse, Empty, Event as SandboxEvent, PLUGIN, PodSandbox, PodSandboxRequest, RUNTIME,
    RegisterPluginRequest, StateChangeEvent, SynchronizeRequest, SynchronizeResponse,
};
use super::{ANSWER_WITHIN, Late, Plugin};
use crate::sandbox::{Answer, Answered, Event, InForce, PodName, Sandbox};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use prost::Message;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::DuplexStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use ttrpc::r#async::transport::{Listener, Socket};
use ttrpc::r#async::{Client, MethodHandler, Server, Service, TtrpcContext};
use ttrpc::proto::{Code, Request, Response};
use ttrpc::{Error, Result, get_status};

/// The plugin's name, in the runtime's log and metrics.
const NAME: &str = "bailey";
/// Its place among plugins. It changes nothing that another could see, nor looks at what others do.
const INDEX: &str = "10";

/// How long the runtime may take to register the plugin: it asks for its configuration and tells its sandboxes meanwhile.
const REGISTER_WITHIN: Duration = Duration::from_secs(5);

/// The most sandboxes that are taken at once; kubelet runs 110 pods unless it is told otherwise.
const MOST_SANDBOXES: usize = 16_384;

/// kubelet's labels of a sandbox, which are none of the pod's.
const LABELS_OF_KUBELET: [&str; 3] = [
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.pod.uid",
];
/// Where kubelet has a pod from; it writes this itself, on every pod.
const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
/// [`CONFIG_SOURCE`] of pods that the API server knows as they are.
const FROM_API: &str = "api";

/// Answers the runtime on one connection.
pub(super) struct Session {
    server: Server,
    asked: Arc<Asked>,
}

impl Session {
    /// Answers what is asked on `connection`, and tells `events`.
    pub(super) async fn start(plugin: &Plugin, events: mpsc::Sender<Event>, connection: DuplexStream) -> Result<Self> {
        let asked = Arc::new(Asked {
            late: plugin.late,
            events,
            overrun: Notify::new(),
            in_force: plugin.in_force.clone(),
            stuck_at: Mutex::default(),
            synchronized: Mutex::default(),
        });
        let handler = |method| -> (String, Box<dyn MethodHandler + Send + Sync>) {
            let asked = Arc::clone(&asked);
            (Method::name(method).to_owned(), Box::new(Handler { method, asked }))
        };
        let service = Service {
            methods: Method::ALL.map(handler).into(),
            streams: HashMap::new(),
        };
        // The one connection there is; more never come.
        let accepted = stream::once(async { Ok(connection) }).chain(stream::pending());
        let server = Server::new().add_listener(Listener::new(accepted));
        let mut server = server.register_service([(PLUGIN.to_owned(), service)].into());
        server.start().await?;
        Ok(Self { server, asked })
    }

    /// Ends when an event is lost, as too many wait: only all sandboxes anew would make up for it.
    pub(super) fn overrun(&self) -> impl Future<Output = ()> + use<> {
        let asked = Arc::clone(&self.asked);
        async move { asked.overrun.notified().await }
    }

    /// Stops answering.
    pub(super) async fn end(mut self) {
        // It fails if a handler does not end in time. Each ends within `ANSWER_WITHIN`, and nothing waits for it.
        let _unfinished = self.server.shutdown().await;
    }
}

/// Registers the plugin; the runtime hears from it for as long as what is returned lives.
pub(super) async fn register(connection: DuplexStream) -> Result<Client> {
    let client = Client::new(Socket::new(connection));
    let registration = RegisterPluginRequest {
        plugin_name: NAME.to_owned(),
        plugin_idx: INDEX.to_owned(),
    };
    let request = Request {
        service: RUNTIME.to_owned(),
        method: "RegisterPlugin".to_owned(),
        timeout_nano: i64::try_from(REGISTER_WITHIN.as_nanos()).expect("seconds fit"),
        payload: registration.encode_to_vec(),
        ..Request::default()
    };
    client.request(request).await?;
    Ok(client)
}

/// What the plugin is asked.
#[derive(Clone, Copy)]
enum Method {
    Configure,
    Synchronize,
    Shutdown,
    RunPodSandbox,
    StopPodSandbox,
    RemovePodSandbox,
    StateChange,
}

impl Method {
    const ALL: [Self; 7] = [
        Self::Configure,
        Self::Synchronize,
        Self::Shutdown,
        Self::RunPodSandbox,
        Self::StopPodSandbox,
        Self::RemovePodSandbox,
        Self::StateChange,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Configure => "Configure",
            Self::Synchronize => "Synchronize",
            Self::Shutdown => "Shutdown",
            Self::RunPodSandbox => "RunPodSandbox",
            Self::StopPodSandbox => "StopPodSandbox",
            Self::RemovePodSandbox => "RemovePodSandbox",
            Self::StateChange => "StateChange",
        }
    }
}

struct Handler {
    method: Method,
    asked: Arc<Asked>,
}

#[async_trait]
impl MethodHandler for Handler {
    async fn handler(&self, context: TtrpcContext, request: Request) -> Result<Response> {
        let Self { method, asked } = self;
        let limit = limit(context.timeout_nano);
        let payload = request.payload.as_slice();
        let answered = match method {
            Method::Configure => asked.configure(&decode(payload)?).await,
            Method::Synchronize => asked.synchronize(decode(payload)?).await,
            Method::Shutdown => Ok(Empty {}.encode_to_vec()),
            Method::RunPodSandbox => asked.sandbox(SandboxEvent::RunPodSandbox, pod(payload)?, limit).await,
            Method::StopPodSandbox => asked.sandbox(SandboxEvent::StopPodSandbox, pod(payload)?, limit).await,
            Method::RemovePodSandbox => {
                asked
                    .sandbox(SandboxEvent::RemovePodSandbox, pod(payload)?, limit)
                    .await
            }
            Method::StateChange => {
                let change: StateChangeEvent = decode(payload)?;
                asked
                    .sandbox(change.event(), change.pod.unwrap_or_default(), limit)
                    .await
            }
        };
        let mut response = Response::new();
        match answered {
            Ok(payload) => {
                response.set_status(get_status(Code::OK, ""));
                response.payload = payload;
            }
            Err(reason) => response.set_status(get_status(Code::UNAVAILABLE, reason)),
        }
        Ok(response)
    }
}

/// How long an answer may take if the runtime waits for so long.
fn limit(timeout_nano: i64) -> Duration {
    match u64::try_from(timeout_nano) {
        Ok(nanoseconds @ 1..) => ANSWER_WITHIN.min(Duration::from_nanos(nanoseconds) * 3 / 4),
        Ok(0) | Err(_) => ANSWER_WITHIN,
    }
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|error| Error::RpcStatus(get_status(Code::INVALID_ARGUMENT, error)))
}

fn pod(payload: &[u8]) -> Result<PodSandbox> {
    Ok(decode::<PodSandboxRequest>(payload)?.pod.unwrap_or_default())
}

/// What is known of one connection.
struct Asked {
    late: Late,
    events: mpsc::Sender<Event>,
    overrun: Notify,
    in_force: watch::Receiver<InForce>,
    /// [`InForce::passes`] when the last pod that was late was asked about.
    stuck_at: Mutex<Option<u64>>,
    synchronized: Mutex<Synchronized>,
}

/// What the runtime has said of itself.
#[derive(Default)]
struct Synchronized {
    runtime: String,
    /// Of a message with more to come.
    sandboxes: Vec<Sandbox>,
}

/// What an answer says, or why there is none.
type Payload = std::result::Result<Vec<u8>, String>;

impl Asked {
    async fn configure(&self, request: &ConfigureRequest) -> Payload {
        let runtime = format!("{} {}", request.runtime_name, request.runtime_version);
        self.synchronized.lock().await.runtime = runtime;
        let events = [
            SandboxEvent::RunPodSandbox,
            SandboxEvent::StopPodSandbox,
            SandboxEvent::RemovePodSandbox,
        ];
        let events = events.into_iter().map(|event| 1 << (event as i32 - 1)).sum();
        Ok(ConfigureResponse { events }.encode_to_vec())
    }

    async fn synchronize(&self, request: SynchronizeRequest) -> Payload {
        let SynchronizeRequest { pods, more } = request;
        let mut synchronized = self.synchronized.lock().await;
        synchronized.sandboxes.extend(pods.into_iter().map(sandbox));
        if synchronized.sandboxes.len() > MOST_SANDBOXES {
            return Err(format!("more than {MOST_SANDBOXES} sandboxes are more than a node has"));
        }
        if !more {
            self.tell(Event::Synced {
                runtime: synchronized.runtime.clone(),
                sandboxes: std::mem::take(&mut synchronized.sandboxes),
            });
        }
        Ok(SynchronizeResponse { more }.encode_to_vec())
    }

    async fn sandbox(&self, event: SandboxEvent, pod: PodSandbox, limit: Duration) -> Payload {
        match event {
            SandboxEvent::RunPodSandbox => self.run(sandbox(pod), limit).await?,
            SandboxEvent::StopPodSandbox | SandboxEvent::RemovePodSandbox => {
                self.tell(Event::Stopped(pod.id.into()));
            }
            SandboxEvent::Unknown => {}
        }
        Ok(Empty {}.encode_to_vec())
    }

    /// Answers when the sandbox's pod is isolated, or when it is late: at once if nothing has come into force since before a
    /// pod that was late. The runtime asks about one at a time, and each would wait in vain.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell that measures how long a runtime waited"
    )]
    async fn run(&self, sandbox: Sandbox, limit: Duration) -> std::result::Result<(), String> {
        if sandbox.addresses.is_empty() {
            return Ok(());
        }
        let begin = Instant::now();
        let (id, pod) = (sandbox.id.clone(), sandbox.pod.clone());
        let mut in_force = self.in_force.clone();
        let passes = in_force.borrow().passes;
        let is_stuck = *self.stuck_at.lock().await == Some(passes);
        let limit = if is_stuck { Duration::ZERO } else { limit };
        self.tell(Event::Started(sandbox));
        // An error would be the event loop's end, which ends the process.
        let isolated = async {
            in_force
                .wait_for(|in_force| in_force.sandboxes.contains(&id))
                .await
                .is_ok()
        };
        let answer = match (tokio::time::timeout(limit, isolated).await, self.late) {
            (Ok(true), _) => Answer::InForce,
            (Ok(false) | Err(_), Late::Allow) => Answer::Allowed,
            (Ok(false) | Err(_), Late::Refuse) => Answer::Refused,
        };
        if answer != Answer::InForce {
            *self.stuck_at.lock().await = Some(passes);
        }
        let waited = if is_stuck { Duration::ZERO } else { begin.elapsed() };
        tracing::debug!(%pod, ?waited, ?answer, "answered the container runtime");
        self.tell(Event::Answered(Answered { pod, waited, answer }));
        match answer {
            Answer::InForce | Answer::Allowed => Ok(()),
            Answer::Refused if is_stuck => Err(
                "NetworkPolicies of this pod are not in force, nor has anything come into force since a pod was late before \
                 (enforcer --nri-late refuse)"
                    .to_owned(),
            ),
            Answer::Refused => Err(format!(
                "NetworkPolicies of this pod are not in force after {:.1} s (enforcer --nri-late refuse)",
                waited.as_secs_f64()
            )),
        }
    }

    /// Does not wait, as the runtime does: an event loop that is late hears of it later.
    fn tell(&self, event: Event) {
        match self.events.try_send(event) {
            Err(TrySendError::Full(_lost)) => self.overrun.notify_one(),
            // Nobody listens any more when the process ends.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    }
}

/// A sandbox as the machine knows it. One without a network of its own, on the host's or stopped, has no addresses.
fn sandbox(pod: PodSandbox) -> Sandbox {
    let namespaces = pod.linux.unwrap_or_default().namespaces;
    let has_network = namespaces.is_empty() || namespaces.iter().any(|namespace| namespace.r#type == "network");
    let addresses = pod.ips.iter().filter(|_| has_network);
    let addresses: BTreeSet<_> = addresses
        .filter_map(|text| proto::observe::pod_address(text).ok())
        .collect();
    let labels = pod.labels.into_iter();
    let labels = labels.filter(|(key, _)| !LABELS_OF_KUBELET.contains(&key.as_str()));
    Sandbox {
        id: pod.id.into(),
        pod: PodName {
            namespace: pod.namespace.into(),
            name: pod.name.into(),
        },
        uid: pod.uid.into(),
        is_static: pod
            .annotations
            .get(CONFIG_SOURCE)
            .is_some_and(|source| source != FROM_API),
        labels: Arc::new(labels.map(|(key, value)| (key.into(), value.into())).collect()),
        addresses: addresses.into_iter().collect(),
    }
}
