//! Which clusters there are: the folder of kubeconfigs, looked at again and again, and two feeds for each of them.
//!
//! Decides nothing about a cluster's content; what follows from a look is [`folder`]'s to say. The folder is polled
//! rather than watched: it is mostly a mounted Secret, whose files are links that change elsewhere, and half the file
//! systems it may lie on tell nobody.

use crate::inventory::{Connection, Observed};
use crate::machine::Input;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use folder::{Digest, Folder, Kubeconfig, Listing, Order, is_kubeconfig};
use futures::StreamExt;
use proto::kubeconfig::{Access, Trust, cluster_uid};
use proto::model::ClusterName;
use proto::observe::Observe;
use proto::tls::with_sources;
use proto::watch::{Event, Pace, Selection, watch};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

pub mod folder;

/// How often the folder is looked at: soon enough for a person who waits, and a few file reads each time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The largest kubeconfig, or file that one names: a Secret cannot hold more.
const LARGEST_FILE_BYTES: u64 = 1024 * 1024;

/// The clusters folder and the feeds that follow from it.
#[derive(Debug)]
pub struct Clusters {
    path: PathBuf,
    inputs: mpsc::Sender<Input>,
    metrics: Metrics,
    scan: Scan,
    folder: Folder,
    connections: u64,
    feeds: JoinSet<Ended>,
    running: BTreeMap<ClusterName, Running>,
}

/// The connection to a cluster.
#[derive(Debug)]
struct Running {
    connection: Connection,
    access: Access,
    feeds: [AbortHandle; 2],
}

/// Why a feed has ended.
#[derive(Debug)]
enum Ended {
    /// Nobody takes inputs any more.
    Unheard,
    /// Another cluster answers at the address.
    Replaced(ClusterName, Connection),
}

/// Nobody takes inputs any more.
struct Stopped;

impl Clusters {
    /// Of the folder at `path`.
    pub fn new(path: PathBuf, inputs: mpsc::Sender<Input>, metrics: Metrics) -> Self {
        Self {
            scan: Scan::default(),
            folder: Folder::default(),
            connections: 0,
            feeds: JoinSet::new(),
            running: BTreeMap::new(),
            path,
            inputs,
            metrics,
        }
    }

    /// Looks and follows until the process is to end.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                _ = looks.tick() => {
                    if self.look().await.is_err() {
                        return;
                    }
                }
                Some(ended) = self.feeds.join_next() => match ended {
                    Ok(Ended::Replaced(cluster, connection)) => {
                        if self.reconnect(cluster, connection).await.is_err() {
                            return;
                        }
                    }
                    Ok(Ended::Unheard) => {}
                    // An order stopped it.
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            }
        }
    }

    async fn look(&mut self) -> Result<(), Stopped> {
        let listing = self.scan.list(&self.path).await;
        for order in self.folder.look(listing) {
            self.perform(order).await?;
        }
        let refused = i64::try_from(self.folder.refused()).unwrap_or(i64::MAX);
        self.metrics.refused_kubeconfigs.set(refused);
        Ok(())
    }

    async fn perform(&mut self, order: Order) -> Result<(), Stopped> {
        match order {
            Order::Connect(cluster, kubeconfig) => self.connect(cluster, kubeconfig.access).await,
            Order::Refuse(cluster, reason) => self.tell(Input::Refused { cluster, reason }).await,
            Order::Accept(cluster) => self.tell(Input::Accepted { cluster }).await,
            Order::Leave(cluster) => {
                self.stop(&cluster);
                self.tell(Input::Left { cluster }).await
            }
            Order::Stray(file, reason) => {
                tracing::warn!(file, reason, "a file of the clusters folder names no cluster");
                Ok(())
            }
            Order::Fault(reason) => {
                self.metrics.folder_fault.set(1);
                let folder = self.path.display();
                tracing::error!(%folder, reason, "the clusters folder is no use; all clusters known before are kept");
                Ok(())
            }
            Order::FaultEnded => {
                self.metrics.folder_fault.set(0);
                tracing::info!(folder = %self.path.display(), "the clusters folder is in order again");
                Ok(())
            }
        }
    }

    /// What was said on this connection is of a cluster that is no more: all is listed anew, on a new one. If both feeds
    /// notice, the second is late.
    async fn reconnect(&mut self, cluster: ClusterName, replaced: Connection) -> Result<(), Stopped> {
        let running = self.running.get(&cluster).filter(|one| one.connection == replaced);
        let Some(access) = running.map(|one| one.access.clone()) else {
            return Ok(());
        };
        tracing::warn!(%cluster, server = access.server(), "another cluster answers (another UID of namespace kube-system)");
        self.connect(cluster, access).await
    }

    async fn connect(&mut self, cluster: ClusterName, access: Access) -> Result<(), Stopped> {
        let client = match access.client() {
            Ok(client) => client,
            Err(error) => {
                let reason = with_sources(&error);
                return self.tell(Input::Refused { cluster, reason }).await;
            }
        };
        self.stop(&cluster);
        self.connections += 1;
        let connection = Connection(self.connections);
        // Before the feeds begin, so that none of their events comes before it.
        self.tell(Input::Connected {
            cluster: cluster.clone(),
            connection,
            server: access.server().to_owned(),
        })
        .await?;
        let feed = Feed {
            cluster: cluster.clone(),
            connection,
            client,
            inputs: self.inputs.clone(),
        };
        let pods = self.feeds.spawn(feed.clone().follow(Observed::Pods));
        let namespaces = self.feeds.spawn(feed.follow(Observed::Namespaces));
        let running = Running {
            connection,
            access,
            feeds: [pods, namespaces],
        };
        self.running.insert(cluster, running);
        Ok(())
    }

    async fn tell(&self, input: Input) -> Result<(), Stopped> {
        self.inputs.send(input).await.map_err(|_closed| Stopped)
    }

    fn stop(&mut self, cluster: &ClusterName) {
        for feed in self.running.remove(cluster).into_iter().flat_map(|one| one.feeds) {
            feed.abort();
        }
    }
}

