//! Mutual TLS whose certificates reload without a restart.
//!
//! Shell: reads files. Who a peer is, its certificate's URI SAN says ([`crate::peer`]), never a host name: hubs are
//! reached through port-forwards, pod addresses and load balancers. A hub takes connections with what its files held
//! when they were last right ([`ServerTls`]); an enforcer reads its files at each connect ([`client_config`]).
//! Established connections keep what they were made with. What a role may do is decided elsewhere.

use crate::peer::{Name, Peer, PeerError, Role};
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, ServerConfig, SignatureScheme,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a hub looks whether its files have changed. A mounted Secret takes up to a minute to arrive anyway.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// HTTP/2, the one protocol gRPC speaks.
const ALPN: &[u8] = b"h2";

/// The PEM files of one end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// Own certificate, then what links it to its CA.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// CAs whose certificates the other end may have.
    pub ca: PathBuf,
}

/// Why files make no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not fit, or cannot be used.
    #[error("{} and {} cannot be used together", .0.certificate.display(), .0.key.display())]
    Unusable(Box<Files>, #[source] rustls::Error),
    /// A CA is none.
    #[error("a certificate in {} cannot be used as a CA", .0.display())]
    Ca(PathBuf, #[source] rustls::Error),
    /// The own certificate gives no role.
    #[error("{} cannot be used", .0.display())]
    Role(PathBuf, #[source] PeerError),
    /// The own certificate is for something else.
    #[error("{} is the certificate of {name}, and {needed} is needed", path.display())]
    WrongRole {
        /// The file.
        path: PathBuf,
        /// Whose certificate it holds.
        name: Name,
        /// Whose it should hold.
        needed: &'static str,
    },
}

/// What the files hold, as bytes: a change of any of them is a change.
#[derive(PartialEq, Eq)]
pub struct Contents {
    /// Of [`Files::certificate`].
    pub certificate: Vec<u8>,
    /// Of [`Files::key`].
    pub key: Vec<u8>,
    /// Of [`Files::ca`].
    pub ca: Vec<u8>,
}

/// What the files hold, understood.
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    own: Peer,
}

impl Contents {
    /// Reads the files, whatever they hold.
    ///
    /// # Errors
    /// If one cannot be read.
    pub async fn read(files: &Files) -> Result<Self, TlsError> {
        let read = async |path: &Path| {
            let bytes = tokio::fs::read(path).await;
            bytes.map_err(|error| TlsError::Read(path.to_owned(), error))
        };
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: read(&files.key).await?,
            ca: read(&files.ca).await?,
        })
    }
}

fn parse(files: &Files, contents: &Contents) -> Result<Material, TlsError> {
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key);
    let key = key.map_err(|_no_detail_of_a_key| TlsError::Pem {
        path: files.key.clone(),
        what: "private key",
    })?;
    let mut roots = RootCertStore::empty();
    for ca in certificates(&files.ca, &contents.ca)? {
        roots.add(ca).map_err(|error| TlsError::Ca(files.ca.clone(), error))?;
    }
    let own = Peer::of(&chain[0]).map_err(|error| TlsError::Role(files.certificate.clone(), error))?;
    Ok(Material {
        chain,
        key,
        roots: roots.into(),
        own,
    })
}

/// At least one certificate.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::Pem {
            path: path.to_owned(),
            what: "certificate",
        }),
    }
}

/// The only provider; named each time, so that no process-wide default is needed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// Reads the files of an enforcer or reader for a connection to a hub.
///
/// # Errors
/// If they make no configuration, or the certificate is a hub's.
pub async fn client_config(files: &Files) -> Result<ClientConfig, TlsError> {
    client_config_of(files, &Contents::read(files).await?)
}

