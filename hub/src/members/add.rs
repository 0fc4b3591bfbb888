//! `hub members add`. Shell: reads what is there, carries out what follows from it.

use super::api::Cluster;
use super::context::Context;
use super::grant::{self, SERVICE_ACCOUNT_NAME, Server};
use super::held::Members;
use super::labels::{self, Labels};
use super::object::{ENDPOINT_SLICE, Fate, NAMESPACE, Object, Place, SECRET, SERVICE_ACCOUNT, fate};
use super::tokens::{self, Lifetime, Source, TokenSecret, Tokens, Validity, Wish};
use super::{Done, Error, Mode, Outcome, manifest, probe, tell, tell_place};
use proto::model::{CLUSTER_LABEL, ClusterName};
use serde_json::{Value, json};
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long the controller manager may take to fill a Secret with a token.
const FILLING: Duration = Duration::from_secs(30);

/// Between two looks at what settles.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The member's id.
    pub id: ClusterName,
    /// The namespace, in both clusters.
    pub namespace: String,
    /// The user's kubeconfig, if it is not the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// The member's context.
    pub context: String,
    /// The context of the hub's cluster.
    pub hub_context: String,
    /// The address for the hub, if it is not the user's.
    pub server: Option<String>,
    /// A file with the CA of its certificate.
    pub server_ca: Option<PathBuf>,
    /// How long the token is to be valid.
    pub lifetime: Lifetime,
    /// A new token is wanted.
    pub rotate: bool,
    /// The id may be another cluster's.
    pub replace: bool,
    /// What to do with the labels of namespaces.
    pub labelling: Labelling,
    /// Whether to act.
    pub mode: Mode,
}

/// What to do with the labels of namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Labelling {
    /// Nothing.
    Leave,
    /// Label those that have none.
    Missing,
    /// Label all.
    Overwrite,
}

pub(super) async fn run(order: Order, out: &mut dyn Write) -> Result<Done, Error> {
    let file = order.kubeconfig.as_deref();
    let member = Context::open(file, Some(&order.context), order.id.as_str()).await?;
    let hub = Context::open(file, Some(&order.hub_context), "hub").await?;
    let server = server(&order, &member).await?;
    if order.mode == Mode::DryRun {
        print_manifests(&order, &member, &server, out)?;
        return Ok(Done::All);
    }
    let member = &member.cluster;
    let secret = hub.cluster.get(&grant::clusters_place(&order.namespace)).await?;
    let members = Members::read(secret.as_ref().unwrap_or(&Value::Null));
    members
        .admit(&order.id, &server.url, order.replace)
        .map_err(|refusal| Error::Refused(refusal.to_string()))?;
    let there = read_member(member, &order.namespace).await?;

    writeln!(out, "{}", member.title())?;
    for (object, there) in &there.objects {
        perform(member, object, fate(&object.json, there.as_ref()), out).await?;
    }
    let held = members
        .0
        .get(&order.id)
        .map(|entry| entry.held.clone())
        .unwrap_or_default();
    let wish = Wish {
        lifetime: order.lifetime,
        rotate: order.rotate,
    };
    #[expect(clippy::disallowed_methods, reason = "tokens begin and end by the wall clock")]
    let now = SystemTime::now();
    let plan = tokens::plan(&there.tokens, &held, wish, now);
    let token = match plan.source {
        Source::Held => {
            tell(
                out,
                Outcome::Unchanged,
                &secret_place(&order, &plan.secret),
                &validity(order.lifetime, &held.token),
            )?;
            held.token
        }
        Source::Adopt | Source::Make => make_token(member, &order, &plan, out).await?,
    };
    let kubeconfig = grant::kubeconfig(&order.id, &server, &plan.secret, &token);
    probe::check(&kubeconfig, member, &server, out).await?;
    former_tokens(member, &order, &plan, out).await?;
    let done = label(member, &order, out).await?;

    writeln!(out, "{}", hub.cluster.title())?;
    let outcome = hold(&hub.cluster, &order, &kubeconfig, secret.map(|_| members), out).await?;
    if outcome != Outcome::Unchanged {
        writeln!(
            out,
            "A hub that runs takes it up within two minutes:  hub members list --hub-context {}",
            hub.name
        )?;
    }
    Ok(done)
}

