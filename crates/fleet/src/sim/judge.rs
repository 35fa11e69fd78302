//! What the log and the store say: an independent fold of the intake is held against what was sequenced, stored and
//! shown (I1, I2, I3, I6).

use std::collections::{BTreeMap, BTreeSet};

use backends::{
    embedded::LogSource as _,
    port::{Lane, Topic},
};
use client::checker::Fact;
use domain::{
    BodyHash, ConversationFold, ConversationId, Folded, LogPosition, Submission, UserId, body_hash, message_id,
};
use prost::Message as _;
use protocol::log::{Intake, Sequenced};
use uuid::Uuid;

use super::{witness::Witness, world::World};

/// By conversation and number: the message that the fold of the whole intake gives, and the body that stands.
type Numbers = BTreeMap<(String, u64), (Uuid, BodyHash)>;

fn read(intake: &Intake) -> Option<(ConversationId, UserId, Uuid)> {
    let conversation = ConversationId::parse(&intake.conversation).ok()?;
    Some((conversation, UserId::parse(&intake.sender).ok()?, Uuid::from_slice(&intake.key).ok()?))
}

/// Folds the whole intake from its beginning.
fn fold(world: &World, mut logged: impl FnMut(&str, Uuid)) -> Numbers {
    let mut numbers = Numbers::new();
    for lane in Lane::ALL {
        for partition in 0..world.log.partitions() {
            let mut folds: BTreeMap<ConversationId, ConversationFold> = BTreeMap::new();
            for entry in world.log.all(Topic::Intake(lane), partition) {
                let Ok(intake) = Intake::decode(entry.payload) else { continue };
                let Some((conversation, sender, key)) = read(&intake) else { continue };
                let id = message_id(&conversation, &sender, key);
                logged(conversation.as_str(), id);
                let at = LogPosition { offset: entry.offset, time_ms: entry.time_ms };
                let hash = body_hash(&intake.body);
                let submission = Submission { sender, key, body_hash: hash };
                let folded = folds.entry(conversation.clone()).or_default().fold(at, submission);
                if let Folded::Numbered(number) = folded {
                    numbers.insert((conversation.to_string(), number), (id, hash));
                }
            }
        }
    }
    numbers
}

/// The head of each conversation by that fold.
pub(super) fn heads(world: &World) -> BTreeMap<String, u64> {
    let mut heads = BTreeMap::new();
    for (conversation, number) in fold(world, |_, _| {}).into_keys() {
        let head: &mut u64 = heads.entry(conversation).or_default();
        *head = number.max(*head);
    }
    heads
}

/// Tells the witness what the log says; returns what does not agree.
pub(super) fn judge(world: &World, witness: &Witness) -> Vec<String> {
    let number_of = |id: &str| witness.with(|checker| checker.names().conversation(id));
    let truth = fold(world, |id, message_id| {
        witness.fact(Fact::Logged { conversation: number_of(id), message_id });
    });
    for ((id, number), (message_id, _)) in &truth {
        witness.fact(Fact::Numbered { conversation: number_of(id), number: *number, message_id: *message_id });
    }
    let mut problems = Vec::new();
    for lane in Lane::ALL {
        for partition in 0..world.log.partitions() {
            // Readers keep the first record for an intake offset.
            let mut seen = BTreeSet::new();
            for entry in world.log.all(Topic::Sequenced(lane), partition) {
                let Ok(record) = Sequenced::decode(entry.payload) else { continue };
                let Some((conversation, sender, key)) = record.message.as_ref().and_then(read) else { continue };
                let name = (conversation.to_string(), record.sequence_number);
                let body = record.message.as_ref().map_or("", |message| &message.body);
                let id = (message_id(&conversation, &sender, key), body_hash(body));
                if seen.insert(record.intake_offset) && truth.get(&name) != Some(&id) {
                    problems.push(format!("I2: {} {} was sequenced and the fold does not say so", name.0, name.1));
                }
            }
        }
    }
    let stored: BTreeMap<(String, u64), Vec<(Uuid, BodyHash)>> =
        world.messages.all().into_iter().fold(BTreeMap::new(), |mut all, row| {
            all.entry((row.conversation.to_string(), row.sequence_number))
                .or_insert_with(Vec::new)
                .push((row.message_id, body_hash(&row.body)));
            all
        });
    for ((id, number), rows) in &stored {
        if rows.len() > 1 || truth.get(&(id.clone(), *number)) != rows.first() {
            problems.push(format!("I3: {id} {number} is stored as {} rows, not as the fold says", rows.len()));
        }
    }
    problems.extend(
        truth.keys().filter(|name| !stored.contains_key(name)).map(|(id, n)| format!("I6: {id} {n} is not stored")),
    );
    problems
}
