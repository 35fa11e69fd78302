//! What makes a message the same message: its id, its body hash, its partition.

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::{ConversationId, UserId};

/// Longest body in bytes of UTF-8 (protocol: 16,384).
pub const MAX_BODY_BYTES: usize = 16_384;

/// A stable 128-bit hash of a body. It is stored in the dedup cache and beside stored keys, so it may never change.
pub type BodyHash = u128;

/// UUIDv5 namespace of message ids. A constant of the protocol: changing it breaks every client's dedup.
const MESSAGE_NAMESPACE: Uuid = Uuid::from_u128(0x6368_6174_666c_4565_9474_2d6d_6573_7361);

/// The id of the message that `sender` sends into `conversation` under `key`: a retry has the same one wherever it
/// lands (I4).
pub fn message_id(conversation: &ConversationId, sender: &UserId, key: Uuid) -> Uuid {
    // Two names of at most 64 bytes that have no NUL, two separators and the key.
    let mut name = [0_u8; 64 + 1 + 64 + 1 + 16];
    let mut end = 0;
    for part in [conversation.as_str().as_bytes(), &[0], sender.as_str().as_bytes(), &[0], key.as_bytes()] {
        name[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    Uuid::new_v5(&MESSAGE_NAMESPACE, &name[..end])
}

/// The hash by which two bodies under one key are told apart.
pub fn body_hash(body: &str) -> BodyHash {
    xxh3_128(body.as_bytes())
}

/// The partition of a conversation. The number of partitions is fixed for the life of the log: order within a
/// conversation depends on it.
pub fn partition_of(conversation: &str, partitions: u32) -> u32 {
    // The remainder of a u32 fits a u32.
    (xxh3_64(conversation.as_bytes()) % u64::from(partitions.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_never_change() {
        let (conversation, sender) = (ConversationId::parse("ubuntu").unwrap(), UserId::parse("alice").unwrap());
        let id = message_id(&conversation, &sender, Uuid::from_u128(7));
        assert_eq!(id.to_string(), message_id(&conversation, &sender, Uuid::from_u128(7)).to_string());
        assert_eq!(id.get_version_num(), 5);
        assert_ne!(id, message_id(&conversation, &sender, Uuid::from_u128(8)));
        assert_eq!(body_hash("hello"), 0xb5e9_c1ad_071b_3e7f_c779_cfaa_5e52_3818);
        assert_eq!(partition_of("ubuntu", 16), partition_of("ubuntu", 16));
    }

    #[test]
    fn separators_keep_names_apart() {
        let id = |c: &str, s: &str| message_id(&c.parse().unwrap(), &s.parse().unwrap(), Uuid::nil());
        assert_ne!(id("ab", "c"), id("a", "bc"));
    }
}
