//! Catch-up after `hello`: everything in `(last_seen, head]` of each resumed conversation, dense, then live.
//!
//! Live frames of a conversation are held back from before the session was registered until its replay reached the
//! head that the partition's owner told: the owner alone knows what is numbered and not stored yet. A hole means "not
//! stored yet"; the replay says `complete: false`, waits and finishes by itself.

use std::{collections::BTreeMap, future::poll_fn, sync::Arc};

use backends::port::{Lane, StoredMessage};
use domain::ConversationId;
use protocol::frames::{ErrorFrame, Page, ServerFrame};
use tokio::time::{Duration, sleep, timeout};

use crate::{gateway::Shared, hub::Conn, intake::lane_of, reading::message_frame, socket::text_frame};

/// Messages in one frame of a replay.
const PAGE: usize = 100;
/// Heads asked for at once.
const HEADS_AT_ONCE: usize = 256;
/// Between two looks for an owner, or for rows that are numbered and not stored yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After a read that failed.
const RETRY: Duration = Duration::from_millis(500);

/// Replays that run at once, and how long another waits for one of them to end.
pub(crate) const AT_ONCE: usize = 256;
const TURN_PATIENCE: Duration = Duration::from_secs(1);

/// A conversation to replay.
struct Resumed {
    id: ConversationId,
    lane: Lane,
    last_seen: u64,
}

/// Replays everything, then says `synced`. In a mass reconnect most replays wait for their turn while they are small; one
/// that waited long begins all the same, so that replays that hang hold nobody up for more than that.
pub(super) async fn run(shared: Arc<Shared>, conn: Arc<Conn>, resume: Vec<(ConversationId, u64)>) {
    let _turn = match resume.is_empty() {
        true => None,
        false => Some(timeout(TURN_PATIENCE, shared.replays.acquire()).await),
    };
    Box::pin(all(shared.clone(), conn, resume)).await;
}

async fn all(shared: Arc<Shared>, conn: Arc<Conn>, resume: Vec<(ConversationId, u64)>) {
    let mut resumed = Vec::with_capacity(resume.len());
    for (id, last_seen) in resume {
        match authorise(&shared, &conn, &id).await {
            Ok(lane) => resumed.push(Resumed { id, lane, last_seen }),
            Err(error) => {
                conn.forget_held(&id);
                send(&shared, &conn, ServerFrame::Error(error)).await;
            }
        }
    }
    let mut synced = BTreeMap::new();
    for lane in Lane::ALL {
        let of_lane: Vec<&Resumed> = resumed.iter().filter(|one| one.lane == lane).collect();
        for some in of_lane.chunks(HEADS_AT_ONCE) {
            let ids: Vec<ConversationId> = some.iter().map(|one| one.id.clone()).collect();
            let heads = shared.workers.heads(lane, &ids).await;
            for (one, head) in some.iter().zip(heads) {
                let head = replay(&shared, &conn, one, head).await;
                shared.metrics.replays.inc();
                synced.insert(one.id.as_str().to_owned(), head);
            }
        }
    }
    send(&shared, &conn, ServerFrame::Synced { conversations: synced }).await;
}

/// Waits while memberships cannot be read: a replay does not give up on what it may yet show.
async fn authorise(shared: &Shared, conn: &Conn, id: &ConversationId) -> Result<Lane, ErrorFrame> {
    loop {
        match shared.authorise(id.as_str(), &conn.user).await {
            Ok((_, kind)) => return Ok(lane_of(kind)),
            Err(error) if error.retry_after_ms.is_none() => return Err(error),
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Replays one conversation until it is live; returns the head it reached.
async fn replay(shared: &Shared, conn: &Conn, one: &Resumed, head: Option<u64>) -> u64 {
    let mut head = match head {
        Some(head) => head,
        // Boxed: a replay that need not ask keeps no room for it.
        None => Box::pin(ask(shared, one)).await,
    };
    let mut last = one.last_seen;
    loop {
        while last < head {
            let rows = dense(shared, one, last + 1, head).await;
            let Some(reached) = rows.last().map(|row| row.sequence_number) else {
                sleep(LOOK_AGAIN).await;
                continue;
            };
            last = reached;
            send(shared, conn, page(conn, one, rows, head)).await;
        }
        match conn.release(&one.id, head.max(last), shared.now_ms()) {
            None => return head,
            // Live frames were dropped: they are numbered, so they can be replayed.
            Some(dropped_to) => head = head.max(dropped_to),
        }
    }
}

/// The head, as soon as somebody owns the partition.
async fn ask(shared: &Shared, one: &Resumed) -> u64 {
    loop {
        if let Some(Some(head)) = shared.workers.heads(one.lane, std::slice::from_ref(&one.id)).await.pop() {
            return head;
        }
        tokio::select! {
            biased;
            () = shared.workers.changed() => {}
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn dense(shared: &Shared, one: &Resumed, first: u64, last: u64) -> Vec<StoredMessage> {
    match shared.reader.dense(&one.id, first, last, PAGE).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(%error, conversation = %one.id, "a replay waits for the store");
            sleep(RETRY).await;
            Vec::new()
        }
    }
}

fn page(conn: &Conn, one: &Resumed, rows: Vec<StoredMessage>, head: u64) -> ServerFrame {
    let complete = rows.last().is_some_and(|row| row.sequence_number >= head);
    let messages = rows.into_iter().map(|row| message_frame(row, Some(&conn.user))).collect();
    ServerFrame::Messages(Page { conversation: one.id.as_str().to_owned(), messages, head, complete })
}

/// Queues a frame, once the client has taken enough of the earlier ones.
async fn send(shared: &Shared, conn: &Conn, frame: ServerFrame) {
    poll_fn(|cx| conn.io.lock().poll_room(cx)).await;
    conn.send(text_frame(&frame.encode()), shared.now_ms());
}
