//! The CA of a trial PKI: made once, then only ever read.

use super::{CLOCK_SKEW, DAY, Error, Order, pair};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use std::path::Path;
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::parse_x509_pem;

/// How long a trial CA is valid: ten years, longer than any trial.
pub(super) const LIFETIME: Duration = DAY.saturating_mul(3650);

/// What signs all others.
pub(super) struct Ca {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// When it expires.
    pub(super) until: SystemTime,
}

impl Ca {
    /// A new CA, and its files.
    pub(super) fn make(order: &Order, now: SystemTime) -> Result<Self, Error> {
        let until = now + LIFETIME;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name(order));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = until.into();
        let make = || {
            let key = KeyPair::generate()?;
            Ok((params.self_signed(&key)?.pem(), key))
        };
        let (certificate, key) = make().map_err(|source| Error::Issue {
            name: "ca".to_owned(),
            source,
        })?;
        pair::write(&order.out, "ca", &certificate, &key.serialize_pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            until,
        })
    }

    /// The CA of an earlier run, if there was one.
    pub(super) fn existing(order: &Order, now: SystemTime) -> Result<Option<Self>, Error> {
        let crt = order.out.join("ca.crt");
        let key = order.out.join("ca.key");
        let (certificate, key_text) = match (pair::read_if_there(&crt)?, pair::read_if_there(&key)?) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                return Err(Error::HalfCa {
                    present: crt,
                    missing: key,
                });
            }
            (None, Some(_)) => {
                return Err(Error::HalfCa {
                    present: key,
                    missing: crt,
                });
            }
        };
        let foreign = |path: &Path, reason: String| Error::ForeignCa {
            path: path.to_owned(),
            reason,
        };
        let key_pair = KeyPair::from_pem(&key_text).map_err(|error| foreign(&key, error.to_string()))?;
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|error| foreign(&crt, error.to_string()))?;
        let parsed = pem.parse_x509().map_err(|error| foreign(&crt, error.to_string()))?;
        let until = usable_until(&parsed, order, now).map_err(|reason| foreign(&crt, reason))?;
        if parsed.public_key().raw != key_pair.subject_public_key_info() {
            return Err(foreign(&key, "this is not the key of ca.crt".to_owned()));
        }
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, key_pair).map_err(|error| foreign(&crt, error.to_string()))?;
        Ok(Some(Self { issuer, until }))
    }
}

/// By it a later run knows the trust domain again.
pub(super) fn common_name(order: &Order) -> String {
    format!("Bailey trial CA of {}", order.trust_domain.0)
}

/// The end of a CA's validity, if it can sign for this order.
fn usable_until(ca: &X509Certificate<'_>, order: &Order, now: SystemTime) -> Result<SystemTime, String> {
    let names: Vec<&str> = ca
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok())
        .collect();
    let wanted = common_name(order);
    if names != [wanted.as_str()] {
        return Err(format!("this CA is {:?}, not {wanted:?}", names.join(", ")));
    }
    let seconds = u64::try_from(ca.validity().not_after.timestamp()).unwrap_or(0);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    if until <= now {
        return Err("this CA has expired".to_owned());
    }
    Ok(until)
}
