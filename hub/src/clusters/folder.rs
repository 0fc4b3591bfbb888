//! What the folder of kubeconfigs says, look after look, and what follows from it.
//!
//! Pure. A cluster's id is the name of its file, less the extension. What is wrong with a file concerns its own cluster
//! only, and a connection that was made with what the file held before goes on. A folder without any kubeconfig is a
//! fault, not a farewell: everything is kept. A file that is missing while others are there is a farewell, but only
//! after some looks, because editors replace a file by removing it first.

use proto::kubeconfig::Access;
use proto::model::ClusterName;
use std::collections::BTreeMap;

/// Looks for which a file must be missing before its cluster has left.
const LOOKS_UNTIL_LEFT: u32 = 3;

/// The extensions of kubeconfigs. Files of other names are none; certificates may lie beside them.
const EXTENSIONS: [&str; 3] = [".kubeconfig", ".yaml", ".yml"];

/// What a kubeconfig is recognised by: two with the same digest lead to the same place with the same credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(pub [u8; 32]);

/// A kubeconfig that can be used.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// Of its content, and of the files it names.
    pub digest: Digest,
    /// The way to the API server.
    pub access: Access,
}

/// Files by name, each usable or with what is wrong with it.
pub type Listing = BTreeMap<String, Result<Kubeconfig, String>>;

/// What is to be done.
#[derive(Debug)]
pub enum Order {
    /// Connect to a cluster, anew or for the first time.
    Connect(ClusterName, Box<Kubeconfig>),
    /// Say that a cluster's kubeconfig cannot be used.
    Refuse(ClusterName, String),
    /// Say that it can, and is what the connection was made with.
    Accept(ClusterName),
    /// Forget a cluster.
    Leave(ClusterName),
    /// Say that a file names no cluster.
    Stray(String, String),
    /// Say that the folder has nothing to say; everything is kept.
    Fault(String),
    /// Say that it has again.
    FaultEnded,
}

/// The folder, as it was seen last.
#[derive(Debug, Default)]
pub struct Folder {
    members: BTreeMap<ClusterName, Member>,
    strays: BTreeMap<String, String>,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Member {
    /// The file that the connection was made with, and what it held.
    used: Option<(String, Digest)>,
    refused: Option<String>,
    looks_missing: u32,
}

/// Whether a file of this name is meant to be a kubeconfig. A mounted Secret has entries of its own that begin with a
/// dot.
pub fn is_kubeconfig(name: &str) -> bool {
    stem(name).is_some()
}

/// The cluster that a file of this name is the kubeconfig of.
pub fn cluster_of(name: &str) -> Option<ClusterName> {
    ClusterName::new(stem(name)?).ok()
}

fn stem(name: &str) -> Option<&str> {
    let stem = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension));
    stem.filter(|_| !name.starts_with('.'))
}

impl Folder {
    /// Takes a look in; `Err`: the folder cannot be read.
    pub fn look(&mut self, listing: Result<Listing, String>) -> Vec<Order> {
        let listing = match listing {
            Ok(listing) if listing.is_empty() => Err("it holds no kubeconfig".to_owned()),
            other => other,
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(fault) if self.fault.as_ref() == Some(&fault) => return Vec::new(),
            Err(fault) => {
                self.fault = Some(fault.clone());
                return vec![Order::Fault(fault)];
            }
        };
        let mut orders = Vec::new();
        if self.fault.take().is_some() {
            orders.push(Order::FaultEnded);
        }
        let by_cluster = self.sort(listing, &mut orders);
        self.count_missing(&by_cluster, &mut orders);
        for (cluster, files) in by_cluster {
            let member = self.members.entry(cluster.clone()).or_default();
            member.looks_missing = 0;
            member.look(&cluster, files, &mut orders);
        }
        orders
    }

    /// How many files cannot be used.
    pub fn refused(&self) -> usize {
        let members = self.members.values().filter(|member| member.refused.is_some());
        members.count() + self.strays.len()
    }

    /// Files by the cluster they name; says of new ones that they name none.
    fn sort(&mut self, listing: Listing, orders: &mut Vec<Order>) -> BTreeMap<ClusterName, Vec<File>> {
        let mut by_cluster: BTreeMap<ClusterName, Vec<File>> = BTreeMap::new();
        let mut strays = BTreeMap::new();
        for (name, found) in listing {
            match ClusterName::new(stem(&name).unwrap_or_default()) {
                Ok(cluster) => by_cluster.entry(cluster).or_default().push(File { name, found }),
                Err(invalid) => {
                    if !self.strays.contains_key(&name) {
                        orders.push(Order::Stray(name.clone(), invalid.to_string()));
                    }
                    strays.insert(name, invalid.to_string());
                }
            }
        }
        self.strays = strays;
        by_cluster
    }

    fn count_missing(&mut self, present: &BTreeMap<ClusterName, Vec<File>>, orders: &mut Vec<Order>) {
        self.members.retain(|cluster, member| {
            if present.contains_key(cluster) {
                return true;
            }
            member.looks_missing += 1;
            let stays = member.looks_missing < LOOKS_UNTIL_LEFT;
            if !stays {
                orders.push(Order::Leave(cluster.clone()));
            }
            stays
        });
    }
}

struct File {
    name: String,
    found: Result<Kubeconfig, String>,
}

impl Member {
    fn look(&mut self, cluster: &ClusterName, mut files: Vec<File>, orders: &mut Vec<Order>) {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let names = names.join(" and ");
        let is_used = |file: &File| self.used.as_ref().is_some_and(|(name, _)| *name == file.name);
        let is_ambiguous = files.len() > 1;
        let chosen = match files.iter().position(is_used) {
            Some(used) => Some(files.swap_remove(used)),
            None if is_ambiguous => None,
            None => files.pop(),
        };
        let Some(File { name, found }) = chosen else {
            return self.refuse(cluster, format!("{names} both name this cluster: remove one"), orders);
        };
        match found {
            Err(reason) => return self.refuse(cluster, format!("{name}: {reason}"), orders),
            Ok(kubeconfig) => {
                let digest = kubeconfig.digest;
                let before = self.used.replace((name.clone(), digest));
                if before.is_none_or(|(_, before)| before != digest) {
                    self.refused = None;
                    orders.push(Order::Connect(cluster.clone(), Box::new(kubeconfig)));
                }
            }
        }
        if is_ambiguous {
            let reason = format!("{names} both name this cluster: {name} was first and is used, remove the other");
            self.refuse(cluster, reason, orders);
        } else if self.refused.take().is_some() {
            orders.push(Order::Accept(cluster.clone()));
        }
    }

    fn refuse(&mut self, cluster: &ClusterName, reason: String, orders: &mut Vec<Order>) {
        if self.refused.as_ref() != Some(&reason) {
            self.refused = Some(reason.clone());
            orders.push(Order::Refuse(cluster.clone(), reason));
        }
    }
}

#[cfg(test)]
mod tests;
