//! What the server's errors mean.

use sqlx::mysql::MySqlDatabaseError;

use crate::store::StoreError;

/// The server's numbers of errors that mean something here.
pub(super) const DUPLICATE: u16 = 1062;
pub(super) const UNKNOWN_VARIABLE: u16 = 1193;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;

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
    pub(super) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(number_of(error), Some(LOCK_WAIT_TIMEOUT | DEADLOCK)))
    }

    /// True when the connection can be used again: the server answered.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Sql(error) => error.as_database_error().is_some(),
            Self::Store(_) => true,
        }
    }

    pub(super) fn into_store(self) -> StoreError {
        match self {
            Self::Sql(error) => unavailable(error),
            Self::Store(error) => error,
        }
    }
}

/// The server's number of an error.
pub(super) fn number_of(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
