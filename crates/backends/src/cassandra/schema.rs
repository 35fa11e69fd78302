//! The keyspace and its tables: created when missing, refused when newer.

use scylla::{
    client::session::Session,
    statement::{Consistency, Statement},
};
use tokio::time::Duration;
use uuid::Uuid;

use super::{
    call::{corrupt, unavailable},
    options::CassandraOptions,
};
use crate::port::StoreResult;

/// What one change of the schema may take on a busy cluster.
const CHANGE: Duration = Duration::from_secs(10);

/// A table and its columns, keys and options.
type Table = (&'static str, &'static str);

/// The tables of each version; only ever add to the end. Each must be such that creating it again does nothing: two
/// processes may do it at once, and one may die half way.
const VERSIONS: &[&[Table]] = &[
    &[
        (
            // A bucket has 10,000 numbers, so a conversation of years is many partitions of some MB. A number given twice
            // is two rows.
            "messages",
            "(conversation text, bucket bigint, sequence_number bigint, message_id uuid, sender text,
          idempotency_key uuid, body text, sent_at_ms bigint, intake_offset bigint, log_time_ms bigint,
          PRIMARY KEY ((conversation, bucket), sequence_number, message_id))",
        ),
        (
            // All keys that may be asked for are one slice of one partition: the newest first, and rows that expired lie
            // behind the slice, where no read meets their tombstones. A key counts for 24 h of log time, but a row expires
            // by the cluster's clock, 72 h after it was written: so it is still there when the workers go on after two
            // days of standing still. Files of one window expire together and are dropped whole.
            "message_keys",
            "(conversation text, log_time_ms bigint, sequence_number bigint, message_id uuid, sender text,
          idempotency_key uuid, body_hash blob, intake_offset bigint,
          PRIMARY KEY ((conversation), log_time_ms, sequence_number, message_id))
         WITH CLUSTERING ORDER BY (log_time_ms DESC, sequence_number DESC, message_id ASC)
         AND default_time_to_live = 259200 AND gc_grace_seconds = 86400
         AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS',
                           'compaction_window_size': 6}",
        ),
        (
            // Written with the number as its timestamp, so the highest number wins whatever comes last.
            "heads",
            "(conversation text PRIMARY KEY, sequence_number bigint, intake_offset bigint)
         WITH compaction = {'class': 'LeveledCompactionStrategy'}",
        ),
    ],
    &[(
        // What a reconciliation took out of the way: for people.
        "quarantined_messages",
        "(conversation text, sequence_number bigint, message_id uuid, sender text, idempotency_key uuid, body text,
          sent_at_ms bigint, intake_offset bigint, log_time_ms bigint,
          PRIMARY KEY ((conversation), sequence_number, message_id))",
    )],
];

/// Creates what is missing. Fails when the keyspace was made by a later version of this program.
pub(super) async fn prepare(session: &Session, options: &CassandraOptions) -> StoreResult<()> {
    let keyspace = &options.keyspace;
    let has = version(session, keyspace).await?;
    if has > VERSIONS.len() {
        let knows = VERSIONS.len();
        return Err(corrupt(format_args!("keyspace {keyspace} has schema {has}, and this program knows {knows}")));
    }
    if has == VERSIONS.len() {
        return Ok(());
    }
    let replication = options.replication_cql();
    let create = format!(r#"CREATE KEYSPACE IF NOT EXISTS "{keyspace}" WITH replication = {replication}"#);
    change(session, create).await?;
    create_table(session, keyspace, "schema_versions", "(scope text, number int, PRIMARY KEY (scope, number))").await?;
    for (index, tables) in VERSIONS.iter().enumerate().skip(has) {
        for (name, definition) in *tables {
            create_table(session, keyspace, name, definition).await?;
        }
        let done =
            format!(r#"INSERT INTO "{keyspace}".schema_versions (scope, number) VALUES ('chatfleet', {})"#, index + 1);
        change(session, done).await?;
        tracing::info!(keyspace, version = index + 1, "schema brought up to date");
    }
    Ok(())
}

/// The version of a keyspace. 0 when there is none.
async fn version(session: &Session, keyspace: &str) -> StoreResult<usize> {
    let find = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'schema_versions'";
    let mut find = Statement::new(find);
    find.set_consistency(Consistency::LocalOne);
    find.set_is_idempotent(true);
    let found = session.query_unpaged(find, (keyspace,)).await.map_err(unavailable)?;
    if found.into_rows_result().map_err(corrupt)?.rows_num() == 0 {
        return Ok(0);
    }
    let ask = format!(
        r#"SELECT number FROM "{keyspace}".schema_versions WHERE scope = 'chatfleet' ORDER BY number DESC LIMIT 1"#
    );
    let mut ask = Statement::new(ask);
    ask.set_is_idempotent(true);
    let answer = session.query_unpaged(ask, ()).await.map_err(unavailable)?;
    let answer = answer.into_rows_result().map_err(corrupt)?;
    let highest = answer.maybe_first_row::<(i32,)>().map_err(corrupt)?;
    highest.map_or(Ok(0), |(number,)| usize::try_from(number).map_err(corrupt))
}

async fn create_table(session: &Session, keyspace: &str, name: &str, definition: &str) -> StoreResult<()> {
    // An id that follows from the name: two nodes asked at once for the same table would otherwise make two, and lose
    // what was written into one.
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("chatfleet/{keyspace}/{name}").as_bytes());
    let and = if definition.contains("WITH ") { "AND" } else { "WITH" };
    change(session, format!(r#"CREATE TABLE IF NOT EXISTS "{keyspace}"."{name}" {definition} {and} ID = {id}"#)).await
}

async fn change(session: &Session, cql: String) -> StoreResult<()> {
    let mut statement = Statement::new(cql);
    statement.set_request_timeout(Some(CHANGE));
    session.query_unpaged(statement, ()).await.map_err(unavailable).map(drop)
}
