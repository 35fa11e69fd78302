//! The log and the messages on disk, in one LSM tree with one journal.
//!
//! Everything that must be durable goes through one thread that commits in groups ([`committer`]): `accepted` means
//! that the journal was synced. One journal for both keeps the order of writes across them.

mod committer;
mod journal;
mod log;
mod messages;
mod torn;

use std::{path::Path, sync::Arc};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use self::committer::Committer;
use crate::port::{StoreError, StoreResult, Topic};

/// The store's name in errors.
const STORE: &str = "data directory";

/// How the store on disk is set up.
#[derive(Debug, Clone, Copy)]
pub struct DiskOptions {
    /// Partitions of each topic. Fixed when the store is made.
    pub partitions: u32,
    /// True when the last process that used the directory stopped in order.
    pub was_clean: bool,
}

/// The keyspaces of the tree.
#[derive(Clone)]
struct Spaces {
    /// Topic, partition, offset -> log time, record.
    log: Keyspace,
    /// Group, topic, partition -> offset.
    commits: Keyspace,
    /// Conversation, number, message id -> row.
    messages: Keyspace,
    /// Rows that a reconciliation took out of the way, under the same keys.
    quarantine: Keyspace,
}

/// The store on disk: a [`super::LogSource`] and [`crate::port::Messages`].
pub struct Disk {
    spaces: Spaces,
    committer: Committer,
    partitions: Arc<[log::Partition]>,
    per_topic: u32,
    grown: [tokio::sync::watch::Sender<u64>; 4],
}

impl Disk {
    /// Opens or makes the store. What a crash left half written is cut off and said in the log; damage that no crash
    /// leaves is refused.
    pub fn open(path: &Path, options: DiskOptions) -> StoreResult<Arc<Self>> {
        let fail = |error: fjall::Error| StoreError::corrupt(STORE, error);
        let journals = journal::check(path, options.was_clean)?;
        let written = if options.was_clean { None } else { torn::written_bytes(path) };
        let db = Database::builder(path).manual_journal_persist(true).worker_threads(2).open().map_err(fail)?;
        journals.confirm()?;
        let space = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default).map_err(fail);
        let spaces = Spaces {
            log: space("log")?,
            commits: space("commits")?,
            messages: space("messages")?,
            quarantine: space("quarantine")?,
        };
        let per_topic = log::partition_count(&spaces.commits, options.partitions)?;
        let partitions = log::load(&spaces.log, per_topic)?;
        if let Some(written) = written {
            torn::report(written, &partitions, per_topic);
        }
        let grown = Topic::ALL.map(|_| tokio::sync::watch::Sender::new(0));
        let committer = Committer::start(db, spaces.clone(), partitions.clone(), per_topic, grown.clone())?;
        Ok(Arc::new(Self { spaces, committer, partitions, per_topic, grown }))
    }

    /// Finishes what was asked, syncs and stops the thread. Later calls fail as `Unavailable`.
    pub fn close(&self) {
        self.committer.close();
    }

    /// Runs a read that may touch the disk where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(Spaces) -> Result<T, fjall::Error> + Send + 'static,
    ) -> StoreResult<T> {
        let spaces = self.spaces.clone();
        let joined = tokio::task::spawn_blocking(move || read(spaces)).await;
        joined
            .map_err(|error| StoreError::unavailable(STORE, error))?
            .map_err(|error| StoreError::corrupt(STORE, error))
    }
}
