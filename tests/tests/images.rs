//! The images that `deploy/images` makes: nothing but one static program in each, the same each time, small, and able to
//! find a host by its name although no library and no file of a distribution is there.
//!
//! Programs are built first if they are not (profiles `image` and `image-enforcer`: some minutes the first time). Those for
//! arm64 are tried when it is asked for: `cargo test -p tests --test images -- --ignored`. That two checkouts at two places
//! compile to the same bytes is not tried here, since it takes twice as long; that no path of this machine is in them, which
//! it hangs on, is.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tests::lab::netns::Netns;
use tests::lab::programs;

/// What a node may have to pull before it can enforce anything: a compressed image.
const LARGEST: u64 = 8_000_000;

/// How long a program may take to start and to ask for a name, however busy the machine.
const DEADLINE: Duration = Duration::from_secs(60);

const PROGRAMS: [&str; 2] = ["hub", "enforcer"];

/// The archives of one run of the script, which all tests look at.
static IMAGES: LazyLock<TempDir> = LazyLock::new(|| build(&[]));

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs the script.
fn build(flags: &[&str]) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(checkout().join("deploy/images"));
    programs::untell(&mut command);
    let output = command.args(flags).arg("--out").arg(out.path()).output().unwrap();
    assert!(
        output.status.success(),
        "deploy/images failed; buildah is needed (apt-get install buildah):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    out
}

/// The one file in `folder` whose name begins so.
fn archive(folder: &Path, program: &str) -> PathBuf {
    let begins = format!("bailey-{program}-");
    let mut found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&begins);
    found
        .find(wanted)
        .unwrap_or_else(|| panic!("no {begins}… in {}", folder.display()))
}

fn tar(arguments: &[&str], archive: &Path) -> Vec<u8> {
    let output = Command::new("tar")
        .args(arguments)
        .arg("--file")
        .arg(archive)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An image, unpacked.
struct Image {
    /// What names all of its content.
    digest: String,
    config: Value,
    /// The lines of `tar --list --verbose`, over all layers.
    listing: Vec<String>,
    root: TempDir,
}

fn unpack(folder: &Path, program: &str) -> Image {
    let blobs = tempfile::tempdir().unwrap();
    let to = format!("--directory={}", blobs.path().display());
    tar(&["--extract", &to], &archive(folder, program));
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        blobs.path().join("blobs").join(digest.replace(':', "/"))
    };
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&blobs.path().join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]));
    let root = tempfile::tempdir().unwrap();
    let into = format!("--directory={}", root.path().display());
    let mut listing = Vec::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let listed =
            String::from_utf8(tar(&["--list", "--verbose", "--numeric-owner", "--utc"], &blob(layer))).unwrap();
        listing.extend(
            listed
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
        );
        tar(&["--extract", &into], &blob(layer));
    }
    Image {
        digest: index["manifests"][0]["digest"].as_str().unwrap().to_owned(),
        config: read(&blob(&manifest["config"])),
        listing,
        root,
    }
}

#[test]
fn an_image_is_one_program_and_says_whose_it_is() {
    for (program, user) in [("hub", "65532:65532"), ("enforcer", "0:0")] {
        let image = unpack(IMAGES.path(), program);
        let size = fs::metadata(image.root.path().join(program)).unwrap().len();
        assert_eq!(
            image.listing,
            [format!("-r-xr-xr-x 0/0 {size} 1970-01-01 00:00 {program}")]
        );
        let config = &image.config["config"];
        assert_eq!(
            (
                &config["User"],
                &config["Entrypoint"],
                &config["Labels"]["org.opencontainers.image.version"]
            ),
            (
                &json!(user),
                &json!([format!("/{program}")]),
                &json!(env!("CARGO_PKG_VERSION"))
            )
        );
    }
}

#[test]
fn images_are_small_and_programs_name_no_path_of_this_machine() {
    let home = std::env::home_dir().unwrap();
    for program in PROGRAMS {
        let bytes = fs::read(unpack(IMAGES.path(), program).root.path().join(program)).unwrap();
        let pulled = fs::metadata(archive(IMAGES.path(), program)).unwrap().len();
        assert!(
            pulled <= LARGEST,
            "the image of {program} has {pulled} bytes, more than {LARGEST}"
        );
        let target = programs::folder().unwrap();
        for path in [checkout(), &home, target.parent().unwrap()] {
            let path = path.to_str().unwrap();
            let names = bytes
                .windows(path.len())
                .filter(|window| *window == path.as_bytes())
                .count();
            assert_eq!(names, 0, "{program} names {path}");
        }
    }
}

#[test]
fn a_second_run_makes_the_same_images() {
    let again = build(&[]);
    for program in PROGRAMS {
        assert_eq!(
            unpack(again.path(), program).digest,
            unpack(IMAGES.path(), program).digest,
            "{program}"
        );
    }
}

fn chrooted(image: &Image, program: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(image.root.path()).arg(format!("/{program}"));
    command
}

