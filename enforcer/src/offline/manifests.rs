//! The objects of some clusters, read from `DIR/<cluster id>/*.{yaml,yml,json}`.
//!
//! Shell; the text of a file is parsed by [`parse`], which is pure. Objects stay raw, as they are written: what is odd in
//! them is for those who read them. Lenient: what cannot be read is left out with a [`Complaint`], what stands beside it
//! is taken. Nothing is left out in silence but kinds that no policy can see, empty documents, hidden files and folders,
//! and files of other kinds.

pub mod parse;

use crate::policy::NetworkPolicy;
use proto::model::ClusterName;
use proto::observe::Observe;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read, 256 MiB: an etcd holds no more than a few GiB, and one file is read at a time (P26).
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The objects of each cluster.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Manifests {
    /// By cluster, in the order of files and documents; each kind, namespace and name once.
    pub clusters: BTreeMap<ClusterName, Vec<Arc<Object>>>,
    /// What was left out, or is not as an API server would have it.
    pub complaints: Vec<Complaint>,
}

/// An object as it is written, in a namespace if it is of a kind that is in one.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.namespace`; `default` if it is missing, as an API server would put it; empty if the kind is in none.
    pub namespace: Arc<str>,
    /// `metadata.name`, never empty.
    pub name: Arc<str>,
    /// All of it, with `kind`, `metadata.name` and `metadata.namespace` as above.
    pub raw: Value,
    /// Where it is written.
    pub origin: Origin,
}

/// Where something is written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The file, from the folder of all clusters.
    pub file: Arc<Path>,
    /// Which of its documents, from 1; those without content do not count.
    pub document: usize,
    /// The line of the file on which that document's content begins, from 1; 1 for JSON.
    pub line: usize,
}

/// A kind that matters to policies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Namespaces.
    Namespace,
    /// Nodes.
    Node,
    /// Pods.
    Pod,
    /// NetworkPolicies.
    NetworkPolicy,
}

/// Something in the manifests that is not as it should be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Complaint {
    /// The cluster; `None`: it is not about one.
    pub cluster: Option<ClusterName>,
    /// The file or folder, from the folder of all clusters.
    pub file: Arc<Path>,
    /// Which document of the file, from 1; `None`: it is about the whole.
    pub document: Option<usize>,
    /// The line on which that begins, from 1.
    pub line: usize,
    /// The object, as `NetworkPolicy shop/web`; empty if there is none to name.
    pub object: String,
    /// The field, as `spec.ingress[0].from[1]`; empty if it is about the whole object.
    pub field: String,
    /// What is wrong and what follows.
    pub reason: String,
    /// What becomes of it.
    pub effect: Effect,
}

/// What becomes of something that is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// It is left out.
    LeftOut,
    /// It is taken, though not as it is written, or not as an API server would take it.
    TakenOtherwise,
}

/// Why there is nothing to judge.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder cannot be read.
    #[error("cannot read {}, which should be a folder with a folder of manifests for each cluster, named by its id", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no cluster.
    #[error("{}: no cluster: expected a folder of manifests for each cluster, named by its id", .0.display())]
    Empty(PathBuf),
}

impl Manifests {
    /// Reads `dir`. Files and folders whose names begin with a dot and files of other kinds are passed over. So are folders in
    /// a cluster's folder, with a complaint: whoever keeps manifests in them expects them to be judged.
    ///
    /// # Errors
    /// If the folder cannot be read or has no cluster in it. Anything else is a complaint.
    pub fn read(dir: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io {
            path: dir.to_owned(),
            source,
        };
        let mut manifests = Self::default();
        for name in entries(dir).map_err(failed)? {
            if !dir.join(&name).is_dir() {
                if is_manifest(&name) {
                    let reason =
                        "in no cluster's folder: put it into the folder of its cluster; nothing of it is judged";
                    manifests.complaints.push(left_out(None, &name, reason.to_owned()));
                }
                continue;
            }
            match ClusterName::new(&name.to_string_lossy()) {
                Ok(cluster) => manifests.read_cluster(dir, &name, cluster),
                Err(invalid) => {
                    let reason = format!("{invalid}; nothing of this folder is judged");
                    manifests.complaints.push(left_out(None, &name, reason));
                }
            }
        }
        if manifests.clusters.is_empty() {
            return Err(ReadError::Empty(dir.to_owned()));
        }
        Ok(manifests)
    }

