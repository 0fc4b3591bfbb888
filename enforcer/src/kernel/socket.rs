//! The netfilter socket: the only I/O of the kernel module.
//!
//! nfnetlink works inside `sendmsg`: when it returns, every answer is queued, and the caller was blocked for as long as
//! the work took. The socket therefore belongs on a thread of its own, never on one that serves tasks.

use super::message::{Malformed, Messages, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Received};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket as Netlink, SocketAddr};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use thiserror::Error;

/// A batch must go out as one datagram: 24 MB were measured for a million elements, the default buffer is 208 KiB.
const SEND_BUFFER_BYTES: i32 = 256 << 20;

/// Answers are queued until they are read; they are few, as only the last message of a request is acknowledged, but a
/// batch that fails answers for every message that fails.
const RECEIVE_BUFFER_BYTES: i32 = 16 << 20;

/// The kernel fills datagrams of a dump up to 32 KiB; an error echoes a message of up to 64 KiB.
const DATAGRAM_BYTES: usize = 256 << 10;

/// How often a dump is started anew because something changed meanwhile. Other programs change their own tables at their
/// own pace (kube-proxy some times a second), and a dump takes milliseconds.
const DUMP_ATTEMPTS: usize = 16;

/// An error number of the kernel; ipset has its own from 4096 on (`linux/netfilter/ipset/ip_set.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// The kernel has no nf_tables for this family.
    pub const FAMILY_UNKNOWN: Self = Self(libc::EAFNOSUPPORT);
    /// Not allowed.
    pub const PERMISSION: Self = Self(libc::EPERM);
    /// `IPSET_ERR_BUSY`: a rule refers to the set, or did a moment ago.
    pub const SET_BUSY: Self = Self(4100);
    /// Of an ipset that is to be created: the name is taken.
    pub const SET_EXISTS: Self = Self(libc::EEXIST);
    /// `IPSET_ERR_HASH_FULL`.
    pub const SET_FULL: Self = Self(4352);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            4097 => "the kernel speaks another ipset protocol",
            4098 => "the kernel lacks this type of ipset",
            4099 => "there are too many ipsets",
            4100 => "the ipset is in use",
            4101 => "the second ipset of that name exists",
            4102 => "the ipsets differ in type",
            4103 => "the member exists, or does not",
            4104 => "the prefix length is invalid",
            4105 => "the netmask is invalid",
            4106 => "the family is invalid",
            4107 => "the timeout is invalid",
            4108 => "the ipset is referred to",
            4109 => "the address is not IPv4",
            4110 => "the address is not IPv6",
            4352 => "the ipset is full",
            4353 => "the member is malformed",
            4354 => "the protocol is invalid",
            errno => return write!(f, "{}", io::Error::from_raw_os_error(errno)),
        };
        write!(f, "{text} (ipset error {})", self.0)
    }
}

/// Why a request did not succeed.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The kernel refused a message. Of a batch, nothing is in force then; of other messages, those before it are.
    #[error("{errno}{}", explanation.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// Which message of the request, from 0.
        message: u32,
        /// What the kernel says.
        errno: Errno,
        /// What it says in words, if it does.
        explanation: Option<String>,
    },
    /// The socket itself failed.
    #[error("netlink socket")]
    Socket(#[from] io::Error),
    /// The kernel said nothing about a request, neither yes nor no.
    #[error("the kernel did not answer")]
    Silent,
    /// What was to be read kept changing.
    #[error("what the kernel holds changed {DUMP_ATTEMPTS} times while it was read")]
    Unsteady,
    /// An answer could not be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl SocketError {
    pub(super) const fn refused(errno: Errno) -> Self {
        Self::Refused {
            message: 0,
            errno,
            explanation: None,
        }
    }

    /// The kernel's error number, if it answered with one.
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Socket(_) | Self::Silent | Self::Unsteady | Self::Malformed(_) => None,
        }
    }
}

/// A failure to be had on purpose: how an enforcer behaves when the kernel says no must be seen, not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// How many requests are sent before the one that fails.
    pub after: u32,
    /// What the one after them fails with; the kernel never sees it. Those after that are sent again.
    pub errno: Errno,
}

