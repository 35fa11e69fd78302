//! Attempts of a statement, and what the driver's errors mean.

use rand::Rng as _;
use scylla::errors::{BadQuery, DbError, ExecutionError, RequestAttemptError};
use tokio::time::{Duration, sleep};

use super::options::STORE;
use crate::port::StoreError;

/// Attempts of a statement within a call. The driver itself retries no write timeout; ours may all be retried, since
/// a statement that was carried out is carried out again without effect.
const ATTEMPTS: u32 = 4;
/// Before the second attempt; twice as long before each further one.
const BACKOFF: Duration = Duration::from_millis(25);

/// Runs a statement until it succeeds, cannot succeed, or was tried often enough.
pub(super) async fn attempts<T, F>(statement: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, ExecutionError>>,
{
    let mut pause = BACKOFF;
    for _ in 1..ATTEMPTS {
        match statement().await {
            Ok(done) => return Ok(done),
            Err(error) if !is_passing(&error) => return Err(unavailable(error)),
            Err(error) => tracing::debug!(%error, "a statement will be tried again"),
        }
        // Many statements fail together; they should not come back together.
        let jitter = rand::rng().random_range(0.5..1.5);
        sleep(pause.mul_f64(jitter)).await;
        pause *= 2;
    }
    statement().await.map_err(unavailable)
}

/// True when the same statement may succeed a little later.
fn is_passing(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(BadQuery::SerializationError(_)) => false,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => !matches!(
            error,
            DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::AuthenticationError
                | DbError::ConfigError
                | DbError::AlreadyExists { .. }
                | DbError::FunctionFailure { .. }
        ),
        _ => true,
    }
}

/// The store does not do what it was asked; what it holds is another matter.
pub(super) fn unavailable(error: impl ToString) -> StoreError {
    StoreError::unavailable(STORE, error)
}

/// The store holds what is not as this program writes it.
pub(super) fn corrupt(error: impl ToString) -> StoreError {
    StoreError::corrupt(STORE, error)
}
