//! The contract of each port, as one suite a port. Every adapter runs the very same suite.

#![allow(clippy::unwrap_used)] // All of it is test code; clippy sees only the test functions as such.

#[cfg(feature = "cassandra")]
mod cassandra;
mod directory;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod messages;
#[cfg(feature = "mysql")]
mod mysql;
mod presence;
#[cfg(any(feature = "cassandra", feature = "mysql"))]
mod proxy;
#[cfg(any(feature = "kafka", feature = "redis", feature = "cassandra", feature = "mysql"))]
mod real;
mod recent;
#[cfg(feature = "redis")]
mod redis;
mod registry;

use std::{fmt::Debug, str::FromStr, sync::Arc, time::Duration};

use chatfleet_backends::{
    Clock,
    embedded::{Disk, DiskOptions, GroupLog, MemoryPresence, MemoryRecent, MemoryRegistry, SqliteDirectory},
    port::StoredMessage,
};
use domain::{ConversationId, LogPosition, UserId, message_id};
use futures_util::future::BoxFuture;
use uuid::Uuid;

/// Lets time pass: tokio's for adapters in this process, the store's for others.
type Pass<'a> = &'a (dyn Fn(Duration) -> BoxFuture<'static, ()> + Sync);

/// Says something to the system behind an adapter, such as that it is to forget all it has.
type Hook<'a> = &'a (dyn Fn() -> BoxFuture<'static, ()> + Sync);

/// A name nobody used: suites may share a store.
fn name<T: FromStr<Err: Debug>>(stem: &str) -> T {
    format!("{stem}-{}", Uuid::new_v4().simple()).parse().unwrap()
}

fn row(conversation: &ConversationId, number: u64, time_ms: u64) -> StoredMessage {
    let sender: UserId = "alice".parse().unwrap();
    let key = Uuid::new_v4();
    StoredMessage {
        conversation: conversation.clone(),
        sequence_number: number,
        message_id: message_id(conversation, &sender, key),
        sender,
        key,
        body: format!("body {number} ✓").into(),
        sent_at_ms: time_ms.saturating_sub(1),
        at: LogPosition { offset: number + 100, time_ms },
    }
}

fn pass(duration: Duration) -> BoxFuture<'static, ()> {
    Box::pin(tokio::time::advance(duration))
}

/// A hook of an adapter that does it at once.
fn now(hook: impl Fn()) -> impl Fn() -> BoxFuture<'static, ()> {
    move || {
        hook();
        Box::pin(std::future::ready(()))
    }
}

fn disk() -> (tempfile::TempDir, Arc<Disk>) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path(), DiskOptions { partitions: 4, was_clean: true }).unwrap();
    (dir, disk)
}

#[tokio::test]
async fn log_on_disk() {
    let (_dir, disk) = disk();
    let log = GroupLog::new(disk);
    log::suite(Arc::new(log.clone())).await;
    log::groups(Arc::new(log.clone())).await;
    log::expelled(Arc::new(log.clone()), async |_, member| log.coordinator().expel(member)).await;
}

#[tokio::test]
async fn messages_on_disk() {
    let (_dir, disk) = disk();
    messages::suite(disk).await;
}

#[tokio::test(start_paused = true)]
async fn registry_in_memory() {
    let registry = Arc::new(MemoryRegistry::default());
    registry::suite(registry.clone()).await;
    registry::expiry(registry.clone(), &pass).await;
    registry::flushed(registry.clone(), &now(|| registry.flush())).await;
}

#[tokio::test(start_paused = true)]
async fn presence_in_memory() {
    presence::suite(Arc::new(MemoryPresence::new(Clock::simulated(1_000_000))), &pass).await;
}

#[tokio::test(start_paused = true)]
async fn recent_in_memory() {
    let recent = Arc::new(MemoryRecent::new(Clock::simulated(1_000_000)));
    recent::suite(recent.clone(), &pass).await;
    recent::flushed(recent.clone(), &now(|| recent.flush()), &pass).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let directory = SqliteDirectory::open(&dir.path().join("directory.db")).await.unwrap();
    directory::suite(Arc::new(directory.clone())).await;
    directory::full(Arc::new(directory.clone())).await;
    directory.close().await;
}
