//! `chatctl dev`: a whole fleet in this process.

mod context;
mod place;
mod refusal;
mod welcome;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use fleet::{FleetOptions, Limits, LocalFleet, RunningGateway};
use tokio::time::Instant;

pub(super) use self::context::announce;
use self::place::Place;
use super::{
    no_dry_run,
    ready::{self, ReadyFile, ReadyGateway},
};
use crate::{error::CommandError, session::Session, signals::Signals};

/// Start a whole fleet in this process: gateways, a worker and a control plane, durable on disk
///
/// The control plane has the port, the gateways the following ones. The context `dev` is written and made current, so
/// that chatctl in another terminal finds the fleet. Ctrl-C and SIGTERM drain and exit; a second one exits at once. For
/// development: it has no TLS.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many gateways
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    gateways: u16,
    /// Where to listen
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    bind: IpAddr,
    /// Port of the control plane; gateways have the following ones. 0: any free ports
    #[arg(long, default_value_t = 7400)]
    port: u16,
    /// Where to keep everything [default: $XDG_DATA_HOME/chatctl/dev]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep everything in a temporary directory that goes at exit
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// At readiness write a JSON file with addresses and secrets; it goes at exit
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Let drills inject faults (`chatctl fault inject`). Recorded in the ready file
    #[arg(long)]
    allow_faults: bool,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let began = Instant::now();
    no_dry_run(session, "dev")?;
    if args.port != 0 && args.port.checked_add(args.gateways).is_none() {
        return Err(CommandError::usage(format!(
            "port {} leaves no room for {} gateways behind it: give a lower --port",
            args.port, args.gateways
        )));
    }
    let place = Place::choose(args.data.clone(), args.ephemeral)?;
    if let Some(path) = &args.ready_file {
        ready::remove_stale(path);
    }
    if !args.bind.is_loopback() {
        session.ui.note(&format!("warning: dev has no TLS: whoever reaches {} reads what is said", args.bind));
    }
    let mut signals = Signals::listen()?;
    let options = FleetOptions {
        gateways: args.gateways.into(),
        allow_faults: args.allow_faults,
        bind: args.bind,
        port: args.port,
        data: place.path.clone(),
        limits: Limits::default(),
    };
    let fleet = tokio::select! {
        fleet = LocalFleet::start(options) => fleet.map_err(|error| refusal::explain(error, &place))?,
        () = signals.next() => return Err(CommandError::failed("stopped before the fleet was ready")),
    };
    let done = serve(session, &args, &place, &fleet, &mut signals, began).await;
    tokio::select! {
        () = fleet.shutdown() => done,
        () = signals.next() => {
            session.ui.note("stopped at once; the next start recovers the data directory");
            std::process::exit(1);
        }
    }
}

/// From readiness to the first signal.
async fn serve(
    session: &Session,
    args: &Args,
    place: &Place,
    fleet: &LocalFleet,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), CommandError> {
    let context = context::of(fleet);
    // Before the ready file: who waits for that one may use chatctl at once.
    let announced = announce(session, context::NAME, &context);
    let gateway = |one: &RunningGateway| ReadyGateway { id: one.id.clone(), ws: one.ws(), http: one.http() };
    let gateways: Vec<_> = fleet.gateways.iter().map(gateway).collect();
    let file = match &args.ready_file {
        Some(path) => Some(ReadyFile::write(path, &gateways, &context, args.allow_faults)?),
        None => None,
    };
    welcome::say(session, fleet, place, announced, began.elapsed())?;
    signals.next().await;
    session.ui.note("stopping: clients are closed and what was accepted is finished; again to stop at once");
    drop(file);
    Ok(())
}
