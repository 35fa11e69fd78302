//! Consumer groups for logs that live in one process: who reads which partition.
//!
//! [`GroupLog`] makes a [`Log`] of a [`LogSource`], which only appends, reads and keeps commits. So the log on disk and
//! the simulated one share the same rules of assignment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::port::{Appending, Consumer, ConsumerEvent, Entry, Log, StoreError, StoreResult, Topic};

/// Records that one [`ConsumerEvent::Records`] has at most.
const RECORDS_MAX: usize = 1_024;

/// What a log in this process does by itself.
#[async_trait]
pub trait LogSource: Send + Sync + 'static {
    /// See [`Log::partitions`].
    fn partitions(&self) -> u32;
    /// See [`Log::append`].
    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending;
    /// See [`Log::read`].
    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>>;
    /// See [`Log::end`].
    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64>;
    /// See [`Log::committed`].
    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>>;
    /// Keeps a commit.
    async fn commit(&self, group: &str, topic: Topic, partition: u32, offset: u64) -> StoreResult<()>;
    /// Changes whenever the topic got durable records.
    fn grown(&self, topic: Topic) -> watch::Receiver<u64>;
}

/// The members of one group on one topic.
#[derive(Debug, Default)]
struct Group {
    /// In the order they joined.
    members: Vec<u64>,
    /// Partition to member and epoch.
    owners: BTreeMap<u32, (u64, u64)>,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<(String, Topic), Group>,
    names: BTreeMap<u64, String>,
    last_id: u64,
    /// Grows with each assignment, over all groups.
    epoch: u64,
}

impl State {
    /// Shares the partitions out: those of members that stayed stay where they are as far as shares allow.
    fn rebalance(&mut self, name: &(String, Topic), partitions: u32) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if group.members.is_empty() {
            group.owners.clear();
            return;
        }
        // So many each, and one more for so many of them: a share rounded up for all could leave the last with nothing.
        let share = partitions as usize / group.members.len();
        let mut larger = partitions as usize % group.members.len();
        let mut held: BTreeMap<u64, usize> = BTreeMap::new();
        let mut orphans: BTreeSet<u32> = (0..partitions).collect();
        group.owners.retain(|partition, (member, _)| {
            let held = held.entry(*member).or_default();
            let one_more = *held == share && larger > 0;
            let keep = group.members.contains(member) && (*held < share || one_more);
            if keep {
                larger -= usize::from(one_more);
                *held += 1;
                orphans.remove(partition);
            }
            keep
        });
        for partition in orphans {
            let Some(&member) = group.members.iter().min_by_key(|member| held.get(member).copied().unwrap_or(0)) else {
                return;
            };
            *held.entry(member).or_default() += 1;
            self.epoch += 1;
            group.owners.insert(partition, (member, self.epoch));
        }
    }
}

/// Knows the groups. One for each log; it outlives its consumers.
#[derive(Debug, Clone)]
pub struct Coordinator {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    partitions: u32,
}

impl Coordinator {
    fn new(partitions: u32) -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0), partitions }
    }

    fn join(&self, group: &str, topic: Topic, member: &str) -> u64 {
        let mut state = self.state.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.names.insert(id, member.to_owned());
        let name = (group.to_owned(), topic);
        state.groups.entry(name.clone()).or_default().members.push(id);
        state.rebalance(&name, self.partitions);
        drop(state);
        self.changed.send_modify(|n| *n += 1);
        id
    }

    /// Takes all partitions from a member of that name, as a session timeout does. The member may learn of it late.
    pub fn expel(&self, member: &str) {
        let mut state = self.state.lock();
        let ids: BTreeSet<u64> = state.names.iter().filter(|(_, name)| *name == member).map(|(id, _)| *id).collect();
        let groups: Vec<_> = state.groups.keys().cloned().collect();
        for name in groups {
            if let Some(group) = state.groups.get_mut(&name) {
                group.members.retain(|id| !ids.contains(id));
            }
            state.rebalance(&name, self.partitions);
        }
        state.names.retain(|id, _| !ids.contains(id));
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    fn leave(&self, name: &(String, Topic), id: u64) {
        let mut state = self.state.lock();
        if let Some(group) = state.groups.get_mut(name) {
            group.members.retain(|member| *member != id);
        }
        state.names.remove(&id);
        state.rebalance(name, self.partitions);
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    fn is_member(&self, name: &(String, Topic), id: u64) -> bool {
        self.state.lock().groups.get(name).is_some_and(|group| group.members.contains(&id))
    }

    /// The partitions of a member, with their epochs.
    fn owned(&self, name: &(String, Topic), id: u64) -> BTreeMap<u32, u64> {
        let state = self.state.lock();
        let Some(group) = state.groups.get(name) else { return BTreeMap::new() };
        let mine = group.owners.iter().filter(|(_, (member, _))| *member == id);
        mine.map(|(partition, (_, epoch))| (*partition, *epoch)).collect()
    }
}

/// A [`Log`] made of a source and a coordinator.
pub struct GroupLog<S> {
    source: Arc<S>,
    coordinator: Coordinator,
}

impl<S> Clone for GroupLog<S> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), coordinator: self.coordinator.clone() }
    }
}

impl<S: LogSource> GroupLog<S> {
    /// Adds groups to a source.
    pub fn new(source: Arc<S>) -> Self {
        let coordinator = Coordinator::new(source.partitions());
        Self { source, coordinator }
    }

