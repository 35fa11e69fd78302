//! The audit's hash chain: an entry's hash covers its fields and the hash before it, so no line can be changed,
//! moved or taken out of the middle without breaking every later one.

use std::fmt::Write as _;

use protocol::admin::{AuditEntry, AuditVerdict};
use sha2::{Digest as _, Sha256};

use super::NewAudit;

/// What the first entry follows.
pub const FIRST_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Walks the chain from its start: seals new entries, or checks stored ones.
#[derive(Debug, Clone)]
pub struct AuditChain {
    seq: u64,
    hash: String,
    broken: Option<String>,
}

impl Default for AuditChain {
    fn default() -> Self {
        Self { seq: 0, hash: FIRST_HASH.to_owned(), broken: None }
    }
}

impl AuditChain {
    /// Goes on after a stored entry.
    pub fn after(seq: u64, hash: String) -> Self {
        Self { seq, hash, broken: None }
    }

    /// Numbers and chains an entry.
    pub fn seal(&mut self, new: NewAudit) -> AuditEntry {
        let NewAudit { at_ms, who, role, action, target, reason, before, after, result } = new;
        self.seq += 1;
        let mut entry = AuditEntry {
            seq: self.seq,
            at_ms,
            who,
            role,
            action,
            target,
            reason,
            before,
            after,
            result,
            previous_hash: self.hash.clone(),
            hash: String::new(),
        };
        entry.hash = hash_of(&entry);
        self.hash.clone_from(&entry.hash);
        entry
    }

    /// Checks the next stored entry. After the first that does not fit nothing more is checked.
    pub fn check(&mut self, entry: &AuditEntry) {
        if self.broken.is_some() {
            return;
        }
        let wrong = if entry.seq != self.seq + 1 {
            Some(format!("entry {} is missing: {} follows {}", self.seq + 1, entry.seq, self.seq))
        } else if entry.previous_hash != self.hash {
            Some(format!("entry {} does not follow the entry before it", entry.seq))
        } else if entry.hash != hash_of(entry) {
            Some(format!("entry {} was changed", entry.seq))
        } else {
            None
        };
        if wrong.is_some() {
            self.broken = wrong;
            return;
        }
        self.seq = entry.seq;
        self.hash.clone_from(&entry.hash);
    }

    /// What was found.
    pub fn verdict(self) -> AuditVerdict {
        AuditVerdict { intact: self.broken.is_none(), entries: self.seq, head: self.hash, broken: self.broken }
    }
}

/// Each field goes in with its length, so no two entries look alike to the hash.
fn hash_of(entry: &AuditEntry) -> String {
    let (seq, at_ms) = (entry.seq.to_string(), entry.at_ms.to_string());
    let fields = [
        &entry.previous_hash,
        &seq,
        &at_ms,
        &entry.who,
        entry.role.as_str(),
        &entry.action,
        &entry.target,
        &entry.reason,
        &entry.before,
        &entry.after,
        &entry.result,
    ];
    let mut sha = Sha256::new();
    for field in fields {
        sha.update((field.len() as u64).to_be_bytes());
        sha.update(field.as_bytes());
    }
    hex(&sha.finalize())
}

/// SHA-256 of a text, in hex.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