/// One connection to one cluster.
#[derive(Clone)]
struct Feed {
    cluster: ClusterName,
    connection: Connection,
    client: kube::Client,
    inputs: mpsc::Sender<Input>,
}

impl Feed {
    /// Passes on what the API server says of one kind, for as long as it is that of one cluster.
    async fn follow<K: Observe>(self, observed: fn(Event<K>) -> Observed) -> Ended {
        let events = watch(self.client.clone(), Selection::All, Pace::default());
        let mut events = std::pin::pin!(events);
        let mut uid = None;
        let mut said = false;
        while let Some(event) = events.next().await {
            if may_be_another(&event) {
                match cluster_uid(&self.client).await {
                    Ok(found) if *uid.get_or_insert_with(|| Arc::clone(&found)) != found => {
                        return Ended::Replaced(self.cluster, self.connection);
                    }
                    Ok(_) => said = false,
                    Err(_) if said => {}
                    Err(reason) => {
                        said = true;
                        tracing::warn!(cluster = %self.cluster, %reason, "whether the same cluster answers cannot be told");
                    }
                }
            }
            let input = Input::Observed {
                cluster: self.cluster.clone(),
                connection: self.connection,
                observed: observed(event),
            };
            if self.inputs.send(input).await.is_err() {
                break;
            }
        }
        Ended::Unheard
    }
}

/// Whether the API server that says this may be another cluster's than the one before: after a list, and whenever a
/// watch was taken up again, which nothing tells from other signs of life. A version in the future of the new cluster
/// is no error to it: it would just never tell of what is no more.
fn may_be_another<K>(event: &Event<K>) -> bool {
    match event {
        Event::Synced(_) | Event::Heard => true,
        Event::Applied(_) | Event::Deleted(_) | Event::Lost(_) => false,
    }
}

/// Reads the folder; remembers which kubeconfigs were found to be usable, so as not to try each time.
#[derive(Debug, Default)]
struct Scan {
    usable: BTreeMap<String, Digest>,
}

impl Scan {
    /// What is there now; an error if the folder itself cannot be read.
    async fn list(&mut self, folder: &Path) -> Result<Listing, String> {
        let mut entries = tokio::fs::read_dir(folder).await.map_err(|error| error.to_string())?;
        let mut listing = Listing::new();
        while let Some(entry) = entries.next_entry().await.map_err(|error| error.to_string())? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_kubeconfig(&name) {
                let found = self.read(&name, folder).await;
                listing.insert(name, found);
            }
        }
        self.usable.retain(|name, _| listing.contains_key(name));
        Ok(listing)
    }

    async fn read(&mut self, name: &str, folder: &Path) -> Result<Kubeconfig, String> {
        let content = read_file(&folder.join(name)).await?;
        let text = std::str::from_utf8(&content).map_err(|error| format!("it is no text: {error}"))?;
        let access = Access::read(text, folder, Trust::Data)
            .await
            .map_err(|error| with_sources(&error))?;
        let mut hash = Sha256::new_with_prefix(&content);
        for file in access.files() {
            let content = read_file(file).await;
            hash.update(content.map_err(|error| format!("{}: {error}", file.display()))?);
        }
        let digest = Digest(hash.finalize().into());
        if self.usable.get(name) != Some(&digest) {
            access.client().map_err(|error| with_sources(&error))?;
            self.usable.insert(name.to_owned(), digest);
        }
        Ok(Kubeconfig { digest, access })
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > LARGEST_FILE_BYTES {
        return Err(format!(
            "it has {} bytes, more than {LARGEST_FILE_BYTES}",
            metadata.len()
        ));
    }
    tokio::fs::read(path).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
