//! Who is in a conversation, cached.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use backends::port::{Conversation, Directory, Recent, StoreResult};
use domain::{ConversationId, UserId};
use parking_lot::Mutex;
use protocol::frames::Kind;
use rustc_hash::FxHasher;

/// Conversations in the cache; past it the cache starts anew.
const CACHED_MAX: usize = 50_000;

/// The members of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    pub(crate) kind: Kind,
    pub(crate) users: Arc<[UserId]>,
}

struct Cached {
    version: u64,
    members: Members,
}

/// A cached entry counts only while the version of the membership is the same, so a change is seen by the next
/// message. A pair never changes and needs no question. When the versions cannot be read, what is cached serves.
pub(crate) struct MemberCache {
    directory: Arc<dyn Directory>,
    recent: Arc<dyn Recent>,
    cached: Mutex<HashMap<ConversationId, Cached, BuildHasherDefault<FxHasher>>>,
}

impl MemberCache {
    pub(crate) fn new(directory: Arc<dyn Directory>, recent: Arc<dyn Recent>) -> Self {
        Self { directory, recent, cached: Mutex::default() }
    }

    /// The members. `None` when there is no such conversation.
    pub(crate) async fn get(&self, id: &ConversationId) -> StoreResult<Option<Members>> {
        if let Some(pair) = self.cached(id, |cached| cached.members.kind == Kind::Direct) {
            return Ok(Some(pair));
        }
        // Read before the members: a change between the two makes the entry stale, never falsely fresh.
        let Ok(version) = self.recent.members_version(id).await else {
            return match self.cached(id, |_| true) {
                Some(members) => Ok(Some(members)),
                None => Ok(self.directory.get(id).await?.map(members_of)),
            };
        };
        if let Some(members) = self.cached(id, |cached| cached.version == version) {
            return Ok(Some(members));
        }
        let Some(conversation) = self.directory.get(id).await? else { return Ok(None) };
        let members = members_of(conversation);
        let mut cached = self.cached.lock();
        if cached.len() >= CACHED_MAX {
            cached.clear();
        }
        cached.insert(id.clone(), Cached { version, members: members.clone() });
        Ok(Some(members))
    }

    fn cached(&self, id: &ConversationId, counts: impl Fn(&Cached) -> bool) -> Option<Members> {
        self.cached.lock().get(id).filter(|cached| counts(cached)).map(|cached| cached.members.clone())
    }
}

fn members_of(conversation: Conversation) -> Members {
    Members { kind: conversation.kind, users: conversation.members.into() }
}
