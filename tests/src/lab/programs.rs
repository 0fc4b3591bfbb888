//! Where the programs under test are: beside this one, built first if cargo runs this one; and the switches of meaning
//! that they are started with.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use enforcer::switches::Switches;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs under test.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The hub.
    pub hub: PathBuf,
    /// The enforcer.
    pub enforcer: PathBuf,
    /// What policies mean to them.
    pub switches: Switches,
}

impl Programs {
    /// Builds them, as cargo built this program, if it is cargo that runs it; finds them.
    ///
    /// # Errors
    /// If they cannot be built, or are not there.
    pub fn ready() -> Result<Self> {
        let folder = folder()?;
        if let Some(cargo) = cargo() {
            build(&cargo, &folder)?;
        }
        let find = |name: &str| {
            let path = folder.join(name);
            if !path.is_file() {
                bail!(
                    "{} is not there: build it first, cargo build --release --bins",
                    path.display()
                );
            }
            Ok(path)
        };
        Ok(Self {
            hub: find("hub")?,
            enforcer: find("enforcer")?,
            switches: Switches::default(),
        })
    }

    /// The same programs with other switches.
    pub fn with(&self, switches: Switches) -> Self {
        Self {
            switches,
            ..self.clone()
        }
    }

    /// The switches as flags of a hub: what selectors mean.
    pub fn hub_switches(&self) -> [String; 2] {
        let selectors = self.switches.selectors;
        [
            format!("--bare-pod-selector={}", word(&selectors.bare_pod_selector)),
            format!("--cluster-label-mode={}", word(&selectors.cluster_label)),
        ]
    }

    /// The switches as flags of an enforcer: the hub's, and what the hub has no part in.
    pub fn enforcer_switches(&self) -> [String; 3] {
        let [bare_pod_selector, cluster_label_mode] = self.hub_switches();
        let egress_to_local_node = word(&self.switches.egress_to_local_node);
        [
            bare_pod_selector,
            cluster_label_mode,
            format!("--egress-to-local-node={egress_to_local_node}"),
        ]
    }
}

/// A value as its flag takes it.
fn word(value: &impl ValueEnum) -> String {
    let possible = value.to_possible_value().expect("no value is hidden");
    possible.get_name().to_owned()
}

/// The folder of this program; of a test, the one above it, where programs are.
///
/// # Errors
/// If the system does not say.
pub fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let folder = own.parent().context("a program is in a folder")?;
    Ok(if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
    .to_owned())
}

/// With the packages that this program was built with, so that cargo takes the same features and builds nothing twice.
fn build(cargo: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--package",
        "hub",
        "--package",
        "enforcer",
        "--package",
        "tests",
        "--bins",
    ]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    untell(&mut command);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", cargo.display()))?;
    if !status.success() {
        bail!("cargo build of hub and enforcer failed ({status})");
    }
    Ok(())
}

/// Takes from a command that runs cargo what cargo tells the program it runs: build scripts (ring's) that look at it would
/// find it changed, and half of all crates would be built anew each time.
pub fn untell(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if told.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "CARGO is how cargo tells a program that it runs it"
)]
fn cargo() -> Option<PathBuf> {
    std::env::var("CARGO").ok().map(PathBuf::from)
}
