//! `chatctl chat`: a person talks in a terminal, line by line.

mod lines;
mod screen;
mod talk;

use std::{sync::Arc, time::Duration};

use client::{Client, ClientConfig};
use domain::{ConversationId, UserId};
use protocol::{frames, http::ConversationDetail};
use uuid::Uuid;

use self::{screen::Screen, talk::Talk};
use super::no_dry_run;
use crate::{
    access::Access,
    error::{CommandError, Kind},
    session::Session,
    signals::Signals,
};

/// How long saying goodbye may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Talk in a conversation: each line typed is a message, each message is a line
///
/// Shows the last messages, then what is said from now on: time (UTC), number, sender, text. `/history` shows what came
/// before, `/quit` or ctrl-D leaves. Reads from a pipe, too: then it ends when the input does and every line was accepted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The conversation
    conversation: String,
    /// Who talks: a member of the conversation
    #[arg(long = "as", value_name = "USER")]
    user: String,
    /// How many of the last messages to show first
    #[arg(long, default_value_t = 20, value_name = "N")]
    last: u64,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    no_dry_run(session, "chat")?;
    UserId::parse(&args.user).map_err(|error| CommandError::usage(format!("user {:?} {error}", args.user)))?;
    ConversationId::parse(&args.conversation)
        .map_err(|error| CommandError::usage(format!("conversation {:?} {error}", args.conversation)))?;
    let mut signals = Signals::listen()?;
    let access = Access::find(session).await?;
    let detail = find(&access, &args).await?;
    let screen = Screen::new(&session.ui, &args.user);
    screen.hello(&detail);

    // A device of its own: two terminals of one person must not put each other out.
    let device = format!("chatctl-{:08x}", Uuid::new_v4().as_fields().0);
    let mut config = ClientConfig::new(args.user.as_str(), device, access.tokens);
    config.resume = [(detail.id.clone(), detail.head.saturating_sub(args.last))].into();
    config.seed = Uuid::new_v4().as_u64_pair().0;
    config.discover = false;
    // One at a time: what a person said first has the lower number, whatever fails.
    config.window = 1;
    let (client, events) = Client::start(config, Arc::clone(&access.connect) as Arc<dyn client::Connect>);
    if detail.kind == frames::Kind::Channel {
        let _ = client.subscribe(&detail.id).await;
    }
    let mut talk = Talk::new(session, screen, client.clone(), detail);
    let done = tokio::select! {
        done = talk.run(events, lines::read()) => done,
        () = signals.next() => talk.left(),
    };
    let _ = tokio::time::timeout(CLOSE_PATIENCE, client.close()).await;
    done
}

/// Finds the conversation, and that the user is in it: a message to nowhere is better refused before it is typed.
async fn find(access: &Access, args: &Args) -> Result<ConversationDetail, CommandError> {
    let Args { conversation, user, .. } = args;
    let detail = access.gateways.show(conversation).await.map_err(|error| match error.kind {
        Kind::NotFound => CommandError::new(Kind::NotFound, format!("there is no conversation {conversation}"))
            .hint(format!("chatctl conversation create group {user} SOMEBODY --id {conversation}")),
        _ => error,
    })?;
    if detail.members.binary_search(user).is_err() {
        return Err(CommandError::new(Kind::Refused, format!("{user} is not a member of {conversation}"))
            .hint(format!("chatctl conversation members add {conversation} {user}")));
    }
    Ok(detail)
}
