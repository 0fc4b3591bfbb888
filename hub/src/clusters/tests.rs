use super::*;
use crate::machine::Input;
use crate::sample::cluster;
use std::fs;
use std::os::unix::fs::symlink;

/// How long a test waits for what must come; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: '{server}'}}}}]
users: [{{name: u, user: {user}}}]
"
    )
}

fn token(token: &str) -> String {
    kubeconfig("https://192.0.2.1:6443", &format!("{{token: {token}}}"))
}

/// What a look finds: names with the server or what is wrong.
async fn found(scan: &mut Scan, folder: &Path) -> Vec<String> {
    let listing = scan.list(folder).await.unwrap();
    let text = |(name, found): (String, Result<Kubeconfig, String>)| match found {
        Ok(kubeconfig) => format!("{name} {}", kubeconfig.access.server()),
        Err(reason) => format!("{name} {reason}"),
    };
    listing.into_iter().map(text).collect()
}

async fn digest(folder: &Path, name: &str) -> Digest {
    let mut listing = Scan::default().list(folder).await.unwrap();
    listing.remove(name).unwrap().unwrap().digest
}

#[tokio::test]
async fn a_mounted_secret_is_read_through_its_links_and_swapped_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (generation, content) in [("..1", token("old")), ("..2", token("new"))] {
        fs::create_dir(path.join(generation)).unwrap();
        fs::write(path.join(generation).join("a.yaml"), content).unwrap();
    }
    symlink("..1", path.join("..data")).unwrap();
    symlink("..data/a.yaml", path.join("a.yaml")).unwrap();
    let mut scan = Scan::default();
    assert_eq!(found(&mut scan, path).await, ["a.yaml https://192.0.2.1:6443"]);
    let old = digest(path, "a.yaml").await;

    symlink("..2", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    assert_eq!(found(&mut scan, path).await, ["a.yaml https://192.0.2.1:6443"]);
    assert_ne!(digest(path, "a.yaml").await, old);
}

#[tokio::test]
async fn a_file_that_a_kubeconfig_names_is_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let user = "{tokenFile: a.token}";
    fs::write(path.join("a.yaml"), kubeconfig("https://192.0.2.1:6443", user)).unwrap();
    let mut scan = Scan::default();
    let missing = found(&mut scan, path).await;
    assert!(missing[0].contains("a.token"), "{missing:?}");
    fs::write(path.join("a.token"), "one").unwrap();
    let one = digest(path, "a.yaml").await;
    fs::write(path.join("a.token"), "two").unwrap();
    assert_ne!(digest(path, "a.yaml").await, one);
}

#[tokio::test]
async fn what_is_no_kubeconfig_or_a_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("a.yaml"),
        kubeconfig("https://192.0.2.1", "{exec: {command: rm}}"),
    )
    .unwrap();
    fs::create_dir(path.join("b.yaml")).unwrap();
    fs::write(path.join("c.yaml"), vec![b' '; 2 * 1024 * 1024]).unwrap();
    fs::write(path.join("d.yaml"), [0xff, 0xfe]).unwrap();
    fs::write(path.join("readme.txt"), "not ours").unwrap();
    expect_test::expect![[r#"
        a.yaml users["u"].user.exec: starts a program, and a kubeconfig is data here: use a token or a client certificate instead
        b.yaml it is no file
        c.yaml it has 2097152 bytes, more than 1048576
        d.yaml it is no text: invalid utf-8 sequence of 1 bytes from index 0"#]]
    .assert_eq(&found(&mut Scan::default(), path).await.join("\n"));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Scan::default().list(&folder.path().join("none")).await.is_err());
}

/// Waits for the next input that is not about what a feed heard.
async fn next(inputs: &mut mpsc::Receiver<Input>) -> Input {
    loop {
        let input = tokio::time::timeout(PATIENCE, inputs.recv()).await;
        match input.expect("an input comes").expect("the clusters run") {
            Input::Observed { .. } => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn clusters_are_told_to_the_machine_as_their_files_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // Nobody listens there: every connection is refused at once.
    let nobody = kubeconfig("https://127.0.0.1:1", "{token: x}");
    fs::write(path.join("a.yaml"), &nobody).unwrap();
    let (sender, mut inputs) = mpsc::channel(16);
    let (_trigger, shutdown) = Shutdown::new();
    let clusters = Clusters::new(path.to_owned(), sender, Metrics::default());
    let task = tokio::spawn(clusters.run(shutdown));

    let first = tokio::time::timeout(PATIENCE, inputs.recv()).await.unwrap().unwrap();
    let Input::Connected {
        cluster: id,
        connection,
        server,
    } = first
    else {
        panic!("connected first: {first:?}");
    };
    assert_eq!(
        (id, connection, server.as_str()),
        (cluster("a"), Connection(1), "https://127.0.0.1:1")
    );
    let lost = tokio::time::timeout(PATIENCE, inputs.recv()).await.unwrap().unwrap();
    assert!(
        matches!(
            lost,
            Input::Observed {
                connection: Connection(1),
                observed: Observed::Pods(Event::Lost(_)) | Observed::Namespaces(Event::Lost(_)),
                ..
            }
        ),
        "{lost:?}"
    );

    fs::write(path.join("b.yaml"), "no: [").unwrap();
    assert!(matches!(next(&mut inputs).await, Input::Refused { cluster: id, .. } if id == cluster("b")));
    fs::write(path.join("a.yaml"), nobody.replace("token: x", "token: y")).unwrap();
    let renewed = next(&mut inputs).await;
    assert!(
        matches!(
            renewed,
            Input::Connected {
                connection: Connection(2),
                ..
            }
        ),
        "{renewed:?}"
    );
    fs::remove_file(path.join("a.yaml")).unwrap();
    assert!(matches!(next(&mut inputs).await, Input::Left { cluster: id } if id == cluster("a")));
    task.abort();
}
