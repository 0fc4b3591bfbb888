//! The tasks that make up the process: none ends before the others without being named.

use crate::shutdown::Shutdown;
use anyhow::{Context, anyhow};
use tokio::task::JoinSet;

/// The tasks, each with a name for people.
#[derive(Debug, Default)]
pub(crate) struct Parts(JoinSet<(&'static str, anyhow::Result<()>)>);

impl Parts {
    /// Starts a part that runs until the process is to end.
    pub(crate) fn start<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.0.spawn(async move { (name, part.await.map_err(Into::into)) });
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// If one fails, or ends before the process is to end; the others are stopped then.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        while let Some(ended) = self.0.join_next().await {
            let (name, result) = ended.context("a part of the hub has panicked")?;
            result.with_context(|| format!("{name} has failed"))?;
            if !shutdown.is_pulled() {
                return Err(anyhow!("{name} has ended by itself"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    type Never = std::convert::Infallible;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_or_fails_is_named() {
        let (_trigger, shutdown) = Shutdown::new();
        let mut parts = Parts::default();
        parts.start("one", std::future::pending::<Result<(), Never>>());
        parts.start("the other", async { Ok::<(), Never>(()) });
        let error = parts.run(&shutdown).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the other has ended by itself");

        let mut parts = Parts::default();
        parts.start("one", std::future::pending::<Result<(), Never>>());
        parts.start("the other", async { Err(io::Error::other("no more")) });
        let error = parts.run(&shutdown).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the other has failed: no more");
    }

    #[tokio::test]
    async fn all_parts_end_when_the_process_is_to_end() {
        let (trigger, shutdown) = Shutdown::new();
        let mut parts = Parts::default();
        for name in ["one", "two"] {
            let mut shutdown = shutdown.clone();
            parts.start(name, async move {
                shutdown.wait().await;
                Ok::<(), Never>(())
            });
        }
        trigger.pull();
        parts.run(&shutdown).await.unwrap();
    }
}
