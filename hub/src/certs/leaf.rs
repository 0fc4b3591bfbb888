//! The certificates that the CA signs.

use super::{CLOCK_SKEW, HubName, Node, Order};
use proto::peer::{Name, Role};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};
use std::sync::Arc;
use std::time::SystemTime;

/// A certificate that the CA signs.
pub(super) struct Leaf {
    /// Base name of its files.
    pub(super) file: String,
    name: Name,
    hub_names: Vec<HubName>,
}

/// The certificates of an order: the hub, the reader, then clusters and nodes.
pub(super) fn leafs(order: &Order) -> Vec<Leaf> {
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
    pub(super) fn sign(
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

    /// What it is for.
    pub(super) fn role(&self) -> &Role {
        &self.name.role
    }

    /// The URI that says so.
    pub(super) fn uri(&self) -> String {
        self.name.to_string()
    }

    /// Its names, for people.
    pub(super) fn subject(&self) -> String {
        let names = self.hub_names.iter().map(HubName::to_string);
        [self.name.to_string()]
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
