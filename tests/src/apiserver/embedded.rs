//! The embedded API server.

use super::{Credentials, Site};

/// A running embedded API server.
#[derive(Debug)]
pub struct Server {
    credentials: Credentials,
}

impl Server {
    /// Starts it.
    pub async fn start(_site: Site) -> anyhow::Result<Server> {
        todo!()
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// See [`super::ApiServer::kill`].
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        todo!()
    }

    /// See [`super::ApiServer::restart`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        todo!()
    }
}
