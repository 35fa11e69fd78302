//! I8: a group never delays a direct message. Everything of the group lane stands still, and direct messages are
//! accepted, numbered, delivered and replayed all the same.

use std::sync::Arc;

use async_trait::async_trait;
use backends::{
    Clock, Stores,
    port::{
        Added, Appending, Consumer, ConsumerEvent, Conversation, Created, Directory, Entry, Lane, Log, Membership,
        Removed, StoreResult, Topic,
    },
};
use bytes::Bytes;
use domain::{ConversationId, UserId};
use gateway::Limits;
use protocol::frames::Kind;
use serde_json::json;
use tokio::{io::DuplexStream, sync::watch, time::Duration};
use workers::{Role, Worker};

use crate::support::{Client, FAR, Single, send_frame};

/// The pair that talks, and the group that everybody is in.
const PAIR: &str = "d";
const GROUP: &str = "g";

/// Something that stands still while it is on.
#[derive(Clone)]
struct Stall(Arc<watch::Sender<bool>>);

impl Stall {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    fn set(&self, on: bool) {
        self.0.send_replace(on);
    }

    async fn over(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|on| !on).await;
    }
}

/// A log whose group topics can stand still, their consumers too.
struct StallLog {
    log: Arc<dyn Log>,
    stall: Stall,
}

fn is_group(topic: Topic) -> bool {
    matches!(topic, Topic::Intake(Lane::Group) | Topic::Sequenced(Lane::Group))
}

#[async_trait]
impl Log for StallLog {
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        let (appending, stall) = (self.log.append(topic, partition, payloads), self.stall.clone());
        Box::pin(async move {
            if is_group(topic) {
                stall.over().await;
            }
            appending.await
        })
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        self.log.read(topic, partition, from, max).await
    }

    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        self.log.end(topic, partition).await
    }

    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>> {
        self.log.committed(group, topic, partition).await
    }

    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>> {
        let consumer = self.log.join(group, topic, member).await?;
        Ok(if is_group(topic) { Box::new(StallConsumer(consumer, self.stall.clone())) } else { consumer })
    }
}

struct StallConsumer(Box<dyn Consumer>, Stall);

#[async_trait]
impl Consumer for StallConsumer {
    async fn next(&mut self) -> StoreResult<ConsumerEvent> {
        self.1.over().await;
        self.0.next().await
    }

    fn start(&mut self, partition: u32, offset: u64) {
        self.0.start(partition, offset);
    }

    fn pause(&mut self, partition: u32) {
        self.0.pause(partition);
    }

    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()> {
        self.1.over().await;
        self.0.commit(offsets).await
    }
}

/// A directory that can stand still when it is asked about the group.
struct StallDirectory {
    directory: Arc<dyn Directory>,
    members: Stall,
    membership: Stall,
}

#[async_trait]
impl Directory for StallDirectory {
    async fn create(&self, conversation: &Conversation) -> StoreResult<Created> {
        self.directory.create(conversation).await
    }

    async fn get(&self, id: &ConversationId) -> StoreResult<Option<Conversation>> {
        if id.as_str() == GROUP {
            self.members.over().await;
        }
        self.directory.get(id).await
    }

    async fn membership(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>> {
        if id.as_str() == GROUP {
            self.membership.over().await;
        }
        self.directory.membership(id, user).await
    }

    async fn add_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Added> {
        self.directory.add_member(id, user).await
    }

    async fn remove_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Removed> {
        self.directory.remove_member(id, user).await
    }

    async fn convert(&self, id: &ConversationId) -> StoreResult<Option<Kind>> {
        self.directory.convert(id).await
    }

    async fn list(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, Kind)>> {
        self.directory.list(user, after, limit).await
    }
}

/// A gateway and a worker on stores whose group side can stand still.
struct Fleet {
    single: Single,
    worker: Worker,
    log: Stall,
    members: Stall,
    membership: Stall,
}

impl Fleet {
    async fn start() -> Self {
        let (log, members, membership) = (Stall::new(), Stall::new(), Stall::new());
        let single = Single::start_on(Clock::System, None, Limits::default(), |ports| Stores {
            log: Arc::new(StallLog { log: ports.log, stall: log.clone() }),
            directory: Arc::new(StallDirectory {
                directory: ports.directory,
                members: members.clone(),
                membership: membership.clone(),
            }),
            ..ports
        })
        .await;
        let worker = single.worker(Role::ALL.to_vec());
        let fleet = Self { single, worker, log, members, membership };
        fleet.single.make(PAIR, Kind::Direct, &["a", "b"]).await;
        let crowd: Vec<String> = (0..497).map(|n| format!("m{n:03}")).collect();
        let members: Vec<&str> = ["a", "b", "c"].into_iter().chain(crowd.iter().map(String::as_str)).collect();
        fleet.single.make(GROUP, Kind::Group, &members).await;
        fleet
    }

