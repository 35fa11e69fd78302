//! Columns, and what is made of them.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, mysql::MySqlRow};

use super::fault::corrupt;
use crate::store::{Document, DocumentKind, StoreResult};

pub(super) fn body<T: DeserializeOwned>(row: &MySqlRow) -> StoreResult<T> {
    let text: &str = row.try_get("body").map_err(corrupt)?;
    serde_json::from_str(text).map_err(corrupt)
}

pub(super) fn json<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(corrupt)
}

/// The columns' integers end below u64's.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &MySqlRow, column: &str) -> StoreResult<u64> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(corrupt)
}

pub(super) fn document(kind: DocumentKind, row: &MySqlRow) -> StoreResult<Document> {
    Ok(Document {
        kind,
        id: row.try_get("id").map_err(corrupt)?,
        number: number(row, "number")?,
        is_ended: row.try_get::<i16, _>("ended").map_err(corrupt)? != 0,
        revision: number(row, "revision")?,
        body: row.try_get("body").map_err(corrupt)?,
    })
}
