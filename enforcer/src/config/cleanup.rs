//! Flags of `cleanup`.

use super::{ADMIN, ConfigError, Log, LogFlags};
use crate::admin;
use clap::Args;

/// What takes Bailey's rules away, and whether it stays.
#[derive(Args, Debug)]
pub struct CleanupFlags {
    /// Then stay until stopped, so that no enforcer comes back: in the place of the enforcers' DaemonSet this cleans every node
    ///
    /// Meanwhile /healthz and /readyz answer on --admin, as those of an enforcer do.
    #[arg(long)]
    stay: bool,

    /// Address of /healthz and /readyz while it stays: ADDRESS:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", env = "BAILEY_ENFORCER_ADMIN", default_value = ADMIN)]
    admin: admin::Address,

    #[command(flatten)]
    log: LogFlags,
}

/// The same, validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cleanup {
    /// Where it answers while it stays; `None`: it does not stay.
    pub stay: Option<admin::Address>,
    /// How to log.
    pub log: Log,
}

impl CleanupFlags {
    pub(super) fn validate(self) -> Result<Cleanup, ConfigError> {
        let Self { stay, admin, log } = self;
        Ok(Cleanup {
            stay: stay.then_some(admin),
            log: log.validate()?,
        })
    }
}