    /// What caches know of the members of the group counts no more.
    async fn forget_members(&self) {
        self.single.ports.recent.members_changed(&ConversationId::parse(GROUP).unwrap()).await.unwrap();
    }

    async fn connect(&self, user: &str) -> Client<DuplexStream> {
        let mut client = self.single.connect(user, FAR, 1 << 20).await;
        client.patience = Duration::from_secs(20);
        client
    }
}

/// Everything is as it should be between `a` and `b`: accepted, numbered, delivered; `b` gets nothing of the group.
async fn talk(a: &mut Client<DuplexStream>, b: &mut Client<DuplexStream>, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let (key, frame) = send_frame(PAIR, "meanwhile");
        a.say(frame).await;
        let message = b.until("message").await;
        assert_eq!((&message["conversation"], &message["sequence_number"]), (&json!(PAIR), &json!(number)));
        // Which of the two comes first is not promised.
        let (mut accepted, mut own) = (false, false);
        while !(accepted && own) {
            let frame = a.next().await;
            accepted |= frame["type"] == "accepted" && frame["idempotency_key"] == key.as_str();
            own |= frame["type"] == "message" && frame["sequence_number"] == number;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_messages_flow_while_the_group_lane_stands_still() {
    let fleet = Fleet::start().await;
    let (mut a, mut b, mut c) = (fleet.connect("a").await, fleet.connect("b").await, fleet.connect("c").await);
    // Both lanes work.
    c.send(GROUP, "hello").await;
    for member in [&mut a, &mut b, &mut c] {
        assert_eq!(member.until("message").await["conversation"], GROUP);
    }
    talk(&mut a, &mut b, 1..=3).await;

    // Workers cannot learn who is in the group: what is accepted of it waits, and what gateways want told of it too.
    fleet.members.set(true);
    fleet.forget_members().await;
    for _ in 0..300 {
        c.send(GROUP, "flood").await;
    }
    c.say(json!({"type": "receipt", "conversation": GROUP, "read": 1})).await;
    c.still_answers().await;
    talk(&mut a, &mut b, 4..=10).await;
    drop(b);
    let mut b = fleet.single.greet("b", FAR, 1 << 20, &json!({PAIR: 0})).await;
    assert_eq!(b.until("messages").await["messages"].as_array().unwrap().len(), 10);
    b.until("synced").await;
    talk(&mut a, &mut b, 11..=15).await;

    // The group topics do not answer either, and `a` itself has sends to the group under way.
    fleet.log.set(true);
    let mut under_way = Vec::new();
    for _ in 0..10 {
        let (key, frame) = send_frame(GROUP, "not now");
        a.say(frame).await;
        under_way.push(key);
    }
    talk(&mut a, &mut b, 16..=20).await;

    // And gateways cannot learn who is in the group.
    fleet.membership.set(true);
    fleet.forget_members().await;
    c.say(send_frame(GROUP, "who am I?").1).await;
    talk(&mut a, &mut b, 21..=25).await;

    // It was the stall that kept the group's messages back: they come when it is over.
    for stall in [&fleet.membership, &fleet.log, &fleet.members] {
        stall.set(false);
    }
    for number in 2..=301 {
        let message = b.until("message").await;
        assert_eq!((&message["conversation"], &message["sequence_number"]), (&json!(GROUP), &json!(number)));
    }
    while !under_way.is_empty() {
        let accepted = a.until("accepted").await;
        under_way.retain(|key| accepted["idempotency_key"] != key.as_str());
    }
    fleet.single.gateway.shutdown().await;
    fleet.worker.shutdown().await;
}