/// A netfilter socket.
#[derive(Debug)]
pub(super) struct Socket {
    netlink: Netlink,
    /// The sequence number of the next message.
    sequence: u32,
    buffer: Vec<u8>,
    fault: Option<Fault>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace. Fails with `EPERM` without `CAP_NET_ADMIN` there.
    pub fn open() -> io::Result<Self> {
        let mut netlink = Netlink::new(NETLINK_NETFILTER)?;
        netlink.bind_auto()?;
        netlink.connect(&SocketAddr::new(0, 0))?;
        netlink.set_ext_ack(true)?;
        force_buffer(&netlink, libc::SO_SNDBUFFORCE, SEND_BUFFER_BYTES)?;
        force_buffer(&netlink, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)?;
        Ok(Self {
            netlink,
            sequence: 1,
            buffer: Vec::with_capacity(DATAGRAM_BYTES),
            fault: None,
        })
    }

    /// Makes a request to come fail.
    pub const fn inject(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Sends messages of which one asks to be acknowledged; gives the payloads of what the kernel answers besides.
    pub fn request(&mut self, messages: &Messages) -> Result<Vec<Vec<u8>>, SocketError> {
        let base = self.send(messages)?;
        let mut answers = Vec::new();
        let mut acknowledged = false;
        let mut refused = None;
        while self.receive()? {
            for answer in Received::parse(&self.buffer)? {
                let message = answer.sequence.wrapping_sub(base);
                if message >= messages.count() {
                    continue; // the rest of an answer to a request that was given up
                }
                if answer.kind != NLMSG_ERROR {
                    answers.push(answer.payload.to_vec());
                    continue;
                }
                let (errno, explanation) = answer.error()?;
                if errno != 0 && refused.is_none() {
                    refused = Some(SocketError::Refused {
                        message,
                        errno: Errno(errno),
                        explanation,
                    });
                }
                acknowledged |= errno == 0 && Some(message) == messages.confirmed_by();
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None if !acknowledged => Err(SocketError::Silent),
            None => Ok(answers),
        }
    }

    /// Sends a dump request; gives the payloads of all its parts, which belong together.
    pub fn dump(&mut self, request: &Messages) -> Result<Vec<Vec<u8>>, SocketError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(parts) = self.try_dump(request)? {
                return Ok(parts);
            }
        }
        Err(SocketError::Unsteady)
    }

    /// One attempt; `None` if something changed meanwhile.
    fn try_dump(&mut self, request: &Messages) -> Result<Option<Vec<Vec<u8>>>, SocketError> {
        let base = self.send(request)?;
        let mut parts = Vec::new();
        let mut steady = true;
        while self.receive()? {
            for part in Received::parse(&self.buffer)? {
                if part.sequence != base {
                    continue; // the rest of an answer to a request that was given up
                }
                steady &= part.flags & NLM_F_DUMP_INTR == 0;
                if part.kind != NLMSG_DONE && part.kind != NLMSG_ERROR {
                    parts.push(part.payload.to_vec());
                    continue;
                }
                let (errno, explanation) = part.error()?;
                if errno != 0 {
                    return Err(SocketError::Refused {
                        message: 0,
                        errno: Errno(errno),
                        explanation,
                    });
                }
                return Ok(steady.then_some(parts));
            }
        }
        Err(SocketError::Silent)
    }

    /// Sends messages in one datagram; gives the sequence number of the first.
    fn send(&mut self, messages: &Messages) -> Result<u32, SocketError> {
        if let Some(fault) = &mut self.fault {
            if fault.after == 0 {
                let errno = fault.errno;
                self.fault = None;
                return Err(SocketError::Refused {
                    message: 0,
                    errno,
                    explanation: Some("injected".to_owned()),
                });
            }
            fault.after -= 1;
        }
        let base = self.sequence;
        self.sequence = base.wrapping_add(messages.count());
        let bytes = messages.numbered(base);
        let sent = self.netlink.send(&bytes, 0)?;
        if sent == bytes.len() {
            Ok(base)
        } else {
            Err(io::Error::from(io::ErrorKind::WriteZero).into())
        }
    }

    /// Takes the next datagram into the buffer; false if none is queued.
    fn receive(&mut self) -> Result<bool, SocketError> {
        loop {
            self.buffer.clear();
            match self
                .netlink
                .recv(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC)
            {
                Ok(length) if length > self.buffer.len() => return Err(Malformed("an end within the buffer").into()),
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "netlink-sys offers neither of the two options beyond the limits in /proc/sys/net/core"
)]
fn force_buffer(netlink: &Netlink, option: libc::c_int, bytes: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `netlink` is borrowed; the kernel reads four bytes from `bytes`.
    let result = unsafe {
        let value = (&raw const bytes).cast();
        libc::setsockopt(
            netlink.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value,
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
