//! `chatctl fault`.

use std::time::Duration;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use protocol::admin::{CreateOverride, Lever, RevertRequest};

use super::overrides;
use crate::{
    api::Api,
    complete,
    duration::parse_duration,
    error::{CommandError, Kind},
    session::Session,
};

/// Inject faults into nodes that run with --allow-faults, end them
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List faults in force
    List {
        /// Also those that are over
        #[arg(long)]
        all: bool,
    },
    /// Inject a fault; it ends by itself
    Inject(Inject),
    /// End faults before their time
    Clear {
        /// The fault [default: all of them]
        #[arg(add = ArgValueCompleter::new(complete::overrides))]
        id: Option<String>,
    },
}

/// What `inject` takes.
#[derive(Debug, clap::Args)]
pub struct Inject {
    /// What goes wrong
    #[command(subcommand)]
    fault: Fault,
    /// Where: `fleet`, or a node
    #[arg(long, default_value = "fleet", global = true, add = ArgValueCompleter::new(complete::scopes))]
    scope: String,
    /// For how long
    #[arg(long = "for", global = true, value_parser = parse_duration, value_name = "TIME")]
    lasts: Option<Duration>,
}

/// The faults.
#[derive(Debug, Subcommand)]
enum Fault {
    /// A node dies at once and stays away as long as the fault lasts
    Kill,
    /// A node stands still
    Pause,
    /// Calls of a store take longer
    StoreLatency {
        /// The store: log, messages, dedup, registry, presence, directory
        store: String,
        /// How much longer
        #[arg(value_parser = parse_duration)]
        latency: Duration,
    },
    /// Some calls of a store fail
    StoreErrors {
        /// The store: log, messages, dedup, registry, presence, directory
        store: String,
        /// How many of 100
        percent: u8,
    },
    /// Gateways do not send some of their acks
    DropAcks {
        /// How many of 100
        percent: u8,
    },
    /// Gateways do not send some deliveries
    DropFrames {
        /// How many of 100
        percent: u8,
    },
    /// Gateways send deliveries later
    DelayFrames {
        /// How much later
        #[arg(value_parser = parse_duration)]
        delay: Duration,
    },
}

impl Inject {
    /// The call's body.
    pub(crate) fn request(self, reason: &str) -> Result<CreateOverride, CommandError> {
        let none = || CommandError::usage("a fault needs --for TIME: it must end by itself");
        Ok(CreateOverride {
            lever: self.fault.lever(),
            scope: self.scope,
            for_ms: self.lasts.ok_or_else(none)?.as_millis() as u64,
            reason: reason.to_owned(),
            dry_run: false,
        })
    }
}

impl Fault {
    fn lever(self) -> Lever {
        let ms = |time: Duration| time.as_millis() as u64;
        match self {
            Self::Kill => Lever::Kill,
            Self::Pause => Lever::Pause,
            Self::StoreLatency { store, latency } => Lever::StoreLatency { store, latency_ms: ms(latency) },
            Self::StoreErrors { store, percent } => Lever::StoreErrors { store, percent },
            Self::DropAcks { percent } => Lever::DropAcks { percent },
            Self::DropFrames { percent } => Lever::DropFrames { percent },
            Self::DelayFrames { delay } => Lever::DelayFrames { delay_ms: ms(delay) },
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::List { all } => {
            session
                .ui
                .repeat(async || {
                    let mut faults = api.overrides(all).await?;
                    faults.retain(|one| one.lever.is_fault());
                    session.ui.list(&faults)
                })
                .await
        }
        Args::Inject(inject) => overrides::create(session, inject.request(&session.global.reason)?).await,
        Args::Clear { id: Some(id) } => clear(session, &api, &id).await,
        Args::Clear { id: None } => {
            let reason = &session.global.reason;
            let request = RevertRequest { slot: "faults".to_owned(), scope: None, reason: reason.clone() };
            let ended = api.override_revert(&request).await?;
            if ended.is_empty() {
                session.ui.note("no fault is in force: nothing to do");
            }
            session.ui.list(&ended)
        }
    }
}

async fn clear(session: &Session, api: &Api, id: &str) -> Result<(), CommandError> {
    let one = api.override_show(id).await?;
    if !one.lever.is_fault() {
        return Err(CommandError::new(Kind::Refused, format!("override {id} is no fault: {}", one.lever))
            .hint(format!("chatctl override revert {id} ends it")));
    }
    session.ui.changed(&api.override_end(id, &session.global.reason).await?)
}
