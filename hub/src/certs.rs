//! `hub certs`: a trial PKI as files, so that nobody needs openssl to try mutual TLS.
//!
//! One CA signs a certificate for the hub, one for people who query it, and one per cluster or node for enforcers. A
//! later run keeps the CA and issues the certificates it is told to anew. Meant for trials and small installations:
//! nothing is ever revoked, and whoever holds `ca.key` can be anybody.

use proto::model::ClusterName;
use proto::peer::{Name, Role};
use proto::selector::is_dns_subdomain;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::parse_x509_pem;

/// How long a trial CA is valid: ten years, longer than any trial.
const CA_LIFETIME: Duration = DAY.saturating_mul(3650);

/// Clocks of other machines may be so far behind; certificates are valid from so long before now.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the CA's common name begins with; the trust domain follows.
const CA_NAME: &str = "Bailey trial CA of ";

/// The first part of every role's URI: `bailey://<trust domain>/…`. A DNS name, which need not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustDomain(Arc<str>);

impl FromStr for TrustDomain {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        if is_dns_subdomain(name) {
            Ok(Self(name.into()))
        } else {
            Err("a trust domain looks like a host name in lower case, for example bailey.example.com".to_owned())
        }
    }
}

/// A node of a cluster, written `ID/NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// The cluster that holds the Node object.
    pub cluster: ClusterName,
    /// The Node object's name.
    pub name: Arc<str>,
}

impl FromStr for Node {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (cluster, name) = text
            .split_once('/')
            .ok_or("expected the cluster's id and the node's name, for example cluster-a/node-1")?;
        if !is_dns_subdomain(name) {
            return Err(format!("{name:?} is no name of a Kubernetes node"));
        }
        let cluster = cluster
            .parse()
            .map_err(|error: proto::model::InvalidClusterName| error.to_string())?;
        Ok(Self {
            cluster,
            name: name.into(),
        })
    }
}

/// A name by which clients reach the hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubName {
    /// A host name.
    Dns(Ia5String),
    /// An address.
    Address(IpAddr),
}

impl FromStr for HubName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        match Ia5String::try_from(text) {
            Ok(name) if is_dns_subdomain(&text.to_ascii_lowercase()) => Ok(Self::Dns(name)),
            Ok(_) | Err(_) => {
                Err("expected a host name or an address, for example hub.example.com or 192.0.2.7".to_owned())
            }
        }
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => fmt::Display::fmt(name, f),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// What to issue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Folder for the files; made if it does not exist.
    pub out: PathBuf,
    /// Trust domain of all roles.
    pub trust_domain: TrustDomain,
    /// Clusters whose enforcers share a certificate.
    pub clusters: Vec<ClusterName>,
    /// Nodes whose enforcer has a certificate of its own.
    pub nodes: Vec<Node>,
    /// Names of the hub besides `localhost`, `127.0.0.1` and `::1`.
    pub hub_names: Vec<HubName>,
    /// How long all but the CA are valid, in days; less if the CA ends before.
    pub days: u32,
}

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
    let (ca, outcome) = match existing_ca(&order, now)? {
        Some(ca) => (ca, Outcome::Kept),
        None => (new_ca(&order, now)?, Outcome::New),
    };
    let mut items = vec![Item {
        name: "ca".to_owned(),
        outcome,
        subject: format!("{CA_NAME}{}; keep ca.key to yourself", order.trust_domain.0),
    }];
    let until = ca.until.min(now + DAY * order.days);
    for leaf in leafs(&order) {
        let (certificate, key) = leaf.sign(&ca.issuer, now, until).map_err(|source| Error::Issue {
            name: leaf.file.clone(),
            source,
        })?;
        let outcome = write_pair(&order.out, &leaf.file, &certificate, &key)?;
        items.push(Item {
            outcome,
            subject: leaf.subject(),
            name: leaf.file,
        });
    }
    Ok(Issued { order, items })
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    until: SystemTime,
}

fn new_ca(order: &Order, now: SystemTime) -> Result<Ca, Error> {
    let until = now + CA_LIFETIME;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{CA_NAME}{}", order.trust_domain.0));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = until.into();
    let make = || {
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?.pem(), key))
    };
    let (certificate, key) = make().map_err(|source| Error::Issue {
        name: "ca".to_owned(),
        source,
    })?;
    write_pair(&order.out, "ca", &certificate, &key.serialize_pem())?;
    Ok(Ca {
        issuer: Issuer::new(params, key),
        until,
    })
}

