use super::{Access, Trust, cluster_uid};
use expect_test::{Expect, expect};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A kubeconfig whose cluster and user have these fields.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n\
         clusters:\n- name: k\n  cluster: {{{cluster}}}\n- name: unused\n  cluster: {{certificate-authority: /none}}\n\
         users:\n- name: u\n  user: {{{user}}}\n- name: unused\n  user: {{exec: {{command: x}}}}\n"
    )
}

const SERVER: &str = "server: 'https://10.0.0.1:6443/'";

/// What comes of a kubeconfig in a folder with the files `in` and, by a link, `out`, which leads outside.
async fn outcome(text: &str, trust: Trust) -> String {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("clusters");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("in"), "x").unwrap();
    std::fs::write(outer.path().join("out"), "x").unwrap();
    std::os::unix::fs::symlink("../out", folder.join("link-out")).unwrap();
    std::os::unix::fs::symlink("in", folder.join("link-in")).unwrap();
    let text = text.replace("FOLDER", folder.to_str().unwrap());
    let said = match Access::read(&text, &folder, trust).await {
        Ok(access) => format!("{} {:?} {:?}", access.server(), access.files(), access.config.proxy_url),
        Err(error) => error.to_string(),
    };
    said.replace(folder.to_str().unwrap(), "FOLDER")
}

