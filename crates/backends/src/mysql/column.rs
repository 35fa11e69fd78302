//! Columns as the logic has them.

use domain::{ConversationId, UserId};
use protocol::frames::Kind;
use sqlx::{Row as _, mysql::MySqlRow};

use super::{DirectoryFault, STORE};
use crate::port::{Conversation, StoreError};

fn text(row: &MySqlRow, column: usize) -> Result<&str, DirectoryFault> {
    let bytes: &[u8] = row.try_get(column)?;
    std::str::from_utf8(bytes).map_err(|error| StoreError::corrupt(STORE, error).into())
}

fn corrupt(why: std::fmt::Arguments<'_>) -> DirectoryFault {
    StoreError::corrupt(STORE, why).into()
}

pub(super) fn kind(row: &MySqlRow, column: usize) -> Result<Kind, DirectoryFault> {
    match text(row, column)? {
        "direct" => Ok(Kind::Direct),
        "group" => Ok(Kind::Group),
        "channel" => Ok(Kind::Channel),
        other => Err(corrupt(format_args!("kind {other:?}"))),
    }
}

pub(super) fn user(row: &MySqlRow, column: usize) -> Result<UserId, DirectoryFault> {
    let text = text(row, column)?;
    UserId::parse(text).map_err(|error| corrupt(format_args!("user {text:?} {error}")))
}

pub(super) fn conversation(row: &MySqlRow, column: usize) -> Result<ConversationId, DirectoryFault> {
    let text = text(row, column)?;
    ConversationId::parse(text).map_err(|error| corrupt(format_args!("id {text:?} {error}")))
}

/// The pair of a direct conversation as one text, the same whoever comes first. `/` is in no name.
pub(super) fn pair(conversation: &Conversation) -> Option<Vec<u8>> {
    match (conversation.kind, conversation.members.as_slice()) {
        (Kind::Direct, [one, other]) => Some(format!("{}/{}", one.min(other), one.max(other)).into_bytes()),
        _ => None,
    }
}
