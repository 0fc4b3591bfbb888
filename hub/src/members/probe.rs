//! Whether the hub will reach a member: its own kubeconfig is tried from here, before it is given to the hub.
//!
//! Shell. An address that cannot be reached from here may be reached by the hub, so that is only said; whatever answers
//! and is not the member is refused.

use super::api::{Cluster, innermost};
use super::grant::Server;
use super::object::Place;
use super::{Error, Outcome, labels, tell};
use proto::kubeconfig::{Access, Trust};
use proto::tls::with_sources;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How long a new token may be refused: caches of the API server learn of a new Secret or role a moment later.
const SETTLING: Duration = Duration::from_secs(10);

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// How long the address for the hub may take to answer here, where it need not be reachable at all.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// What the API server says to the hub's own kubeconfig.
enum Answer {
    Is(String),
    Refuses(String),
    Unreachable(String),
    Untrusted(String),
}

/// Does as the hub will: the address must be the same cluster's, and the token be good for reading it.
pub async fn check(kubeconfig: &str, member: &Cluster, server: &Server, out: &mut dyn Write) -> Result<(), Error> {
    let kube_system = labels::place("kube-system");
    let uid = |namespace: &Value| namespace["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let there = member.get(&kube_system).await?.unwrap_or_default();
    let wrong = |problem: String| Error::Refused(format!("{}: {problem}; nothing was given to the hub", server.url));
    let access = Access::read(kubeconfig, Path::new("/"), Trust::Data).await;
    let client = access.and_then(|access| access.client());
    let client = client.map_err(|error| wrong(with_sources(&error)))?;
    let attempts = async {
        loop {
            match ask(&client, &kube_system).await {
                Answer::Refuses(_) => tokio::time::sleep(TRY_AGAIN).await,
                other => return other,
            }
        }
    };
    let answer = match tokio::time::timeout(SETTLING, attempts).await {
        Ok(answer) => answer,
        Err(_elapsed) => ask(&client, &kube_system).await,
    };
    match answer {
        Answer::Is(found) if found == uid(&there) => {
            tell(
                out,
                Outcome::Checked,
                &server.url,
                "it takes the token and is the same cluster",
            )?;
            Ok(())
        }
        Answer::Is(_) => Err(wrong(
            "another cluster answers there (another UID of namespace kube-system)".to_owned(),
        )),
        Answer::Refuses(reason) => Err(wrong(format!("it refuses the hub's token: {reason}"))),
        Answer::Untrusted(reason) => Err(wrong(format!(
            "its certificate does not stand up to the CA ({reason}): name the CA with --server-ca, or an address that \
             the certificate has"
        ))),
        Answer::Unreachable(reason) => {
            let note = format!("not reachable from here ({reason}): whether the hub reaches it, hub members list says");
            tell(out, Outcome::Left, &server.url, &note)?;
            Ok(())
        }
    }
}

async fn ask(client: &kube::Client, place: &Place) -> Answer {
    let request = http::Request::get(place.path()).body(Vec::new());
    let request = request.expect("the path is a constant");
    match tokio::time::timeout(REACH_LIMIT, client.request::<Value>(request)).await {
        Ok(Ok(namespace)) => Answer::Is(namespace["metadata"]["uid"].as_str().unwrap_or_default().to_owned()),
        Ok(Err(kube::Error::Api(status))) => Answer::Refuses(status.message.clone()),
        Ok(Err(error)) if is_about_certificates(&error) => Answer::Untrusted(innermost(&error)),
        Ok(Err(error)) => Answer::Unreachable(innermost(&error)),
        Err(_elapsed) => Answer::Unreachable(format!("no answer within {REACH_LIMIT:?}")),
    }
}

fn is_about_certificates(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // The source of an I/O error is that of what it wraps.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
