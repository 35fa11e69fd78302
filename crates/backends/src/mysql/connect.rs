//! Connections to MySQL or MariaDB, set to what every program here relies on.

use sqlx::{
    ConnectOptions as _, Executor as _, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPoolOptions},
};
use tokio::time::Duration;

/// What getting a connection may take, making one included.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Most connections that rest are closed here before the server does it. The pool looks that often, too.
const IDLE: Duration = Duration::from_secs(2);
/// What each connection is set to. Locks are of rows, never of gaps between them; the wait for one ends before the call
/// does. And a program that hangs in the middle of a transaction does not keep its locks: its connection is closed after
/// 5 s, within the 6 s for which a control plane leads, so that another one can.
const SESSION: &str = "SET SESSION transaction_isolation = 'READ-COMMITTED', SESSION innodb_lock_wait_timeout = 1, \
    SESSION wait_timeout = 5, SESSION net_read_timeout = 5, SESSION net_write_timeout = 5";
/// The same for servers that know the first variable under its older name only.
const SESSION_OLDER: &str = "SET SESSION tx_isolation = 'READ-COMMITTED', SESSION innodb_lock_wait_timeout = 1, \
    SESSION wait_timeout = 5, SESSION net_read_timeout = 5, SESSION net_write_timeout = 5";

/// Why an address will not do. What the parser says may quote it, and the address has the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Something else.
    #[error("the address is no mysql:// URL")]
    Foreign,
    /// The server alone.
    #[error("the mysql:// URL names no database")]
    NoDatabase,
}

/// A pool of at most so many connections to `mysql://user:password@host:port/database`. Connects when it is used.
pub(super) fn open_pool(url: &str, connections: u32) -> Result<MySqlPool, BadUrl> {
    let to: MySqlConnectOptions = url.parse().map_err(|_| BadUrl::Foreign)?;
    if to.get_database().is_none() {
        return Err(BadUrl::NoDatabase);
    }
    let options = MySqlPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).idle_timeout(IDLE);
    let options = options.after_connect(|conn, _| {
        Box::pin(async move {
            const UNKNOWN_VARIABLE: u16 = 1193;
            match conn.execute(SESSION).await {
                Err(error) if number_of(&error) == Some(UNKNOWN_VARIABLE) => conn.execute(SESSION_OLDER).await,
                done => done,
            }
            .map(drop)
        })
    });
    Ok(options.connect_lazy_with(to.disable_statement_logging()))
}

/// The server's number of an error.
fn number_of(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// True when a row with that key is there.
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    const DUPLICATE: u16 = 1062;
    number_of(error) == Some(DUPLICATE)
}

/// True when the same work may succeed at once: it lost to other work and was rolled back.
pub(super) fn is_lost_race(error: &sqlx::Error) -> bool {
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    const DEADLOCK: u16 = 1213;
    matches!(number_of(error), Some(LOCK_WAIT_TIMEOUT | DEADLOCK))
}
