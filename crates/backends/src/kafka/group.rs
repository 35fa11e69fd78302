//! What groups committed, asked from outside of them.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use super::client::{CALL, KafkaOptions, blocking, unavailable};
use crate::port::StoreResult;

/// Clients that are kept. The fleet has fewer groups and topics.
const CLIENTS: usize = 8;

/// The last used last.
type Clients = Mutex<VecDeque<(Key, Arc<BaseConsumer>)>>;

/// Group and topic.
type Key = (String, String);

/// A client for each group and topic that was asked about lately.
pub(super) struct Groups {
    options: Arc<KafkaOptions>,
    clients: Arc<Clients>,
}

impl Groups {
    pub(super) fn new(options: Arc<KafkaOptions>) -> Self {
        Self { options, clients: Arc::default() }
    }

    pub(super) async fn committed(&self, group: &str, topic: &str, partition: u32) -> StoreResult<Option<u64>> {
        let key = (group.to_owned(), topic.to_owned());
        let kept = self.kept(&key);
        let (options, clients) = (self.options.clone(), self.clients.clone());
        blocking("asking what a group committed", move || {
            let client: Arc<BaseConsumer> = match kept {
                Some(client) => client,
                None => Arc::new(options.committed(&key.0, &key.1).create().map_err(unavailable)?),
            };
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(&key.1, partition as i32);
            let committed = client.committed_offsets(list, CALL).map_err(unavailable)?;
            let elements = committed.elements();
            let offset = match elements.first() {
                Some(element) => {
                    element.error().map_err(unavailable)?;
                    element.offset()
                }
                None => Offset::Invalid,
            };
            keep(&clients, key, client);
            Ok(match offset {
                Offset::Offset(offset) => Some(offset.max(0) as u64),
                _ => None,
            })
        })
        .await
    }

    fn kept(&self, key: &Key) -> Option<Arc<BaseConsumer>> {
        self.clients.lock().iter().find(|(kept, _)| kept == key).map(|(_, client)| client.clone())
    }
}

/// Keeps a client, unless another one for the same was kept meanwhile. Whoever goes is closed after the lock, for that
/// takes its time and others ask for theirs on threads of the runtime.
fn keep(clients: &Clients, key: Key, client: Arc<BaseConsumer>) {
    let mut kept = clients.lock();
    let first = kept.iter().position(|(other, _)| *other == key).and_then(|at| kept.remove(at));
    let (used, spare) = match first {
        Some((_, first)) => (first, Some(client)),
        None => (client, None),
    };
    kept.push_back((key, used));
    let evicted = if kept.len() > CLIENTS { kept.pop_front() } else { None };
    drop(kept);
    drop((evicted, spare));
}
