//! Embedded adapters: a whole fleet's stores with nothing to install.
//!
//! On disk: the log and the messages in one LSM tree ([`Disk`]), conversations in SQLite ([`SqliteDirectory`]). In
//! memory, with TTL: registry, presence and caches; losing them loses nothing that was accepted.

mod data_dir;
mod disk;
mod generations;
mod group;
mod memory_presence;
mod memory_recent;
mod memory_registry;
mod sqlite;
mod sqlite_directory;

pub use data_dir::{DataDir, DataDirError};
pub use disk::{Disk, DiskOptions};
pub use group::{Coordinator, GroupLog, LogSource};
pub use memory_presence::MemoryPresence;
pub use memory_recent::MemoryRecent;
pub use memory_registry::MemoryRegistry;
pub use sqlite::open_sqlite;
pub use sqlite_directory::SqliteDirectory;
