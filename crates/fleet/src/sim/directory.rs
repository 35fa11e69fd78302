//! Conversations in memory: the simulation needs no more than to make them and to ask who is in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use backends::port::{Added, Conversation, Created, Directory, Membership, Removed, StoreResult};
use domain::{ConversationId, UserId};
use parking_lot::Mutex;
use protocol::frames::Kind;

/// See the module.
#[derive(Default)]
pub(super) struct SimDirectory(Mutex<BTreeMap<ConversationId, Conversation>>);

#[async_trait]
impl Directory for SimDirectory {
    async fn create(&self, conversation: &Conversation) -> StoreResult<Created> {
        let known = self.0.lock().insert(conversation.id.clone(), conversation.clone());
        Ok(if known.is_some() { Created::Taken } else { Created::New })
    }

    async fn get(&self, id: &ConversationId) -> StoreResult<Option<Conversation>> {
        Ok(self.0.lock().get(id).cloned())
    }

    async fn membership(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>> {
        let known = self.0.lock();
        Ok(known.get(id).map(|it| Membership { kind: it.kind, member: it.members.contains(user) }))
    }

    async fn add_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Added> {
        let mut known = self.0.lock();
        let Some(it) = known.get_mut(id) else { return Ok(Added::NotFound) };
        if it.members.contains(user) {
            return Ok(Added::Already);
        }
        it.members.push(user.clone());
        it.members.sort();
        Ok(Added::Added)
    }

    async fn remove_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Removed> {
        let mut known = self.0.lock();
        let Some(it) = known.get_mut(id) else { return Ok(Removed::NotFound) };
        let before = it.members.len();
        it.members.retain(|member| member != user);
        Ok(if it.members.len() < before { Removed::Removed } else { Removed::Already })
    }

    async fn convert(&self, id: &ConversationId) -> StoreResult<Option<Kind>> {
        let mut known = self.0.lock();
        Ok(known.get_mut(id).map(|it| std::mem::replace(&mut it.kind, Kind::Channel)))
    }

    async fn list(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, Kind)>> {
        let known = self.0.lock();
        let mine = known.values().filter(|it| it.members.contains(user) && after.is_none_or(|after| it.id > *after));
        Ok(mine.take(limit).map(|it| (it.id.clone(), it.kind)).collect())
    }
}
