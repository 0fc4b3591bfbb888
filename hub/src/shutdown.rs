//! The word that the process is to end, for every task that has to finish something first.

use tokio::sync::watch;

/// Says it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// Asks all tasks to end.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

/// Hears it. Dropping the [`Trigger`] says it as well.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A trigger and what hears it.
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Waits for the word; returns at once if it has been said.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which says the same.
        let _ = self.0.wait_for(|is_pulled| *is_pulled).await;
    }

    /// Whether it has been said.
    pub fn is_pulled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
