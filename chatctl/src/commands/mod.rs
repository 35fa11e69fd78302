//! One file a noun. A new noun is a file and two lines here.

pub mod audit;
pub mod breaker;
pub mod capacity;
pub mod chat;
pub mod completions;
pub mod consistency;
pub mod context;
pub mod conversation;
pub mod dev;
pub mod doctor;
pub mod fault;
pub mod fleet;
pub mod gateway;
pub mod heartbeats;
pub mod incident;
pub mod lag;
pub mod man;
pub mod node;
pub mod operation;
pub mod overrides;
mod ready;
pub mod reconcile;
pub mod rollout;
pub mod runbook;
pub mod session;
pub mod support_bundle;
pub mod swarm;
pub mod token;
pub mod ui;
pub mod wait;

use std::path::PathBuf;

use clap::{CommandFactory as _, Subcommand};

use crate::{cli::Cli, error::CommandError, session::Session};

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch and steer the fleet in this terminal (also without a noun)
    #[command(long_about = ui::LONG_ABOUT)]
    Ui(ui::Args),
    /// Start a whole fleet in this process
    Dev(dev::Args),
    /// Run a described fleet as processes of this machine
    #[command(subcommand)]
    Fleet(fleet::Args),
    /// Talk in a conversation
    Chat(chat::Args),
    /// Look at gateways, drain them, put them back
    #[command(subcommand)]
    Gateway(gateway::Args),
    /// Look at all nodes, forget those that are gone
    #[command(subcommand)]
    Node(node::Args),
    /// Look at what goes on, watch it, cancel it
    #[command(subcommand)]
    Operation(operation::Args),
    /// Look at incidents, take them, resolve them
    #[command(subcommand)]
    Incident(incident::Args),
    /// Run written procedures step by step, with checks, confirmations and a way back
    #[command(subcommand)]
    Runbook(runbook::Args),
    /// What the fleet bears
    #[command(subcommand)]
    Capacity(capacity::CapacityArgs),
    /// Events that the fleet is scaled for
    #[command(subcommand)]
    Event(capacity::EventArgs),
    /// Add nodes ahead of a load, and take them away again
    #[command(subcommand)]
    Prescale(capacity::PrescaleArgs),
    /// Compare stored rows with the log: duplicate numbers, holes, a key twice, a row that differs
    #[command(subcommand)]
    Reconcile(reconcile::Args),
    /// Restart nodes a few at a time; pause, resume, abort that
    #[command(subcommand)]
    Rollout(rollout::Args),
    /// Look at circuit breakers, hold them open or closed, let them go
    #[command(subcommand)]
    Breaker(breaker::Args),
    /// Limit the heartbeats that gateways forward, for a while
    #[command(subcommand)]
    Heartbeats(heartbeats::Args),
    /// Look at the consistency of stored messages, lower it for a while, verify what was stored meanwhile
    #[command(subcommand)]
    Consistency(consistency::Args),
    /// Look at what is forced for a while, end it
    #[command(subcommand)]
    Override(overrides::Args),
    /// Inject faults into nodes that run with --allow-faults, end them
    #[command(subcommand)]
    Fault(fault::Args),
    /// Look at a user's sessions, close them
    #[command(subcommand)]
    Session(session::Args),
    /// Where storing stands: by partition, what is read and what is stored at quorum
    Lag(lag::Args),
    /// Wait until something holds, as `gateway/gw-1.connections==0`
    Wait(wait::Args),
    /// Create conversations, look at them, change their members
    #[command(subcommand)]
    Conversation(conversation::Args),
    /// Many clients at once: replay a chat log, or make load
    #[command(subcommand)]
    Swarm(swarm::Args),
    /// Make tokens for users and back ends, and for the control plane
    #[command(subcommand)]
    Token(token::Args),
    /// Who did what, and why
    Audit(audit::Args),
    /// Name fleets, and choose one
    #[command(subcommand)]
    Context(context::Args),
    /// Check everything that is easily wrong, and say how to mend it
    Doctor(doctor::Args),
    /// Write what others need to help into one file, secrets left out
    SupportBundle(support_bundle::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Write the man pages of every command into a directory
    Man(man::Args),
}

/// Runs a command; without one, the terminal UI where there is a terminal, else prints the help.
pub(crate) async fn run(session: &Session, command: Option<Command>) -> Result<(), CommandError> {
    match command {
        None if ui::run_alone(session).await? => Ok(()),
        None => session.ui.out(&Cli::command().render_help().to_string()),
        Some(Command::Ui(args)) => ui::run(session, args).await,
        Some(Command::Dev(args)) => dev::run(session, args).await,
        Some(Command::Fleet(args)) => fleet::run(session, args).await,
        Some(Command::Chat(args)) => chat::run(session, args).await,
        Some(Command::Gateway(args)) => gateway::run(session, args).await,
        Some(Command::Node(args)) => node::run(session, args).await,
        Some(Command::Operation(args)) => operation::run(session, args).await,
        Some(Command::Incident(args)) => incident::run(session, args).await,
        Some(Command::Runbook(args)) => runbook::run(session, args).await,
        Some(Command::Capacity(args)) => capacity::capacity(session, args).await,
        Some(Command::Event(args)) => capacity::event(session, args).await,
        Some(Command::Prescale(args)) => capacity::prescale(session, args).await,
        Some(Command::Reconcile(args)) => reconcile::run(session, args).await,
        Some(Command::Rollout(args)) => rollout::run(session, args).await,
        Some(Command::Breaker(args)) => breaker::run(session, args).await,
        Some(Command::Heartbeats(args)) => heartbeats::run(session, args).await,
        Some(Command::Consistency(args)) => consistency::run(session, args).await,
        Some(Command::Override(args)) => overrides::run(session, args).await,
        Some(Command::Fault(args)) => fault::run(session, args).await,
        Some(Command::Session(args)) => session::run(session, args).await,
        Some(Command::Lag(args)) => lag::run(session, args).await,
        Some(Command::Wait(args)) => wait::run(session, args).await,
        Some(Command::Conversation(args)) => conversation::run(session, args).await,
        Some(Command::Swarm(args)) => swarm::run(session, args).await,
        Some(Command::Token(args)) => token::run(session, args).await,
        Some(Command::Doctor(args)) => doctor::run(session, args).await,
        Some(Command::SupportBundle(args)) => support_bundle::run(session, args).await,
        Some(Command::Audit(args)) => audit::run(session, args).await,
        Some(Command::Context(args)) => context::run(session, args),
        Some(Command::Completions(args)) => completions::run(session, args),
        Some(Command::Man(args)) => man::run(session, args),
    }
}

/// Where local fleets keep their data.
fn data_home() -> Result<PathBuf, CommandError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local").join("share")));
    let none = || CommandError::usage("neither XDG_DATA_HOME nor HOME is set, so there is no place for data");
    Ok(data.ok_or_else(none)?.join("chatctl"))
}

/// Refuses `--dry-run` where it would be a lie.
fn no_dry_run(session: &Session, what: &str) -> Result<(), CommandError> {
    if session.global.dry_run {
        return Err(CommandError::usage(format!("{what} has no dry run")));
    }
    Ok(())
}
