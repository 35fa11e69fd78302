//! `chatctl heartbeats`.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{CreateOverride, Lever};

use super::overrides;
use crate::{complete, duration::parse_duration, error::CommandError, session::Session};

/// Limit the heartbeats that gateways forward, for a while
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Forward at most so many a second for each gateway; the rest waits, once a connection
    Limit(Limit),
    /// Forward as configured again
    Auto {
        /// Where: `fleet`, or a gateway [default: wherever it is limited]
        #[arg(long, add = ArgValueCompleter::new(complete::scopes))]
        scope: Option<String>,
    },
}

/// What `limit` takes.
#[derive(Debug, clap::Args)]
pub struct Limit {
    /// Heartbeats a second: 1-100,000. A gateway of N users needs N/30 so that nobody turns offline
    per_s: u32,
    /// Where: `fleet`, or a gateway
    #[arg(long, default_value = "fleet", add = ArgValueCompleter::new(complete::scopes))]
    scope: String,
    /// For how long
    #[arg(long = "for", value_parser = parse_duration, value_name = "TIME")]
    lasts: Duration,
}

impl Limit {
    /// The call's body.
    pub(crate) fn request(self, reason: &str) -> CreateOverride {
        CreateOverride {
            lever: Lever::HeartbeatRate { per_s: self.per_s },
            scope: self.scope,
            for_ms: self.lasts.as_millis() as u64,
            reason: reason.to_owned(),
            dry_run: false,
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    match args {
        Args::Limit(limit) => overrides::create(session, limit.request(&session.global.reason)).await,
        Args::Auto { scope } => {
            let none = "heartbeats are not limited";
            overrides::revert_slot(session, &session.api()?, "heartbeat_rate", scope, none).await
        }
    }
}
