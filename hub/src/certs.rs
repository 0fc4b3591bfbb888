//! `hub certs`: a trial PKI as files and Secrets, so that nobody needs openssl to try mutual TLS.
//!
//! One CA signs a certificate for the hub, one for people who query it, and one per cluster or node for enforcers. A
//! later run keeps the CA and issues the certificates it is told to anew. Meant for trials and small installations:
//! nothing is ever revoked, and whoever holds `ca.key` can be anybody.

use ca::Ca;
use leaf::leafs;
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

mod ca;
mod leaf;
mod order;
mod pair;
mod secrets;
pub use order::{HubName, Node, Order, TrustDomain};
pub use secrets::{Delivery, MemberContext, Print, deliver, service_names};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Clocks of other machines may be so far behind; certificates are valid from so long before now.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// Why nothing, or not everything, was issued. Files that were written before are whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Only one of the CA's two files is there: it can be neither used nor replaced.
    #[error("{} is there, {} is not: put it back, or move the other away for a new CA", present.display(), missing.display())]
    HalfCa {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The CA's files are of no use for this order; they are left as they are.
    #[error("{}: {reason}; choose another --out, or move this CA away for a new one", path.display())]
    ForeignCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate cannot be made.
    #[error("cannot make the certificate {name}")]
    Issue {
        /// Base name of its files.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
}

/// Whether a file was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was there and was left as it is.
    Kept,
    /// It was not there.
    New,
    /// It was there and was replaced.
    Renewed,
}

/// A certificate with its key, as files `<name>.crt` and `<name>.key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Base name of its files.
    pub name: String,
    /// What became of them.
    pub outcome: Outcome,
    /// What it is for: the URI of its role, the hub's names.
    pub subject: String,
}

/// What was issued; its text tells it to a person, with what to run next.
#[derive(Debug)]
pub struct Issued {
    order: Order,
    /// The CA first, then the hub, the reader, the clusters and the nodes.
    pub items: Vec<Item>,
}

/// Issues what is ordered.
///
/// # Errors
/// If the folder holds a CA that does not fit, or a file cannot be written.
pub fn issue(order: Order, now: SystemTime) -> Result<Issued, Error> {
    fs::create_dir_all(&order.out).map_err(|source| Error::File {
        path: order.out.clone(),
        source,
    })?;
    let (ca, outcome) = match Ca::existing(&order, now)? {
        Some(ca) => (ca, Outcome::Kept),
        None => (Ca::make(&order, now)?, Outcome::New),
    };
    let mut items = vec![Item {
        name: "ca".to_owned(),
        outcome,
        subject: format!("{}; keep ca.key to yourself", ca::common_name(&order)),
    }];
    let until = ca.until.min(now + DAY * order.days);
    for leaf in leafs(&order) {
        let (certificate, key) = leaf.sign(&ca.issuer, now, until).map_err(|source| Error::Issue {
            name: leaf.file.clone(),
            source,
        })?;
        let outcome = pair::write(&order.out, &leaf.file, &certificate, &key)?;
        items.push(Item {
            outcome,
            subject: leaf.subject(),
            name: leaf.file,
        });
    }
    Ok(Issued { order, items })
}

impl Issued {
    /// What became of each certificate, for people.
    pub fn summary(&self) -> String {
        let out = self.order.out.display();
        let mut text = format!("A trial PKI in {out}, each certificate as NAME.crt and NAME.key:\n");
        let width = self.items.iter().map(|item| item.name.len()).max().unwrap_or(0);
        for Item { name, outcome, subject } in &self.items {
            let outcome = match outcome {
                Outcome::Kept => "kept",
                Outcome::New => "new",
                Outcome::Renewed => "renewed",
            };
            let _ = writeln!(text, "  {name:width$}  {outcome:7}  {subject}");
        }
        let days = self.order.days;
        let _ = writeln!(
            text,
            "All but the CA are valid for {days} days; run this again to renew them."
        );
        text
    }
}

/// The summary, and what to run next where files are used as they are.
impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.order.out.display();
        f.write_str(&self.summary())?;
        writeln!(f, "\nNext, start the hub and ask it:")?;
        writeln!(
            f,
            "  hub --clusters DIR --tls-cert {out}/hub.crt --tls-key {out}/hub.key --client-ca {out}/ca.crt"
        )?;
        writeln!(
            f,
            "  grpcurl -cacert {out}/ca.crt -cert {out}/reader.crt -key {out}/reader.key localhost:7443 bailey.v1.Inventory/ListClusters"
        )?;
        if let Some(id) = self.order.clusters.first() {
            writeln!(f, "and on a node of {id}:")?;
            writeln!(
                f,
                "  enforcer run --hub https://HUB:7443 --cluster {id} --node NODE --kubeconfig FILE --hub-ca ca.crt --tls-cert cluster-{id}.crt --tls-key cluster-{id}.key"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
