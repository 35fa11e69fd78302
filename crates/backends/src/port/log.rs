//! The log: the truth. Kafka in production, partitions on disk in the embedded default.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::StoreResult;

/// Direct messages and group messages never share a topic, a consumer or a queue (I8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Conversations of two.
    Direct,
    /// Groups and channels.
    Group,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Group];

    /// As topics and flags name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
        }
    }

    /// As the link says it.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The lane with a number of the link.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

/// A topic. Both kinds have the same number of partitions, and a record keeps its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Authorised, not yet numbered.
    Intake(Lane),
    /// Numbered.
    Sequenced(Lane),
}

impl Topic {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Intake(Lane::Direct),
        Self::Intake(Lane::Group),
        Self::Sequenced(Lane::Direct),
        Self::Sequenced(Lane::Group),
    ];
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intake(lane) => write!(f, "intake.{}", lane.as_str()),
            Self::Sequenced(lane) => write!(f, "sequenced.{}", lane.as_str()),
        }
    }
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Dense from 0 within a partition.
    pub offset: u64,
    /// When the log took it, ms since the epoch; never falls within a partition of the embedded log.
    pub time_ms: u64,
    /// The record.
    pub payload: Bytes,
}

/// An append under way. It was put in order when it was called; it resolves with the offset of the last record once
/// all are durable. Records of others may stand between those of one append.
pub type Appending = BoxFuture<'static, StoreResult<u64>>;

/// The log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Partitions of each topic.
    fn partitions(&self) -> u32;

    /// Appends records, in the order of the calls to this method (not of the polls of what it returns). A full queue
    /// gives `Unavailable`, and nothing was taken. After an error that came later the log may have the records or not.
    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending;

    /// Records from `from` on, at most `max`. Empty at the end.
    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>>;

    /// The offset that the next durable record gets.
    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64>;

    /// What `group` committed: everything below it is done. `None` when it never did.
    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>>;

    /// Joins the consumers of `group` on `topic`. Every partition has at most one owner that the log knows of; one
    /// that is paused past its session timeout may not know that it lost its partitions.
    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>>;
}

/// What a consumer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// The consumer owns the partition now. `epoch` is higher than that of every earlier owner. Nothing is read before
    /// [`Consumer::start`].
    Assigned {
        /// Which.
        partition: u32,
        /// Of two that claim a partition the higher epoch counts.
        epoch: u64,
    },
    /// The partition has, or is about to have, another owner.
    Revoked {
        /// Which.
        partition: u32,
    },
    /// Records in the order of their offsets.
    Records {
        /// Of which partition.
        partition: u32,
        /// At least one.
        entries: Vec<Entry>,
    },
}

/// A member of a group of consumers. Dropping it leaves the group.
#[async_trait]
pub trait Consumer: Send {
    /// The next thing that happens. Safe to drop before it is ready.
    async fn next(&mut self) -> StoreResult<ConsumerEvent>;

    /// Begins, or begins again, to read an assigned partition at `offset`.
    fn start(&mut self, partition: u32, offset: u64);

    /// Stops reading a partition until [`Consumer::start`]; its owner stays the same.
    fn pause(&mut self, partition: u32);

    /// By partition: everything below the offset is done. Refused as `Unavailable` when one of them has another owner;
    /// then none is committed.
    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()>;
}
