//! Where the Go-built programs are: etcd, kube-apiserver, kubectl, grpcurl.
//!
//! `tests/assets` builds them; this only finds them. `KUBEBUILDER_ASSETS` names a folder with ready-made ones.

use std::path::PathBuf;

/// A program is in none of the folders.
#[derive(Debug, thiserror::Error)]
#[error(
    "no {program} in {folders}: build it once with tests/assets (or let KUBEBUILDER_ASSETS name a folder that has it)"
)]
pub struct Missing {
    program: &'static str,
    folders: String,
}

/// The folders that may have the programs, the preferred one first.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no command line, and these variables are the same for every tool that uses the folders"
)]
fn folders() -> Vec<PathBuf> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = || variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let own = variable("BAILEY_ASSETS").or_else(|| cache().map(|cache| cache.join("bailey/assets")));
    variable("KUBEBUILDER_ASSETS").into_iter().chain(own).collect()
}

/// The path of one of the programs.
///
/// # Errors
/// If none of the folders has it.
pub fn program(program: &'static str) -> Result<PathBuf, Missing> {
    let folders = folders();
    let found = folders
        .iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Missing {
            program,
            folders: names.join(", "),
        }
    })
}
