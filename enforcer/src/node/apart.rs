//! A task on a thread of its own, since the kernel may keep the thread.

use super::Error;
use tokio::runtime;
use tokio::sync::oneshot;

/// Does `work` on a thread of its own, which ends with it, or soon after nobody waits for it any more.
///
/// # Errors
/// What `work` fails with, or that there is no thread.
pub(super) async fn apart<T: Send + 'static>(
    work: impl AsyncFnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (mut done, outcome) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let thread = std::thread::Builder::new().name("rtnetlink".to_owned());
    let started = thread.spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = done.closed() => {}
                outcome = work() => drop(done.send(outcome)),
            }
        });
    });
    started.map_err(Error::Thread)?;
    // Only a thread that panics says nothing.
    outcome.await.unwrap_or(Err(Error::Closed))
}
