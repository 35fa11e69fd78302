//! Making, showing and converting conversations.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use backends::port::{Conversation, Created};
use domain::{ConversationId, GROUP_MEMBERS_MAX, UserId};
use protocol::{
    frames::{Change, ErrorCode, Kind, ServerFrame},
    http::{ConversationCreated, ConversationDetail, Convert, CreateConversation},
};
use rand::Rng as _;
use uuid::Uuid;

use super::problem::{Body, Caller, Problem, Service, conversation, not_found, user};
use crate::gateway::Shared;

/// UUIDv5 namespace of the ids of direct conversations that are made without one: the same for a pair everywhere.
const PAIR_NAMESPACE: Uuid = Uuid::from_u128(0x6368_6174_666c_4565_9474_2d70_6169_7273);

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    _: Service,
    Body(wanted): Body<CreateConversation>,
) -> Result<(StatusCode, Json<ConversationCreated>), Problem> {
    let wanted = check(&shared, wanted)?;
    let (status, id) = match shared.ports.directory.create(&wanted).await? {
        Created::New => (StatusCode::CREATED, wanted.id),
        Created::Same(id) => (StatusCode::OK, id),
        Created::Taken => {
            return Err(Problem::new(ErrorCode::Conflict, "id: it belongs to another conversation"));
        }
    };
    // The first try may have died between the two, so a second one says so as well.
    shared.ports.recent.members_changed(&id).await?;
    if status == StatusCode::CREATED {
        shared.announce(&id, &change(&id, wanted.kind, 0, Change::Joined), None);
    }
    let body = ConversationCreated { id: id.to_string(), kind: wanted.kind, members: wanted.members.len() };
    Ok((status, Json(body)))
}

/// Checks what is asked for; members become a set.
fn check(shared: &Shared, wanted: CreateConversation) -> Result<Conversation, Problem> {
    let members = wanted.members.iter().map(|name| user(name, "members")).collect::<Result<BTreeSet<_>, _>>()?;
    let members: Vec<UserId> = members.into_iter().collect();
    match wanted.kind {
        Kind::Direct if members.len() != 2 || wanted.members.len() != 2 => {
            return Err(Problem::invalid("members", "a direct conversation has exactly 2 distinct members"));
        }
        Kind::Group if members.len() < 2 => {
            return Err(Problem::invalid("members", "a group has 2 to 500 distinct members"));
        }
        Kind::Group if members.len() > GROUP_MEMBERS_MAX => return Err(group_full(None)),
        _ => {}
    }
    let id = match wanted.id {
        Some(id) => conversation(&id)?,
        None => made_up(shared, wanted.kind, &members)?,
    };
    Ok(Conversation { id, kind: wanted.kind, members })
}

fn made_up(shared: &Shared, kind: Kind, members: &[UserId]) -> Result<ConversationId, Problem> {
    let id = match (kind, members) {
        (Kind::Direct, [one, other]) => Uuid::new_v5(&PAIR_NAMESPACE, format!("{one}/{other}").as_bytes()),
        _ => uuid::Builder::from_random_bytes(shared.rng.lock().random()).into_uuid(),
    };
    conversation(&id.to_string())
}

/// The refusal of a 501st member names the way out.
pub(super) fn group_full(id: Option<&ConversationId>) -> Problem {
    let id = id.map_or("{id}", ConversationId::as_str);
    let why = format!(
        "a group has at most {GROUP_MEMBERS_MAX} members; make it a channel with POST /v1/conversations/{id}/convert"
    );
    Problem::new(ErrorCode::GroupFull, why)
}

pub(super) fn change(id: &ConversationId, kind: Kind, head: u64, change: Change) -> ServerFrame {
    ServerFrame::Conversation { conversation: id.to_string(), kind, head, change }
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ConversationDetail>, Problem> {
    let id = conversation(&id)?;
    let found = shared.ports.directory.get(&id).await?.ok_or_else(not_found)?;
    if !caller.is_service() && !found.members.contains(&caller.0.user) {
        return Err(Problem::new(ErrorCode::Forbidden, "not a member of this conversation"));
    }
    let head = shared.head(&id, found.kind).await?;
    let members = found.members.iter().map(UserId::to_string).collect();
    Ok(Json(ConversationDetail { id: id.to_string(), kind: found.kind, members, head }))
}

pub(super) async fn convert(
    State(shared): State<Arc<Shared>>,
    _: Service,
    Path(id): Path<String>,
    Body(wanted): Body<Convert>,
) -> Result<Json<ConversationCreated>, Problem> {
    let id = conversation(&id)?;
    if wanted.kind != Kind::Channel {
        return Err(Problem::invalid("kind", "a group can only become a channel"));
    }
    match shared.ports.directory.convert(&id).await?.ok_or_else(not_found)? {
        Kind::Direct => return Err(Problem::invalid("id", "a direct conversation stays one")),
        Kind::Group => {
            shared.ports.recent.members_changed(&id).await?;
            let head = shared.head(&id, Kind::Channel).await.unwrap_or(0);
            shared.announce(&id, &change(&id, Kind::Channel, head, Change::Converted), None);
        }
        // A retry may be one whose first try changed the kind and not yet the version.
        Kind::Channel => shared.ports.recent.members_changed(&id).await?,
    }
    let members = shared.ports.directory.get(&id).await?.map_or(0, |found| found.members.len());
    Ok(Json(ConversationCreated { id: id.to_string(), kind: Kind::Channel, members }))
}