/// The same of what was read already; `files` only names it.
///
/// # Errors
/// Likewise.
pub fn client_config_of(files: &Files, contents: &Contents) -> Result<ClientConfig, TlsError> {
    let material = parse(files, contents)?;
    if material.own.name.role == Role::Hub {
        return Err(TlsError::WrongRole {
            path: files.certificate.clone(),
            name: material.own.name,
            needed: "an enforcer's or a reader's",
        });
    }
    let provider = provider();
    let verifier = HubVerifier {
        roots: material.roots,
        algorithms: provider.signature_verification_algorithms,
        trust_domain: material.own.name.trust_domain,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_client_auth_cert(material.chain, material.key)
        })
        .map_err(|error| TlsError::Unusable(Box::new(files.clone()), error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would be judged by the certificates of the one before.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(files: &Files, contents: &Contents) -> Result<Accepting, TlsError> {
    let material = parse(files, contents)?;
    if material.own.name.role != Role::Hub {
        return Err(TlsError::WrongRole {
            path: files.certificate.clone(),
            name: material.own.name,
            needed: "a hub's",
        });
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(material.roots, provider())
        .build()
        .expect("there is at least one CA, and no list of revocations");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(verifier)
                .with_single_cert(material.chain, material.key)
        })
        .map_err(|error| TlsError::Unusable(Box::new(files.clone()), error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // As for clients; and tickets would cost memory on every connection.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Accepting {
        config: Arc::new(config),
        own: material.own,
    })
}

/// What a hub accepts connections with.
#[derive(Debug, Clone)]
pub struct Accepting {
    /// Demands and verifies a client's certificate.
    pub config: Arc<ServerConfig>,
    /// What the hub's own certificate says; clients of another trust domain are foreign.
    pub own: Peer,
}

/// A hub's side of TLS, as its files have it.
pub struct ServerTls {
    files: Files,
    accepting: ArcSwap<Accepting>,
}

/// What looking at the files again came to.
#[derive(Debug)]
enum Look {
    Same,
    Changed,
    /// They are wrong now; what they held before stays in force.
    Wrong(TlsError),
}

impl ServerTls {
    /// Reads the files for the first time, and returns the task that watches them as well: it never ends.
    ///
    /// # Errors
    /// If the files make no configuration.
    pub async fn open(files: Files) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static), TlsError> {
        let contents = Contents::read(&files).await?;
        let accepting = ArcSwap::from_pointee(server_config(&files, &contents)?);
        let tls = Arc::new(Self { files, accepting });
        let watch = Arc::clone(&tls).watch(contents);
        Ok((tls, watch))
    }

    /// What to accept the next connection with.
    pub fn accepting(&self) -> Arc<Accepting> {
        self.accepting.load_full()
    }

    async fn watch(self: Arc<Self>, mut seen: Contents) {
        let mut said = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            match self.look(&mut seen).await {
                Look::Same => {}
                Look::Changed => {
                    said = None;
                    let own = &self.accepting().own;
                    tracing::info!(certificate = %self.files.certificate.display(), name = %own.name, "certificates reloaded");
                }
                Look::Wrong(error) => {
                    let reason = with_sources(&error);
                    if said.as_ref() != Some(&reason) {
                        tracing::warn!(%reason, "the new certificates cannot be used; the former ones stay in force");
                        said = Some(reason);
                    }
                }
            }
        }
    }

    async fn look(&self, seen: &mut Contents) -> Look {
        let contents = match Contents::read(&self.files).await {
            Ok(contents) => contents,
            Err(error) => return Look::Wrong(error),
        };
        if contents == *seen {
            return Look::Same;
        }
        match server_config(&self.files, &contents) {
            Ok(accepting) => {
                self.accepting.store(Arc::new(accepting));
                *seen = contents;
                Look::Changed
            }
            // Not remembered as seen: certificate and key are two files, and the second may be on its way.
            Err(error) => Look::Wrong(error),
        }
    }
}

/// An error and what caused it, on one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The other end is verified, and no hub of this trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThisHub {
    /// Its certificate gives it no role.
    #[error(transparent)]
    NoRole(#[from] PeerError),
    /// It is something else, or a hub of another trust domain.
    #[error("its certificate is that of {0}, and bailey://{1}/hub is needed")]
    Another(Name, Arc<str>),
}

/// Accepts a hub of the own trust domain, whatever its host name, if its certificate is signed by the CA.
#[derive(Debug)]
struct HubVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    trust_domain: Arc<str>,
}

impl HubVerifier {
    fn verify_role(&self, certificate: &CertificateDer<'_>) -> Result<(), NotThisHub> {
        let Name { trust_domain, role } = Peer::of(certificate)?.name;
        if role == Role::Hub && trust_domain == self.trust_domain {
            Ok(())
        } else {
            Err(NotThisHub::Another(
                Name { trust_domain, role },
                Arc::clone(&self.trust_domain),
            ))
        }
    }
}

impl ServerCertVerifier for HubVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        self.verify_role(end_entity)
            .map_err(|error| CertificateError::Other(OtherError(Arc::new(error))))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(crate) mod pki;
#[cfg(test)]
mod tests;
