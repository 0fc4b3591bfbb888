//! Two connections over one Unix socket, as NRI has them (github.com/containerd/nri, `pkg/net/multiplex`).
//!
//! A frame is the number of its connection and the length of what follows, big-endian, four bytes each. On one connection
//! the runtime asks the plugin, on the other the plugin the runtime; each is a ttrpc connection.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

/// The connection on which the runtime asks the plugin.
const PLUGIN: u32 = 1;
/// The connection on which the plugin asks the runtime.
const RUNTIME: u32 = 2;

/// What is read ahead of either end; a message may be longer.
const BUFFER_BYTES: usize = 64 << 10;

/// The most that is sent as one frame: the runtime reads a frame as a whole, into a buffer of this size.
const SENT_BYTES: usize = 4096;

/// The most that is taken as one frame: the header of a ttrpc message, and the longest message.
const TAKEN_BYTES: u32 = 10 + (4 << 20);

/// The plugin's ends of the connections.
pub(super) struct Ends {
    /// Where the runtime asks.
    pub(super) plugin: DuplexStream,
    /// Where the runtime answers.
    pub(super) runtime: DuplexStream,
}

/// Why the trunk ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The other end closed it, or something broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is no NRI.
    #[error("a frame of {0} bytes is no NRI")]
    TooLong(u32),
}

/// Both connections over `trunk`, and what carries them; it ends with the trunk.
pub(super) fn multiplex(trunk: UnixStream) -> (Ends, impl Future<Output = Ended>) {
    let (plugin, plugin_inner) = duplex(BUFFER_BYTES);
    let (runtime, runtime_inner) = duplex(BUFFER_BYTES);
    let carried = async {
        let (taken, sent) = trunk.into_split();
        let sent = Mutex::new(sent);
        let (from_plugin, to_plugin) = split(plugin_inner);
        let (from_runtime, to_runtime) = split(runtime_inner);
        let ended = tokio::select! {
            ended = take(taken, to_plugin, to_runtime) => ended,
            ended = send(PLUGIN, from_plugin, &sent) => ended,
            ended = send(RUNTIME, from_runtime, &sent) => ended,
        };
        match ended {
            Err(ended) => ended,
            Ok(never) => match never {},
        }
    };
    (Ends { plugin, runtime }, carried)
}

/// Hands out what comes in, until the trunk ends. Who does not take what is his, holds up the other.
async fn take(
    mut trunk: OwnedReadHalf,
    mut plugin: WriteHalf<DuplexStream>,
    mut runtime: WriteHalf<DuplexStream>,
) -> Result<std::convert::Infallible, Ended> {
    loop {
        let connection = trunk.read_u32().await?;
        let length = trunk.read_u32().await?;
        if length > TAKEN_BYTES {
            return Err(Ended::TooLong(length));
        }
        let mut frame = (&mut trunk).take(length.into());
        let copied = match connection {
            PLUGIN => tokio::io::copy(&mut frame, &mut plugin).await?,
            RUNTIME => tokio::io::copy(&mut frame, &mut runtime).await?,
            // A connection of a later release, which nothing here has asked for.
            _ => tokio::io::copy(&mut frame, &mut tokio::io::sink()).await?,
        };
        if copied < length.into() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Sends what one end says, until the trunk ends or that end is dropped.
async fn send(
    connection: u32,
    mut end: ReadHalf<DuplexStream>,
    trunk: &Mutex<OwnedWriteHalf>,
) -> Result<std::convert::Infallible, Ended> {
    const HEADER_BYTES: usize = 8;
    let mut frame = vec![0; HEADER_BYTES + SENT_BYTES];
    loop {
        let length = end.read(&mut frame[HEADER_BYTES..]).await?;
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        frame[..4].copy_from_slice(&connection.to_be_bytes());
        let said = u32::try_from(length).expect("a frame is short");
        frame[4..HEADER_BYTES].copy_from_slice(&said.to_be_bytes());
        trunk.lock().await.write_all(&frame[..HEADER_BYTES + length]).await?;
    }
}
