//! Which token the hub reads a member with: kept, made, and revoked. Pure.
//!
//! Each token hangs on a Secret of its own in the member, and is valid for as long as that is there: the cluster's own
//! token controller fills a Secret of type `kubernetes.io/service-account-token`, and a requested token names its Secret
//! as the object it is bound to. So either kind is revoked by deleting its Secret, and a renewed one can be in use
//! before the former one ends.

use super::grant::{Held, SERVICE_ACCOUNT_NAME, TOKEN_TYPE};
use super::pem;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// How long a renewed token must have been there before the former one is revoked: a Secret takes a minute or two to
/// arrive in the hub's pod, and clocks differ.
pub const GRACE: Duration = Duration::from_secs(10 * 60);

/// How long a token is to be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Until it is revoked.
    Lasting,
    /// For so long; the API server may grant less.
    For(Duration),
}

/// A Secret that a token hangs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenSecret {
    /// Its name.
    pub name: String,
    /// Whether the cluster fills it with a token that does not expire.
    pub lasting: bool,
    /// That token, if it has been filled.
    pub token: Option<String>,
    /// When it was made.
    pub created: SystemTime,
}

impl TokenSecret {
    /// Of the API's object.
    pub fn read(secret: &Value) -> Self {
        let created = secret["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
        let created = created.parse::<prost_types::Timestamp>().ok();
        let token = pem::bytes(&secret["data"]["token"]).and_then(|bytes| String::from_utf8(bytes).ok());
        Self {
            name: secret["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            lasting: secret["type"] == TOKEN_TYPE,
            token: token.filter(|token| !token.is_empty()),
            created: created
                .and_then(|at| SystemTime::try_from(at).ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// Where the token comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The one that the hub has already.
    Held,
    /// A Secret that is there, and that the hub does not have the token of.
    Adopt,
    /// A Secret that is to be made.
    Make,
}

/// What is to be done about tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tokens {
    /// The Secret that the token hangs on.
    pub secret: String,
    /// Where the token comes from.
    pub source: Source,
    /// Secrets of former tokens, to be deleted.
    pub revoke: Vec<String>,
    /// Secrets of former tokens that the hub may still be using, and until when.
    pub spare: Vec<(String, SystemTime)>,
}

/// What is wanted of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// How long the token is to be valid.
    pub lifetime: Lifetime,
    /// Whether it is to be a new one.
    pub rotate: bool,
}

/// Decides. `there` are all Secrets with tokens for the hub, `held` is what the hub has.
pub fn plan(there: &[TokenSecret], held: &Held, wish: Wish, now: SystemTime) -> Tokens {
    let lasting = wish.lifetime == Lifetime::Lasting;
    let held_secret = there.iter().find(|secret| secret.name == held.user);
    let usable = held_secret.filter(|secret| secret.lasting == lasting && is_good(secret, &held.token, now));
    let newest = there.iter().max_by_key(|secret| number(&secret.name));
    let (secret, source) = match (usable, newest) {
        (Some(secret), _) if !wish.rotate => (secret.name.clone(), Source::Held),
        // Applied from a repository, or the hub's Secret was lost. The token of one that is bound is known to nobody.
        (None, Some(secret)) if !wish.rotate && lasting && secret.lasting => (secret.name.clone(), Source::Adopt),
        (_, newest) => (name(newest.map_or(0, |secret| number(&secret.name)) + 1), Source::Make),
    };
    let mut tokens = Tokens {
        secret,
        source,
        revoke: Vec::new(),
        spare: Vec::new(),
    };
    let in_use_since = match tokens.source {
        Source::Held => held_secret.map_or(now, |secret| secret.created),
        Source::Adopt | Source::Make => now,
    };
    let until = in_use_since + GRACE;
    for former in there.iter().filter(|former| former.name != tokens.secret) {
        if until <= now {
            tokens.revoke.push(former.name.clone());
        } else {
            tokens.spare.push((former.name.clone(), until));
        }
    }
    tokens
}

/// Whether the token that the hub has is that of its Secret, and will be valid for a good while.
fn is_good(secret: &TokenSecret, held: &str, now: SystemTime) -> bool {
    if secret.lasting {
        return secret.token.as_deref() == Some(held);
    }
    // More than half of its life: whoever runs the command now and then keeps the hub supplied.
    Validity::of(held).is_some_and(|validity| now < validity.half)
}

/// The name of the n-th Secret.
fn name(n: u32) -> String {
    match n {
        1 => format!("{SERVICE_ACCOUNT_NAME}-token"),
        n => format!("{SERVICE_ACCOUNT_NAME}-token-{n}"),
    }
}

/// The name of the first, which manifests use.
pub fn first_name() -> String {
    name(1)
}

fn number(secret: &str) -> u32 {
    let first = name(1);
    match secret.strip_prefix(&first) {
        Some("") => 1,
        Some(rest) => rest.strip_prefix('-').and_then(|n| n.parse().ok()).unwrap_or(0),
        None => 0,
    }
}

/// When a token ends that says so itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Half of its life is over.
    pub half: SystemTime,
    /// It ends.
    pub until: SystemTime,
}

impl Validity {
    /// Of a JSON Web Token (RFC 7519, 4.1); `None`: it is none, or does not end.
    pub fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        // Base64 for URLs and without padding (RFC 7515, 2).
        let mut base64 = payload.replace('-', "+").replace('_', "/");
        while base64.len() % 4 != 0 {
            base64.push('=');
        }
        let claims: Value = serde_json::from_slice(&pem::bytes(&base64.into())?).ok()?;
        let (from, until) = (claims["iat"].as_u64()?, claims["exp"].as_u64()?);
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Some(Self {
            half: at(from.midpoint(until))?,
            until: at(until)?,
        })
    }
}

#[cfg(test)]
mod tests;
