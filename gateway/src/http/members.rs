//! Members of a conversation.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use backends::port::{Added, Removed};
use domain::{ConversationId, UserId};
use protocol::frames::{Change, Kind};

use super::{
    conversations::{change, group_full},
    problem::{Problem, Service, conversation, not_found, user},
};
use crate::gateway::Shared;

pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    _: Service,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (id, user) = (conversation(&id)?, user(&name, "user")?);
    match shared.ports.directory.add_member(&id, &user).await? {
        Added::Added => tell(&shared, &id, &user, Change::Joined).await?,
        // The first try may have died between the change and the word of it.
        Added::Already => shared.ports.recent.members_changed(&id).await?,
        Added::Full => return Err(group_full(Some(&id))),
        Added::Direct => return Err(direct()),
        Added::NotFound => return Err(not_found()),
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    _: Service,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (id, user) = (conversation(&id)?, user(&name, "user")?);
    match shared.ports.directory.remove_member(&id, &user).await? {
        Removed::Removed => tell(&shared, &id, &user, Change::Left).await?,
        Removed::Already => shared.ports.recent.members_changed(&id).await?,
        Removed::Direct => return Err(direct()),
        Removed::NotFound => return Err(not_found()),
    }
    Ok(StatusCode::NO_CONTENT)
}

fn direct() -> Problem {
    Problem::invalid("id", "a direct conversation keeps its two members")
}

/// Makes every cache look again, then tells the user concerned.
async fn tell(shared: &Shared, id: &ConversationId, user: &UserId, what: Change) -> Result<(), Problem> {
    shared.ports.recent.members_changed(id).await?;
    let kind = shared.ports.directory.membership(id, user).await?.map_or(Kind::Group, |membership| membership.kind);
    if what == Change::Left && kind == Kind::Channel {
        // On this gateway at once; on others with the notice.
        for conn in shared.hub.of_user(user.as_str()) {
            shared.hub.unsubscribe(&conn, id);
        }
    }
    // The notice is a courtesy; a head that nobody can tell now does not fail the change.
    let head = shared.head(id, kind).await.unwrap_or(0);
    shared.announce(id, &change(id, kind, head, what), Some(user));
    Ok(())
}
