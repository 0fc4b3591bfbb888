//! A container runtime, as far as its plugins see one: it speaks NRI as containerd does, and has no containers.
//!
//! As in github.com/containerd/nri, `pkg/adaptation`: a plugin registers, is asked what it wants to be told, hears of all
//! sandboxes, in several messages if there are many, and then of one after the other.

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use enforcer::nri::message::{
    ConfigureRequest, ConfigureResponse, Empty, Event, PLUGIN, PodSandbox, PodSandboxRequest, RUNTIME,
    RegisterPluginRequest, StateChangeEvent, SynchronizeRequest, SynchronizeResponse,
};
use futures::{StreamExt, stream};
use prost::Message;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use ttrpc::r#async::transport::{Listener, Socket};
use ttrpc::r#async::{Client, MethodHandler, Server, Service, TtrpcContext};
use ttrpc::proto::{Code, Request, Response};
use ttrpc::{Error, get_status};

/// How long a runtime waits for a plugin's answer, by default.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest frame that a runtime takes: it reads each into the buffer of Go's `bufio.Reader`.
const FRAME_BYTES: usize = 4096;

/// Where plugins find a runtime.
#[derive(Debug)]
pub struct Runtime(UnixListener);

/// A plugin that has registered.
pub struct Plugin {
    /// As what it registered: its index and name.
    pub name: String,
    /// What it wants to be told: bit `event - 1` for each.
    pub events: i32,
    client: Client,
    trunk: JoinHandle<std::io::Result<()>>,
    _server: Server,
}

impl Runtime {
    /// Listens at `socket`, in place of what was there before.
    ///
    /// # Errors
    /// If it cannot.
    pub fn listen(socket: &Path) -> Result<Self> {
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket);
        Ok(Self(
            listener.with_context(|| format!("cannot listen at {}", socket.display()))?,
        ))
    }

    /// The next plugin that registers, once it has heard of these sandboxes: all at once, or each in a message of its own.
    ///
    /// # Errors
    /// If it does not speak as a plugin should.
    pub async fn plugin(&self, sandboxes: &[PodSandbox], each_by_itself: bool) -> Result<Plugin> {
        let (stream, _) = self.0.accept().await?;
        let (asks, is_asked, trunk) = multiplex(stream);
        let (registered, mut registrations) = mpsc::channel(1);
        let handler: Box<dyn MethodHandler + Send + Sync> = Box::new(Registrar(registered));
        let service = Service {
            methods: [("RegisterPlugin".to_owned(), handler)].into(),
            streams: HashMap::new(),
        };
        let accepted = stream::once(async { Ok(is_asked) }).chain(stream::pending());
        let mut server = Server::new()
            .add_listener(Listener::new(accepted))
            .register_service([(RUNTIME.to_owned(), service)].into());
        server.start().await?;
        let RegisterPluginRequest {
            plugin_name,
            plugin_idx,
        } = registrations
            .recv()
            .await
            .context("the plugin left without registering")?;
        let mut plugin = Plugin {
            name: format!("{plugin_idx}-{plugin_name}"),
            events: 0,
            client: Client::new(Socket::new(asks)),
            trunk,
            _server: server,
        };
        let configuration = ConfigureRequest {
            runtime_name: "runtime-of-the-lab".to_owned(),
            runtime_version: "v2".to_owned(),
            request_timeout: i64::try_from(REQUEST_TIMEOUT.as_millis())?,
        };
        let ConfigureResponse { events } = plugin.ask("Configure", &configuration).await?;
        plugin.events = events;
        plugin.synchronize(sandboxes, each_by_itself).await?;
        Ok(plugin)
    }
}

impl Plugin {
    async fn synchronize(&self, sandboxes: &[PodSandbox], each_by_itself: bool) -> Result<()> {
        let size = if each_by_itself { 1 } else { sandboxes.len().max(1) };
        let mut messages = sandboxes.chunks(size).peekable();
        loop {
            let request = SynchronizeRequest {
                pods: messages.next().unwrap_or_default().to_vec(),
                more: messages.peek().is_some(),
            };
            let answer: SynchronizeResponse = self.ask("Synchronize", &request).await?;
            if answer.more != request.more {
                return Err(anyhow!("the plugin does not take sandboxes in several messages"));
            }
            if !request.more {
                return Ok(());
            }
        }
    }

    /// A sandbox has its network; the answer is whether its containers may start.
    ///
    /// # Errors
    /// What the plugin says against it.
    pub async fn run(&self, pod: &PodSandbox) -> Result<()> {
        self.tell("RunPodSandbox", pod).await
    }

