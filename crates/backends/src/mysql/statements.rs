//! What the directory does, each on one connection.

use domain::{ConversationId, GROUP_MEMBERS_MAX, UserId};
use protocol::frames::Kind;
use sqlx::{Connection as _, MySqlConnection, QueryBuilder, Row as _};

use super::{DirectoryFault, STORE, column, connect::is_duplicate};
use crate::port::{Added, Conversation, Created, Membership, Removed, StoreError};

/// Members of one statement. It takes two values each, and at most 65,535.
const MEMBERS_AT_ONCE: usize = 1_000;

pub(super) async fn create(conn: &mut MySqlConnection, conversation: &Conversation) -> Result<Created, DirectoryFault> {
    let pair = column::pair(conversation);
    let mut tx = conn.begin().await?;
    // Two at once: the keys let one through, and the other waits here for what becomes of it.
    let inserted = sqlx::query("INSERT INTO conversations (id, kind, pair) VALUES (?, ?, ?)")
        .bind(conversation.id.as_str().as_bytes())
        .bind(conversation.kind.as_str().as_bytes())
        .bind(&pair)
        .execute(&mut *tx)
        .await;
    match inserted {
        Ok(_) => {}
        Err(error) if is_duplicate(&error) => {
            tx.rollback().await?;
            return existing(conn, conversation, pair).await;
        }
        Err(error) => return Err(error.into()),
    }
    for members in conversation.members.chunks(MEMBERS_AT_ONCE) {
        let mut insert = QueryBuilder::new("INSERT INTO members (conversation, user) ");
        insert.push_values(members, |mut row, user| {
            row.push_bind(conversation.id.as_str().as_bytes()).push_bind(user.as_str().as_bytes());
        });
        insert.build().execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(Created::New)
}

/// How the conversation that was in the way stands to the one wanted.
async fn existing(
    conn: &mut MySqlConnection,
    wanted: &Conversation,
    pair: Option<Vec<u8>>,
) -> Result<Created, DirectoryFault> {
    // The pair's own conversation first: the id may be that of another pair.
    let found = sqlx::query(
        "SELECT id FROM conversations WHERE id = ? OR pair = ? ORDER BY COALESCE(pair = ?, 0) DESC LIMIT 1",
    )
    .bind(wanted.id.as_str().as_bytes())
    .bind(&pair)
    .bind(&pair)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = found else {
        return Err(StoreError::unavailable(STORE, "a conversation in the way is gone again").into());
    };
    let id = column::conversation(&row, 0)?;
    let mut members = wanted.members.clone();
    members.sort();
    let known = get(conn, &id).await?;
    let same = known.is_some_and(|known| known.kind == wanted.kind && known.members == members);
    Ok(if same { Created::Same(id) } else { Created::Taken })
}

pub(super) async fn get(
    conn: &mut MySqlConnection,
    id: &ConversationId,
) -> Result<Option<Conversation>, DirectoryFault> {
    // One statement: kind and members are of the same moment.
    let rows = sqlx::query(
        "SELECT c.kind, m.user FROM conversations c LEFT JOIN members m ON m.conversation = c.id
         WHERE c.id = ? ORDER BY m.user",
    )
    .bind(id.as_str().as_bytes())
    .fetch_all(conn)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let kind = column::kind(first, 0)?;
    let mut members = Vec::with_capacity(rows.len());
    for row in &rows {
        // The one row of a conversation without members has none.
        if row.try_get::<Option<&[u8]>, _>(1)?.is_some() {
            members.push(column::user(row, 1)?);
        }
    }
    Ok(Some(Conversation { id: id.clone(), kind, members }))
}

pub(super) async fn membership(
    conn: &mut MySqlConnection,
    id: &ConversationId,
    user: &UserId,
) -> Result<Option<Membership>, DirectoryFault> {
    let row = sqlx::query(
        "SELECT c.kind, m.user IS NOT NULL FROM conversations c
         LEFT JOIN members m ON m.conversation = c.id AND m.user = ? WHERE c.id = ?",
    )
    .bind(user.as_str().as_bytes())
    .bind(id.as_str().as_bytes())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Membership { kind: column::kind(&row, 0)?, member: row.try_get::<i64, _>(1)? != 0 }))
}

