//! Certificates for tests, as files.

use super::Files;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A certificate authority with a folder.
pub(crate) struct Pki {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

/// Whether a certificate is valid now.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Expired,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.crt"), ca.pem()).unwrap();
        Self { folder, ca }
    }

    /// Issues a certificate for `bailey://test/<role>` into files called `name`, in the place of those before.
    pub(crate) fn issue(&self, name: &str, role: &str) -> Files {
        self.issue_uri(name, &format!("bailey://test/{role}"), Validity::Now)
    }

    pub(crate) fn issue_uri(&self, name: &str, uri: &str, validity: Validity) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        if let Validity::Expired = validity {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let files = self.files(name);
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// The files called `name`, and this CA.
    pub(crate) fn files(&self, name: &str) -> Files {
        let path = |end: &str| self.path(&format!("{name}.{end}"));
        Files {
            certificate: path("crt"),
            key: path("key"),
            ca: self.path("ca.crt"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