    fn read_cluster(&mut self, dir: &Path, folder: &Path, cluster: ClusterName) {
        let complain = |file: &Path, reason: String| left_out(Some(cluster.clone()), file, reason);
        let files = entries(&dir.join(folder)).unwrap_or_else(|error| {
            self.complaints
                .push(complain(folder, format!("cannot read this folder: {error}")));
            Vec::new()
        });
        let mut objects = Vec::new();
        for name in files {
            let (path, file) = (dir.join(folder).join(&name), folder.join(&name));
            if path.is_dir() {
                let reason = format!(
                    "a folder within a cluster's folder is not looked into: put its manifests into {}; nothing of it is judged",
                    folder.display()
                );
                self.complaints.push(complain(&file, reason));
                continue;
            }
            if !is_manifest(&name) {
                continue;
            }
            match read_file(&path) {
                Ok(bytes) => {
                    let parsed = parse::file(&cluster, file.as_path().into(), &bytes);
                    objects.extend(parsed.objects);
                    self.complaints.extend(parsed.complaints);
                }
                Err(error) => {
                    let reason = format!("cannot read this file: {error}; nothing of it is judged");
                    self.complaints.push(complain(&file, reason));
                }
            }
        }
        let objects = parse::once(&cluster, objects, &mut self.complaints);
        self.clusters.insert(cluster, objects);
    }
}

/// Nothing of a file or folder is judged; `cluster`: whose folder it is in, if it is in one.
fn left_out(cluster: Option<ClusterName>, file: &Path, reason: String) -> Complaint {
    Complaint {
        cluster,
        file: file.into(),
        document: None,
        line: 1,
        object: String::new(),
        field: String::new(),
        reason,
        effect: Effect::LeftOut,
    }
}

/// What is no regular file, such as a pipe or a device, may have no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let size = metadata.len();
    if size > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("{size} bytes are more than {MAX_FILE_BYTES}")));
    }
    std::fs::read(path)
}

/// The names of what a folder holds, sorted, less what is hidden.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| !name.to_string_lossy().starts_with('.'));
    names.sort();
    Ok(names)
}

fn is_manifest(name: &Path) -> bool {
    name.extension()
        .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

impl Object {
    /// As messages call it: `NetworkPolicy shop/web`.
    pub fn title(&self) -> String {
        match &*self.namespace {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }

    /// A complaint about a piece of it that is left out.
    pub fn complaint(&self, cluster: &ClusterName, field: &str, reason: String) -> Complaint {
        Complaint {
            cluster: Some(cluster.clone()),
            file: self.origin.file.clone(),
            document: Some(self.origin.document),
            line: self.origin.line,
            object: self.title(),
            field: field.to_owned(),
            reason,
            effect: Effect::LeftOut,
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespace, Self::Node, Self::Pod, Self::NetworkPolicy];

    /// Its name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::NetworkPolicy => "NetworkPolicy",
        }
    }

    /// Its `apiVersion` in manifests.
    pub fn api_version(self) -> String {
        match self {
            Self::Namespace | Self::Node | Self::Pod => "v1".to_owned(),
            Self::NetworkPolicy => NetworkPolicy::KIND.api_version(),
        }
    }

    /// Whether its objects are in namespaces.
    pub const fn is_namespaced(self) -> bool {
        match self {
            Self::Namespace | Self::Node => false,
            Self::Pod | Self::NetworkPolicy => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Complaint {
    /// `cluster-a/web.yaml, document 2, NetworkPolicy shop/web, spec.ingress[0]: "x" is no …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(document) = self.document {
            write!(f, ", document {document}")?;
        }
        for part in [&self.object, &self.field] {
            if !part.is_empty() {
                write!(f, ", {part}")?;
            }
        }
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests;
