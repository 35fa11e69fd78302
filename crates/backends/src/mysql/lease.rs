//! Connections in use, and what the server's errors mean for them.

use std::ops::{Deref, DerefMut};

use sqlx::{MySql, MySqlConnection, pool::PoolConnection};
use tokio::{
    runtime::Handle,
    time::{Duration, timeout},
};

use super::connect::is_lost_race;

/// Attempts of a call that loses to others: a deadlock, or a lock that is not had in time.
const ATTEMPTS: u32 = 5;

/// What giving a connection back may take. It pings the server, which may be gone by then without a word; without an end of
/// its own that would keep the connection's place in the pool until TCP gives up, after a quarter of an hour.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// The error of a store that is kept in MySQL.
pub trait CallError {
    /// The server does not answer, or not now.
    fn unavailable(why: impl ToString) -> Self;
}

/// Why a statement did not do what it was asked.
pub enum Fault<E> {
    /// The server or the way to it.
    Sql(sqlx::Error),
    /// What the store makes of what it found.
    Store(E),
}

impl<E> From<sqlx::Error> for Fault<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl<E: CallError> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Self::Store(error)
    }
}

impl<E: CallError> Fault<E> {
    /// True when the same work may succeed at once: it lost to other work and was rolled back.
    fn is_lost_race(&self) -> bool {
        matches!(self, Self::Sql(error) if is_lost_race(error))
    }

    /// True when the connection can be used again: the server answered.
    fn is_answer(&self) -> bool {
        match self {
            Self::Sql(error) => error.as_database_error().is_some(),
            Self::Store(_) => true,
        }
    }

    fn into_store(self) -> E {
        match self {
            Self::Sql(error) => E::unavailable(error),
            Self::Store(error) => error,
        }
    }
}

/// A connection in use. One whose call did not end, because its caller stopped waiting or the server does not answer,
/// is closed and not given back: the next call on it would have to wait for the answer to this one.
pub struct Lease {
    /// `None` only while it is dropped.
    conn: Option<PoolConnection<MySql>>,
    is_clean: bool,
}

impl Lease {
    pub(super) fn new(conn: PoolConnection<MySql>) -> Self {
        Self { conn: Some(conn), is_clean: false }
    }

    /// Takes in how the work on it went. `None`: it lost to other work, and should be done again.
    pub fn settle<T, E: CallError>(self, done: Result<T, Fault<E>>, attempt: u32) -> Option<Result<T, E>> {
        let is_again = attempt < ATTEMPTS && done.as_ref().err().is_some_and(Fault::is_lost_race);
        let done = self.end(done);
        (!is_again).then_some(done)
    }

    /// Takes in how work that is not done again went.
    pub fn end<T, E: CallError>(mut self, done: Result<T, Fault<E>>) -> Result<T, E> {
        self.is_clean = done.as_ref().err().is_none_or(Fault::is_answer);
        done.map_err(Fault::into_store)
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
        let Some(mut conn) = self.conn.take() else { return };
        match Handle::try_current() {
            // Ends by itself, within its deadline; what is dropped then closes the connection and frees its place.
            Ok(runtime) if self.is_clean => drop(runtime.spawn(timeout(GIVE_BACK, conn.return_to_pool()))),
            _ => drop(conn.detach()),
        }
    }
}

/// Runs work on a connection of a [`Pool`](super::Pool), again when it loses to other work. A macro, for the future of
/// a closure that borrows both the connection and what the caller has cannot be said to be `Send`.
#[macro_export]
macro_rules! on_connection {
    ($pool:expr, $($work:ident)::+ ($($argument:expr),*)) => {{
        let mut attempt = 1;
        loop {
            let mut lease = $pool.lease().await?;
            let done = $($work)::+(&mut lease $(, $argument)*).await;
            if let Some(done) = lease.settle(done, attempt) {
                break done;
            }
            attempt += 1;
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Down(String);

    impl CallError for Down {
        fn unavailable(why: impl ToString) -> Self {
            Self(why.to_string())
        }
    }

    #[test]
    fn what_the_store_says_stays_and_what_the_server_says_is_made_the_stores() {
        let own: Fault<Down> = Down("full".to_owned()).into();
        assert!(own.is_answer() && !own.is_lost_race());
        assert_eq!(own.into_store(), Down("full".to_owned()));

        let cut: Fault<Down> = sqlx::Error::PoolTimedOut.into();
        assert!(!cut.is_answer() && !cut.is_lost_race());
        assert_eq!(cut.into_store(), Down(sqlx::Error::PoolTimedOut.to_string()));
    }
}
