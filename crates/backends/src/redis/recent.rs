//! The caches on Redis.
//!
//! | key | what |
//! | --- | --- |
//! | `<prefix>:d:{conversation}:sender:key` | hash of the body, 16 bytes, as is the key; lives 24 h |
//! | `<prefix>:t:{conversation}` | stream of the newest rows, the number is the id; lives 6 h after the last |
//! | `<prefix>:m:{conversation}` | version of the membership; lives 24 h |

use std::sync::Arc;

use async_trait::async_trait;
use domain::{BodyHash, ConversationId, DEDUP_WINDOW_MS, LogPosition, UserId, message_id};
use prost::Message as _;
use protocol::log::{Intake, Sequenced};
use redis::Value;
use tokio::time::Duration;
use uuid::Uuid;

use super::{
    RedisOptions,
    command::{Command, Lua, lua},
    link::Link,
    parse,
    together::Together,
};
use crate::port::{Recent, Remembered, StoreError, StoreResult, StoredMessage};

const STORE: &str = "dedup redis";
/// Rows a tail keeps at least: what most reconnecting clients missed. Older ones come from the message store. Redis
/// drops them by nodes of a hundred.
const TAIL_ROWS: usize = 256;
/// How long the tail of a conversation that fell silent is kept.
const TAIL_TTL: Duration = Duration::from_secs(6 * 3_600);
/// How long the version of a membership is kept. It is another one afterwards, as after a change.
const VERSION_TTL: Duration = Duration::from_secs(24 * 3_600);

static VERSION: Lua = lua!("scripts/version.lua");

/// The caches on Redis.
pub struct RedisRecent {
    link: Arc<Link>,
    /// For what each send asks.
    together: Together,
    prefix: String,
}

impl RedisRecent {
    /// The caches. Connects in the background.
    pub fn new(options: &RedisOptions) -> StoreResult<Self> {
        let link = Arc::new(options.open(STORE)?);
        Ok(Self { together: Together::new(STORE, link.clone()), link, prefix: options.prefix.clone() })
    }

    fn dedup_key(&self, conversation: &ConversationId, sender: &UserId, key: Uuid) -> Vec<u8> {
        let mut name = format!("{}:d:{{{conversation}}}:{sender}:", self.prefix).into_bytes();
        name.extend_from_slice(key.as_bytes());
        name
    }

    fn tail_key(&self, conversation: &ConversationId) -> String {
        format!("{}:t:{{{conversation}}}", self.prefix)
    }

    fn version_key(&self, conversation: &ConversationId) -> String {
        format!("{}:m:{{{conversation}}}", self.prefix)
    }

    async fn one<T: redis::FromRedisValue>(&self, command: Command) -> StoreResult<T> {
        let mut answers = self.together.call(vec![command]).await?;
        parse(STORE, answers.pop().unwrap_or(Value::Nil))
    }

    fn version(&self, conversation: &ConversationId, is_change: bool) -> Command {
        Command::script(&VERSION, &[&self.version_key(conversation)])
            .arg(u8::from(is_change))
            .arg(VERSION_TTL.as_millis() as u64)
    }
}

fn encode(row: &StoredMessage) -> Vec<u8> {
    let record = Sequenced {
        intake_offset: row.at.offset,
        sequence_number: row.sequence_number,
        log_time_ms: row.at.time_ms,
        message: Some(Intake {
            // The key names the conversation.
            conversation: String::new(),
            sender: row.sender.as_str().to_owned(),
            key: row.key.as_bytes().to_vec(),
            body: row.body.as_ref().to_owned(),
            sent_at_ms: row.sent_at_ms,
        }),
    };
    record.encode_to_vec()
}