#[test]
fn programs_start_with_nothing_around_them() {
    for program in PROGRAMS {
        let image = unpack(IMAGES.path(), program);
        let output = chrooted(&image, program).arg("--version").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

/// Ends the process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already has ended.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A kubeconfig or a `--hub` may name a host, and kubelet's resolv.conf is all that a container has to find it by.
#[test]
fn a_host_is_found_by_the_name_server_of_resolv_conf() {
    let image = unpack(IMAGES.path(), "hub");
    fs::create_dir(image.root.path().join("etc")).unwrap();
    fs::write(image.root.path().join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    let certs = chrooted(&image, "hub")
        .args(["certs", "--out=/clusters/pki"])
        .output()
        .unwrap();
    assert!(certs.status.success(), "{}", String::from_utf8_lossy(&certs.stderr));
    let kubeconfig = json!({
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {
            "server": "https://api.a.example:6443",
            "certificate-authority": "pki/ca.crt",         // the images have no authorities of their own
        }}],
        "users": [{"name": "a", "user": {"token": "t"}}],
    });
    fs::write(image.root.path().join("clusters/a.kubeconfig"), kubeconfig.to_string()).unwrap();
    let reached = alone(move || {
        let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        let apiserver = TcpListener::bind((Ipv4Addr::LOCALHOST, 6443)).unwrap();
        std::thread::spawn(move || answer(&names));
        let flags = ["--clusters=/clusters", "--insecure", "--admin=127.0.0.1:0"];
        let hub = chrooted(&image, "hub")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let _hub = Running(hub.unwrap());
        within_deadline(move || apiserver.accept().is_ok())
    });
    assert_eq!(reached, Ok(true));
}

/// Does it in a network of its own, in which every port is free.
fn alone<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = std::thread::spawn(move || {
        let _outside = Netns::leave().unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        work()
    });
    done.join().unwrap()
}

/// What it comes to, if that does not take too long.
fn within_deadline<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, std::sync::mpsc::RecvTimeoutError> {
    let (done, outcome) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || done.send(work()));
    outcome.recv_timeout(DEADLINE)
}

/// Every name is 127.0.0.1, and none has an IPv6 address.
fn answer(names: &UdpSocket) {
    const HEADER: usize = 12;
    let mut packet = [0; 512];
    while let Ok((length, asker)) = names.recv_from(&mut packet) {
        let name = packet[HEADER..length].iter().position(|byte| *byte == 0).unwrap();
        let question = &packet[HEADER..HEADER + name + 5];
        let is_a = question[name + 1..] == [0, 1, 0, 1];
        let mut reply = packet[..2].to_vec();
        reply.extend([0x84, 0, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
        reply.extend(question);
        if is_a {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        names.send_to(&reply, asker).unwrap();
    }
}

/// What runs programs for arm64 elsewhere.
const EMULATOR: &str = "/usr/bin/qemu-aarch64-static";

/// An image for arm64, in which the emulator stands beside the program.
fn unpack_for_emulator(folder: &Path, program: &str) -> Image {
    let image = unpack(folder, program);
    assert_eq!(image.config["architecture"], json!("arm64"));
    let copied = fs::copy(EMULATOR, image.root.path().join("qemu"));
    copied.unwrap_or_else(|error| panic!("{EMULATOR}: {error} (apt-get install qemu-user-static)"));
    image
}

fn emulated(image: &Image, program: &str) -> Command {
    let mut command = chrooted(image, "qemu");
    command.arg(format!("/{program}"));
    command
}

/// What `enforcer matrix` says of story 2.
fn matrix(mut enforcer: Command) -> String {
    let output = enforcer
        .args(["matrix", "/world", "--probe=TCP/5432"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Both start, the hub serves, and the enforcer judges as that for this machine does.
#[test]
#[ignore = "compiles all of it again: rustup target add aarch64-unknown-linux-musl, apt-get install gcc-aarch64-linux-gnu qemu-user-static"]
fn images_for_arm64_work_under_an_emulator() {
    let images = build(&["--arch", "arm64"]);
    let [hub, enforcer] = PROGRAMS.map(|program| unpack_for_emulator(images.path(), program));
    for (program, image) in PROGRAMS.into_iter().zip([&hub, &enforcer]) {
        let output = emulated(image, program).arg("--version").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }

    let native = unpack(IMAGES.path(), "enforcer");
    for image in [&enforcer, &native] {
        let world = image.root.path().join("world");
        for part in ["stories", "story-2"] {
            let from = checkout().join("tests/worlds").join(part);
            let copied = Command::new("cp")
                .args(["-rT".as_ref(), from.as_os_str(), world.as_os_str()])
                .status();
            assert!(copied.unwrap().success());
        }
    }
    let judged = matrix(emulated(&enforcer, "enforcer"));
    assert!(judged.contains("172 allowed, 24 refused"), "{judged}");
    assert_eq!(judged, matrix(chrooted(&native, "enforcer")));

    fs::create_dir(hub.root.path().join("clusters")).unwrap();
    let answer = alone(move || {
        let flags = ["--clusters=/clusters", "--insecure", "--admin=127.0.0.1:9443"];
        let mut running = Running(
            emulated(&hub, "hub")
                .args(flags)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let log = BufReader::new(running.0.stderr.take().unwrap());
        let mut lines = log.lines().map(Result::unwrap);
        let answer = within_deadline(move || {
            lines.find(|line| line.contains("enforcers and queries are served"))?;
            let mut admin = TcpStream::connect((Ipv4Addr::LOCALHOST, 9443)).ok()?;
            admin.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").ok()?;
            BufReader::new(admin).lines().next()?.ok()
        });
        drop(running);
        answer
    });
    assert_eq!(answer, Ok(Some("HTTP/1.0 200 OK".to_owned())));
}
