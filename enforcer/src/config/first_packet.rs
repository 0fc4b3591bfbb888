//! Flags of how a pod is isolated before it sends anything (S79, S122).

use crate::nri::{Late, SOCKET};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

const HEADING: &str = "Pods that start";

/// How pods are isolated before they send anything.
#[derive(Args, Clone, Debug)]
pub struct FirstPacketFlags {
    /// Where the container runtime's NRI socket is; it waits with each pod until the pod is isolated
    ///
    /// With NRI (containerd 2, CRI-O; on by default there) a pod is isolated before its first container starts, init
    /// containers included. Without, a pod is isolated some tens of milliseconds after. auto looks for /var/run/nri/nri.sock, now and
    /// from then on; off never connects; a path is a socket elsewhere. A pod's start is held back for some ten milliseconds,
    /// and for 1.5 s at most; an enforcer by which nothing comes into force holds a node's pods back by 1.5 s in all.
    #[arg(
        long,
        value_name = "auto|off|PATH",
        env = "BAILEY_ENFORCER_NRI",
        default_value = "auto",
        help_heading = HEADING
    )]
    nri: Nri,

    /// What the runtime is told of a pod that is not isolated within 1.5 s
    ///
    /// The default lets it start, as without NRI: an enforcer in trouble must not keep this node from starting the very pods
    /// that would mend it, and one that does not run is not asked at all. A warning and a metric tell.
    #[arg(
        long,
        value_name = "VERDICT",
        env = "BAILEY_ENFORCER_NRI_LATE",
        value_enum,
        default_value_t,
        help_heading = HEADING
    )]
    nri_late: Late,

    /// What becomes of packets from and to addresses of this node's pod ranges that no pod is known to have
    ///
    /// hold drops them, on their way through this node, not from and to the node itself; so a pod that starts neither sends nor
    /// gets anything before this enforcer knows it, without NRI too, and while no enforcer runs. The ranges are
    /// Node.spec.podCIDRs: hold needs the right to list and watch nodes. A node whose pods have addresses of other
    /// ranges is not helped by it.
    #[arg(
        long,
        value_name = "VERDICT",
        env = "BAILEY_ENFORCER_UNKNOWN_LOCAL_PODS",
        value_enum,
        default_value_t,
        help_heading = HEADING
    )]
    unknown_local_pods: UnknownLocalPods,
}

/// What becomes of packets from and to pods of the node that are not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum UnknownLocalPods {
    /// They pass, as those of a pod that no policy selects
    #[default]
    Allow,
    /// They are dropped until the pod is known
    Hold,
}

/// The same, validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstPacket {
    /// Where the container runtime's socket is.
    pub nri: Nri,
    /// What it is told of a pod that is not isolated in time.
    pub late: Late,
    /// What becomes of packets of pods that are not known.
    pub unknown: UnknownLocalPods,
}

/// Where the container runtime's NRI socket is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Nri {
    /// Where it usually is.
    Auto,
    /// It is not to be used.
    Off,
    /// There.
    At(PathBuf),
}

/// It says nowhere to look.
#[derive(Debug, thiserror::Error)]
#[error("expected auto, off or the absolute path of a socket")]
pub struct NoSocket;

impl Nri {
    /// The socket; `None`: none is to be used.
    pub fn socket(self) -> Option<PathBuf> {
        match self {
            Self::Auto => Some(SOCKET.into()),
            Self::Off => None,
            Self::At(path) => Some(path),
        }
    }
}

impl FromStr for Nri {
    type Err = NoSocket;

    fn from_str(text: &str) -> Result<Self, NoSocket> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            path if path.starts_with('/') => Ok(Self::At(path.into())),
            _ => Err(NoSocket),
        }
    }
}

impl FirstPacketFlags {
    /// What they say.
    pub fn first_packet(self) -> FirstPacket {
        let Self {
            nri,
            nri_late: late,
            unknown_local_pods: unknown,
        } = self;
        FirstPacket { nri, late, unknown }
    }
}