    /// Knows the groups.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }
}

#[async_trait]
impl<S: LogSource> Log for GroupLog<S> {
    fn partitions(&self) -> u32 {
        self.source.partitions()
    }

    fn append(&self, topic: Topic, partition: u32, payloads: Vec<Bytes>) -> Appending {
        self.source.append(topic, partition, payloads)
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> StoreResult<Vec<Entry>> {
        self.source.read(topic, partition, from, max).await
    }

    async fn end(&self, topic: Topic, partition: u32) -> StoreResult<u64> {
        self.source.end(topic, partition).await
    }

    async fn committed(&self, group: &str, topic: Topic, partition: u32) -> StoreResult<Option<u64>> {
        self.source.committed(group, topic, partition).await
    }

    async fn join(&self, group: &str, topic: Topic, member: &str) -> StoreResult<Box<dyn Consumer>> {
        Ok(Box::new(GroupConsumer {
            source: self.source.clone(),
            changed: self.coordinator.changed.subscribe(),
            grown: self.source.grown(topic),
            id: self.coordinator.join(group, topic, member),
            coordinator: self.coordinator.clone(),
            name: (group.to_owned(), topic),
            partitions: BTreeMap::new(),
            turn: 0,
        }))
    }
}

/// A partition as its consumer sees it.
#[derive(Debug)]
struct Position {
    epoch: u64,
    /// Where to read next; `None` before `start` and while paused.
    next: Option<u64>,
}

struct GroupConsumer<S: LogSource> {
    source: Arc<S>,
    coordinator: Coordinator,
    changed: watch::Receiver<u64>,
    grown: watch::Receiver<u64>,
    name: (String, Topic),
    id: u64,
    partitions: BTreeMap<u32, Position>,
    /// Where the last round of reading stopped, so that no partition starves.
    turn: u32,
}

impl<S: LogSource> GroupConsumer<S> {
    /// The first difference between what this consumer was told and what is.
    fn reassigned(&mut self) -> Option<ConsumerEvent> {
        let owned = self.coordinator.owned(&self.name, self.id);
        let lost = self.partitions.iter().find(|(partition, at)| owned.get(partition) != Some(&at.epoch));
        if let Some(partition) = lost.map(|(partition, _)| *partition) {
            self.partitions.remove(&partition);
            return Some(ConsumerEvent::Revoked { partition });
        }
        let (partition, epoch) = owned.into_iter().find(|(partition, _)| !self.partitions.contains_key(partition))?;
        self.partitions.insert(partition, Position { epoch, next: None });
        Some(ConsumerEvent::Assigned { partition, epoch })
    }

    async fn read_one(&mut self) -> StoreResult<Option<ConsumerEvent>> {
        let mut ready: Vec<(u32, u64)> =
            self.partitions.iter().filter_map(|(partition, at)| Some((*partition, at.next?))).collect();
        let turn = self.turn;
        ready.sort_by_key(|(partition, _)| (*partition <= turn, *partition));
        for (partition, from) in ready {
            let entries = self.source.read(self.name.1, partition, from, RECORDS_MAX).await?;
            let Some(last) = entries.last() else { continue };
            let next = last.offset + 1;
            if let Some(at) = self.partitions.get_mut(&partition) {
                at.next = Some(next);
            }
            self.turn = partition;
            return Ok(Some(ConsumerEvent::Records { partition, entries }));
        }
        Ok(None)
    }
}

#[async_trait]
impl<S: LogSource> Consumer for GroupConsumer<S> {
    async fn next(&mut self) -> StoreResult<ConsumerEvent> {
        loop {
            // Marked before looking, so that a change during the look ends the wait below.
            self.changed.borrow_and_update();
            self.grown.borrow_and_update();
            if let Some(event) = self.reassigned() {
                return Ok(event);
            }
            if !self.coordinator.is_member(&self.name, self.id) {
                return Err(StoreError::unavailable("log", "this consumer was expelled; it must join again"));
            }
            if let Some(event) = self.read_one().await? {
                return Ok(event);
            }
            tokio::select! {
                biased;
                gone = self.changed.changed() => gone.map_err(|_| closed())?,
                gone = self.grown.changed() => gone.map_err(|_| closed())?,
            }
        }
    }

    fn start(&mut self, partition: u32, offset: u64) {
        if let Some(at) = self.partitions.get_mut(&partition) {
            at.next = Some(offset);
        }
    }

    fn pause(&mut self, partition: u32) {
        if let Some(at) = self.partitions.get_mut(&partition) {
            at.next = None;
        }
    }

    async fn commit(&mut self, offsets: &[(u32, u64)]) -> StoreResult<()> {
        let owned = self.coordinator.owned(&self.name, self.id);
        for (partition, _) in offsets {
            let epoch = self.partitions.get(partition).map(|at| at.epoch);
            if epoch.is_none() || owned.get(partition).copied() != epoch {
                return Err(StoreError::unavailable("log", format_args!("partition {partition} has another owner")));
            }
        }
        let (group, topic) = &self.name;
        let commits = offsets.iter().map(|(partition, offset)| self.source.commit(group, *topic, *partition, *offset));
        try_join_all(commits).await?;
        Ok(())
    }
}

impl<S: LogSource> Drop for GroupConsumer<S> {
    fn drop(&mut self) {
        self.coordinator.leave(&self.name, self.id);
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("log", "it was closed")
}
