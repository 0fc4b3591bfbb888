//! Where the Go-built programs are: etcd, kube-apiserver, kubectl, grpcurl.
//!
//! `tests/assets` builds them; this only finds them. `KUBEBUILDER_ASSETS` names a folder with ready-made ones.

use std::path::PathBuf;

/// A program is not in the assets folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "no {program} in {folder}: build it once with tests/assets (or let KUBEBUILDER_ASSETS name a folder that has it)"
)]
pub struct Missing {
    program: &'static str,
    folder: String,
}

/// The assets folder, whether or not it exists.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests have no command line, and these variables are the same for every tool that uses the folder"
)]
pub fn folder() -> PathBuf {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("KUBEBUILDER_ASSETS")
        .or_else(|| variable("BAILEY_ASSETS"))
        .unwrap_or_else(|| {
            let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            cache.unwrap_or_default().join("bailey/assets")
        })
}

/// The path of one of the programs.
pub fn program(program: &'static str) -> Result<PathBuf, Missing> {
    let folder = folder();
    let path = folder.join(program);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Missing {
            program,
            folder: folder.display().to_string(),
        })
    }
}
