//! Says what a crash left behind. The tree itself cuts a torn tail off its journal; an operator wants to know it did.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::log::Partition;
use crate::port::Topic;

/// The newest journal and how far it has been written, before the tree opens it. Journals are preallocated with zeros.
pub(super) fn written_bytes(path: &Path) -> Option<(PathBuf, u64)> {
    let journals = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = journals
        .filter(|path| path.extension().is_some_and(|ext| ext == "jnl"))
        .max_by_key(|path| path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()))?;
    let mut file = fs::File::open(&newest).ok()?;
    let mut end = file.metadata().ok()?.len();
    let mut block = vec![0; 1 << 20];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start)).ok()?;
        file.read_exact(block).ok()?;
        if let Some(last) = block.iter().rposition(|byte| *byte != 0) {
            return Some((newest, start + last as u64 + 1));
        }
        end = start;
    }
    Some((newest, 0))
}

/// Tells what was cut off and where each topic ends now.
pub(super) fn report((journal, written): (PathBuf, u64), partitions: &[Partition], per_topic: u32) {
    let kept = fs::metadata(&journal).map_or(written, |metadata| metadata.len());
    let torn_bytes = written.saturating_sub(kept);
    let records = |topic: usize| {
        let slots = partitions.chunks(per_topic as usize).nth(topic).unwrap_or_default();
        slots.iter().map(|partition| partition.end_and_time().0).sum::<u64>()
    };
    let ends: Vec<String> = Topic::ALL.iter().enumerate().map(|(n, topic)| format!("{topic} {}", records(n))).collect();
    if torn_bytes > 0 {
        tracing::warn!(torn_bytes, journal = %journal.display(), records = %ends.join(", "),
            "recovered after a crash: a torn tail was cut off; nothing accepted was in it");
    } else {
        tracing::warn!(records = %ends.join(", "), "recovered after a crash: the journal was whole");
    }
}
