//! The servers of a cluster, and which of them has which slot.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::select_ok;
use parking_lot::{Mutex, RwLock};
use redis::{Pipeline, Value, from_redis_value};
use tokio::time::{Duration, Instant};

use super::{address::Address, command::SLOTS, node::Node};
use crate::port::{StoreError, StoreResult};

/// The cluster is not asked more often for its slots.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// A cluster.
pub(super) struct Cluster {
    store: &'static str,
    address: Address,
    nodes: Mutex<BTreeMap<String, Arc<Node>>>,
    slots: RwLock<Vec<Option<Arc<Node>>>>,
    /// When the slots were last asked for. Who finds it locked waits for the answer.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Cluster {
    pub(super) fn new(store: &'static str, address: Address) -> StoreResult<Self> {
        let slots = RwLock::new(vec![None; SLOTS]);
        let cluster = Self { store, address, nodes: Mutex::default(), slots, asked: tokio::sync::Mutex::default() };
        for name in cluster.address.names() {
            cluster.node(&name)?;
        }
        Ok(cluster)
    }

    /// The server of this name, known from now on.
    pub(super) fn node(&self, name: &str) -> StoreResult<Arc<Node>> {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get(name) {
            return Ok(node.clone());
        }
        let node = Arc::new(Node::new(self.store, name.to_owned(), self.address.client(self.store, name)?));
        nodes.insert(name.to_owned(), node.clone());
        Ok(node)
    }

    /// The servers that are known.
    pub(super) fn names(&self) -> Vec<String> {
        self.nodes.lock().keys().cloned().collect()
    }

    /// The server that has a slot. A slot whose server is down may have gone to another.
    pub(super) async fn owner(&self, slot: usize) -> StoreResult<Arc<Node>> {
        if let Some(node) = self.known(slot).filter(|node| !node.is_down()) {
            return Ok(node);
        }
        self.refresh().await?;
        self.known(slot).ok_or_else(|| StoreError::unavailable(self.store, format_args!("nobody has slot {slot}")))
    }

    fn known(&self, slot: usize) -> Option<Arc<Node>> {
        self.slots.read().get(slot).cloned().flatten()
    }

    /// A server said who has a slot.
    pub(super) fn moved(&self, slot: usize, name: &str) -> StoreResult<()> {
        let node = self.node(name)?;
        if let Some(owner) = self.slots.write().get_mut(slot) {
            *owner = Some(node);
        }
        Ok(())
    }

    /// Asks all servers at once who has which slot, and takes the first answer: those that are silent do not count.
    pub(super) async fn refresh(&self) -> StoreResult<()> {
        let began = Instant::now();
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked >= began || asked.elapsed() < ASK_EVERY) {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let nodes: Vec<Arc<Node>> = self.nodes.lock().values().cloned().collect();
        let asking = nodes.iter().map(|node| {
            Box::pin(async {
                let answer = node.run(&pipeline).await?.pop().unwrap_or(Value::Nil);
                self.read(node, answer)
            })
        });
        let answer = select_ok(asking).await;
        *asked = Some(Instant::now());
        let (slots, _) = answer?;
        // What is not in the cluster any more is let go, except the servers that the URL names.
        let named: Vec<String> = self.address.names().collect();
        let mut nodes = self.nodes.lock();
        nodes.retain(|name, node| named.contains(name) || slots.iter().flatten().any(|owner| Arc::ptr_eq(owner, node)));
        *self.slots.write() = slots;
        Ok(())
    }

    /// An answer to `CLUSTER SLOTS`: first, last, master, replicas of each range.
    fn read(&self, from: &Node, answer: Value) -> StoreResult<Vec<Option<Arc<Node>>>> {
        let corrupt = || StoreError::unavailable(self.store, format_args!("{} does not know its cluster", from.name));
        let mut slots = vec![None; SLOTS];
        let Value::Array(ranges) = answer else { return Err(corrupt()) };
        for range in ranges {
            let Value::Array(range) = range else { return Err(corrupt()) };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
                return Err(corrupt());
            };
            let [host, Value::Int(port), ..] = &master[..] else { return Err(corrupt()) };
            // A server that does not know how it is reached means: as you reached me.
            let host: Option<String> = from_redis_value(host.clone()).map_err(|_| corrupt())?;
            let here = from.name.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.as_deref().filter(|host| !host.is_empty() && *host != "?").unwrap_or(here);
            let node = self.node(&format!("{host}:{port}"))?;
            let range = usize::try_from(*first).ok().zip(usize::try_from(*last).ok());
            let range = range.and_then(|(first, last)| slots.get_mut(first..=last)).ok_or_else(corrupt)?;
            range.fill(Some(node));
        }
        if slots.iter().all(Option::is_none) {
            return Err(corrupt());
        }
        Ok(slots)
    }
}
