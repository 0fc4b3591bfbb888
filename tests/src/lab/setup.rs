//! One lab, from manifests to programs that run: what `demo`, `up`, `matrix` and `bench` have in common.

use super::address::Collision;
use super::args::Network;
use super::control::Control;
use super::fabric::{Blueprint, Fabric};
use super::launch::Folder;
use super::netns::Netns;
use super::programs::Programs;
use super::world::World;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How the name of a lab's folder begins.
const FOLDER: &str = "bailey-lab-";
/// How long a folder is left alone that nobody has locked: its lab may be about to.
const YOUNG: Duration = Duration::from_secs(60);

/// What this machine gives to a lab.
#[derive(Debug)]
pub struct Ground {
    /// The machine's own network namespace, which this program has left.
    pub host: Netns,
    /// The programs under test.
    pub programs: Programs,
}

/// The machine, the command line or the manifests lack something that the message names. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Unfit(pub anyhow::Error);

/// A lab's network, and what has not been started on it yet.
#[derive(Debug)]
pub struct Lab {
    /// Nodes and pods.
    pub world: World,
    /// Their network.
    pub fabric: Fabric,
    /// How long the network took.
    pub built_in: Duration,
    folder: TempDir,
    /// Held while the lab lives, by which [`sweep`] knows.
    _lock: File,
}

impl Ground {
    /// Builds the programs, and leaves the machine's network. To be called while this process has one thread.
    ///
    /// # Errors
    /// If a program cannot be built, or this is not root.
    pub fn prepare() -> Result<Self> {
        let programs = Programs::ready().map_err(Unfit)?;
        raise_descriptor_limit()?;
        let host = Netns::leave().map_err(|error| Unfit(no_netns(error)))?;
        Ok(Self { host, programs })
    }
}

impl Lab {
    /// Builds the network of a world around the calling thread, and says on stderr what it cannot show.
    ///
    /// # Errors
    /// If the manifests do not fit the lab, or the kernel refuses a part.
    pub fn build(world: World, outside: &BTreeSet<IpAddr>, network: Network) -> Result<Self> {
        let api_servers = u8::try_from(world.clusters.len())
            .context("more than 255 clusters")
            .map_err(Unfit)?;
        let blueprint = Blueprint {
            world: &world,
            outside,
            api_servers,
            layout: network.layout,
        };
        let start = now();
        let fabric = Fabric::build(blueprint).map_err(|error| match error.downcast::<Collision>() {
            Ok(collision) => Unfit(collision.into()).into(),
            Err(error) => error,
        })?;
        let built_in = start.elapsed();
        for note in &fabric.plan().notes {
            eprintln!("lab: {note}");
        }
        sweep(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(FOLDER).tempdir()?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Self {
            world,
            fabric,
            built_in,
            folder,
            _lock: lock,
        })
    }

    /// Where its files are.
    pub fn folder(&self) -> Folder {
        Folder::new(self.folder.path())
    }

    /// Starts API servers, hub and enforcers.
    ///
    /// # Errors
    /// If one does not become ready.
    pub async fn start(&self, programs: &Programs, network: Network) -> Result<Control> {
        Control::start(
            network.apiserver,
            &self.world,
            &self.fabric,
            programs.clone(),
            self.folder(),
        )
        .await
    }
}

/// Removes the folders of labs that were killed and could not do it themselves.
fn sweep(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER)) {
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let unused = || File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        if age.is_some_and(|age| age > YOUNG) && unused() {
            // What cannot be removed is somebody else's.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The time, for what people are told.
#[expect(
    clippy::disallowed_methods,
    reason = "the lab measures the world, it is not a pure part of it"
)]
pub fn now() -> Instant {
    Instant::now()
}

fn no_netns(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        anyhow::anyhow!(
            "the lab makes network namespaces and rules in them: run it as root (sudo), with CAP_SYS_ADMIN and CAP_NET_ADMIN"
        )
    } else {
        anyhow::Error::new(error).context("cannot make a network namespace")
    }
}

/// Each probe under way has a socket, each end some, each station a few descriptors.
#[expect(unsafe_code, reason = "limits have no safe wrapper in the standard library")]
fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls take a pointer to a local that outlives them.
    let failed = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0
        }
    };
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