/// What there is in a member.
struct There {
    objects: Vec<(Object, Option<Value>)>,
    tokens: Vec<TokenSecret>,
}

async fn read_member(member: &Cluster, namespace: &str) -> Result<There, Error> {
    let mut objects = Vec::new();
    for object in grant::objects(namespace) {
        let there = member.get(&object.place).await?;
        objects.push((object, there));
    }
    Ok(There {
        objects,
        tokens: token_secrets(member, namespace).await?,
    })
}

/// The Secrets that tokens for the hub hang on.
pub(super) async fn token_secrets(member: &Cluster, namespace: &str) -> Result<Vec<TokenSecret>, Error> {
    let (label, value) = grant::TOKEN_LABEL;
    let secrets = member
        .list(SECRET, Some(namespace), &format!("{label}={value}"))
        .await?;
    Ok(secrets.iter().map(TokenSecret::read).collect())
}

async fn perform(cluster: &Cluster, object: &Object, fate: Fate, out: &mut dyn Write) -> Result<(), Error> {
    let outcome = match fate {
        Fate::Keep => Outcome::Unchanged,
        Fate::Create => Outcome::Created,
        Fate::Change => Outcome::Changed,
    };
    if fate != Fate::Keep {
        cluster.apply(object).await?;
    }
    Ok(tell_place(out, outcome, &object.place)?)
}

/// How the hub is to reach the member, as far as it can be told without asking.
async fn server(order: &Order, member: &Context) -> Result<Server, Error> {
    let ca = match &order.server_ca {
        Some(file) => std::fs::read_to_string(file).map_err(|error| Error::Kubeconfig {
            problem: format!("--server-ca {}: {error}", file.display()),
        })?,
        None if member.unverified => {
            return Err(Error::Refused(format!(
                "context {} does not verify its API server (insecure-skip-tls-verify), and a hub must know whom it \
                 believes: name the CA's certificate with --server-ca",
                member.name
            )));
        }
        None => member.ca.clone().ok_or_else(|| {
            Error::Refused(format!(
                "context {} names no CA, and the hub's image has none of its own: name the file with the CA's \
                 certificate with --server-ca",
                member.name
            ))
        })?,
    };
    let url = match &order.server {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if is_loopback(&member.server) => {
            let advice = match order.mode {
                Mode::Act => addresses(&member.cluster).await,
                Mode::DryRun => String::new(),
            };
            return Err(Error::Refused(format!(
                "{} is this machine's own address, by which a hub elsewhere reaches nothing: name the one that it can \
                 use with --server{advice}",
                member.server
            )));
        }
        None => member.server.clone(),
    };
    let tls_name = member.tls_name.clone().filter(|_| order.server.is_none());
    Ok(Server { url, ca, tls_name })
}

