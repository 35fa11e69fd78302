//! A window of rows that were written at consistency ONE. When the downgrade is over they are read from the log again,
//! written at quorum with the same timestamps, read back at quorum and found dense; only then the commit pointer moves
//! over them. So a replica that is lost during a downgrade loses nothing that the log still has.

use std::collections::BTreeMap;

use backends::port::{StoreError, StoreResult, StoredMessage, Topic};
use domain::ConversationId;
use tokio::time::{Duration, Instant};

use super::{Stand, rows};
use crate::{record::runs, worker::Shared};

/// Records written again in one step.
const STEP: usize = 500;
/// Between attempts at a window that cannot be written. Other windows, and new rows, go on meanwhile.
const RETRY: Duration = Duration::from_millis(500);

/// Rows that are at ONE: from the commit pointer to where the persister has read.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// The override that asked for it.
    pub(super) by: String,
    /// The next record to write again; `None` before the first.
    pub(super) next: Option<u64>,
    /// When its next step is due. The window that has waited longest goes first, so one that fails holds up no other.
    pub(super) due: Instant,
}

/// Takes one step. At the end of the window it is gone, and the commit pointer may jump over it.
pub(super) async fn write_again(shared: &Shared, topic: Topic, partition: u32, stand: &mut Stand) {
    let Some(window) = &mut stand.window else { return };
    let from = window.next.unwrap_or(stand.committed);
    match step(shared, topic, partition, from, stand.read).await {
        Ok(next) if next < stand.read => {
            window.next = Some(next);
            window.due = Instant::now();
        }
        Ok(next) => {
            tracing::info!(partition, topic = %topic, from = stand.committed, to = next, by = window.by,
                "a window of downgraded consistency is stored at quorum");
            stand.window = None;
        }
        Err(error) => {
            tracing::warn!(%error, partition, "a window cannot be written again yet; will retry");
            window.due = Instant::now() + RETRY;
        }
    }
}

/// Writes and checks records from `from`, below `to`; returns where to go on.
async fn step(shared: &Shared, topic: Topic, partition: u32, from: u64, to: u64) -> StoreResult<u64> {
    if from >= to {
        return Ok(to);
    }
    let max = usize::try_from(to - from).unwrap_or(STEP).min(STEP);
    let entries = shared.ports.log.read(topic, partition, from, max).await?;
    let Some(last) = entries.last() else {
        // The log says it ends before what was read from it: it must not be believed.
        return Err(StoreError::unavailable("log", format_args!("nothing at offset {from} of {topic} any more")));
    };
    let next = last.offset + 1;
    let rows = rows(&entries, &shared.stats);
    shared.ports.messages.write(&rows).await?;
    for (conversation, wanted) in by_number(&rows) {
        for run in runs(wanted.keys().copied()) {
            let (first, last) = (*run.start(), *run.end());
            let wanted: Vec<&StoredMessage> = wanted.range(run).map(|(_, row)| *row).collect();
            let stored = shared.ports.messages.read(conversation, first, last, wanted.len() * 2).await?;
            check(conversation, &wanted, &stored)?;
        }
    }
    Ok(next)
}

/// The rows by conversation and number. Records of two owners give the same row twice.
fn by_number(rows: &[StoredMessage]) -> BTreeMap<&ConversationId, BTreeMap<u64, &StoredMessage>> {
    let mut conversations: BTreeMap<&ConversationId, BTreeMap<u64, &StoredMessage>> = BTreeMap::new();
    for row in rows {
        conversations.entry(&row.conversation).or_default().entry(row.sequence_number).or_insert(row);
    }
    conversations
}

/// Every row of a run must be there, and dense from the first to the last.
fn check(conversation: &ConversationId, wanted: &[&StoredMessage], stored: &[StoredMessage]) -> StoreResult<()> {
    let mut numbers: Vec<u64> = stored.iter().map(|row| row.sequence_number).collect();
    numbers.dedup();
    let is_dense = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let missing = wanted.iter().find(|row| !stored.iter().any(|it| it.message_id == row.message_id));
    match missing {
        Some(row) => {
            let number = row.sequence_number;
            Err(StoreError::unavailable("messages", format_args!("{conversation}: number {number} is not there")))
        }
        None if !is_dense => Err(StoreError::unavailable("messages", format_args!("{conversation}: not dense"))),
        None => Ok(()),
    }
}
