//! `hub members list`. Shell: asks the hub how the members are, and its Secret which there should be.

use super::ask::{Reader, at, through};
use super::context::Context;
use super::held::Members;
use super::table::Table;
use super::{Error, grant};
use http::Uri;
use proto::tls::Files;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The namespace of the hub.
    pub namespace: String,
    /// The user's kubeconfig, if it is not the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the hub's cluster; the current one, if there is no address either.
    pub hub_context: Option<String>,
    /// The hub's address, if it is not to be asked through its cluster.
    pub hub: Option<Uri>,
    /// The reader's files, if they do not lie beside the hub.
    pub files: Option<Files>,
    /// How to answer.
    pub format: Format,
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// A table, for people.
    Table,
    /// JSON, for programs.
    Json,
}

pub(super) async fn run(order: Order, out: &mut dyn Write) -> Result<(), Error> {
    let context = match (&order.hub_context, &order.hub) {
        (None, Some(_)) => None,
        (name, _) => Some(Context::open(order.kubeconfig.as_deref(), name.as_deref(), "hub").await?),
    };
    let reader = match (order.files, &context, &order.hub) {
        (Some(files), _, _) => Some(Reader::of_files(files).await?),
        (None, _, Some(url)) if url.scheme_str() != Some("https") => None,
        (None, Some(context), _) => Some(Reader::of_secret(context, &order.namespace).await?),
        (None, None, _) => None,
    };
    let said = match (&order.hub, &context, reader) {
        (Some(url), _, reader) => at(url, reader).await?,
        (None, Some(context), Some(reader)) => through(context, &order.namespace, &reader).await?,
        (None, _, _) => unreachable!("without an address there are a context and a certificate"),
    };
    let secret = match &context {
        Some(context) => {
            let secret = context.cluster.get(&grant::clusters_place(&order.namespace)).await?;
            Some(Members::read(&secret.unwrap_or(Value::Null)))
        }
        None => None,
    };
    let table = Table::new(&said, secret.as_ref());
    match order.format {
        Format::Table => write!(out, "{}", table.text())?,
        Format::Json => writeln!(out, "{:#}", table.json())?,
    }
    Ok(())
}
