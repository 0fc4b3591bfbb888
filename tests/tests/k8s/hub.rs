//! The hub as the README has people put it up: at each address by which other clusters may reach it, and with its own
//! namespace isolated.

use super::rig::Verdict::{Allowed, Refused};
use super::rig::{
    A, B, SOON, apply, connections, kubectl, members, pki, pod, readmes_block, run, soon, throughout, with_components,
};
use super::stories::{Examples, FRONTENDS, OTHERS, from};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tests::lab::wait::{Look, until};

/// What the load balancer of a cluster would give the hub: an address of nobody's, which the network brings to a node.
const LOAD_BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 31, 0, 1));
const PORT: u16 = 7443;
/// Of cluster-b.
const NODES: usize = 2;

/// How many enforcers of cluster-b the hub says that it has, asked at an address as a reader, from outside of all clusters.
fn enforcers(hub: &str) -> Result<usize, String> {
    let pki = pki().display().to_string();
    let members = members(&format!(
        "--hub {hub} --hub-ca {pki}/ca.crt --tls-cert {pki}/reader.crt --tls-key {pki}/reader.key"
    ))?;
    let member = members
        .iter()
        .find(|member| member["id"] == B)
        .ok_or("cluster-b is no member")?;
    Ok(usize::try_from(member["enforcersConnected"].as_u64().unwrap()).unwrap())
}

/// Enforcers of cluster-b find the hub at an address, where a reader outside of all clusters finds it too.
async fn reached_at(what: &str, hub: &str) {
    kubectl(
        B,
        &format!("set env --namespace bailey daemonset/bailey-enforcer BAILEY_ENFORCER_HUB={hub}"),
    );
    kubectl(
        B,
        "rollout status --namespace bailey daemonset/bailey-enforcer --timeout=120s",
    );
    let reached = until(SOON, async || {
        Ok(match enforcers(hub) {
            Ok(NODES) => Look::Done(()),
            other => Look::NotYet(format!("{what}, {hub}: {other:?} enforcers of cluster-b")),
        })
    });
    reached.await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{what}: {NODES} enforcers of the other cluster, and a reader, at {hub}");
}

/// A NodePort is how the rig is installed, and the hub's Service how its own cluster's enforcers find it: here are the others.
#[tokio::test]
async fn is_reached_by_each_kind_of_address() {
    let hub = "--namespace bailey --selector app.kubernetes.io/component=hub";
    let addresses = kubectl(
        A,
        &format!("get pods {hub} --output jsonpath={{.items[0].status.podIPs[*].ip}}"),
    );
    for address in addresses.split(' ') {
        let address = SocketAddr::new(address.parse().unwrap(), PORT);
        reached_at("a pod's address", &format!("https://{address}")).await;
    }

    with_components(A, &["loadbalancer"]);
    let status = format!(r#"{{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{LOAD_BALANCER}"}}]}}}}}}"#);
    kubectl(
        A,
        &format!("patch service --namespace bailey bailey-hub --subresource=status --type=merge --patch {status}"),
    );
    let node = kubectl(A, "get node node-2 --output jsonpath={.status.addresses[0].address}");
    let route = format!("ip route replace {LOAD_BALANCER} via {node}");
    assert!(run(&route.split(' ').collect::<Vec<_>>()).status.success(), "{route}");
    reached_at("a load balancer", &format!("https://{LOAD_BALANCER}:{PORT}")).await;

    with_components(A, &["nodeport"]);
    with_components(B, &[]);
}

/// The README's policy, which admits what a hub needs in an isolated namespace.
fn readmes_policy() -> String {
    readmes_block("\n### A default deny in the hub's own namespace\n", "yaml")
}

/// A default deny in the hub's own namespace: a new hub hears of no cluster and serves nobody, what was in force stays so;
/// with the README's policy it works.
#[tokio::test]
async fn its_namespace_is_isolated() {
    let examples = Examples::start();
    examples.apply(1);
    let (database, batch) = (pod(A, "shop", "database"), pod(B, "shop", "batch"));
    let (ours, to) = ("database of cluster-a", &database.addresses);
    let mut story = from(&FRONTENDS, ours, to, Allowed);
    story.extend(from(&OTHERS, ours, to, Refused));
    soon("story 1", story.clone()).await;

    apply(
        A,
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: default-deny, namespace: bailey}\n\
         spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n",
    );
    kubectl(
        A,
        "delete pod --namespace bailey --selector app.kubernetes.io/component=hub",
    );
    let label = |app: &str| {
        kubectl(
            B,
            &format!("label pod --namespace shop {} app={app} --overwrite", batch.name),
        );
    };
    label("frontend");
    throughout(
        "the hub's namespace denies all, and the hub is a new one",
        &story,
        || {
            std::thread::sleep(SOON);
        },
    );
    let ready = kubectl(
        A,
        "get deployment --namespace bailey bailey-hub --output jsonpath={.status.readyReplicas}",
    );
    assert_eq!(ready, "", "a hub that reaches no API server is ready");

    apply(A, &readmes_policy());
    kubectl(
        A,
        "rollout status --namespace bailey deployment/bailey-hub --timeout=120s",
    );
    let relabelled = |verdict| connections(std::slice::from_ref(&batch), ours, to, verdict).collect();
    soon(
        "with the README's policy it tells of the pod that was relabelled meanwhile",
        relabelled(Allowed),
    )
    .await;
    label("batch");
    soon("and that it is none any more", relabelled(Refused)).await;
    kubectl(B, "rollout status --namespace shop deployment --timeout=120s");
}
