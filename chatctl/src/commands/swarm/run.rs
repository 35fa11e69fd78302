//! `chatctl swarm run`.

use std::time::Duration;

use client::swarm::{self, RunConfig};
use uuid::Uuid;

use super::{End, check_files, play};
use crate::{duration::parse_duration, error::CommandError, session::Session};

/// What `chatctl swarm run` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many clients
    #[arg(long, default_value_t = 100, value_name = "N")]
    clients: u32,
    /// Messages a second, over all clients
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    rate: f64,
    /// How long to send
    #[arg(long, value_parser = parse_duration, default_value = "30s", value_name = "TIME")]
    duration: Duration,
    /// Share of messages that are direct, 0 to 1; the rest goes to groups
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    direct_share: f64,
    /// Members of each group, 2 to 500
    #[arg(long, default_value_t = 20, value_name = "N")]
    group_size: usize,
    /// Connections lost a minute, over all clients
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    churn: f64,
    /// Length of a message
    #[arg(long, default_value_t = 64, value_name = "BYTES")]
    body_bytes: usize,
    /// Connections opened a second at the start
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    connect_rate: u32,
    /// Seed of all chances
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    end: End,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    check_files(args.clients as usize)?;
    // A run expects its conversations to be new, and there is only one direct conversation for a pair.
    let name = format!("swarm-{:08x}", Uuid::new_v4().as_fields().0);
    let mut config = RunConfig::new(name, args.clients as usize);
    config.rate_per_s = args.rate;
    config.duration = args.duration;
    config.direct_share = args.direct_share;
    config.group_size = args.group_size;
    config.churn_per_min = args.churn;
    config.body_bytes = args.body_bytes;
    config.connects_per_s = args.connect_rate;
    config.seed = args.seed;
    config.patience = args.end.patience;
    play(session, "run", |fleet| swarm::run(fleet, config)).await
}
