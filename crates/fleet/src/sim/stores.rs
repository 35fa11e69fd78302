//! The ports of one node: the shared stores, seen through its weather.

use std::sync::Arc;

use async_trait::async_trait;
use backends::port::{
    Added, Appending, Beat, Consumer, ConsumerEvent, Conversation, Created, Directory, Entry, GatewayLease, Head, Log,
    Membership, Messages, Presence, PresenceState, Recent, Registered, Registry, Remembered, Removed, Route, RouteHit,
    Session, StoreError, StoreResult, StoredMessage, Topic,
};
use bytes::Bytes;
use domain::{BodyHash, ConversationId, DeviceId, KeyRow, NodeId, UserId};
use protocol::frames::Kind;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::weather::Weather;

/// A port behind the weather of one node.
pub(super) struct Behind<P: ?Sized> {
    port: Arc<P>,
    weather: Weather,
}

impl<P: ?Sized> Behind<P> {
    pub(super) fn new(port: Arc<P>, weather: &Weather) -> Arc<Self> {
        Arc::new(Self { port, weather: weather.clone() })
    }
}

/// A port whose methods wait, may fail, are passed on, and whose answers may be lost; `own` methods are as they stand.
/// (The whole `impl` comes from the macro, for `async_trait` must see its methods.)
macro_rules! behind {
    ($port:ident, $store:literal: $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* own { $($own:tt)* }) => {
        #[async_trait]
        impl $port for Behind<dyn $port> {
            $($own)*
            $(async fn $name(&self, $($arg: $ty),*) -> StoreResult<$out> {
                self.weather.call($store).await?;
                let value = self.port.$name($($arg),*).await?;
                self.weather.answer($store, value).await
            })*
        }
    };
}

behind! { Log, "log":
    fn read(topic: Topic, partition: u32, from: u64, max: usize) -> Vec<Entry>;
    fn end(topic: Topic, partition: u32) -> u64;
    fn committed(group: &str, topic: Topic, partition: u32) -> Option<u64>;
    own {
    fn partitions(&self) -> u32 {
        self.port.partitions()
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        if self.weather.is_off() {
            return Box::pin(std::future::pending());
        }
        if self.weather.chance(0.001) {
            return Box::pin(async { Err(StoreError::unavailable("log", "its queue is full")) });
        }
        // In order at once, as the port promises; only the answer is late or lost.
        let appending = self.port.append(topic, partition, payloads);
        let weather = self.weather.clone();
        Box::pin(async move {
            let offset = appending.await?;
            weather.answer("log", offset).await
        })
    }

    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>> {
        self.weather.call("log").await?;
        let consumer = self.port.join(group, topic, member).await?;
        Ok(Box::new(BehindConsumer { consumer, weather: self.weather.clone() }))
    }
    }
}

struct BehindConsumer {
    consumer: Box<dyn Consumer>,
    weather: Weather,
}

#[async_trait]
impl Consumer for BehindConsumer {
    async fn next(&mut self) -> StoreResult<ConsumerEvent> {
        // Before, not after: a cancelled `next` must not lose an event.
        self.weather.power().await;
        self.consumer.next().await
    }

    fn start(&mut self, partition: u32, offset: u64) {
        self.consumer.start(partition, offset);
    }

    fn pause(&mut self, partition: u32) {
        self.consumer.pause(partition);
    }

    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()> {
        self.weather.call("log").await?;
        self.consumer.commit(offsets).await
    }
}

behind! { Messages, "messages":
    fn write(rows: &[StoredMessage]) -> ();
    fn read(conversation: &ConversationId, first: u64, last: u64, limit: usize) -> Vec<StoredMessage>;
    fn head(conversation: &ConversationId) -> Option<Head>;
    fn keys_since(conversation: &ConversationId, since_ms: u64) -> Vec<KeyRow>;
    own {}
}

behind! { Recent, "recent":
    fn recall(conversation: &ConversationId, sender: &UserId, key: Uuid) -> Option<BodyHash>;
    fn remember(keys: Vec<Remembered>) -> ();
    fn tail_append(rows: &[StoredMessage]) -> ();
    fn tail_read(conversation: &ConversationId, first: u64, last: u64) -> Vec<StoredMessage>;
    fn members_version(conversation: &ConversationId) -> u64;
    fn members_changed(conversation: &ConversationId) -> ();
    own {}
}

behind! { Registry, "registry":
    fn register(user: &UserId, device: &DeviceId, gateway: &NodeId, incarnation: u64, now_ms: u64) -> Registered;
    fn refresh(gateway: &NodeId, incarnation: u64, sessions: &[Session]) -> Vec<Option<u64>>;
    fn unregister(session: &Session) -> ();
    fn routes(users: &[UserId]) -> Vec<RouteHit>;
    fn devices(user: &UserId) -> Vec<(DeviceId, Route)>;
    fn beat(lease: &GatewayLease, ttl_ms: u64) -> Beat;
    fn gateways() -> Vec<GatewayLease>;
    fn retire(gateway: &NodeId, incarnation: u64) -> ();
    own {}
}

behind! { Presence, "presence":
    fn refresh(sessions: &[Session]) -> ();
    fn leave(session: &Session) -> ();
    fn get(users: &[UserId]) -> Vec<PresenceState>;
    own {
    fn changes(&self) -> broadcast::Receiver<UserId> {
        self.port.changes()
    }
    }
}

behind! { Directory, "directory":
    fn create(conversation: &Conversation) -> Created;
    fn get(id: &ConversationId) -> Option<Conversation>;
    fn membership(id: &ConversationId, user: &UserId) -> Option<Membership>;
    fn add_member(id: &ConversationId, user: &UserId) -> Added;
    fn remove_member(id: &ConversationId, user: &UserId) -> Removed;
    fn convert(id: &ConversationId) -> Option<Kind>;
    fn list(user: &UserId, after: Option<&ConversationId>, limit: usize) -> Vec<(ConversationId, Kind)>;
    own {}
}
