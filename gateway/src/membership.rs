//! Who may say what where, cached. The directory decides; a version tells when it changed its mind.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use backends::port::{Directory, Membership, Recent, StoreResult};
use domain::{ConversationId, UserId};
use parking_lot::Mutex;
use protocol::frames::Kind;
use rustc_hash::FxHasher;

/// Answers in the cache; past it the cache starts anew.
const CACHED_MAX: usize = 200_000;

type Cache = HashMap<(ConversationId, UserId), (u64, Membership), BuildHasherDefault<FxHasher>>;

/// Memberships as this gateway knows them.
pub(crate) struct Memberships {
    directory: Arc<dyn Directory>,
    recent: Arc<dyn Recent>,
    cached: Mutex<Cache>,
}

impl Memberships {
    pub(crate) fn new(directory: Arc<dyn Directory>, recent: Arc<dyn Recent>) -> Self {
        Self { directory, recent, cached: Mutex::default() }
    }

    /// How the user stands to the conversation; `None` when there is none. An answer counts while the version of the
    /// membership is the one it was read under; a pair never changes. Where the versions cannot be read, what is
    /// cached serves.
    pub(crate) async fn get(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>> {
        let name = (id.clone(), user.clone());
        let cached = self.cached.lock().get(&name).copied();
        if let Some((_, membership)) = cached
            && membership.kind == Kind::Direct
        {
            return Ok(Some(membership));
        }
        // Read before the membership: a change between the two makes the entry stale, never falsely fresh.
        let version = self.recent.members_version(id).await;
        match (cached, &version) {
            (Some((at, membership)), Ok(version)) if at == *version => return Ok(Some(membership)),
            (Some((_, membership)), Err(_)) => return Ok(Some(membership)),
            _ => {}
        }
        let Some(membership) = self.directory.membership(id, user).await? else { return Ok(None) };
        if let Ok(version) = version {
            let mut cached = self.cached.lock();
            if cached.len() >= CACHED_MAX {
                cached.clear();
            }
            cached.insert(name, (version, membership));
        }
        Ok(Some(membership))
    }
}
