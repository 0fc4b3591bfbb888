//! The node's interfaces and routes, as rtnetlink lists them.
//!
//! Shell. What they mean is decided by [`crate::links`].

use super::Error;
use crate::check::facts::{Link, LinkKind, PerFamily};
use crate::links::{Index, Interface, Kind, Links, Route, Way};
use crate::ruleset::LinkName;
use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::link::{InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::{Handle, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The links that pods may hang on.
pub(super) async fn list(handle: &Handle) -> Result<Links, Error> {
    let mut interfaces = Vec::new();
    let mut links = handle.link().get().execute();
    while let Some(message) = links.try_next().await.map_err(Error::List)? {
        interfaces.extend(interface(&message));
    }
    let mut routes = Vec::new();
    for request in [
        RouteMessageBuilder::<Ipv4Addr>::new().build(),
        RouteMessageBuilder::<Ipv6Addr>::new().build(),
    ] {
        let mut listed = handle.route().get(request).execute();
        while let Some(message) = listed.try_next().await.map_err(Error::List)? {
            routes.extend(ways(&message));
        }
    }
    Ok(Links::of(&interfaces, &routes))
}

/// All links, with what `enforcer check` asks of them.
pub(super) async fn survey(handle: &Handle) -> Result<Vec<Link>, Error> {
    let mut found = Vec::new();
    let mut links = handle.link().get().execute();
    while let Some(message) = links.try_next().await.map_err(Error::List)? {
        found.extend(interface(&message).map(|interface| Link {
            name: interface.name.as_str().to_owned(),
            index: interface.index,
            bridge: interface.bridge,
            kind: match interface.kind {
                Kind::VethToElsewhere => LinkKind::VethToElsewhere,
                Kind::Bridge => LinkKind::Bridge(seen_on(&message)),
                Kind::Other => LinkKind::Other,
            },
        }));
    }
    Ok(found)
}

/// Whether a bridge's own switches let iptables and nf_tables see its packets.
fn seen_on(message: &LinkMessage) -> PerFamily {
    let mut seen = PerFamily::default();
    let infos = message.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    for info in infos.flatten() {
        let LinkInfo::Data(InfoData::Bridge(switches)) = info else {
            continue;
        };
        for switch in switches {
            match switch {
                InfoBridge::NfCallIpTables(on) => seen.v4 = *on,
                InfoBridge::NfCallIp6Tables(on) => seen.v6 = *on,
                _ => {}
            }
        }
    }
    seen
}

fn interface(message: &LinkMessage) -> Option<Interface> {
    let (mut name, mut kind, mut bridge, mut elsewhere) = (None, None, None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = LinkName::new(found),
            LinkAttribute::Controller(index) => bridge = Some(*index),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(all) => {
                kind = all.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let kind = match kind {
        Some(InfoKind::Veth) if elsewhere => Kind::VethToElsewhere,
        Some(InfoKind::Bridge) => Kind::Bridge,
        Some(_) | None => Kind::Other,
    };
    let index = message.header.index;
    name.map(|name| Interface {
        index,
        name,
        kind,
        bridge,
    })
}

/// What a unicast route says of the interfaces that it leads over: none if it is of no account.
fn ways(message: &RouteMessage) -> Vec<Route> {
    let RouteHeader { protocol, kind, .. } = message.header;
    if kind != RouteType::Unicast || matches!(protocol, RouteProtocol::Ra | RouteProtocol::IcmpRedirect) {
        return Vec::new();
    }
    let (mut link, mut gateway, mut to, mut hops): (Option<Index>, _, _, _) = (None, false, None, Vec::new());
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => gateway = true,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = Some(IpAddr::V4(*address)),
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => to = Some(IpAddr::V6(*address)),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::MultiPath(all) => hops = all.iter().map(|hop| hop.interface_index).collect(),
            _ => {}
        }
    }
    // What several ways lead to, and what no address stands for (everything), is on no pod's link.
    let block = to.and_then(|to| IpNet::new(to, message.header.destination_prefix_length).ok());
    let way = match (gateway, block) {
        (false, Some(block)) if hops.is_empty() => Way::OnLink(block),
        _ => Way::Gateway,
    };
    let in_main = table == u32::from(RouteHeader::RT_TABLE_MAIN);
    link.into_iter()
        .chain(hops)
        .filter(|_| in_main || way == Way::Gateway)
        .map(|link| Route { link, way })
        .collect()
}
