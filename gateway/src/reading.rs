//! Reading a conversation: from the recent tail where it reaches, from the message store below it, always dense.
//!
//! A hole means "not stored yet", never "nothing there": what lies above it is not shown.

use std::sync::Arc;

use backends::Stores;
use backends::port::{Lane, Messages, Recent, StoreResult, StoredMessage};
use domain::{Bug, ConversationId, Planted, UserId};
use protocol::frames::{ConversationHead, ErrorCode, ErrorFrame, Kind, MessageFrame, Page};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{config::GatewayConfig, gateway::Shared, intake::lane_of};

/// How long one look into a store may take.
const READ_DEADLINE: Duration = Duration::from_secs(2);
/// Between two looks for rows that are numbered and not stored yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a request waits for such rows, and for an owner that can tell the head, before it answers with what there
/// is. A replay after `hello` waits on.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of bodies in one frame, so that a page of large messages stays far below a client's frame limit.
const PAGE_BYTES: usize = 96 * 1024;

/// Reads rows.
pub(crate) struct Reader {
    messages: Arc<dyn Messages>,
    recent: Arc<dyn Recent>,
    planted: Planted,
}

impl Reader {
    pub(crate) fn new(config: &GatewayConfig, ports: &Stores) -> Self {
        Self { messages: ports.messages.clone(), recent: ports.recent.clone(), planted: config.planted }
    }

