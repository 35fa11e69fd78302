//! `chatctl conversation`: through a gateway's HTTP, as a back end would.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use protocol::{
    admin::{CreateOverride, Lever},
    frames::Kind,
    http::{ConversationCreated, ConversationDetail, CreateConversation},
};
use serde::Serialize;

use super::{no_dry_run, overrides};
use crate::{
    duration::parse_duration,
    error::{self, CommandError},
    output::{Cell, Column, Tabular},
    session::Session,
};

/// Create conversations, look at them, change their members
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Create a conversation
    Create {
        /// What to create
        kind: KindArg,
        /// Who is in it
        #[arg(required = true)]
        members: Vec<String>,
        /// Its id [default: made up]
        #[arg(long)]
        id: Option<String>,
    },
    /// Show a conversation
    Show {
        /// The conversation
        conversation: String,
    },
    /// Look at the members, add and remove some
    #[command(subcommand)]
    Members(MembersArgs),
    /// Deliver the messages of a very active group in batches for a while, or live again
    Mode {
        /// The group
        conversation: String,
        /// How
        #[arg(value_enum)]
        mode: Mode,
        /// How long messages wait for others
        #[arg(long, value_parser = parse_duration, default_value = "5s", value_name = "TIME")]
        window: Duration,
        /// For how long: it is live again then (batch)
        #[arg(long = "for", value_parser = parse_duration, value_name = "TIME")]
        lasts: Option<Duration>,
    },
    /// Make a group a channel: members subscribe; messages and numbers stay
    Convert {
        /// The group
        conversation: String,
    },
}

/// How messages of a group are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Together, every few seconds
    Batch,
    /// Each at once
    Live,
}

/// Look at the members, add and remove some
#[derive(Debug, Subcommand)]
pub enum MembersArgs {
    /// List the members
    List {
        /// The conversation
        conversation: String,
    },
    /// Add members
    Add {
        /// The conversation
        conversation: String,
        /// Who
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Remove members
    Remove {
        /// The conversation
        conversation: String,
        /// Who
        #[arg(required = true)]
        users: Vec<String>,
    },
}

/// Kinds of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Two people
    Direct,
    /// 2 to 500 people
    Group,
    /// Any number; delivered to those that subscribe
    Channel,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Direct => Self::Direct,
            KindArg::Group => Self::Group,
            KindArg::Channel => Self::Channel,
        }
    }
}

impl Tabular for ConversationCreated {
    const COLUMNS: &'static [Column] =
        &[Column("CONVERSATION", false), Column("KIND", false), Column("MEMBERS", false)];

    fn row(&self) -> Vec<Cell> {
        vec![(&self.id).into(), self.kind.as_str().into(), self.members.into()]
    }
}

impl Tabular for ConversationDetail {
    const COLUMNS: &'static [Column] =
        &[Column("CONVERSATION", false), Column("KIND", false), Column("HEAD", false), Column("MEMBERS", false)];

    fn row(&self) -> Vec<Cell> {
        vec![(&self.id).into(), self.kind.as_str().into(), self.head.into(), self.members.len().into()]
    }
}

#[derive(Serialize)]
struct Member {
    user: String,
}

impl Tabular for Member {
    const COLUMNS: &'static [Column] = &[Column("USER", false)];

    fn row(&self) -> Vec<Cell> {
        vec![(&self.user).into()]
    }
}

/// What `mode` asks for.
pub(crate) enum Batching {
    /// An override: it ends by itself.
    On(CreateOverride),
    /// The end of it, for this group.
    Off(String),
}

impl Args {
    /// What `mode` asks for.
    pub(crate) fn batch(self, reason: &str) -> Result<Batching, String> {
        let Self::Mode { conversation, mode, window, lasts } = self else { return Err("it is no mode".to_owned()) };
        if mode == Mode::Live {
            return Ok(Batching::Off(conversation));
        }
        let lasts = lasts.ok_or("batching needs --for TIME: it must end by itself")?;
        Ok(Batching::On(CreateOverride {
            lever: Lever::Batch { conversation, window_ms: window.as_millis() as u64 },
            scope: "fleet".to_owned(),
            for_ms: lasts.as_millis() as u64,
            reason: reason.to_owned(),
            dry_run: false,
        }))
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let api = || session.gateway_api();
    match args {
        Args::Create { kind, members, id } => {
            no_dry_run(session, "conversation create")?;
            let request = CreateConversation { kind: kind.into(), members, id };
            let (created, is_new) = api()?.create(&request).await?;
            if !is_new {
                session.ui.note("it was there already");
            }
            session.ui.one(&created)
        }
        Args::Show { conversation } => {
            session.ui.repeat(async || session.ui.one(&api()?.show(&conversation).await?)).await
        }
        args @ Args::Mode { .. } => match args.batch(&session.global.reason).map_err(CommandError::usage)? {
            Batching::On(request) => overrides::create(session, request).await,
            Batching::Off(group) => {
                let none = format!("{group} is not batched");
                overrides::revert_slot(session, &session.api()?, &format!("batch {group}"), None, &none).await
            }
        },
        Args::Convert { conversation } => {
            no_dry_run(session, "convert")?;
            let known = api()?.show(&conversation).await?;
            match known.kind {
                Kind::Group => {}
                Kind::Channel => {
                    session.ui.note(&format!("{conversation} is a channel already: nothing to do"));
                    return session.ui.one(&known);
                }
                Kind::Direct => {
                    let why = format!("{conversation} is a direct conversation, and stays one");
                    return Err(CommandError::new(error::Kind::Refused, why).hint("only a group becomes a channel"));
                }
            }
            session.confirm(&format!("make {conversation} a channel; there is no way back"))?;
            api()?.convert(&conversation).await?;
            session.ui.one(&api()?.show(&conversation).await?)
        }
        Args::Members(MembersArgs::List { conversation }) => {
            session
                .ui
                .repeat(async || {
                    let members = api()?.show(&conversation).await?.members;
                    session.ui.list(&members.into_iter().map(|user| Member { user }).collect::<Vec<_>>())
                })
                .await
        }
        Args::Members(MembersArgs::Add { conversation, users }) => {
            no_dry_run(session, "members add")?;
            for user in &users {
                api()?.member(&conversation, user, true).await?;
                session.ui.note(&format!("{user} is a member of {conversation}"));
            }
            session.ui.answer(&serde_json::json!({ "conversation": conversation, "added": users }))
        }
        Args::Members(MembersArgs::Remove { conversation, users }) => {
            no_dry_run(session, "members remove")?;
            for user in &users {
                api()?.member(&conversation, user, false).await?;
                session.ui.note(&format!("{user} is no member of {conversation}"));
            }
            session.ui.answer(&serde_json::json!({ "conversation": conversation, "removed": users }))
        }
    }
}
