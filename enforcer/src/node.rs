//! The node's own addresses, followed through rtnetlink.
//!
//! Shell. A pod that lists one of them is no subject by it, or the node itself would be filtered (I7).

use crate::machine::Input;
use futures::{FutureExt, StreamExt, TryStreamExt};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tokio::sync::mpsc;

/// Why the node's addresses cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no rtnetlink socket to be had.
    #[error("cannot open an rtnetlink socket")]
    Open(#[source] std::io::Error),
    /// The kernel refused to list addresses.
    #[error("cannot list this node's addresses")]
    List(#[source] rtnetlink::Error),
    /// The socket is gone.
    #[error("the rtnetlink socket was closed")]
    Closed,
}

/// Tells the event loop the addresses of all links, now and after each change, until it hears no more.
///
/// # Errors
/// If the kernel refuses to tell.
pub async fn follow_addresses(inputs: mpsc::Sender<Input>) -> Result<(), Error> {
    let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let (connection, handle, mut messages) = new_multicast_connection(&groups).map_err(Error::Open)?;
    let followed = async {
        loop {
            let addresses = addresses(&handle).await?;
            if inputs.send(Input::NodeAddresses(addresses)).await.is_err() {
                return Ok(());
            }
            messages.next().await.ok_or(Error::Closed)?;
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
