//! The log on stderr. `RUST_LOG` decides; without it the number of `-v`.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Installs the log. `quietest` is what is written without any `-v`.
pub(crate) fn init(quietest: Quietest, verbose: u8, has_color: bool) {
    let level = match (quietest, verbose) {
        (Quietest::Error, 0) => "error",
        (Quietest::Warn, 0) | (Quietest::Error, 1) => "warn",
        (Quietest::Warn, 1) | (Quietest::Error, 2) => "info",
        (Quietest::Warn, 2) | (Quietest::Error, 3) => "debug",
        _ => "trace",
    };
    // What a certificate is refused for is said by the call that met it.
    let level = format!("{level},rustls_platform_verifier=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // A second subscriber (tests in one process) is no reason to fail.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(has_color && io::stderr().is_terminal())
        .try_init();
}

/// What is written without any `-v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quietest {
    /// Commands that come and go speak for themselves.
    Error,
    /// A fleet in this process has things to say that nobody asked for.
    Warn,
}
