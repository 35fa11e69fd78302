//! Reads, all at LOCAL_QUORUM.

use std::ops::ControlFlow;

use domain::{ConversationId, KeyRow};
use scylla::{
    deserialize::row::DeserializeRow,
    response::{PagingState, query_result::QueryRowsResult},
    serialize::row::SerializeRow,
    statement::prepared::PreparedStatement,
};

use super::{
    call::{attempts, corrupt},
    link::Linked,
    row::{self, KeyColumns, MessageColumns, bucket_of, int},
};
use crate::port::{Head, StoreResult, StoredMessage};

/// Partitions that a range may touch before it is worth a look at where the conversation ends.
const BUCKETS_UNASKED: u64 = 2;

/// Hands each page of an answer to `take`.
async fn pages(
    linked: &Linked,
    statement: &PreparedStatement,
    values: impl SerializeRow,
    mut take: impl FnMut(QueryRowsResult) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut state = PagingState::start();
    loop {
        let (page, next) = attempts(|| linked.session.execute_single_page(statement, &values, state.clone())).await?;
        take(page.into_rows_result().map_err(corrupt)?)?;
        match next.into_paging_control_flow() {
            ControlFlow::Continue(next) => state = next,
            ControlFlow::Break(()) => return Ok(()),
        }
    }
}

/// Appends the rows of a page.
fn extend<'a, R: DeserializeRow<'a, 'a>, T>(
    rows: &mut Vec<T>,
    page: &'a QueryRowsResult,
    of: impl Fn(R) -> StoreResult<T>,
) -> StoreResult<()> {
    for columns in page.rows::<R>().map_err(corrupt)? {
        rows.push(of(columns.map_err(corrupt)?)?);
    }
    Ok(())
}

pub(super) async fn rows(
    linked: &Linked,
    conversation: &ConversationId,
    first: u64,
    mut last: u64,
    limit: usize,
) -> StoreResult<Vec<StoredMessage>> {
    let mut found = Vec::new();
    if bucket_of(last).saturating_sub(bucket_of(first)) >= BUCKETS_UNASKED {
        // There is nothing past the head, and there may be very many buckets.
        last = last.min(head(linked, conversation).await?.map_or(0, |head| head.sequence_number));
    }
    if first > last {
        return Ok(found);
    }
    for bucket in bucket_of(first)..=bucket_of(last) {
        let left = limit - found.len();
        if left == 0 {
            break;
        }
        let left = i32::try_from(left).unwrap_or(i32::MAX);
        let values = (conversation.as_str(), int(bucket), int(first), int(last), left);
        pages(linked, &linked.statements.rows, values, |page| {
            extend(&mut found, &page, |columns: MessageColumns<'_>| row::message(conversation, columns))
        })
        .await?;
    }
    Ok(found)
}

pub(super) async fn head(linked: &Linked, conversation: &ConversationId) -> StoreResult<Option<Head>> {
    let mut heads = Vec::new();
    pages(linked, &linked.statements.head, (conversation.as_str(),), |page| {
        extend(&mut heads, &page, |(number, offset): (i64, i64)| {
            let not_negative = |int: i64| u64::try_from(int).map_err(corrupt);
            Ok(Head { sequence_number: not_negative(number)?, intake_offset: not_negative(offset)? })
        })
    })
    .await?;
    Ok(heads.pop())
}

pub(super) async fn keys_since(
    linked: &Linked,
    conversation: &ConversationId,
    since_ms: u64,
) -> StoreResult<Vec<KeyRow>> {
    let mut keys = Vec::new();
    pages(linked, &linked.statements.keys, (conversation.as_str(), int(since_ms)), |page| {
        extend(&mut keys, &page, |columns: KeyColumns<'_>| row::key(conversation, columns))
    })
    .await?;
    Ok(keys)
}
