//! Edges: what stands between a node and one of its stores.
//!
//! Every call of a store passes its [`Edge`]. That is a [`Dependency`], which knows whether the store answers and has a
//! breaker; in simulations it is the weather.

mod dependency;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{BodyHash, ConversationId, DeviceId, KeyRow, NodeId, UserId};
use protocol::frames::Kind;
use tokio::sync::broadcast;
use uuid::Uuid;

pub use dependency::{CallFault, Dependencies, Dependency, EdgeStatus};

use crate::port::{
    Added, Appending, Beat, Claim, Consumer, ConsumerEvent, Conversation, Created, Directory, Entry, GatewayLease,
    Gateways, Head, Log, Membership, Messages, Presence, PresenceState, Recent, Registered, Registry, Remembered,
    Removed, Replica, Route, Routes, Session, StoreResult, StoredMessage, Topic,
};

/// What every call of one store passes.
pub trait Edge: Clone + Send + Sync + 'static {
    /// Runs a call, or answers in its place. `call` has done nothing yet.
    fn pass<T: Send>(
        &self,
        call: impl Future<Output = StoreResult<T>> + Send,
    ) -> impl Future<Output = StoreResult<T>> + Send;

    /// Starts an append, in order with the others, or answers in its place.
    fn append(&self, start: impl FnOnce() -> Appending) -> Appending;

    /// Before a consumer waits for its next event. After it nothing may be awaited: a dropped `next` must not lose one.
    fn wait(&self) -> impl Future<Output = ()> + Send;

    /// What came of waiting.
    fn waited(&self, event: &StoreResult<ConsumerEvent>);
}

/// A port behind an edge.
pub struct Behind<P: ?Sized, E> {
    port: Arc<P>,
    edge: E,
}

impl<P: ?Sized, E: Edge> Behind<P, E> {
    /// Puts a port behind an edge.
    pub fn new(port: Arc<P>, edge: E) -> Arc<Self> {
        Arc::new(Self { port, edge })
    }
}

/// A port whose methods pass the edge; `own` methods are as they stand. (The whole `impl` comes from the macro, for
/// `async_trait` must see its methods.)
macro_rules! behind {
    ($port:ident: $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* own { $($own:tt)* }) => {
        #[async_trait]
        impl<E: Edge> $port for Behind<dyn $port, E> {
            $($own)*
            $(async fn $name(&self, $($arg: $ty),*) -> StoreResult<$out> {
                self.edge.pass(self.port.$name($($arg),*)).await
            })*
        }
    };
}

behind! { Log:
    fn read(topic: Topic, partition: u32, from: u64, max: usize) -> Vec<Entry>;
    fn end(topic: Topic, partition: u32) -> u64;
    fn committed(group: &str, topic: Topic, partition: u32) -> Option<u64>;
    own {
    fn partitions(&self) -> u32 {
        self.port.partitions()
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        self.edge.append(|| self.port.append(topic, partition, payloads))
    }

    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>> {
        let consumer = self.edge.pass(self.port.join(group, topic, member)).await?;
        Ok(Box::new(BehindConsumer { consumer, edge: self.edge.clone() }))
    }
    }
}

struct BehindConsumer<E> {
    consumer: Box<dyn Consumer>,
    edge: E,
}

#[async_trait]
impl<E: Edge> Consumer for BehindConsumer<E> {
    async fn next(&mut self) -> StoreResult<ConsumerEvent> {
        self.edge.wait().await;
        let event = self.consumer.next().await;
        self.edge.waited(&event);
        event
    }

    fn start(&mut self, partition: u32, offset: u64) {
        self.consumer.start(partition, offset);
    }

    fn pause(&mut self, partition: u32) {
        self.consumer.pause(partition);
    }

    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()> {
        self.edge.pass(self.consumer.commit(offsets)).await
    }
}

behind! { Messages:
    fn write(rows: &[StoredMessage]) -> ();
    fn write_one(rows: &[StoredMessage]) -> ();
    fn quarantine(row: &StoredMessage) -> ();
    fn read(conversation: &ConversationId, first: u64, last: u64, limit: usize) -> Vec<StoredMessage>;
    fn head(conversation: &ConversationId) -> Option<Head>;
    fn keys_since(conversation: &ConversationId, since_ms: u64) -> Vec<KeyRow>;
    own {
    // A question about nodes that are down must not count against the store as a whole.
    async fn replicas(&self) -> StoreResult<Vec<Replica>> {
        self.port.replicas().await
    }
    }
}

behind! { Recent:
    fn recall(conversation: &ConversationId, sender: &UserId, key: Uuid) -> Option<BodyHash>;
    fn remember(keys: Vec<Remembered>) -> ();
    fn tail_append(rows: &[StoredMessage]) -> ();
    fn tail_read(conversation: &ConversationId, first: u64, last: u64) -> Vec<StoredMessage>;
    fn members_version(conversation: &ConversationId) -> u64;
    fn members_changed(conversation: &ConversationId) -> ();
    own {}
}

behind! { Registry:
    fn register(user: &UserId, device: &DeviceId, gateway: &NodeId, incarnation: u64, now_ms: u64) -> Registered;
    fn refresh(gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> Vec<Option<u64>>;
    fn unregister(session: &Session) -> ();
    fn restore(gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> Vec<u64>;
    fn routes(users: &[UserId]) -> Routes;
    fn devices(user: &UserId) -> Vec<(DeviceId, Route)>;
    fn beat(lease: &GatewayLease, ttl_ms: u64, claim: Claim) -> Beat;
    fn gateways() -> Gateways;
    fn retire(gateway: &NodeId, incarnation: u64) -> ();
    own {}
}

behind! { Presence:
    fn refresh(sessions: &[Session]) -> ();
    fn leave(session: &Session) -> ();
    fn get(users: &[UserId]) -> Vec<PresenceState>;
    own {
    fn changes(&self) -> broadcast::Receiver<UserId> {
        self.port.changes()
    }
    }
}

behind! { Directory:
    fn create(conversation: &Conversation) -> Created;
    fn get(id: &ConversationId) -> Option<Conversation>;
    fn membership(id: &ConversationId, user: &UserId) -> Option<Membership>;
    fn add_member(id: &ConversationId, user: &UserId) -> Added;
    fn remove_member(id: &ConversationId, user: &UserId) -> Removed;
    fn convert(id: &ConversationId) -> Option<Kind>;
    fn list(user: &UserId, after: Option<&ConversationId>, limit: usize) -> Vec<(ConversationId, Kind)>;
    own {}
}
