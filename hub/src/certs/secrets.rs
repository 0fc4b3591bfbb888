//! Certificates as Kubernetes Secrets: printed, or applied to the clusters they are for.
//!
//! Shell, for what [`super::issue`] has written. The CA is nobody's Secret: whoever holds its key can be anybody, so it
//! stays where `--out` put it.

use super::leaf::{Leaf, leafs};
use super::{HubName, Order};
use crate::members::context::Context;
use crate::members::object::Object;
use crate::members::{Error, Outcome, manifest, pem, tell};
use proto::model::ClusterName;
use proto::peer::Role;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where Secrets go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Their namespace, in every cluster.
    pub namespace: String,
    /// The user's kubeconfig, if it is not the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// Where manifests are written.
    pub print: Option<Print>,
    /// The context of the hub's cluster.
    pub hub_context: Option<String>,
    /// The contexts of members.
    pub contexts: Vec<MemberContext>,
}

impl Delivery {
    /// Whether there is anything to do.
    pub fn is_wanted(&self) -> bool {
        self.print.is_some() || self.hub_context.is_some() || !self.contexts.is_empty()
    }
}

/// Where manifests are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Print {
    /// To stdout, and all else to stderr.
    Stdout,
    /// Into a folder, one file each.
    Folder(PathBuf),
}

impl FromStr for Print {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Stdout,
            folder => Self::Folder(folder.into()),
        })
    }
}

/// A member and its context, written `ID=CONTEXT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberContext {
    /// The member's id.
    pub id: ClusterName,
    /// The context's name.
    pub context: String,
}

impl FromStr for MemberContext {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (id, context) = text
            .split_once('=')
            .filter(|(_, context)| !context.is_empty())
            .ok_or("expected the cluster's id and a context's name, for example cluster-b=b")?;
        Ok(Self {
            id: id
                .parse()
                .map_err(|error: proto::model::InvalidClusterName| error.to_string())?,
            context: context.to_owned(),
        })
    }
}

/// The names by which pods find the hub's Service: in its cluster, and in those that import it (KEP-1645).
///
/// # Panics
/// Never: a namespace is a DNS label.
pub fn service_names(namespace: &str) -> Vec<HubName> {
    let service = format!("bailey-hub.{namespace}.svc");
    ["", ".cluster.local", ".clusterset.local"]
        .iter()
        .map(|domain| format!("{service}{domain}").parse().expect("it is a host name"))
        .collect()
}

/// A Secret, and what it is for.
struct Secret {
    /// The member that it is for; none: the hub's cluster.
    member: Option<ClusterName>,
    object: Object,
    subject: String,
}

/// Prints and applies the Secrets of an order that has been carried out.
///
/// # Errors
/// If a file cannot be read or written, or a cluster refuses.
pub async fn deliver(order: &Order, delivery: &Delivery, out: &mut dyn Write) -> Result<(), Error> {
    let secrets = secrets(order, &delivery.namespace)?;
    match &delivery.print {
        None => {}
        Some(Print::Stdout) => {
            for secret in &secrets {
                out.write_all(manifest::document(&secret.object).as_bytes())?;
            }
        }
        Some(Print::Folder(folder)) => print(folder, &secrets, out)?,
    }
    if let Some(context) = &delivery.hub_context {
        apply(delivery, context, None, &secrets, out).await?;
    }
    for MemberContext { id, context } in &delivery.contexts {
        apply(delivery, context, Some(id), &secrets, out).await?;
    }
    if delivery.hub_context.is_some() || !delivery.contexts.is_empty() {
        writeln!(
            out,
            "Pods that have them mounted take them up within two minutes, without a restart."
        )?;
    }
    Ok(())
}

/// The Secrets of the hub, the reader and each cluster. A node's certificate is for one node, and a Secret for all.
fn secrets(order: &Order, namespace: &str) -> Result<Vec<Secret>, Error> {
    let ca = read(&order.out.join("ca.crt"))?;
    let mut secrets = Vec::new();
    for leaf in leafs(order) {
        let (name, member) = match leaf.role() {
            Role::Hub => ("bailey-hub-tls", None),
            Role::Reader => ("bailey-reader-tls", None),
            Role::Cluster(id) => ("bailey-enforcer-tls", Some(id.clone())),
            Role::Node { .. } => continue,
        };
        let file = |end: &str| read(&order.out.join(format!("{}.{end}", leaf.file)));
        secrets.push(Secret {
            object: object(namespace, name, &leaf, [&file("crt")?, &file("key")?, &ca]),
            subject: leaf.uri(),
            member,
        });
    }
    Ok(secrets)
}

/// With cert-manager's keys, so that its Secrets may take the place of these.
fn object(namespace: &str, name: &str, leaf: &Leaf, [certificate, key, ca]: [&[u8]; 3]) -> Object {
    let component = match leaf.role() {
        Role::Hub | Role::Reader => "hub",
        Role::Cluster(_) | Role::Node { .. } => "enforcer",
    };
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "bailey", "app.kubernetes.io/component": component},
        },
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": pem::base64(certificate),
            "tls.key": pem::base64(key),
            "ca.crt": pem::base64(ca),
        },
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Refused(format!("{}: {error}", path.display())))
}

fn print(folder: &Path, secrets: &[Secret], out: &mut dyn Write) -> Result<(), Error> {
    let failed = |path: &Path, error: std::io::Error| Error::Refused(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    writeln!(
        out,
        "Secrets in {}, keys among them; for kubectl apply -f:",
        folder.display()
    )?;
    for Secret {
        member,
        object,
        subject,
    } in secrets
    {
        let name = match member {
            None => format!("{}.yaml", object.place.name),
            Some(id) => format!("{}.{id}.yaml", object.place.name),
        };
        let path = folder.join(&name);
        super::pair::write_file(&path, &manifest::document(object), 0o600)
            .map_err(|error| Error::Refused(format!("{}: {error}", path.display())))?;
        writeln!(out, "  {name:40}  {subject}")?;
    }
    Ok(())
}

async fn apply(
    delivery: &Delivery,
    context: &str,
    member: Option<&ClusterName>,
    secrets: &[Secret],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let title = member.map_or("hub", ClusterName::as_str);
    let cluster = Context::open(delivery.kubeconfig.as_deref(), Some(context), title)
        .await?
        .cluster;
    writeln!(out, "{}", cluster.title())?;
    let namespace = crate::members::namespace(&delivery.namespace);
    if cluster.get(&namespace.place).await?.is_none() {
        cluster.apply(&namespace).await?;
        tell(out, Outcome::Created, &namespace.place, "")?;
    }
    for secret in secrets.iter().filter(|secret| secret.member.as_ref() == member) {
        // One that is there is another: a certificate is written anew each time.
        let outcome = match cluster.get(&secret.object.place).await? {
            None => Outcome::Created,
            Some(_) => Outcome::Changed,
        };
        cluster.apply(&secret.object).await?;
        tell(out, outcome, &secret.object.place, &secret.subject)?;
    }
    Ok(())
}
