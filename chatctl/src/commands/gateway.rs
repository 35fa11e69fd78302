//! `chatctl gateway`.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{DrainPreview, DrainRequest, Gateway, GatewayPhase};

use super::{no_dry_run, node::status, operation};
use crate::{
    api::Api,
    complete,
    duration::parse_duration,
    error::{CommandError, Kind},
    output::{Cell, Column, Tabular, Tone, counted},
    session::Session,
};

/// Look at gateways, drain them, put them back
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List gateways
    List,
    /// Show one gateway
    Show {
        /// The gateway
        #[arg(add = ArgValueCompleter::new(complete::gateways))]
        gateway: String,
    },
    /// Move every connection of a gateway elsewhere
    ///
    /// The gateway stops accepting, tells its clients to connect elsewhere, and closes at the deadline those that did
    /// not. Refused when the other gateways would pass 80% of their capacity. It goes on by itself: --wait only
    /// watches. Put the gateway back with `chatctl gateway undrain`.
    Drain(DrainArgs),
    /// Put a drained gateway back into service
    Undrain {
        /// The gateway
        #[arg(add = ArgValueCompleter::new(complete::gateways))]
        gateway: String,
    },
}

/// What `chatctl gateway drain` takes.
#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// The gateway
    #[arg(add = ArgValueCompleter::new(complete::gateways))]
    pub(crate) gateway: String,
    /// After this, what is left is closed [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// At most this many connections a second [default: what the deadline needs]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rate: Option<u32>,
    /// Drain even if the other gateways would be too full
    #[arg(long)]
    force: bool,
}

impl DrainArgs {
    /// The call's body.
    pub(crate) fn request(&self, reason: &str) -> DrainRequest {
        DrainRequest {
            deadline_ms: self.deadline.map(|deadline| deadline.as_millis() as u64),
            rate_per_s: self.rate,
            force: self.force,
            dry_run: false,
            reason: reason.to_owned(),
        }
    }
}

impl Tabular for Gateway {
    const COLUMNS: &'static [Column] = &[
        Column("GATEWAY", false),
        Column("STATUS", false),
        Column("PHASE", false),
        Column("CONNECTIONS", false),
        Column("CAPACITY", false),
        Column("OPERATION", false),
        Column("TROUBLE", false),
        Column("USERS", true),
        Column("ACCEPTED", true),
        Column("DELIVERED", true),
        Column("REFUSED", true),
        Column("ZONE", true),
        Column("URL", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let phase = match self.phase {
            GatewayPhase::Active => Tone::Good,
            GatewayPhase::Draining | GatewayPhase::Evicting => Tone::Busy,
            GatewayPhase::Drained | GatewayPhase::Forced => Tone::Dim,
        };
        let trouble = if self.trouble.is_empty() { Tone::Plain } else { Tone::Bad };
        vec![
            (&self.id).into(),
            status(self.status),
            Cell::new(self.phase, phase),
            self.connections.into(),
            self.capacity.into(),
            self.operation.clone().unwrap_or_default().into(),
            Cell::new(&self.trouble, trouble),
            self.users.into(),
            self.accepted_total.into(),
            self.delivered_total.into(),
            self.refused_total.into(),
            (&self.zone).into(),
            (&self.client_url).into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::List => session.ui.repeat(async || session.ui.list(&api.gateways().await?)).await,
        Args::Show { gateway } => session.ui.repeat(async || session.ui.one(&api.gateway(&gateway).await?)).await,
        Args::Drain(args) => drain(session, &api, &args).await,
        Args::Undrain { gateway } => {
            no_dry_run(session, "undrain")?;
            let operation = api.undrain(&gateway, &session.global.reason).await?;
            operation::begun(session, &api, &operation).await
        }
    }
}

async fn drain(session: &Session, api: &Api, args: &DrainArgs) -> Result<(), CommandError> {
    let request = args.request(&session.global.reason);
    let preview = api.drain_preview(&args.gateway, &request).await?;
    if session.global.dry_run {
        return dry_run(session, &preview);
    }
    session.confirm(&describe(&preview))?;
    let operation = api.drain(&args.gateway, &request).await?;
    operation::begun(session, api, &operation).await
}

fn dry_run(session: &Session, preview: &DrainPreview) -> Result<(), CommandError> {
    session.ui.say(&format!("dry run: {}", describe(preview)), preview)?;
    match &preview.refused {
        None => Ok(()),
        Some(why) => Err(CommandError::new(Kind::Refused, format!("it would be refused: {why}"))),
    }
}

fn describe(preview: &DrainPreview) -> String {
    let DrainPreview { gateway, connections, drain, survivors, survivors_connections, survivors_capacity, .. } =
        preview;
    format!(
        "drain {gateway}: move {} within {:.1} s, at most {}/s; {} would have {survivors_connections} of {}",
        counted(*connections, "connections"),
        drain.deadline_ms as f64 / 1_000.0,
        drain.rate_per_s,
        counted(*survivors, "other gateways"),
        counted(*survivors_capacity, "connections"),
    )
}
