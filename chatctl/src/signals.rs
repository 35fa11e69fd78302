//! Being told to stop: ctrl-C, SIGTERM, a terminal that went away.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;

/// Listens from its making on, so that none is missed.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let all = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        };
        all().map_err(|error| CommandError::failed(format!("cannot listen for signals: {error}")))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