    /// Rows `first..=last` (at most `limit`, at most a frame full), dense from `first` on: up to the first hole.
    pub(crate) async fn dense(
        &self,
        id: &ConversationId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> StoreResult<Vec<StoredMessage>> {
        let last = last.min(first.saturating_add(limit as u64).saturating_sub(1));
        if first > last {
            return Ok(Vec::new());
        }
        // The tail is a cache: without it the store has the rows, or will have.
        let tail = timeout(READ_DEADLINE, self.recent.tail_read(id, first, last)).await;
        let mut rows = tail.ok().and_then(Result::ok).unwrap_or_default();
        if rows.first().is_none_or(|row| row.sequence_number > first) || rows.len() as u64 != last - first + 1 {
            let stored = timeout(READ_DEADLINE, self.messages.read(id, first, last, limit)).await;
            let stored = stored.map_err(|_| backends::port::StoreError::unavailable("messages", "no answer"))??;
            rows.extend(stored);
            rows.sort_by_key(|row| row.sequence_number);
            rows.dedup_by_key(|row| row.sequence_number);
        }
        if !self.planted.has(Bug::NoDensityCheck) {
            let dense = rows.iter().zip(first..).take_while(|(row, expected)| row.sequence_number == *expected).count();
            rows.truncate(dense);
        }
        let mut bytes = 0;
        let fits = rows.iter().take_while(|row| {
            bytes += row.body.len();
            bytes <= PAGE_BYTES
        });
        // One message always fits a frame.
        let fits = fits.count().max(1);
        rows.truncate(fits);
        Ok(rows)
    }
}

/// A row as `user` sees it; a back end sees no idempotency keys.
pub(crate) fn message_frame(row: StoredMessage, user: Option<&UserId>) -> MessageFrame {
    MessageFrame {
        conversation: row.conversation.as_str().to_owned(),
        sequence_number: row.sequence_number,
        message_id: row.message_id,
        idempotency_key: (Some(&row.sender) == user).then_some(row.key),
        sender: row.sender.as_str().to_owned(),
        body: row.body,
        sent_at_ms: row.sent_at_ms,
    }
}

impl Shared {
    /// Where a conversation stands; waits a little for an owner. What is stored is the least it can be.
    pub(crate) async fn head(&self, id: &ConversationId, kind: Kind) -> Result<u64, ErrorFrame> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(Some(head)) = self.workers.heads(lane_of(kind), std::slice::from_ref(id)).await.pop() {
                return Ok(head);
            }
            if Instant::now() >= deadline {
                return Err(self.cannot_read(id));
            }
            tokio::select! {
                biased;
                () = self.workers.changed() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Conversations with their heads: from the owner, or else as far as they are stored.
    pub(crate) async fn with_heads(&self, found: Vec<(ConversationId, Kind)>) -> Vec<ConversationHead> {
        let mut heads = vec![None; found.len()];
        for lane in Lane::ALL {
            let positions: Vec<usize> = (0..found.len()).filter(|n| lane_of(found[*n].1) == lane).collect();
            let ids: Vec<ConversationId> = positions.iter().map(|n| found[*n].0.clone()).collect();
            for (position, head) in positions.into_iter().zip(self.workers.heads(lane, &ids).await) {
                heads[position] = head;
            }
        }
        let mut listed = Vec::with_capacity(found.len());
        for ((id, kind), head) in found.into_iter().zip(heads) {
            let head = match head {
                Some(head) => head,
                None => self.stored_head(&id).await,
            };
            listed.push(ConversationHead { conversation: id.as_str().to_owned(), kind, head });
        }
        listed
    }

    async fn stored_head(&self, id: &ConversationId) -> u64 {
        let stored = timeout(READ_DEADLINE, self.ports.messages.head(id)).await;
        stored.ok().and_then(Result::ok).flatten().map_or(0, |head| head.sequence_number)
    }

    fn cannot_read(&self, id: &ConversationId) -> ErrorFrame {
        ErrorFrame::new(ErrorCode::Unavailable, "the conversation cannot be read now")
            .retry_after(1_000)
            .in_conversation(id.as_str())
    }

    /// `sync`: the first `limit` after `after`.
    pub(crate) async fn page_after(
        &self,
        id: &ConversationId,
        kind: Kind,
        user: Option<&UserId>,
        after: u64,
        limit: usize,
    ) -> Result<Page, ErrorFrame> {
        let head = self.head(id, kind).await?;
        let rows = self.patiently(id, after.saturating_add(1), head, limit).await?;
        let complete = rows.last().map_or(after >= head, |row| row.sequence_number >= head);
        Ok(page(id, rows, head, complete, user))
    }

    /// `history`: the last `limit` before `before`.
    pub(crate) async fn page_before(
        &self,
        id: &ConversationId,
        kind: Kind,
        user: Option<&UserId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page, ErrorFrame> {
        let head = self.head(id, kind).await?;
        let last = before.map_or(head, |before| before.saturating_sub(1).min(head));
        let mut first = last.saturating_sub(limit as u64).saturating_add(1).max(1);
        let mut rows: Vec<StoredMessage> = Vec::new();
        // A page of large messages comes in pieces; the newest count.
        while rows.last().is_none_or(|row| row.sequence_number < last) && first <= last {
            let more = self.patiently(id, first, last, limit).await?;
            let Some(newest) = more.last() else { break };
            first = newest.sequence_number + 1;
            rows.extend(more);
        }
        if rows.last().is_some_and(|row| row.sequence_number < last) {
            // Not stored yet: what ends below the wanted numbers would leave a hole at the reader's.
            rows.clear();
        }
        let mut bytes = 0;
        let newest = rows.iter().rev().take_while(|row| {
            bytes += row.body.len();
            bytes <= PAGE_BYTES * 4
        });
        let newest = newest.count();
        rows.drain(..rows.len() - newest);
        let complete = rows.first().map_or(last == 0, |row| row.sequence_number == 1);
        Ok(page(id, rows, head, complete, user))
    }

    /// Dense rows; waits a little when the first is numbered but not stored yet.
    async fn patiently(
        &self,
        id: &ConversationId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, ErrorFrame> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.reader.dense(id, first, last, limit).await {
                Ok(rows) if !rows.is_empty() || first > last || Instant::now() >= deadline => return Ok(rows),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, conversation = %id, "cannot read the conversation");
                    if Instant::now() >= deadline {
                        return Err(self.cannot_read(id));
                    }
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

fn page(id: &ConversationId, rows: Vec<StoredMessage>, head: u64, complete: bool, user: Option<&UserId>) -> Page {
    let messages = rows.into_iter().map(|row| message_frame(row, user)).collect();
    Page { conversation: id.as_str().to_owned(), messages, head, complete }
}
