//! Conversations and members in SQLite. The SQL keeps to what MySQL accepts too, as far as SQLite lets it.

use std::path::Path;

use async_trait::async_trait;
use domain::{ConversationId, GROUP_MEMBERS_MAX, UserId};
use protocol::frames::Kind;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use super::open_sqlite;
use crate::port::{Added, Conversation, Created, Directory, Membership, Removed, StoreError, StoreResult};

const STORE: &str = "conversation directory";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS conversations (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    kind VARCHAR(8) NOT NULL,
    pair VARCHAR(129) NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS members (
    conversation VARCHAR(64) NOT NULL,
    user VARCHAR(64) NOT NULL,
    PRIMARY KEY (conversation, user)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_by_user ON members (user, conversation);
";

/// Takes the write lock at once: a transaction that reads first and writes later could fail at the write.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The directory in SQLite.
#[derive(Debug, Clone)]
pub struct SqliteDirectory {
    pool: SqlitePool,
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::unavailable(STORE, error)
}

impl SqliteDirectory {
    /// Opens or makes the database.
    pub async fn open(path: &Path) -> StoreResult<Self> {
        let pool = open_sqlite(path).await.map_err(|error| StoreError::corrupt(STORE, error))?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(|error| StoreError::corrupt(STORE, error))?;
        Ok(Self { pool })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn kind_of(row: &SqliteRow, column: usize) -> StoreResult<Kind> {
    match row.try_get::<&str, _>(column).map_err(unavailable)? {
        "direct" => Ok(Kind::Direct),
        "group" => Ok(Kind::Group),
        "channel" => Ok(Kind::Channel),
        other => Err(StoreError::corrupt(STORE, format_args!("kind {other:?}"))),
    }
}

fn user_of(row: &SqliteRow, column: usize) -> StoreResult<UserId> {
    let text: &str = row.try_get(column).map_err(unavailable)?;
    UserId::parse(text).map_err(|error| StoreError::corrupt(STORE, format_args!("user {text:?} {error}")))
}

fn conversation_of(row: &SqliteRow, column: usize) -> StoreResult<ConversationId> {
    let text: &str = row.try_get(column).map_err(unavailable)?;
    ConversationId::parse(text).map_err(|error| StoreError::corrupt(STORE, format_args!("id {text:?} {error}")))
}

/// The pair of a direct conversation as one text, the same whoever comes first. `/` is in no name.
fn pair(conversation: &Conversation) -> Option<String> {
    match (conversation.kind, conversation.members.as_slice()) {
        (Kind::Direct, [one, other]) => Some(format!("{}/{}", one.min(other), one.max(other))),
        _ => None,
    }
}

#[async_trait]
impl Directory for SqliteDirectory {
    async fn create(&self, conversation: &Conversation) -> StoreResult<Created> {
        let pair = pair(conversation);
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(unavailable)?;
        // The pair's own conversation first: the id may be that of another pair.
        let taken = sqlx::query(
            "SELECT id FROM conversations WHERE id = ? OR pair = ? ORDER BY COALESCE(pair = ?, 0) DESC LIMIT 1",
        )
        .bind(conversation.id.as_str())
        .bind(&pair)
        .bind(&pair)
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        if let Some(row) = taken {
            let id = conversation_of(&row, 0)?;
            drop(tx);
            let known = self.get(&id).await?;
            let mut wanted = conversation.members.clone();
            wanted.sort();
            let same = known.is_some_and(|known| known.kind == conversation.kind && known.members == wanted);
            return Ok(if same { Created::Same(id) } else { Created::Taken });
        }
        sqlx::query("INSERT INTO conversations (id, kind, pair) VALUES (?, ?, ?)")
            .bind(conversation.id.as_str())
            .bind(conversation.kind.as_str())
            .bind(&pair)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        for user in &conversation.members {
            sqlx::query("INSERT INTO members (conversation, user) VALUES (?, ?)")
                .bind(conversation.id.as_str())
                .bind(user.as_str())
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(Created::New)
    }

    async fn get(&self, id: &ConversationId) -> StoreResult<Option<Conversation>> {
        let kind = sqlx::query("SELECT kind FROM conversations WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        let Some(kind) = kind else { return Ok(None) };
        let members = sqlx::query("SELECT user FROM members WHERE conversation = ? ORDER BY user")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        let members = members.iter().map(|row| user_of(row, 0)).collect::<StoreResult<_>>()?;
        Ok(Some(Conversation { id: id.clone(), kind: kind_of(&kind, 0)?, members }))
    }

    async fn membership(&self, id: &ConversationId, user: &UserId) -> StoreResult<Option<Membership>> {
        let row = sqlx::query(
            "SELECT c.kind, m.user IS NOT NULL FROM conversations c
             LEFT JOIN members m ON m.conversation = c.id AND m.user = ? WHERE c.id = ?",
        )
        .bind(user.as_str())
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Membership { kind: kind_of(&row, 0)?, member: row.try_get::<bool, _>(1).map_err(unavailable)? }))
    }

    async fn add_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Added> {
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(unavailable)?;
        let row = sqlx::query(
            "SELECT kind, (SELECT COUNT(*) FROM members WHERE conversation = c.id),
                    (SELECT COUNT(*) FROM members WHERE conversation = c.id AND user = ?)
             FROM conversations c WHERE id = ?",
        )
        .bind(user.as_str())
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else { return Ok(Added::NotFound) };
        let kind = kind_of(&row, 0)?;
        let members: i64 = row.try_get(1).map_err(unavailable)?;
        let already: i64 = row.try_get(2).map_err(unavailable)?;
        match kind {
            Kind::Direct => return Ok(Added::Direct),
            _ if already > 0 => return Ok(Added::Already),
            Kind::Group if members >= GROUP_MEMBERS_MAX as i64 => return Ok(Added::Full),
            Kind::Group | Kind::Channel => {}
        }
        sqlx::query("INSERT INTO members (conversation, user) VALUES (?, ?)")
            .bind(id.as_str())
            .bind(user.as_str())
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Ok(Added::Added)
    }

    async fn remove_member(&self, id: &ConversationId, user: &UserId) -> StoreResult<Removed> {
        match self.membership(id, user).await? {
            None => return Ok(Removed::NotFound),
            Some(Membership { kind: Kind::Direct, .. }) => return Ok(Removed::Direct),
            Some(_) => {}
        }
        let done = sqlx::query("DELETE FROM members WHERE conversation = ? AND user = ?")
            .bind(id.as_str())
            .bind(user.as_str())
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(if done.rows_affected() > 0 { Removed::Removed } else { Removed::Already })
    }

    async fn convert(&self, id: &ConversationId) -> StoreResult<Option<Kind>> {
        let row = sqlx::query("SELECT kind FROM conversations WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let kind = kind_of(&row, 0)?;
        if kind == Kind::Group {
            sqlx::query("UPDATE conversations SET kind = 'channel' WHERE id = ? AND kind = 'group'")
                .bind(id.as_str())
                .execute(&self.pool)
                .await
                .map_err(unavailable)?;
        }
        Ok(Some(kind))
    }

    async fn list(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, Kind)>> {
        let rows = sqlx::query(
            "SELECT m.conversation, c.kind FROM members m JOIN conversations c ON c.id = m.conversation
             WHERE m.user = ? AND m.conversation > ? ORDER BY m.conversation LIMIT ?",
        )
        .bind(user.as_str())
        .bind(after.map_or("", ConversationId::as_str))
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.iter().map(|row| Ok((conversation_of(row, 0)?, kind_of(row, 1)?))).collect()
    }
}
