//! The program itself: exit codes, and that it serves until it is told to stop.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn hub(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
    command.current_dir(folder).args(arguments).env_clear();
    command
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("clusters")).expect("a folder in it");
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    hub(folder, arguments).output().expect("the program runs")
}

/// Exit code and what is said on stderr last.
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    format!("{:?} {}", output.status.code(), said.lines().last().unwrap_or_default())
}

#[test]
fn wrong_use_ends_with_2_and_what_to_do() {
    let folder = folder();
    let folder = folder.path();
    assert!(run(folder, &["certs", "--out", "pki"]).status.success());
    let with_certificate_of = |name: &str| {
        let (crt, key) = (format!("pki/{name}.crt"), format!("pki/{name}.key"));
        let flags = [
            "--clusters",
            "clusters",
            "--listen",
            "127.0.0.1:0",
            "--client-ca",
            "pki/ca.crt",
        ];
        refusal(folder, &[&flags[..], &["--tls-cert", &crt, "--tls-key", &key]].concat())
    };
    let refusals = [
        refusal(folder, &[]),
        refusal(folder, &["certs", "--out", "pki", "--trust-domain", "other.test"]),
        with_certificate_of("reader"),
    ];
    expect_test::expect![[r#"
        Some(2) hub: --clusters is missing: name the folder that holds one kubeconfig per member cluster, e.g. --clusters ./clusters
        Some(2) hub: pki/ca.crt: this CA is "Bailey trial CA of bailey.local", not "Bailey trial CA of other.test"; choose another --out, or move this CA away for a new one
        Some(2) hub: cannot use the files of --tls-cert, --tls-key and --client-ca: pki/reader.crt is the certificate of bailey://bailey.local/reader, and a hub's is needed"#]].assert_eq(&refusals.join("\n"));
}

#[test]
fn sigterm_ends_it_with_0() {
    let folder = folder();
    let arguments = [
        "--clusters",
        "clusters",
        "--insecure",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let mut hub = hub(folder.path(), &arguments)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut log = BufReader::new(hub.stderr.take().expect("it is piped"))
        .lines()
        .map_while(Result::ok);
    log.find(|line| line.contains("enforcers and queries are served"))
        .expect("it serves before it ends");
    let pid = hub.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    let rest: Vec<String> = log.collect();
    assert_eq!(hub.wait().expect("it ends").code(), Some(0), "{rest:#?}");
}
