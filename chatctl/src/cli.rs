//! The command line: global flags and the nouns.

use std::time::Duration;

use clap::{Args, Parser};

use crate::{commands::Command, duration::parse_duration, output::Format};

/// Drives a chat fleet: look at it, steer it, watch what it does.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a guard, 4 not found, 5 cannot reach the control plane,
/// 6 timed out.
#[derive(Debug, Parser)]
#[command(name = "chatctl", version, max_term_width = 100)]
pub struct Cli {
    /// Flags that every command knows.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command knows.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The fleet to talk to [default: the current context]
    #[arg(long, global = true, env = "CHATCTL_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Print again every 2 s, until ctrl-C
    #[arg(long, global = true)]
    pub watch: bool,
    /// Wait until the operation has ended
    #[arg(long, global = true)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, global = true, value_parser = parse_duration, default_value = "10m", value_name = "TIME")]
    pub timeout: Duration,
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Why: goes into the audit
    #[arg(long, global = true, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub reason: String,
    /// Never ask; what would be asked is refused unless --yes is given
    #[arg(long, global = true)]
    pub no_input: bool,
    /// No colours (as the variable NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Log more on stderr; may be given again (RUST_LOG decides more finely)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