fn is_loopback(server: &str) -> bool {
    let uri: http::Uri = server.parse().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Where the member's own pods find its API server: a hub on a flat network may as well. Advice, so no failure.
async fn addresses(member: &Cluster) -> String {
    let slices = member.list(ENDPOINT_SLICE, Some("default"), "kubernetes.io/service-name=kubernetes");
    let slices = slices.await.unwrap_or_default();
    let url = |slice: &Value| {
        let address: IpAddr = slice["endpoints"][0]["addresses"][0].as_str()?.parse().ok()?;
        let port = slice["ports"][0]["port"].as_u64()?;
        match address {
            _ if address.is_loopback() => None,
            IpAddr::V4(address) => Some(format!("https://{address}:{port}")),
            IpAddr::V6(address) => Some(format!("https://[{address}]:{port}")),
        }
    };
    match slices.iter().find_map(url) {
        Some(url) => format!(", perhaps {url}, by which its own pods reach it"),
        None => String::new(),
    }
}

fn secret_place(order: &Order, name: &str) -> Place {
    Place::within(SECRET, &order.namespace, name)
}

/// Until when a token is valid, for people.
fn validity(lifetime: Lifetime, token: &str) -> String {
    match (lifetime, Validity::of(token)) {
        (Lifetime::For(_), Some(Validity { until, .. })) => {
            let until = prost_types::Timestamp::from(until);
            format!("its token is valid until {until}")
        }
        (Lifetime::Lasting | Lifetime::For(_), _) => "its token is valid until this Secret is deleted".to_owned(),
    }
}

/// A token that the hub does not have yet.
async fn make_token(member: &Cluster, order: &Order, plan: &Tokens, out: &mut dyn Write) -> Result<String, Error> {
    let lasting = order.lifetime == Lifetime::Lasting;
    let object = grant::token_secret(&order.namespace, &plan.secret, lasting);
    let secret = member.apply(&object).await?;
    let token = match order.lifetime {
        Lifetime::Lasting => filled(member, &object.place).await?,
        Lifetime::For(duration) => request_token(member, order, &secret, duration).await?,
    };
    let outcome = match plan.source {
        Source::Make => Outcome::Created,
        Source::Adopt | Source::Held => Outcome::Unchanged,
    };
    let mut note = validity(order.lifetime, &token);
    #[expect(clippy::disallowed_methods, reason = "tokens begin and end by the wall clock")]
    let now = SystemTime::now();
    if let (Lifetime::For(wanted), Some(Validity { until, .. })) = (order.lifetime, Validity::of(&token))
        && until < now + wanted / 2
    {
        note.push_str(": the API server grants no more");
    }
    tell(out, outcome, &object.place, &note)?;
    Ok(token)
}

/// Waits until the cluster's token controller has filled a Secret.
async fn filled(member: &Cluster, place: &Place) -> Result<String, Error> {
    let wait = async {
        loop {
            if let Some(secret) = member.get(place).await?
                && let Some(token) = TokenSecret::read(&secret).token
            {
                return Ok(token);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let waited = tokio::time::timeout(FILLING, wait).await;
    waited.unwrap_or_else(|_elapsed| {
        Err(Error::Refused(format!(
            "{}: no token in {place} after {} s: the cluster's controller manager makes it; is it running? Else ask for \
             one that ends, with --token-duration",
            member.title(),
            FILLING.as_secs()
        )))
    })
}

async fn request_token(member: &Cluster, order: &Order, secret: &Value, duration: Duration) -> Result<String, Error> {
    let account = Place::within(SERVICE_ACCOUNT, &order.namespace, SERVICE_ACCOUNT_NAME);
    let bound = &secret["metadata"];
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "expirationSeconds": duration.as_secs(),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": bound["name"], "uid": bound["uid"]},
        },
    });
    let answer = member.token(&account, &request).await?;
    let token = answer["status"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Error::Refused(format!(
            "{}: {account}: the API server gave no token",
            member.title()
        )));
    }
    Ok(token.to_owned())
}

/// Revokes tokens that a newer one has long replaced.
async fn former_tokens(member: &Cluster, order: &Order, plan: &Tokens, out: &mut dyn Write) -> Result<(), Error> {
    for name in &plan.revoke {
        let place = secret_place(order, name);
        member.delete(&place).await?;
        tell(out, Outcome::Deleted, &place, "the former token is no longer valid")?;
    }
    for (name, until) in &plan.spare {
        let until = prost_types::Timestamp::from(*until);
        let note = format!("the former token, until every hub has the new one: run this again after {until}");
        tell(out, Outcome::Left, &secret_place(order, name), &note)?;
    }
    Ok(())
}

