//! What the programs share: their command line, their log, their signals.

use std::{fmt, path::PathBuf, process::ExitCode};

use clap::{Arg, ArgAction, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::settings::{Setting, Settings};

/// Exit code when a program cannot be started with what it was told.
const USAGE: u8 = 2;

/// What is logged unless RUST_LOG says otherwise. The drivers say with every attempt that a store is away; that it is, and
/// that it is back, is said once, by the edge of the store.
const FILTER: &str = "info,librdkafka=off,rdkafka=off,scylla=off";

/// Why a program did not start, in words, with the way out.
pub type Refusal = Box<dyn fmt::Display + Send + Sync>;

/// A program.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it can be told.
    pub tables: &'static [&'static [Setting]],
}

impl Program {
    /// Reads the settings, then runs until `run` returns. The token is cancelled by SIGTERM and SIGINT; a second signal
    /// ends the process at once.
    pub fn main<F>(self, run: impl FnOnce(Settings, CancellationToken) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), Refusal>>,
    {
        let table: Vec<Setting> = self.tables.iter().flat_map(|table| table.iter().copied()).collect();
        let matches = self.command(&table).get_matches();
        let flag = |name: &str| matches.get_one::<String>(name).cloned();
        let file = matches.get_one::<PathBuf>("config");
        let settings = match Settings::read(&table, file.map(PathBuf::as_path), |name| std::env::var(name).ok(), flag) {
            Ok(settings) => settings,
            Err(faults) => {
                eprintln!("{} cannot start:\n{faults}", self.name);
                return USAGE.into();
            }
        };
        if matches.get_flag("check") {
            eprintln!("the settings are well");
            return ExitCode::SUCCESS;
        }
        log_to_stderr();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(async {
                let stop = CancellationToken::new();
                if let Err(error) = listen_to_signals(&stop) {
                    let refusal: Refusal = Box::new(format!("cannot listen to signals: {error}"));
                    return Err(refusal);
                }
                run(settings, stop).await
            }),
            Err(error) => Err(Box::new(format!("cannot start a runtime: {error}")) as Refusal),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(refusal) => {
                eprintln!("{}: {refusal}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn command(&self, table: &[Setting]) -> Command {
        let config = Arg::new("config").long("config").short('c').value_name("FILE").env("CHAT_CONFIG");
        let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
        let mut command = Command::new(self.name)
            .about(self.about)
            .version(env!("CARGO_PKG_VERSION"))
            .after_help("Each setting is a key of the file, a variable or a flag; a flag wins over a variable, and that over the file.")
            .arg(config.value_parser(clap::value_parser!(PathBuf)).help("TOML file with settings"))
            .arg(check.help("Say whether the settings are well, and do nothing"));
        for setting in table {
            let default = match setting.default {
                None => " (must be set)".to_owned(),
                Some("") => String::new(),
                Some(default) => format!(" [default: {default}]"),
            };
            let help = format!("{}{default} [file: {}, env: {}]", setting.help, setting.key, setting.variable());
            let (flag, value) = (setting.flag(), "VALUE");
            command = command.arg(Arg::new(flag.clone()).long(flag).value_name(value).help(help));
        }
        command
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(FILTER));
    // A second subscriber is no reason to fail.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}

fn listen_to_signals(stop: &CancellationToken) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    // Lives as long as the process.
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("a second signal: ending at once");
                std::process::exit(130);
            }
            tracing::info!("a signal: stopping in order; another one ends at once");
            stop.cancel();
        }
    });
    Ok(())
}
