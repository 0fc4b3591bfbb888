//! Network namespaces of a test's own, each with a thread that lives in it.

use std::panic;
use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Runs a test on a thread in a new network namespace. What it makes there goes with the thread.
pub fn in_new_netns<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let run = || {
        enter_new();
        test()
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// Runs `ip`, as in a shell.
pub fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("iproute2 is installed");
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[expect(unsafe_code, reason = "no safe wrapper of unshare is among the dependencies")]
fn enter_new() {
    // SAFETY: changes the calling thread's network namespace and nothing in memory.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    let error = std::io::Error::last_os_error();
    assert_eq!(
        result, 0,
        "cannot make a network namespace ({error}): run this test as root, or in `unshare -rn`"
    );
}

type Work = Box<dyn FnOnce() + Send>;

/// A network namespace that lives as long as this value.
pub struct Netns {
    work: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
    /// What `ip link set … netns` calls it.
    pub id: i32,
}

impl Netns {
    /// A new one, with its loopback up.
    pub fn new() -> Self {
        let (work, works) = sync_channel::<Work>(1);
        let (id_sender, id) = sync_channel(1);
        let thread = thread::spawn(move || {
            enter_new();
            ip("link set lo up");
            id_sender.send(thread_id()).expect("the thread that made it waits");
            works.into_iter().for_each(|work| work());
        });
        Self {
            work: Some(work),
            thread: Some(thread),
            id: id.recv().expect("the thread tells its id"),
        }
    }

    /// Does something in it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, answer) = sync_channel(1);
        let work = Box::new(move || sender.send(work()).expect("who asked waits for the answer"));
        self.work
            .as_ref()
            .expect("it lives")
            .send(work)
            .expect("its thread lives");
        answer.recv().expect("its thread did not panic")
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        drop(self.work.take());
        drop(self.thread.take().map(JoinHandle::join)); // a panic in it has failed the test already
    }
}

#[expect(unsafe_code, reason = "no safe wrapper of gettid is among the dependencies")]
fn thread_id() -> i32 {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::gettid() }
}

/// Takes all rights from the calling thread, and from it alone.
#[expect(unsafe_code, reason = "libc's own setresuid would change all threads of the process")]
pub fn become_nobody() {
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: changes the calling thread's credentials and nothing in memory.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0, "root may become nobody");
}
