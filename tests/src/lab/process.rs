//! The programs under test, as child processes in network namespaces, with their logs.
//!
//! A child ends with this process, however that ends: the kernel kills it when the thread that started it is gone, and
//! that thread lives only for it. It is in a process group of its own, so that Ctrl-C is this program's to handle.

use super::netns::Netns;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a program may take to end once it is asked to.
const FAREWELL: Duration = Duration::from_secs(5);
/// Lines of a log that an error shows: what a program says last is usually why it ended.
const LOG_TAIL_LINES: usize = 15;

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// What people call it, `enforcer of cluster-a/node-1`.
    pub name: String,
    /// The file.
    pub binary: PathBuf,
    /// Its command line.
    pub arguments: Vec<String>,
    /// Where its output goes, appended.
    pub log: PathBuf,
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    program: Program,
    pid: libc::pid_t,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Program {
    /// Starts it in a network namespace.
    ///
    /// # Errors
    /// If the file cannot be run.
    pub fn start(self, netns: &Netns) -> Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).env_clear().process_group(0);
        // A container runtime of this machine is no part of the lab. Not a flag: releases before it would not start.
        command.env("BAILEY_ENFORCER_NRI", "off");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        die_with_parent(&mut command);
        let (started, start) = sync_channel(1);
        let (end, ended) = watch::channel(None);
        let netns = netns.try_clone()?;
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || live_for(command, &netns, &started, &end))?;
        let pid = start.recv().context("the thread of a program ended")?;
        let pid = pid.with_context(|| format!("cannot start {} ({})", self.name, self.binary.display()))?;
        Ok(Child {
            program: self,
            pid,
            ended,
        })
    }
}

impl Child {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// Fails if it has ended, with the last lines of its log.
    ///
    /// # Errors
    /// See above.
    pub fn check_alive(&self) -> Result<()> {
        let status = *self.ended.borrow();
        match status {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.program.name, self.log_tail()),
        }
    }

    /// The last lines of its log, indented.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.program.log).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        tail.iter()
            .map(|line| format!("    {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        // An error would be the thread's death, which it does not survive either.
        self.ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// Ends it as an administrator would: SIGTERM, and after a while SIGKILL.
    pub async fn stop(mut self) {
        self.terminate().await;
    }

    /// The same; how it ended.
    pub async fn terminate(&mut self) -> Option<ExitStatus> {
        self.signal(libc::SIGTERM);
        if timeout(FAREWELL, self.ended()).await.is_err() {
            self.kill().await;
        }
        *self.ended.borrow()
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.ended().await;
    }

    #[expect(unsafe_code, reason = "kill has no safe wrapper in the standard library")]
    fn signal(&self, signal: libc::c_int) {
        if self.ended.borrow().is_none() {
            // SAFETY: takes integers only. The pid is our child's: it is free for others only once it was waited for,
            // and `ended` is set right after that.
            unsafe { libc::kill(self.pid, signal) };
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}

fn live_for(
    mut command: Command,
    netns: &Netns,
    started: &SyncSender<io::Result<libc::pid_t>>,
    end: &watch::Sender<Option<ExitStatus>>,
) {
    let child = netns.enter().and_then(|()| command.spawn());
    match child {
        Err(error) => drop(started.send(Err(error))),
        Ok(mut child) => {
            let pid = libc::pid_t::try_from(child.id()).expect("the kernel's pids are pid_t");
            drop(started.send(Ok(pid)));
            end.send_replace(child.wait().ok());
        }
    }
}

#[expect(unsafe_code, reason = "the death signal can only be set between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec only prctl and getppid are called, and errors made of numbers; no allocation.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the signal was set.
            match u32::try_from(libc::getppid()) {
                Ok(now) if now == parent => Ok(()),
                Ok(_) | Err(_) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            }
        });
    }
}
