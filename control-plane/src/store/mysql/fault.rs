//! Why a call was not done, as this store says it.

use backends::mysql::CallError;

use crate::store::StoreError;

/// Why a statement did not do what it was asked.
pub(super) type Fault = backends::mysql::Fault<StoreError>;

impl CallError for StoreError {
    fn unavailable(why: impl ToString) -> Self {
        Self::Unavailable(why.to_string())
    }
}

pub(super) fn unavailable(error: impl ToString) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

pub(super) fn corrupt(error: impl ToString) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
