//! The node's own addresses and links, followed through rtnetlink.
//!
//! Shell. A pod that lists an address of the node is no subject by it, or the node itself would be filtered (I7). What comes
//! in from links that pods hang on is checked for sources that are not theirs (K2).
//!
//! rtnetlink answers inside `sendmsg` and `recvmsg`, and waits there for the lock that whoever makes or deletes a link holds:
//! for seconds while a node starts pods by the hundred. So it has threads of its own, never a worker that others need.

mod apart;
mod links;

use crate::check::facts::Link;
use crate::kernel::Bridges;
use crate::links::Links;
use crate::machine::Input;
use apart::apart;
use futures::{FutureExt, StreamExt, TryStreamExt};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// Why the node's addresses cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no thread for it.
    #[error("cannot start a thread for rtnetlink")]
    Thread(#[source] std::io::Error),
    /// There is no rtnetlink socket to be had.
    #[error("cannot open an rtnetlink socket")]
    Open(#[source] std::io::Error),
    /// The kernel refused to list them.
    #[error("cannot list this node's addresses, links or routes")]
    List(#[source] rtnetlink::Error),
    /// The socket is gone.
    #[error("the rtnetlink socket was closed")]
    Closed,
}

/// What of the node is followed.
#[derive(Clone, Copy, Debug)]
enum Followed {
    Addresses,
    Links(Bridges),
}

impl Followed {
    /// What is notified of when it changes.
    const fn groups(self) -> &'static [MulticastGroup] {
        match self {
            Self::Addresses => &[MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr],
            Self::Links(_) => &[
                MulticastGroup::Link,
                MulticastGroup::Ipv4Route,
                MulticastGroup::Ipv6Route,
            ],
        }
    }

    /// How long a change waits for others that belong to it: a list costs as much as there is, and a pod's link comes as
    /// several changes, a routing daemon's table as thousands.
    const fn pause(self) -> Duration {
        match self {
            Self::Addresses => Duration::ZERO,
            Self::Links(_) => Duration::from_millis(50),
        }
    }

    async fn list(self, handle: &Handle) -> Result<Input, Error> {
        match self {
            Self::Addresses => addresses(handle).await.map(Input::NodeAddresses),
            Self::Links(bridges) => {
                let links = links::list(handle).await?;
                Ok(Input::Links(match bridges {
                    Bridges::Checked => links,
                    Bridges::Unchecked => links.without_bridges(),
                }))
            }
        }
    }
}

/// Tells the event loop the addresses of all links, now and after each change, until it hears no more.
///
/// # Errors
/// If the kernel refuses to tell.
pub async fn follow_addresses(inputs: mpsc::Sender<Input>) -> Result<(), Error> {
    follow(Followed::Addresses, inputs).await
}

/// Tells the event loop the links that pods may hang on and that can be checked, now and after each change, until it hears
/// no more.
///
/// # Errors
/// If the kernel refuses to tell.
pub async fn follow_links(inputs: mpsc::Sender<Input>, bridges: Bridges) -> Result<(), Error> {
    follow(Followed::Links(bridges), inputs).await
}

/// The links that pods may hang on, once.
///
/// # Errors
/// If the kernel refuses to tell.
pub async fn list_links() -> Result<Links, Error> {
    ask(links::list).await
}

/// All links, with what `enforcer check` asks of them, once.
///
/// # Errors
/// If the kernel refuses to tell.
pub async fn survey_links() -> Result<Vec<Link>, Error> {
    ask(links::survey).await
}

async fn ask<T: Send + 'static>(
    question: impl AsyncFnOnce(&Handle) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    apart(async || {
        let (connection, handle, _) = new_connection().map_err(Error::Open)?;
        let connection = std::pin::pin!(connection);
        tokio::select! {
            () = connection => Err(Error::Closed),
            answer = question(&handle) => answer,
        }
    })
    .await
}

async fn follow(what: Followed, inputs: mpsc::Sender<Input>) -> Result<(), Error> {
    apart(async move || follow_here(what, inputs).await).await
}

async fn follow_here(what: Followed, inputs: mpsc::Sender<Input>) -> Result<(), Error> {
    let (connection, handle, mut messages) = new_multicast_connection(what.groups()).map_err(Error::Open)?;
    let followed = async {
        loop {
            if inputs.send(what.list(&handle).await?).await.is_err() {
                return Ok(());
            }
            messages.next().await.ok_or(Error::Closed)?;
            tokio::time::sleep(what.pause()).await;
            // A list follows anyway, so that a burst of notifications costs one.
            while messages.next().now_or_never().flatten().is_some() {}
        }
    };
    let connection = std::pin::pin!(connection);
    tokio::select! {
        () = connection => Err(Error::Closed),
        followed = followed => followed,
    }
}

async fn addresses(handle: &Handle) -> Result<BTreeSet<IpAddr>, Error> {
    let mut addresses = BTreeSet::new();
    let mut list = handle.address().get().execute();
    while let Some(message) = list.try_next().await.map_err(Error::List)? {
        // On a point-to-point link `Address` is the other end's and `Local` is ours; elsewhere there is but one of them, or
        // both are the same.
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
        addresses.extend(local.or(address));
    }
    Ok(addresses)
}