pub(super) async fn add_member(
    conn: &mut MySqlConnection,
    id: &ConversationId,
    user: &UserId,
) -> Result<Added, DirectoryFault> {
    let mut tx = conn.begin().await?;
    // The lock on this row is what two gateways adding at once take turns by.
    let Some(kind) = locked_kind(&mut tx, id).await? else { return Ok(Added::NotFound) };
    if kind == Kind::Direct {
        return Ok(Added::Direct);
    }
    let already = sqlx::query("SELECT 1 FROM members WHERE conversation = ? AND user = ?")
        .bind(id.as_str().as_bytes())
        .bind(user.as_str().as_bytes())
        .fetch_optional(&mut *tx)
        .await?;
    if already.is_some() {
        return Ok(Added::Already);
    }
    if kind == Kind::Group {
        let members: i64 = sqlx::query("SELECT COUNT(*) FROM members WHERE conversation = ?")
            .bind(id.as_str().as_bytes())
            .fetch_one(&mut *tx)
            .await?
            .try_get(0)?;
        if members >= GROUP_MEMBERS_MAX as i64 {
            return Ok(Added::Full);
        }
    }
    sqlx::query("INSERT INTO members (conversation, user) VALUES (?, ?)")
        .bind(id.as_str().as_bytes())
        .bind(user.as_str().as_bytes())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Added::Added)
}

/// The kind of a conversation, which nobody changes until this transaction ends.
async fn locked_kind(conn: &mut MySqlConnection, id: &ConversationId) -> Result<Option<Kind>, DirectoryFault> {
    let row = sqlx::query("SELECT kind FROM conversations WHERE id = ? FOR UPDATE")
        .bind(id.as_str().as_bytes())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| column::kind(row, 0)).transpose()
}

pub(super) async fn remove_member(
    conn: &mut MySqlConnection,
    id: &ConversationId,
    user: &UserId,
) -> Result<Removed, DirectoryFault> {
    // No lock: whether a conversation is direct never changes.
    match membership(conn, id, user).await? {
        None => return Ok(Removed::NotFound),
        Some(Membership { kind: Kind::Direct, .. }) => return Ok(Removed::Direct),
        Some(_) => {}
    }
    let done = sqlx::query("DELETE FROM members WHERE conversation = ? AND user = ?")
        .bind(id.as_str().as_bytes())
        .bind(user.as_str().as_bytes())
        .execute(conn)
        .await?;
    Ok(if done.rows_affected() > 0 { Removed::Removed } else { Removed::Already })
}

pub(super) async fn convert(conn: &mut MySqlConnection, id: &ConversationId) -> Result<Option<Kind>, DirectoryFault> {
    let mut tx = conn.begin().await?;
    let Some(kind) = locked_kind(&mut tx, id).await? else { return Ok(None) };
    if kind == Kind::Group {
        sqlx::query("UPDATE conversations SET kind = ? WHERE id = ?")
            .bind(Kind::Channel.as_str().as_bytes())
            .bind(id.as_str().as_bytes())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(Some(kind))
}

pub(super) async fn list(
    conn: &mut MySqlConnection,
    user: &UserId,
    after: Option<&ConversationId>,
    limit: usize,
) -> Result<Vec<(ConversationId, Kind)>, DirectoryFault> {
    let rows = sqlx::query(
        "SELECT m.conversation, c.kind FROM members m JOIN conversations c ON c.id = m.conversation
         WHERE m.user = ? AND m.conversation > ? ORDER BY m.conversation LIMIT ?",
    )
    .bind(user.as_str().as_bytes())
    .bind(after.map_or("", ConversationId::as_str).as_bytes())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((column::conversation(row, 0)?, column::kind(row, 1)?))).collect()
}
