//! Looks at the journals before the tree opens them. The tree takes whatever it cannot read for a torn tail and cuts it
//! off, together with all that stands behind it. Behind damage in the middle stand records that were accepted: then the
//! store is refused, and the file stays as it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::STORE;
use crate::port::{StoreError, StoreResult};

/// Ends every batch.
const TRAILER: [u8; 4] = *b"FJL\x03";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// Batches that can lie between two that are found: more means that it is no batch, but bytes of a message.
const SKIPPED_MAX: u64 = 1 << 24;

/// The journals and how far they are whole.
pub(super) struct Checked(Vec<(PathBuf, u64)>);

impl Checked {
    /// After the tree opened them: fails if it cut off more than was torn.
    pub(super) fn confirm(&self) -> StoreResult<()> {
        for (journal, whole) in &self.0 {
            // One that is gone was no longer needed.
            if let Ok(kept) = fs::metadata(journal).map(|metadata| metadata.len())
                && kept < *whole
            {
                let why = format_args!("{}: only {kept} of {whole} whole bytes were taken", journal.display());
                return Err(StoreError::corrupt(STORE, why));
            }
        }
        Ok(())
    }
}

/// Refuses a store with a journal that is damaged before its end.
pub(super) fn check(path: &Path, was_clean: bool) -> StoreResult<Checked> {
    let mut checked = Vec::new();
    // Where there is no directory yet there is nothing to look at; what else is wrong with it the tree will say.
    let Ok(entries) = fs::read_dir(path) else { return Ok(Checked(checked)) };
    let mut journals: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    journals.retain(|path| path.extension().is_some_and(|ext| ext == "jnl"));
    for journal in journals {
        let bytes = fs::read(&journal).map_err(|error| StoreError::unavailable(STORE, error))?;
        let whole = check_bytes(&bytes, was_clean)
            .map_err(|why| StoreError::corrupt(STORE, format_args!("{}: {why}", journal.display())))?;
        checked.push((journal, whole as u64));
    }
    Ok(Checked(checked))
}

/// How far the journal is whole.
fn check_bytes(bytes: &[u8], was_clean: bool) -> Result<usize, String> {
    // Journals are preallocated with zeros.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = &bytes[..written];
    let (whole, last_seqno) = batches(bytes)?;
    let rest = &bytes[whole..];
    if rest.is_empty() {
        return Ok(whole);
    }
    // Each batch is synced before the next is written, so a crash tears only the last.
    let ends = rest.windows(TRAILER.len()).enumerate().filter(|(_, four)| *four == TRAILER);
    let followed = ends.map(|(at, _)| at + TRAILER.len()).any(|end| {
        let follows = batch(&rest[end..]).map(|(_, seqno)| seqno);
        follows.is_some_and(|seqno| last_seqno.is_none_or(|last| seqno > last && seqno - last < SKIPPED_MAX))
    });
    if followed {
        return Err(format!("damaged at byte {whole}, and accepted records stand behind it; restore it from a copy"));
    }
    if was_clean {
        return Err(format!("damaged at byte {whole}, although the last stop was an orderly one"));
    }
    Ok(whole)
}

/// Where the whole batches at the start end, and the number of the last of them.
fn batches(bytes: &[u8]) -> Result<(usize, Option<u64>), String> {
    let (mut end, mut last) = (0, None);
    while let Some((length, seqno)) = batch(&bytes[end..]) {
        // The tree's checksums leave the numbers out.
        if last.is_some_and(|last| seqno <= last || seqno - last > SKIPPED_MAX) {
            return Err(format!("damaged near byte {end}: batch {seqno} stands after batch {}", last.unwrap_or(0)));
        }
        end += length;
        last = Some(seqno);
    }
    Ok((end, last))
}

/// The batch at the start: its length and its number. Its checksum is for the tree to check: it refuses a wrong one.
fn batch(bytes: &[u8]) -> Option<(usize, u64)> {
    let mut at = Reader { bytes, at: 0 };
    if at.byte()? != START {
        return None;
    }
    let items = at.number(4)?;
    let seqno = at.number(8)?;
    for _ in 0..items {
        match at.byte()? {
            ITEM => {
                // Nothing is ever removed or compressed: a type and a compression of 0.
                if at.take(2)? != [0, 0] {
                    return None;
                }
                // The keyspace.
                at.skip(8)?;
                let (key, value, on_disk) = (at.number(2)?, at.number(4)?, at.number(4)?);
                if value != on_disk {
                    return None;
                }
                at.skip(usize::try_from(key + value).ok()?)?;
            }
            CLEAR => at.skip(8)?,
            _ => return None,
        }
    }
    if items == 0 || at.byte()? != END {
        return None;
    }
    at.skip(8)?;
    (at.take(TRAILER.len())? == TRAILER).then_some((at.at, seqno))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(drop)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// Little-endian, of up to 8 bytes.
    fn number(&mut self, n: usize) -> Option<u64> {
        Some(self.take(n)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
