//! `LookupAddress`. Pure.

use super::{Refusal, View, pods};
use proto::pods::Lost;
use proto::wire;
use std::net::IpAddr;

pub(super) fn lookup(
    view: &View<'_>,
    request: &wire::LookupAddressRequest,
) -> Result<wire::LookupAddressResponse, Refusal> {
    let address = parse(&request.address)?;
    let clusters = view.covered("")?;
    let mut owners = Vec::new();
    let mut lost = Vec::new();
    for (id, member) in &clusters {
        for (pod, reason) in member.pods().claims(address) {
            let claims = if reason.is_none() { &mut owners } else { &mut lost };
            claims.push(wire::Claim {
                pod: Some(pods::describe(id, pod)),
                reason: reason.map_or("", explain).to_owned(),
            });
        }
    }
    Ok(wire::LookupAddressResponse {
        revision: view.revision(),
        address: address.to_string(),
        owners,
        lost,
        clusters: view.freshness(&clusters),
    })
}

/// An IPv4 address may come mapped into IPv6, as dual-stack programs log it.
fn parse(text: &str) -> Result<IpAddr, Refusal> {
    let expected = "an IPv4 or IPv6 address, for example 10.1.0.7 or fd00:1::7";
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) if text.is_empty() => Err(Refusal::invalid("address", format!("name {expected}"))),
        Err(_) => Err(Refusal::invalid("address", format!("{text:?} is not {expected}"))),
    }
}

fn explain(lost: Lost) -> &'static str {
    match lost {
        Lost::Finished => "the pod is finished",
        Lost::HostNetwork => "the pod is on the network of its node",
        Lost::NodeAddress => "the address is a node's, as pods of the cluster tell by their hostIPs",
        Lost::Terminating => "the pod is terminating and another live pod has the address",
    }
}