/// The CA of an earlier run, if there was one.
fn existing_ca(order: &Order, now: SystemTime) -> Result<Option<Ca>, Error> {
    let crt = order.out.join("ca.crt");
    let key = order.out.join("ca.key");
    let (certificate, key_text) = match (read_if_there(&crt)?, read_if_there(&key)?) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            return Err(Error::HalfCa {
                present: crt,
                missing: key,
            });
        }
        (None, Some(_)) => {
            return Err(Error::HalfCa {
                present: key,
                missing: crt,
            });
        }
    };
    let foreign = |path: &Path, reason: String| Error::ForeignCa {
        path: path.to_owned(),
        reason,
    };
    let key_pair = KeyPair::from_pem(&key_text).map_err(|error| foreign(&key, error.to_string()))?;
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|error| foreign(&crt, error.to_string()))?;
    let parsed = pem.parse_x509().map_err(|error| foreign(&crt, error.to_string()))?;
    let until = usable_until(&parsed, order, now).map_err(|reason| foreign(&crt, reason))?;
    if parsed.public_key().raw != key_pair.subject_public_key_info() {
        return Err(foreign(&key, "this is not the key of ca.crt".to_owned()));
    }
    let issuer = Issuer::from_ca_cert_pem(&certificate, key_pair).map_err(|error| foreign(&crt, error.to_string()))?;
    Ok(Some(Ca { issuer, until }))
}

/// The end of a CA's validity, if it can sign for this order.
fn usable_until(ca: &X509Certificate<'_>, order: &Order, now: SystemTime) -> Result<SystemTime, String> {
    let names: Vec<&str> = ca
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok())
        .collect();
    let wanted = format!("{CA_NAME}{}", order.trust_domain.0);
    if names != [wanted.as_str()] {
        return Err(format!("this CA is {:?}, not {wanted:?}", names.join(", ")));
    }
    let seconds = u64::try_from(ca.validity().not_after.timestamp()).unwrap_or(0);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    if until <= now {
        return Err("this CA has expired".to_owned());
    }
    Ok(until)
}

/// A certificate that the CA signs.
struct Leaf {
    /// Base name of its files.
    file: String,
    name: Name,
    hub_names: Vec<HubName>,
}

fn leafs(order: &Order) -> Vec<Leaf> {
    let leaf = |file: String, role: Role, hub_names: Vec<HubName>| Leaf {
        file,
        name: Name {
            trust_domain: Arc::clone(&order.trust_domain.0),
            role,
        },
        hub_names,
    };
    let localhost = ["localhost", "127.0.0.1", "::1"]
        .iter()
        .map(|name| name.parse().expect("these are names of a host"));
    let hub_names = localhost.chain(order.hub_names.iter().cloned()).collect();
    let fixed = [
        leaf("hub".to_owned(), Role::Hub, hub_names),
        leaf("reader".to_owned(), Role::Reader, Vec::new()),
    ];
    let clusters = order
        .clusters
        .iter()
        .map(|id| leaf(format!("cluster-{id}"), Role::Cluster(id.clone()), Vec::new()));
    // '@' is in no cluster id, so that no node's file can have the name of a cluster's.
    let nodes = order.nodes.iter().map(|Node { cluster, name }| {
        let role = Role::Node {
            cluster: cluster.clone(),
            node: Arc::clone(name),
        };
        leaf(format!("cluster-{cluster}@{name}"), role, Vec::new())
    });
    fixed.into_iter().chain(clusters).chain(nodes).collect()
}

impl Leaf {
    /// Certificate and key, as PEM. The key is P-256, which every TLS stack can verify.
    fn sign(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        now: SystemTime,
        until: SystemTime,
    ) -> Result<(String, String), rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.file.as_str());
        params.subject_alt_names = vec![SanType::URI(self.name.to_string().try_into()?)];
        for name in &self.hub_names {
            params.subject_alt_names.push(match name {
                HubName::Dns(name) => SanType::DnsName(name.clone()),
                HubName::Address(address) => SanType::IpAddress(*address),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !self.hub_names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = until.into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn subject(&self) -> String {
        let names = self.hub_names.iter().map(HubName::to_string);
        [self.name.to_string()]
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes key and certificate, each whole or not at all. For a moment the two do not fit each other: whoever reloads
/// them keeps what it has until they do.
fn write_pair(out: &Path, name: &str, certificate: &str, key: &str) -> Result<Outcome, Error> {
    let crt = out.join(format!("{name}.crt"));
    let outcome = if crt.exists() { Outcome::Renewed } else { Outcome::New };
    write(&out.join(format!("{name}.key")), key, 0o600)?;
    write(&crt, certificate, 0o644)?;
    Ok(outcome)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // A new temporary file is readable by its owner only, so a key never lies open, not even for a moment.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.order.out.display();
        let width = self.items.iter().map(|item| item.name.len()).max().unwrap_or(0);
        writeln!(f, "A trial PKI in {out}, each certificate as NAME.crt and NAME.key:")?;
        for Item { name, outcome, subject } in &self.items {
            let outcome = match outcome {
                Outcome::Kept => "kept",
                Outcome::New => "new",
                Outcome::Renewed => "renewed",
            };
            writeln!(f, "  {name:width$}  {outcome:7}  {subject}")?;
        }
        writeln!(
            f,
            "All but the CA are valid for {} days; run this again to renew them.",
            self.order.days
        )?;
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
                "  enforcer run --hub https://HUB:7443 --cluster {id} --node NODE --hub-ca ca.crt --tls-cert cluster-{id}.crt --tls-key cluster-{id}.key"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