    /// A sandbox is stopped.
    ///
    /// # Errors
    /// What the plugin says against it.
    pub async fn stop(&self, pod: &PodSandbox) -> Result<()> {
        self.tell("StopPodSandbox", pod).await
    }

    /// What happens to a sandbox, as runtimes of earlier releases tell it.
    ///
    /// # Errors
    /// What the plugin says against it.
    pub async fn change(&self, event: Event, pod: &PodSandbox) -> Result<()> {
        let change = StateChangeEvent {
            event: event.into(),
            pod: Some(pod.clone()),
        };
        self.ask("StateChange", &change).await.map(|Empty {}| ())
    }

    async fn tell(&self, method: &str, pod: &PodSandbox) -> Result<()> {
        let request = PodSandboxRequest { pod: Some(pod.clone()) };
        self.ask(method, &request).await.map(|Empty {}| ())
    }

    async fn ask<A: Message + Default>(&self, method: &str, message: &impl Message) -> Result<A> {
        let request = Request {
            service: PLUGIN.to_owned(),
            method: method.to_owned(),
            timeout_nano: i64::try_from(REQUEST_TIMEOUT.as_nanos())?,
            payload: message.encode_to_vec(),
            ..Request::default()
        };
        let answer = self.client.request(request).await.map_err(|error| match error {
            Error::RpcStatus(status) => anyhow!("{method}: {}", status.message),
            other => anyhow!("{method}: {other}"),
        })?;
        Ok(A::decode(answer.payload.as_slice())?)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.trunk.abort();
    }
}

/// Hears a plugin register.
struct Registrar(mpsc::Sender<RegisterPluginRequest>);

#[async_trait]
impl MethodHandler for Registrar {
    async fn handler(&self, _: TtrpcContext, request: Request) -> ttrpc::Result<Response> {
        let registration = RegisterPluginRequest::decode(request.payload.as_slice());
        let registration = registration.map_err(|error| Error::Others(error.to_string()))?;
        // A second time nobody listens, and nothing happens.
        let _again = self.0.try_send(registration);
        let mut response = Response::new();
        response.set_status(get_status(Code::OK, ""));
        Ok(response)
    }
}

/// The runtime's ends of both connections, the one where it asks first, and what carries them.
fn multiplex(trunk: UnixStream) -> (DuplexStream, DuplexStream, JoinHandle<std::io::Result<()>>) {
    const ASKS: u32 = 1;
    const IS_ASKED: u32 = 2;
    let (asks, asks_inner) = duplex(FRAME_BYTES);
    let (is_asked, is_asked_inner) = duplex(FRAME_BYTES);
    let (taken, sent) = trunk.into_split();
    let (from_asks, to_asks) = split(asks_inner);
    let (from_asked, to_asked) = split(is_asked_inner);
    let carry = tokio::spawn(async move {
        tokio::try_join!(
            take(taken, [(ASKS, to_asks), (IS_ASKED, to_asked)]),
            send(sent, [(ASKS, from_asks), (IS_ASKED, from_asked)])
        )?;
        Ok(())
    });
    (asks, is_asked, carry)
}

async fn take(mut trunk: OwnedReadHalf, ends: [(u32, impl AsyncWrite + Unpin); 2]) -> std::io::Result<()> {
    let mut ends = HashMap::from(ends);
    loop {
        let connection = trunk.read_u32().await?;
        let length = trunk.read_u32().await? as usize;
        if length > FRAME_BYTES {
            return Err(std::io::Error::other("ENOMEM, as Go's reader of frames says"));
        }
        let mut frame = vec![0; length];
        trunk.read_exact(&mut frame).await?;
        if let Some(end) = ends.get_mut(&connection) {
            end.write_all(&frame).await?;
        }
    }
}

async fn send(mut trunk: OwnedWriteHalf, [first, second]: [(u32, impl AsyncRead + Unpin); 2]) -> std::io::Result<()> {
    let ((first, mut from_first), (second, mut from_second)) = (first, second);
    let (mut a, mut b) = ([0; FRAME_BYTES], [0; FRAME_BYTES]);
    loop {
        let (connection, frame) = tokio::select! {
            length = from_first.read(&mut a) => (first, &a[..length?]),
            length = from_second.read(&mut b) => (second, &b[..length?]),
        };
        if frame.is_empty() {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        trunk.write_u32(connection).await?;
        trunk
            .write_u32(u32::try_from(frame.len()).expect("a frame is short"))
            .await?;
        trunk.write_all(frame).await?;
    }
}
