//! What the server's errors mean.

use crate::store::StoreError;

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
        matches!(self, Self::Sql(error) if backends::mysql::is_lost_race(error))
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

pub(super) fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
