//! Who may talk to a test's API server: its authority, its certificate, and the tokens of its three users.
//!
//! Made anew for every server. Tokens are not secret: they are words that name the role.

use super::Site;
use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A user of the API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// May do everything (group `system:masters`).
    Admin,
    /// What a hub may: read pods and namespaces.
    Hub,
    /// What an enforcer may: read pods, namespaces and network policies, and write events.
    Enforcer,
}

/// The verbs with which one watches.
const READ: &[&str] = &["list", "watch"];

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Hub, Role::Enforcer];

    /// The user's name.
    pub fn user(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Hub => "bailey-hub",
            Role::Enforcer => "bailey-enforcer",
        }
    }

    /// The user's bearer token.
    pub fn token(self) -> &'static str {
        match self {
            Role::Admin => "admin-token",
            Role::Hub => "hub-token",
            Role::Enforcer => "enforcer-token",
        }
    }

    /// What RBAC grants the user, as a ClusterRole's `rules`: (API group, resources, verbs).
    pub fn rules(self) -> &'static [(&'static str, &'static [&'static str], &'static [&'static str])] {
        match self {
            Role::Admin => &[("*", &["*"], &["*"])],
            Role::Hub => &[("", &["pods", "namespaces"], READ), ("", &["namespaces"], &["get"])],
            Role::Enforcer => &[
                ("", &["pods", "namespaces"], READ),
                ("networking.k8s.io", &["networkpolicies"], READ),
                ("", &["events"], &["create"]),
            ],
        }
    }

    /// The ClusterRole and the ClusterRoleBinding that grant [`Role::rules`].
    pub fn rbac(self) -> [Value; 2] {
        let rules: Vec<Value> = self
            .rules()
            .iter()
            .map(|(group, resources, verbs)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs}))
            .collect();
        let api = "rbac.authorization.k8s.io";
        [
            json!({"apiVersion": format!("{api}/v1"), "kind": "ClusterRole",
                   "metadata": {"name": self.user()}, "rules": rules}),
            json!({"apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding",
                   "metadata": {"name": self.user()},
                   "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": self.user()},
                   "subjects": [{"apiGroup": api, "kind": "User", "name": self.user()}]}),
        ]
    }
}

/// The certificates of one API server and how it is reached.
#[derive(Debug)]
pub struct Credentials {
    cluster: String,
    endpoint: SocketAddr,
    ca_pem: String,
    /// The server's certificate, PEM.
    pub certificate_pem: String,
    /// The server's private key, PKCS #8 as PEM.
    pub key_pem: String,
}

impl Credentials {
    /// Makes an authority and a certificate for the addresses of `site`, whose port is `port`.
    pub fn new(site: &Site, port: u16) -> anyhow::Result<Credentials> {
        let first = *site
            .reached_by
            .first()
            .context("an API server needs an address to be reached by")?;
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, format!("{} test authority", site.name));
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let mut names: Vec<String> = site.reached_by.iter().map(ToString::to_string).collect();
        names.push("localhost".to_owned());
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, format!("{} API server", site.name));
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Credentials {
            cluster: site.name.clone(),
            endpoint: SocketAddr::new(first, port),
            ca_pem: authority.pem(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.endpoint)
    }

    /// See [`super::ApiServer::kubeconfig`].
    pub fn kubeconfig(&self, role: Role) -> String {
        let (cluster, user, token, url) = (&self.cluster, role.user(), role.token(), self.url());
        let ca = serde_json::to_string(&k8s_openapi::ByteString(self.ca_pem.clone().into_bytes()))
            .expect("bytes are always base64");
        format!(
            "apiVersion: v1\nkind: Config\n\
             clusters:\n- name: {cluster}\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n\
             users:\n- name: {user}\n  user:\n    token: {token}\n\
             contexts:\n- name: {user}@{cluster}\n  context:\n    cluster: {cluster}\n    user: {user}\n\
             current-context: {user}@{cluster}\n"
        )
    }

    /// A client with the rights of `role`.
    pub async fn client(&self, role: Role) -> anyhow::Result<kube::Client> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig(role))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }
}
