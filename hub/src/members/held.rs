//! The hub's Secret of kubeconfigs: which members it holds, and whether another may come in. Pure.

use super::grant::Held;
use super::pem;
use crate::clusters::folder::cluster_of;
use proto::model::ClusterName;
use serde_json::Value;
use std::collections::BTreeMap;

/// A kubeconfig of the Secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its key, which is the file's name in the hub's folder.
    pub key: String,
    /// Its text.
    pub text: String,
    /// What it says.
    pub held: Held,
}

/// The members that a Secret holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(pub BTreeMap<ClusterName, Entry>);

/// Why a member may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The id is another cluster's.
    #[error(
        "{id} is a member already, at {held}: choose another --id, or say --replace if {wanted} takes its place or is its \
         new address"
    )]
    OtherServer {
        /// The id.
        id: ClusterName,
        /// Where the member is that has it.
        held: String,
        /// Where this one is.
        wanted: String,
    },
    /// The cluster is a member under another id.
    #[error(
        "{server} is a member already, as {held}: a cluster with two ids would claim each of its addresses twice; to \
         rename it, hub members remove --id {held} first"
    )]
    OtherId {
        /// Where it is.
        server: String,
        /// The id that it has.
        held: ClusterName,
    },
}

impl Members {
    /// Of the API's Secret. Keys that are no kubeconfigs' names are not the hub's either.
    pub fn read(secret: &Value) -> Self {
        let mut members = BTreeMap::new();
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            let text = pem::bytes(value).and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(id) = cluster_of(key) {
                let text = text.unwrap_or_default();
                let entry = Entry {
                    key: key.clone(),
                    held: Held::read(&text),
                    text,
                };
                members.insert(id, entry);
            }
        }
        Self(members)
    }

    /// Whether the cluster at `server` may be `id`.
    pub fn admit(&self, id: &ClusterName, server: &str, replace: bool) -> Result<(), Refusal> {
        let other = self
            .0
            .iter()
            .find(|(other, entry)| *other != id && entry.held.server == server);
        if let Some((held, _)) = other {
            return Err(Refusal::OtherId {
                server: server.to_owned(),
                held: held.clone(),
            });
        }
        match self.0.get(id) {
            Some(entry) if entry.held.server != server && !replace => Err(Refusal::OtherServer {
                id: id.clone(),
                held: match entry.held.server.as_str() {
                    "" => "an address that its kubeconfig does not say".to_owned(),
                    held => held.to_owned(),
                },
                wanted: server.to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(of: &[(&str, &str)]) -> Members {
        let data = of.iter().map(|(key, server)| {
            let text = format!("clusters: [{{name: x, cluster: {{server: '{server}'}}}}]\n");
            ((*key).to_owned(), pem::base64(text.as_bytes()).into())
        });
        Members::read(&json!({"data": data.collect::<serde_json::Map<_, _>>()}))
    }

    #[test]
    fn an_id_is_one_cluster_and_a_cluster_has_one_id() {
        let members = members(&[
            ("a.kubeconfig", "https://192.0.2.1:6443/"),
            ("b.yaml", "https://192.0.2.2:6443"),
            ("c.kubeconfig", ""),
            ("ca.crt", "https://192.0.2.3:6443"),
        ]);
        let admit = |id: &str, server: &str, replace| {
            let admitted = members.admit(&id.parse().unwrap(), server, replace);
            admitted.map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned())
        };
        let said = [
            admit("a", "https://192.0.2.1:6443", false),
            admit("d", "https://192.0.2.3:6443", false),
            admit("b", "https://192.0.2.9:6443", false),
            admit("b", "https://192.0.2.9:6443", true),
            admit("d", "https://192.0.2.2:6443", true),
            admit("c", "https://192.0.2.9:6443", false),
        ];
        expect_test::expect![[r#"
            ok
            ok
            b is a member already, at https://192.0.2.2:6443: choose another --id, or say --replace if https://192.0.2.9:6443 takes its place or is its new address
            ok
            https://192.0.2.2:6443 is a member already, as b: a cluster with two ids would claim each of its addresses twice; to rename it, hub members remove --id b first
            c is a member already, at an address that its kubeconfig does not say: choose another --id, or say --replace if https://192.0.2.9:6443 takes its place or is its new address"#]]
        .assert_eq(&said.join("\n"));
    }
}
