//! Connections: bounded in number and in time, and given up when a call on them did not end.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{MySql, MySqlConnection, MySqlPool, pool::PoolConnection};
use tokio::time::{Duration, timeout};

use super::connect;
use crate::port::{StoreError, StoreResult};

/// As errors name it.
pub(super) const STORE: &str = "conversation directory";
/// What a call of this adapter may take. Below [`crate::port::CALL_DEADLINE`].
const CALL: Duration = Duration::from_secs(4);
/// Attempts of a call that loses to others: a deadlock, or a lock that is not had in time.
const ATTEMPTS: u32 = 5;

/// How to reach MySQL.
#[derive(Clone)]
pub struct MysqlOptions {
    /// `mysql://user:password@host:port/database`. Never shown.
    pub url: String,
    /// Connections at most.
    pub connections: u32,
}

impl fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlOptions").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// Why a statement did not do what it was asked.
pub(super) enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// True when the same work may succeed at once: it lost to other work and was rolled back.
    fn is_lost_race(&self) -> bool {
        matches!(self, Self::Sql(error) if connect::is_lost_race(error))
    }

    /// True when the connection can be used again: the server answered.
    fn is_answer(&self) -> bool {
        match self {
            Self::Sql(error) => error.as_database_error().is_some(),
            Self::Store(_) => true,
        }
    }

    fn into_store(self) -> StoreError {
        match self {
            Self::Sql(error) => StoreError::unavailable(STORE, error),
            Self::Store(error) => error,
        }
    }
}

/// The connections.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    inner: MySqlPool,
}

impl Pool {
    pub(super) fn new(options: &MysqlOptions) -> StoreResult<Self> {
        if options.connections == 0 {
            return Err(StoreError::corrupt(STORE, "it takes a connection"));
        }
        let inner =
            connect::open_pool(&options.url, options.connections).map_err(|why| StoreError::corrupt(STORE, why))?;
        Ok(Self { inner })
    }

    pub(super) async fn close(&self) {
        self.inner.close().await;
    }

    /// Runs a call within what a call may take.
    pub(super) async fn bounded<T>(&self, what: &str, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        let late = || StoreError::unavailable(STORE, format_args!("{what} took longer than {} s", CALL.as_secs()));
        timeout(CALL, call).await.unwrap_or_else(|_| Err(late()))
    }

    pub(super) async fn lease(&self) -> StoreResult<Lease> {
        let conn = self.inner.acquire().await.map_err(|error| StoreError::unavailable(STORE, error))?;
        Ok(Lease { conn: Some(conn), is_clean: false })
    }
}

/// A connection in use. One whose call did not end, because its caller stopped waiting or the server does not answer,
/// is closed and not given back: the next call on it would have to wait for the answer to this one.
pub(super) struct Lease {
    /// `None` only while it is dropped.
    conn: Option<PoolConnection<MySql>>,
    is_clean: bool,
}

impl Lease {
    /// Takes in how the work on it went. `None`: it lost to other work, and should be done again.
    pub(super) fn settle<T>(mut self, done: Result<T, Fault>, attempt: u32) -> Option<StoreResult<T>> {
        self.is_clean = done.as_ref().err().is_none_or(Fault::is_answer);
        match done {
            Err(fault) if fault.is_lost_race() && attempt < ATTEMPTS => None,
            done => Some(done.map_err(Fault::into_store)),
        }
    }
}

impl Deref for Lease {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.conn.as_ref().unwrap_or_else(|| unreachable!("a lease has a connection"))
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.conn.as_mut().unwrap_or_else(|| unreachable!("a lease has a connection"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take().filter(|_| !self.is_clean) {
            drop(conn.detach());
        }
    }
}
