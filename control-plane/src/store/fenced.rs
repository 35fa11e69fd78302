//! A store as one replica may use it: it reads as it likes, and writes only while it leads.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::admin::{AuditEntry, Operation, OperationEvent};

use super::{
    Change, DesiredRecord, Document, DocumentKind, Leadership, NodeRecord, OperationFilter, Store, StoreError,
    StoreResult, TokenRecord,
};
use crate::leader::Seat;

/// Puts the epoch in which the replica leads in front of everything it writes. So one that was paused, and does not
/// know yet that another leads by now, changes nothing any more.
pub(crate) struct Fenced {
    inner: Arc<dyn Store>,
    seat: Arc<Seat>,
}

impl Fenced {
    pub(crate) fn new(inner: Arc<dyn Store>, seat: Arc<Seat>) -> Self {
        Self { inner, seat }
    }
}

#[async_trait]
impl Store for Fenced {
    async fn commit(&self, mut changes: Vec<Change>) -> StoreResult<()> {
        let epoch = self.seat.epoch().ok_or(StoreError::Deposed)?;
        changes.insert(0, Change::Led(epoch));
        self.inner.commit(changes).await
    }

    async fn operation(&self, id: &str) -> StoreResult<Option<Operation>> {
        self.inner.operation(id).await
    }

    async fn operations(&self, filter: OperationFilter, before: u64, limit: usize) -> StoreResult<Vec<Operation>> {
        self.inner.operations(filter, before, limit).await
    }

    async fn operations_head(&self) -> StoreResult<u64> {
        self.inner.operations_head().await
    }

    async fn events(&self, operation: &str, after: u64, limit: usize) -> StoreResult<Vec<OperationEvent>> {
        self.inner.events(operation, after, limit).await
    }

    async fn document(&self, kind: DocumentKind, id: &str) -> StoreResult<Option<Document>> {
        self.inner.document(kind, id).await
    }

    async fn documents(&self, kind: DocumentKind, all: bool, before: u64, limit: usize) -> StoreResult<Vec<Document>> {
        self.inner.documents(kind, all, before, limit).await
    }

    async fn documents_head(&self, kind: DocumentKind) -> StoreResult<u64> {
        self.inner.documents_head(kind).await
    }

    async fn desired(&self) -> StoreResult<Vec<DesiredRecord>> {
        self.inner.desired().await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        self.inner.nodes().await
    }

    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>> {
        self.inner.tokens().await
    }

    async fn token_by_hash(&self, hash: &str) -> StoreResult<Option<TokenRecord>> {
        self.inner.token_by_hash(hash).await
    }

    async fn audit(&self, before: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        self.inner.audit(before, limit).await
    }

    async fn audit_from(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        self.inner.audit_from(after, limit).await
    }

    async fn lead(&self, holder: &str, now_ms: u64, ttl_ms: u64) -> StoreResult<Leadership> {
        self.inner.lead(holder, now_ms, ttl_ms).await
    }

    async fn resign(&self, holder: &str) -> StoreResult<()> {
        self.inner.resign(holder).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