async fn check(texts: &[String], trust: Trust, expected: Expect) {
    let mut lines = Vec::new();
    for text in texts {
        lines.push(outcome(text, trust).await);
    }
    expected.assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn data_may_name_files_of_its_folder() {
    let texts = [
        kubeconfig(SERVER, "token: t"),
        kubeconfig(SERVER, "tokenFile: in"),
        kubeconfig(SERVER, "tokenFile: link-in"),
        kubeconfig(SERVER, "tokenFile: FOLDER/in"),
        kubeconfig(SERVER, "tokenFile: ./../clusters/in"),
        // Content counts before a file, which is not looked at then.
        kubeconfig(SERVER, "token: t, tokenFile: /etc/passwd"),
    ];
    check(
        &texts,
        Trust::Data,
        expect![[r#"
        https://10.0.0.1:6443 [] None
        https://10.0.0.1:6443 ["FOLDER/in"] None
        https://10.0.0.1:6443 ["FOLDER/link-in"] None
        https://10.0.0.1:6443 ["FOLDER/in"] None
        https://10.0.0.1:6443 ["FOLDER/../clusters/in"] None
        https://10.0.0.1:6443 [] None"#]],
    )
    .await;
}

#[tokio::test]
async fn data_may_name_nothing_else() {
    let ca = |file: &str| format!("{SERVER}, certificate-authority: {file}");
    let texts = [
        kubeconfig(
            SERVER,
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}",
        ),
        kubeconfig(SERVER, "auth-provider: {name: gcp}"),
        kubeconfig(SERVER, "tokenFile: ../out"),
        kubeconfig(SERVER, "tokenFile: link-out"),
        kubeconfig(SERVER, "client-certificate: /etc/passwd, client-key: in"),
        kubeconfig(SERVER, "client-certificate: in, client-key: /etc/passwd"),
        kubeconfig(&ca("/etc/passwd"), ""),
        kubeconfig(SERVER, "tokenFile: none"),
        kubeconfig(SERVER, "tokenFile: \"\""),
    ];
    check(&texts, Trust::Data, expect![[r#"
        users["u"].user.exec: starts a program, and a kubeconfig is data here: use a token or a client certificate instead
        users["u"].user.auth-provider: starts a program, and a kubeconfig is data here: use a token or a client certificate instead
        users["u"].user.tokenFile: "../out" is outside the kubeconfig's folder: put the file beside it, or its content into it
        users["u"].user.tokenFile: "link-out" is outside the kubeconfig's folder: put the file beside it, or its content into it
        users["u"].user.client-certificate: "/etc/passwd" is outside the kubeconfig's folder: put the file beside it, or its content into it
        users["u"].user.client-key: "/etc/passwd" is outside the kubeconfig's folder: put the file beside it, or its content into it
        clusters["k"].cluster.certificate-authority: "/etc/passwd" is outside the kubeconfig's folder: put the file beside it, or its content into it
        users["u"].user.tokenFile: "none" cannot be read: No such file or directory (os error 2)
        users["u"].user.tokenFile: "" cannot be read: is a directory"#]]).await;
}

#[tokio::test]
async fn the_own_kubeconfig_may() {
    let texts = [
        kubeconfig(
            SERVER,
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}",
        ),
        kubeconfig(SERVER, "tokenFile: ../out"),
        kubeconfig(SERVER, "tokenFile: none"),
    ];
    check(
        &texts,
        Trust::Own,
        expect![[r#"
        https://10.0.0.1:6443 [] None
        https://10.0.0.1:6443 ["FOLDER/../out"] None
        users["u"].user.tokenFile: "none" cannot be read: No such file or directory (os error 2)"#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_kubeconfig_is_told_without_its_content() {
    let texts = [
        "".to_owned(),
        "token: [secret".to_owned(),
        "current-context: {secret: 1}".to_owned(),
        "current-context: c".to_owned(),
        "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]".to_owned(),
        kubeconfig("", ""),
        kubeconfig("server: 10.0.0.1", ""),
        kubeconfig("server: 'https://a b'", ""),
        kubeconfig(&format!("{SERVER}, proxy-url: 'http://proxy'"), ""),
        kubeconfig(&format!("{SERVER}, certificate-authority-data: '***'"), ""),
        kubeconfig(SERVER, "").replace("user: u}", "user: nobody}"),
    ];
    check(&texts, Trust::Data, expect![[r#"
        current-context: missing
        it is no kubeconfig: wrong YAML, or a field of the wrong type, at line 1 column 8
        it is no kubeconfig: wrong YAML, or a field of the wrong type, at line 1 column 18
        contexts["c"]: current-context names it, but it is missing
        clusters["k"]: the context names it, but it is missing
        clusters["k"].cluster.server: missing
        clusters["k"].cluster.server: "10.0.0.1" does not begin with https://
        clusters["k"].cluster: failed to parse cluster url: invalid uri character
        clusters["k"].cluster.proxy-url: proxies are not supported
        clusters["k"].cluster: failed to load certificate authority: failed to decode base64 data: Invalid symbol 42, offset 0.
        users["nobody"]: the context names it, but it is missing"#]]).await;
}

#[tokio::test]
async fn a_certificate_that_is_none_makes_no_client() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pem"), "none").unwrap();
    let text = kubeconfig(SERVER, "client-certificate: pem, client-key: pem");
    let access = Access::read(&text, folder.path(), Trust::Data).await.unwrap();
    let error = access.client().err().unwrap();
    expect!["no connection can be made with it: rustls tls error: identity PEM is missing a private key: the key must be PKCS8 or RSA/PKCS1"].assert_eq(&error.to_string());
}

/// A server on loopback with a certificate of its own that gives each connection one answer.
async fn serve(folder: &Path, code: u16, body: String) -> String {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), certified.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            assert!(
                request.starts_with("GET /api/v1/namespaces/kube-system HTTP/1.1\r\n"),
                "{request}"
            );
            assert!(request.contains("authorization: Bearer t\r\n"), "{request}");
            let head = format!(
                "HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    format!("server: 'https://{address}'")
}

async fn uid(code: u16, body: &str, ca: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), code, body.to_owned()).await;
    let text = kubeconfig(&format!("{server}{ca}"), "token: t");
    let access = Access::read(&text, folder.path(), Trust::Data).await.unwrap();
    match cluster_uid(&access.client().unwrap()).await {
        Ok(uid) => format!("uid {uid}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_cluster_is_told_by_its_kube_system_namespace() {
    let ca = ", certificate-authority: ca.pem";
    let lines = [
        uid(200, r#"{"metadata": {"name": "kube-system", "uid": "2f6b"}}"#, ca).await,
        uid(200, r#"{"metadata": {"name": "kube-system"}}"#, ca).await,
        uid(200, "<html></html>", ca).await,
        uid(403, r#"{"kind": "Status", "code": 403, "message": "forbidden"}"#, ca).await,
        uid(200, "{}", "").await,
    ];
    expect![[r#"
        uid 2f6b
        the namespace kube-system has no UID
        what answered is no API server: expected value at line 1 column 1
        the API server refused get namespaces (403): grant get on namespaces (it says: forbidden)
        the API server is unreachable: invalid peer certificate: UnknownIssuer"#]]
    .assert_eq(&lines.join("\n"));
}