fn decode(conversation: &ConversationId, row: &[u8]) -> StoreResult<StoredMessage> {
    let corrupt = |why: &str| StoreError::corrupt(STORE, format_args!("a row of {conversation}: {why}"));
    let record = Sequenced::decode(row).map_err(|error| corrupt(&error.to_string()))?;
    let message = record.message.ok_or_else(|| corrupt("has no message"))?;
    let sender = UserId::parse(&message.sender).map_err(|_| corrupt("has no valid sender"))?;
    let key = Uuid::from_slice(&message.key).map_err(|_| corrupt("has no valid idempotency key"))?;
    Ok(StoredMessage {
        conversation: conversation.clone(),
        sequence_number: record.sequence_number,
        message_id: message_id(conversation, &sender, key),
        sender,
        key,
        body: Arc::from(message.body),
        sent_at_ms: message.sent_at_ms,
        at: LogPosition { offset: record.intake_offset, time_ms: record.log_time_ms },
    })
}

#[async_trait]
impl Recent for RedisRecent {
    async fn recall(&self, conversation: &ConversationId, sender: &UserId, key: Uuid) -> StoreResult<Option<BodyHash>> {
        let hash: Option<Vec<u8>> = self.one(Command::new("GET", self.dedup_key(conversation, sender, key))).await?;
        let Some(hash) = hash else { return Ok(None) };
        let hash = hash.try_into().map_err(|_| StoreError::corrupt(STORE, format_args!("a key of {conversation}")))?;
        Ok(Some(BodyHash::from_be_bytes(hash)))
    }

    async fn remember(&self, keys: Vec<Remembered>) -> StoreResult<()> {
        let set = |key: &Remembered| {
            Command::new("SET", self.dedup_key(&key.conversation, &key.sender, key.key))
                .arg(&key.body_hash.to_be_bytes())
                .arg("NX")
                .arg("PX")
                .arg(DEDUP_WINDOW_MS)
        };
        let answers = self.together.call(keys.iter().map(set).collect()).await?;
        answers.into_iter().try_for_each(|answer| parse::<Option<String>>(STORE, answer).map(drop))
    }

    async fn tail_append(&self, rows: &[StoredMessage]) -> StoreResult<()> {
        let mut commands = Vec::with_capacity(rows.len() * 2);
        for (at, row) in rows.iter().enumerate() {
            let key = self.tail_key(&row.conversation);
            let add = Command::new("XADD", &key).arg("MAXLEN").arg("~").arg(TAIL_ROWS);
            commands.push(add.arg(format!("{}-1", row.sequence_number)).arg("r").arg(encode(row)));
            // Once for rows of one conversation that come together.
            if rows.get(at + 1).is_none_or(|next| next.conversation != row.conversation) {
                commands.push(Command::new("PEXPIRE", key).arg(TAIL_TTL.as_millis() as u64));
            }
        }
        for answer in self.link.call(&commands).await? {
            match answer {
                // An id must be above the last, so that Redis itself refuses what is there already.
                Value::ServerError(error) if error.details().is_some_and(|why| why.contains("equal or smaller")) => {}
                Value::ServerError(error) => return Err(StoreError::unavailable(STORE, error)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn tail_read(&self, conversation: &ConversationId, first: u64, last: u64) -> StoreResult<Vec<StoredMessage>> {
        // An end without its second part is the last of that number.
        let read = Command::new("XRANGE", self.tail_key(conversation)).arg(first).arg(last);
        let rows: Vec<(String, Vec<Vec<u8>>)> = self.one(read).await?;
        rows.iter().map(|(_, fields)| decode(conversation, fields.get(1).map_or(&[], Vec::as_slice))).collect()
    }

    async fn members_version(&self, conversation: &ConversationId) -> StoreResult<u64> {
        let known: Option<u64> = self.one(Command::new("GET", self.version_key(conversation))).await?;
        match known {
            Some(version) => Ok(version),
            None => self.one(self.version(conversation, false)).await,
        }
    }

    async fn members_changed(&self, conversation: &ConversationId) -> StoreResult<()> {
        self.one(self.version(conversation, true)).await.map(|_: u64| ())
    }
}
