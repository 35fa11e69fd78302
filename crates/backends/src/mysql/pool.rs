//! Connections: bounded in number, and calls on them in time.

use std::{fmt, marker::PhantomData};

use sqlx::MySqlPool;
use tokio::time::{Duration, timeout};

use super::{
    connect::{BadUrl, open_pool},
    lease::{CallError, Lease},
};

/// The connections of a store whose errors are `E`. Clones share them.
pub struct Pool<E> {
    inner: MySqlPool,
    /// What a call may take.
    call: Duration,
    error: PhantomData<fn() -> E>,
}

impl<E: CallError> Pool<E> {
    /// At most so many connections to `mysql://user:password@host:port/database`, for calls that may take `call` each.
    /// Connects when it is used.
    pub fn open(url: &str, connections: u32, call: Duration) -> Result<Self, BadUrl> {
        Ok(Self { inner: open_pool(url, connections)?, call, error: PhantomData })
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.inner.close().await;
    }

    /// Runs a call within what a call may take.
    pub async fn bounded<T>(&self, what: &str, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let late = || E::unavailable(format_args!("{what} took longer than {} s", self.call.as_secs()));
        timeout(self.call, call).await.unwrap_or_else(|_| Err(late()))
    }

    /// A connection, once one is free.
    pub async fn lease(&self) -> Result<Lease, E> {
        self.inner.acquire().await.map(Lease::new).map_err(E::unavailable)
    }
}

impl<E> Clone for Pool<E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), call: self.call, error: PhantomData }
    }
}

impl<E> fmt::Debug for Pool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("inner", &self.inner).finish_non_exhaustive()
    }
}
