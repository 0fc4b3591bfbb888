//! The body of a watch, line by line.

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;

/// The longest line, in bytes. An object is at most 1.5 MiB in etcd by default; as JSON, with what administrators may have
/// allowed, several times that.
const LINE_LIMIT: usize = 16 << 20;

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The body has ended. A half line before its end is no line (W6).
    #[error("the answer ended")]
    Ended,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] kube::Error),
    /// A line is longer than any object.
    #[error("a line of more than {} MiB", LINE_LIMIT >> 20)]
    TooLong,
}

/// The body of a watch.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to have no end of line.
    searched: usize,
}

impl Lines {
    /// Reads `body` from its start.
    pub fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next line that is not blank, without its end.
    pub async fn next(&mut self) -> Result<Bytes, Cut> {
        loop {
            if let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + length).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                if !line.trim_ascii().is_empty() {
                    return Ok(line);
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_LIMIT {
                return Err(Cut::TooLong);
            }
            let frame = self.body.frame().await.ok_or(Cut::Ended)?.map_err(Cut::Broken)?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}
