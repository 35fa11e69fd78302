//! Who may say what where, cached. The directory decides; a version tells when it changed its mind.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use backends::port::{Directory, Membership, Recent, StoreResult};
use domain::{ConversationId, UserId};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use protocol::frames::Kind;
use rustc_hash::FxHasher;

use crate::single_flight::SingleFlight;

/// Answers in the cache; past it the cache starts anew.
const CACHED_MAX: usize = 200_000;

type Name = (ConversationId, UserId);
type Map<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// Memberships as this gateway knows them.
pub(crate) struct Memberships {
    directory: Arc<dyn Directory>,
    recent: Arc<dyn Recent>,
    cached: Mutex<Map<Name, (u64, Membership)>>,
    /// By the version that was read before. A client that sends much at once asks once.
    asked: SingleFlight<(Name, u64), StoreResult<Option<Membership>>>,
}

impl Memberships {
    pub(crate) fn new(directory: Arc<dyn Directory>, recent: Arc<dyn Recent>) -> Self {
        Self { directory, recent, cached: Mutex::default(), asked: SingleFlight::default() }
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
        // Without a version nobody knows whether the answer to an earlier question is still true.
        let Ok(version) = version else { return self.directory.membership(id, user).await };
        let membership = self.ask(&name, version).await?;
        if let Some(membership) = membership {
            let mut cached = self.cached.lock();
            if cached.len() >= CACHED_MAX {
                cached.clear();
            }
            cached.insert(name, (version, membership));
        }
        Ok(membership)
    }

    /// Asks the directory, or waits for the answer that another one who read this version waits for.
    async fn ask(&self, name: &Name, version: u64) -> StoreResult<Option<Membership>> {
        let begin = || {
            let (directory, (id, user)) = (self.directory.clone(), name.clone());
            async move { directory.membership(&id, &user).await }.boxed()
        };
        self.asked.ask(&(name.clone(), version), begin).await
    }
}
