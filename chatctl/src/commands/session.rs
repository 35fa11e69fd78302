//! `chatctl session`.

use clap::Subcommand;
use protocol::admin::{KickRequest, UserSession};

use super::no_dry_run;
use crate::{
    error::{CommandError, Kind},
    output::{Cell, Column, Tabular, Tone, counted, format_span},
    session::Session,
};

/// Look at a user's sessions, close them
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Show a user's sessions: what the registry names and what gateways have
    ///
    /// One device connected twice is a split brain: the older session is closed within 30 s by itself, or by kick.
    Show {
        /// The user
        user: String,
    },
    /// Close a user's connections: their clients come back and resume, and miss nothing
    Kick {
        /// The user
        user: String,
        /// Only this device
        #[arg(long)]
        device: Option<String>,
        /// Only on this gateway
        #[arg(long)]
        gateway: Option<String>,
    },
}

impl Tabular for UserSession {
    const COLUMNS: &'static [Column] = &[
        Column("USER", false),
        Column("DEVICE", false),
        Column("GATEWAY", false),
        Column("VERSION", false),
        Column("REGISTERED", false),
        Column("CONNECTED", false),
        Column("HEARD", false),
    ];

    fn row(&self) -> Vec<Cell> {
        let yes = |is: bool, no: Tone| if is { Cell::new("yes", Tone::Good) } else { Cell::new("no", no) };
        vec![
            (&self.user).into(),
            (&self.device).into(),
            (&self.gateway).into(),
            self.session_version.into(),
            // Connected and not registered: superseded, or its registry was lost.
            yes(self.registered, if self.connected { Tone::Bad } else { Tone::Dim }),
            yes(self.connected, Tone::Dim),
            self.heard_ms_ago.map(|ms| format!("{} ago", format_span(ms))).unwrap_or_default().into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = session.api()?;
    match args {
        Args::Show { user } => {
            session
                .ui
                .repeat(async || {
                    let sessions = api.sessions(&user).await?;
                    if sessions.is_empty() {
                        return Err(CommandError::new(Kind::NotFound, format!("user {user} has no session")));
                    }
                    session.ui.list(&sessions)
                })
                .await
        }
        Args::Kick { user, device, gateway } => {
            no_dry_run(session, "kick")?;
            session.confirm(&format!("close the connections of {user}; the clients come back by themselves"))?;
            let request = KickRequest { device, gateway, reason: session.global.reason.clone() };
            let kicked = api.kick(&user, &request).await?;
            if !kicked.unreachable.is_empty() {
                session.ui.note(&format!("not asked, for they do not answer: {}", kicked.unreachable.join(", ")));
            }
            session.ui.say(&format!("{} closed", counted(kicked.closed, "connections")), &kicked)
        }
    }
}
