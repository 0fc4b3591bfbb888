//! Why there is no stream, in words for people: which hub, what happened, what to do.
//!
//! Pure.

use crate::tls::{Files, NotThisHub, TlsError, with_sources};
use http::Uri;
use rustls::CertificateError;
use std::error::Error;
use std::io;
use std::time::Duration;
use tonic::{Code, Status};

/// How HTTP/2 complains of a TLS record where a frame was due: the answer of an https hub to plain http.
const TLS_RECORD_AS_FRAME: &str = "frame with invalid size";

/// How rustls complains of a connection that ended without a farewell, with a link to its manual.
const TLS_CUT: &str = "without sending TLS close_notify";

/// A hub's URL as people write it, without a path.
pub(super) fn shown(hub: &Uri) -> String {
    hub.to_string().trim_end_matches('/').to_owned()
}

/// Whether trying again can help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It may pass by itself.
    Passing,
    /// Somebody has to change something.
    ForPeople,
}

/// Why a stream ended, or none was had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Loss {
    pub(super) reason: String,
    pub(super) kind: Kind,
}

impl Loss {
    fn new(kind: Kind, hub: &Uri, what: &str) -> Self {
        let reason = format!("hub {} {what}", shown(hub));
        Self { reason, kind }
    }

    fn passing(hub: &Uri, what: &str) -> Self {
        Self::new(Kind::Passing, hub, what)
    }

    fn for_people(hub: &Uri, what: &str) -> Self {
        Self::new(Kind::ForPeople, hub, what)
    }

    pub(super) fn ended(hub: &Uri) -> Self {
        Self::passing(hub, "ended the stream")
    }

    pub(super) fn silence(hub: &Uri, limit: Duration) -> Self {
        Self::passing(hub, &format!("has been silent for {} s", limit.as_secs()))
    }

    pub(super) fn unreachable(hub: &Uri, error: &io::Error) -> Self {
        let advice = "is the hub running, and may this node connect to it?";
        Self::passing(hub, &format!("cannot be reached ({error}): {advice}"))
    }

    pub(super) fn no_certificate(hub: &Uri) -> Self {
        Self::for_people(hub, "is https, and this enforcer was given no certificate")
    }

    pub(super) fn no_files(hub: &Uri, error: &TlsError) -> Self {
        let error = with_sources(error);
        Self::for_people(hub, &format!("cannot be asked: {error}"))
    }

    pub(super) fn no_http2(hub: &Uri, error: &dyn Error) -> Self {
        let error = with_sources(error);
        Self::passing(
            hub,
            &format!("speaks no HTTP/2 ({error}): is it a Bailey hub, and is it https?"),
        )
    }

    pub(super) fn no_tls(hub: &Uri, files: &Files, error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
        match cause {
            Some(cause) => Self::for_people(hub, &tls_words(files, cause)),
            None => Self::passing(
                hub,
                &format!("broke off the TLS handshake ({error}): is it a Bailey hub?"),
            ),
        }
    }

    pub(super) fn of_status(hub: &Uri, status: &Status) -> Self {
        let message = status.message();
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => {
                Self::for_people(hub, &format!("refuses this enforcer: {message}"))
            }
            Code::FailedPrecondition => Self::for_people(hub, &format!("does not serve this enforcer: {message}")),
            Code::Unimplemented => Self::for_people(
                hub,
                &format!("is no Bailey hub, it does not know the service ({message})"),
            ),
            Code::InvalidArgument => Self::for_people(hub, &format!("does not understand the subscription: {message}")),
            Code::OutOfRange => Self::passing(
                hub,
                &format!("has cut the stream off, this node fell behind: {message}"),
            ),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::of_broken_stream(hub, status),
        }
    }

    /// The transport broke, or the hub stopped. In TLS 1.3 a client learns only here that its certificate was refused,
    /// and HTTP/2 hands nothing on of it but the text.
    fn of_broken_stream(hub: &Uri, status: &Status) -> Self {
        let text = with_sources(status);
        if let Some((_, alert)) = text.rsplit_once("received fatal alert: ") {
            Self::for_people(hub, &refused_words(alert))
        } else if text.ends_with(TLS_RECORD_AS_FRAME) {
            Self::for_people(hub, "speaks no plain HTTP/2: say https:// and give certificates")
        } else if text.contains(TLS_CUT) {
            Self::passing(hub, "cut the connection without a farewell: has it crashed?")
        } else {
            Self::passing(hub, &format!("broke off the stream: {}", said(status)))
        }
    }
}

/// What the hub said, or else what happened to the connection.
fn said(status: &Status) -> String {
    match status.source() {
        None => status.message().to_owned(),
        Some(source) => with_sources(source),
    }
}

fn refused_words(alert: &str) -> String {
    format!(
        "refuses this enforcer's certificate (TLS alert {alert}): it must not be expired, and one of the hub's \
         --client-ca must have signed it"
    )
}

fn tls_words(files: &Files, error: &rustls::Error) -> String {
    let ca = files.ca.display();
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("is foreign: no CA in --hub-ca {ca} has signed its certificate")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "has an expired certificate: renew it (or this node's clock is wrong)".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "has a certificate that is not valid yet: is this node's clock right?".to_owned()
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<NotThisHub>() {
                Some(reason) => format!("is not the hub it should be: {reason}"),
                None => format!("has a bad certificate: {other}"),
            },
            other => format!("has a bad certificate: {other}"),
        },
        rustls::Error::AlertReceived(alert) => refused_words(&format!("{alert:?}")),
        rustls::Error::InvalidMessage(_) => "does not speak TLS: say http:// if it runs with --insecure".to_owned(),
        other => format!("cannot agree on TLS: {other}"),
    }
}