async fn label(member: &Cluster, order: &Order, out: &mut dyn Write) -> Result<Done, Error> {
    if order.labelling == Labelling::Leave {
        return Ok(Done::All);
    }
    let namespaces = member.list(NAMESPACE, None, "").await?;
    let Labels {
        missing,
        labelled,
        other,
    } = Labels::of(&namespaces, &order.id);
    for name in &missing {
        member
            .merge(&labels::place(name), &labels::patch(Some(&order.id)))
            .await?;
        tell(out, Outcome::Changed, &labels::place(name), "labelled")?;
    }
    let overwrite = order.labelling == Labelling::Overwrite;
    for (name, value) in &other {
        let place = labels::place(name);
        if overwrite {
            member.merge(&place, &labels::patch(Some(&order.id))).await?;
            tell(out, Outcome::Changed, &place, &format!("its label was {value:?}"))?;
        } else {
            let note = format!("its label {CLUSTER_LABEL} is {value:?}: --overwrite changes it");
            tell(out, Outcome::Left, &place, &note)?;
        }
    }
    if labelled > 0 {
        tell(out, Outcome::Unchanged, &labels::count(labelled), "labelled already")?;
    }
    Ok(if other.is_empty() || overwrite {
        Done::All
    } else {
        Done::ButLabels
    })
}

/// Puts the kubeconfig into the hub's Secret, which holds `members` if it is there. Only its own key is touched, so that
/// two who add members at once do not undo each other's work.
async fn hold(
    hub: &Cluster,
    order: &Order,
    kubeconfig: &str,
    members: Option<Members>,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let namespace = grant::namespace(&order.namespace);
    if hub.get(&namespace.place).await?.is_none() {
        perform(hub, &namespace, Fate::Create, out).await?;
    }
    let is_there = members.is_some();
    let entry = members.and_then(|mut members| members.0.remove(&order.id));
    let (key, before) = entry.map_or_else(
        || (format!("{}.kubeconfig", order.id), None),
        |entry| (entry.key, Some(entry.text)),
    );
    let object = grant::clusters_secret(&order.namespace, Some((&key, kubeconfig)));
    let outcome = match before {
        Some(before) if before == kubeconfig => Outcome::Unchanged,
        _ if !is_there && hub.create(&object).await? => Outcome::Created,
        _ => {
            let fields = json!({"stringData": {&key: kubeconfig}});
            hub.merge(&object.place, &fields).await?;
            Outcome::Changed
        }
    };
    tell(out, outcome, &object.place, &key)?;
    Ok(outcome)
}

/// What the command would make, for a repository. Nothing is asked of either cluster.
fn print_manifests(order: &Order, member: &Context, server: &Server, out: &mut dyn Write) -> Result<(), Error> {
    let (context, namespace, secret) = (&member.name, &order.namespace, tokens::first_name());
    writeln!(out, "# {}: what it grants the hub.", member.cluster.title())?;
    for object in grant::objects(namespace) {
        out.write_all(manifest::document(&object).as_bytes())?;
    }
    writeln!(
        out,
        "# The cluster fills it with a token that is valid for as long as this Secret is there."
    )?;
    out.write_all(manifest::document(&grant::token_secret(namespace, &secret, true)).as_bytes())?;
    writeln!(
        out,
        "---
# The hub's cluster (context {hub}). The token is not known before the member has made it: put in the place of TOKEN what
#   kubectl --context {context} -n {namespace} get secret {secret} -o jsonpath='{{.data.token}}' | base64 -d
# prints, and keep the result as you keep secrets. The Secret may hold further members.",
        hub = order.hub_context
    )?;
    let kubeconfig = grant::kubeconfig(&order.id, server, &secret, "TOKEN");
    let key = format!("{}.kubeconfig", order.id);
    let object = grant::clusters_secret(namespace, Some((&key, &kubeconfig)));
    out.write_all(manifest::document(&object).as_bytes())?;
    if order.labelling != Labelling::Leave {
        let id = &order.id;
        writeln!(
            out,
            "# kubectl --context {context} label namespace --all {CLUSTER_LABEL}={id}"
        )?;
    }
    Ok(())
}
