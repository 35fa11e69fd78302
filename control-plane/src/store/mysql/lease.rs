//! Connections in use, and calls that are bounded in time.

use std::ops::{Deref, DerefMut};

use sqlx::{MySql, MySqlConnection, pool::PoolConnection};
use tokio::time::{Duration, timeout};

use super::fault::{Fault, unavailable};
use crate::store::StoreResult;

/// What a call may take.
const CALL: Duration = Duration::from_secs(5);
/// Attempts of a call that loses to others: a deadlock, or a lock that is not had in time.
pub(super) const ATTEMPTS: u32 = 5;

/// A connection in use. One whose call did not end, because its caller stopped waiting or the server does not answer,
/// is closed and not given back: the next call on it would have to wait for the answer to this one.
pub(super) struct Lease {
    /// `None` only while it is dropped.
    pub(super) conn: Option<PoolConnection<MySql>>,
    pub(super) is_clean: bool,
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

/// Runs work on a connection, again when it loses to other work, within what a call may take. A macro, for the future
/// of a closure that borrows both the connection and what the caller has cannot be said to be `Send`.
macro_rules! call {
    ($self:ident, $work:ident ($($argument:expr),*)) => {
        bounded(async {
            let mut attempt = 1;
            loop {
                let mut lease = $self.lease().await?;
                let done = $work(&mut lease $(, $argument)*).await;
                if let Some(done) = lease.settle(done, attempt) {
                    break done;
                }
                attempt += 1;
            }
        })
        .await
    };
}
pub(super) use call;

pub(super) async fn bounded<T>(call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
    let late = || unavailable(format_args!("a call took longer than {} s", CALL.as_secs()));
    timeout(CALL, call).await.unwrap_or_else(|_| Err(late()))
}
