//! The store in memory: for simulated fleets, where neither threads nor files are allowed. Nothing in it survives the
//! process; a simulated restart hands the same store to the next control plane.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use protocol::admin::{AuditEntry, Operation, OperationEvent};

use super::{
    AuditChain, Change, DesiredRecord, Document, DocumentKind, Leadership, NodeRecord, OperationFilter, Store,
    StoreError, StoreResult, TokenRecord, leadership::LeaderRow,
};

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<u64, Operation>,
    events: BTreeMap<(String, u64), OperationEvent>,
    documents: BTreeMap<(DocumentKind, String), Document>,
    desired: BTreeMap<String, DesiredRecord>,
    nodes: BTreeMap<String, NodeRecord>,
    tokens: BTreeMap<String, TokenRecord>,
    audit: Vec<AuditEntry>,
    chain: AuditChain,
    leader: LeaderRow,
}

/// The store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl State {
    /// What would make a commit fail, checked before anything is written.
    fn check(&self, change: &Change) -> StoreResult<()> {
        if let Change::Document(new) = change {
            let known = self.documents.get(&(new.kind, new.id.clone())).map_or(0, |document| document.revision);
            let follows = new.revision == known + 1;
            return if follows { Ok(()) } else { Err(StoreError::Stale(new.id.clone())) };
        }
        if let Change::Led(epoch) = change {
            return if *epoch < self.leader.epoch { Err(StoreError::Deposed) } else { Ok(()) };
        }
        let Change::Operation(new) = change else { return Ok(()) };
        match self.operations.get(&new.number) {
            Some(known) if known.id != new.id => {
                Err(StoreError::Unavailable(format!("operation number {} is taken", new.number)))
            }
            Some(known) if known.epoch > new.epoch => Err(StoreError::Superseded(new.id.clone())),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Operation(operation) => drop(self.operations.insert(operation.number, *operation)),
            Change::Event(event) => drop(self.events.insert((event.operation.clone(), event.sequence), event)),
            Change::Document(new) => drop(self.documents.insert((new.kind, new.id.clone()), new)),
            Change::Forget(kind, below) => {
                self.documents.retain(|(other, _), document| *other != kind || document.number >= below);
            }
            Change::Desired(desired) => drop(self.desired.insert(desired.node.clone(), desired)),
            Change::Node(node) => drop(self.nodes.insert(node.id.clone(), node)),
            Change::ForgetNode(id) => {
                self.nodes.remove(&id);
                self.desired.remove(&id);
            }
            Change::Token(token) => drop(self.tokens.insert(token.token.id.clone(), token)),
            Change::Audit(new) => {
                let entry = self.chain.seal(new);
                self.audit.push(entry);
            }
            Change::Led(_) => {}
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, changes: Vec<Change>) -> StoreResult<()> {
        let mut state = self.state.lock();
        changes.iter().try_for_each(|change| state.check(change))?;
        changes.into_iter().for_each(|change| state.apply(change));
        Ok(())
    }

    async fn operation(&self, id: &str) -> StoreResult<Option<Operation>> {
        Ok(self.state.lock().operations.values().find(|operation| operation.id == id).cloned())
    }

    async fn operations(&self, filter: OperationFilter, before: u64, limit: usize) -> StoreResult<Vec<Operation>> {
        let state = self.state.lock();
        let newest_first = state.operations.range(..before).rev().map(|(_, operation)| operation);
        Ok(newest_first.filter(|operation| filter.takes(operation.state)).take(limit).cloned().collect())
    }

    async fn operations_head(&self) -> StoreResult<u64> {
        Ok(self.state.lock().operations.last_key_value().map_or(0, |(number, _)| *number))
    }

    async fn events(&self, operation: &str, after: u64, limit: usize) -> StoreResult<Vec<OperationEvent>> {
        let state = self.state.lock();
        let from = (operation.to_owned(), after.saturating_add(1));
        let until = (operation.to_owned(), u64::MAX);
        if from > until {
            return Ok(Vec::new());
        }
        Ok(state.events.range(from..=until).take(limit).map(|(_, event)| event.clone()).collect())
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> StoreResult<Option<Document>> {
        Ok(self.state.lock().documents.get(&(kind, id.to_owned())).cloned())
    }

    async fn documents(&self, kind: DocumentKind, all: bool, before: u64, limit: usize) -> StoreResult<Vec<Document>> {
        let state = self.state.lock();
        let wanted =
            |document: &&Document| document.kind == kind && document.number < before && (all || !document.is_ended);
        let mut documents: Vec<Document> = state.documents.values().filter(wanted).cloned().collect();
        documents.sort_by_key(|document| std::cmp::Reverse(document.number));
        documents.truncate(limit);
        Ok(documents)
    }

    async fn documents_head(&self, kind: DocumentKind) -> StoreResult<u64> {
        let state = self.state.lock();
        let numbers = state.documents.values().filter(|document| document.kind == kind);
        Ok(numbers.map(|document| document.number).max().unwrap_or(0))
    }

    async fn desired(&self) -> StoreResult<Vec<DesiredRecord>> {
        Ok(self.state.lock().desired.values().cloned().collect())
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        Ok(self.state.lock().nodes.values().cloned().collect())
    }

    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>> {
        let mut tokens: Vec<_> = self.state.lock().tokens.values().cloned().collect();
        tokens.sort_by(|a, b| (a.token.created_ms, &a.token.id).cmp(&(b.token.created_ms, &b.token.id)));
        Ok(tokens)
    }

    async fn token_by_hash(&self, hash: &str) -> StoreResult<Option<TokenRecord>> {
        Ok(self.state.lock().tokens.values().find(|token| token.hash == hash).cloned())
    }

    async fn audit(&self, before: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        let state = self.state.lock();
        Ok(state.audit.iter().rev().filter(|entry| entry.seq < before).take(limit).cloned().collect())
    }

    async fn audit_from(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        let state = self.state.lock();
        Ok(state.audit.iter().filter(|entry| entry.seq > after).take(limit).cloned().collect())
    }

    async fn lead(&self, holder: &str, now_ms: u64, ttl_ms: u64) -> StoreResult<Leadership> {
        Ok(self.state.lock().leader.lead(holder, now_ms, ttl_ms))
    }

    async fn resign(&self, holder: &str) -> StoreResult<()> {
        self.state.lock().leader.resign(holder);
        Ok(())
    }

    async fn ping(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn close(&self) {}
}
