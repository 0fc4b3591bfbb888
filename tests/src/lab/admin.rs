//! Asks the admin listeners of hub and enforcer: one request, over TCP or a socket file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read: more than all metrics.
const LONGEST: u64 = 4 << 20;

/// Where an admin listener is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admin {
    /// `ADDRESS:PORT`, on the fabric.
    Tcp(String),
    /// A socket file, which is the same in every network namespace.
    Unix(PathBuf),
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status, 200 if all is well.
    pub status: u16,
    /// The text.
    pub body: String,
}

impl Admin {
    /// `GET path`.
    ///
    /// # Errors
    /// If nobody is there, or speaks no HTTP.
    pub async fn get(&self, path: &str) -> io::Result<Response> {
        let exchange = async {
            match self {
                Self::Tcp(address) => ask(TcpStream::connect(address).await?, path).await,
                Self::Unix(file) => ask(connect(file).await?, path).await,
            }
        };
        timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether `/readyz` says yes; if not, why.
    pub async fn is_ready(&self) -> Result<(), String> {
        match self.get("/readyz").await {
            Ok(Response { status: 200, .. }) => Ok(()),
            Ok(Response { body, .. }) => Err(body.trim().to_owned()),
            Err(error) => Err(format!("its admin listener: {error}")),
        }
    }
}

async fn connect(file: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(file).await
}

/// HTTP/1.0: the answer ends with the connection.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<Response> {
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: lab\r\n\r\n").as_bytes())
        .await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(malformed)?;
    Ok(Response {
        status,
        body: body.to_owned(),
    })
}
