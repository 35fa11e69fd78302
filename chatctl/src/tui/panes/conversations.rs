//! One conversation: its kind, where it stands, who is in it, and whether its messages come in batches.

use protocol::{
    admin::{Lever, Override, OverrideState},
    frames::Kind,
};

use super::{Cell, Column, Danger, Fact, Pane, Row, to_yaml};
use crate::{
    output::{format_span, thousands},
    tui::{
        event::{Act, Need},
        state::{Ask, Lookup, Store},
    },
};

pub(super) struct Conversations;

const COLUMNS: &[Column] = &[
    Column::text("Member", 16).grow(2),
    Column::text("Conversation", 16).grow(2),
    Column::text("Kind", 7),
    Column::number("Head", 9),
    Column::text("moDe", 16).grow(1),
];

/// The override that batches it.
fn batching<'a>(store: &'a Store, id: &str) -> Option<&'a Override> {
    let is_it = |it: &&Override| matches!(&it.lever, Lever::Batch { conversation, .. } if conversation == id);
    store.overrides.value.as_ref()?.iter().filter(|it| it.state == OverrideState::Active).find(is_it)
}

fn mode(store: &Store, id: &str) -> String {
    match batching(store, id) {
        Some(it) => format!("batched, {} left", format_span(it.left_ms)),
        None => "live".to_owned(),
    }
}

impl Pane for Conversations {
    fn name(&self) -> &'static str {
        "conversations"
    }

    fn short(&self) -> &'static str {
        "convs"
    }

    fn about(&self) -> &'static str {
        "`:conversations ID` shows one: its members, and how its messages are delivered"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Conversation, Need::Overrides]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let Some(it) = &store.conversation.value else { return Vec::new() };
        let mode = mode(store, &it.id);
        let row = |member: &String| {
            let cells = vec![
                Cell::text(member),
                Cell::text(&it.id),
                Cell::text(it.kind.as_str()),
                Cell::number(it.head),
                Cell::text(&mode),
            ];
            Row::new(member, cells)
        };
        it.members.iter().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = &store.conversation.value else { return Vec::new() };
        vec![
            Fact::new("conversation", &it.id),
            Fact::new("kind", it.kind.as_str()),
            Fact::new("head", thousands(it.head)),
            Fact::new("members", thousands(it.members.len() as u64)),
            Fact::new("mode", mode(store, &it.id)),
            Fact::new("member", key),
        ]
    }

    fn yaml(&self, store: &Store, _key: &str) -> Option<String> {
        to_yaml(store.conversation.value.as_ref())
    }

    fn looks_up(&self) -> Option<Lookup> {
        Some(Lookup::Conversation)
    }

    fn dangers(&self) -> &'static [Danger] {
        &[
            Danger { letter: 'b', ctrl: false, word: "batch", ask: batch },
            Danger { letter: 'v', ctrl: false, word: "live", ask: live },
        ]
    }

    fn empty(&self) -> &'static str {
        "none: type :conversations ID"
    }
}

fn batch(store: &Store, _key: &str) -> Result<Ask, String> {
    let it = store.conversation.value.as_ref().ok_or("look one up first: :conversations ID")?;
    if it.kind != Kind::Group {
        return Err(format!("{} is a {}: only groups are batched", it.id, it.kind.as_str()));
    }
    let act = Act::Batch { conversation: it.id.clone(), for_ms: 0, reason: String::new() };
    Ok(Ask::new(format!("batch {}", it.id), act)
        .says("its messages come together, every 5 s; it is live again when the time is over")
        .lasts()
        .reason(true))
}

fn live(store: &Store, _key: &str) -> Result<Ask, String> {
    let it = store.conversation.value.as_ref().ok_or("look one up first: :conversations ID")?;
    let on = batching(store, &it.id).ok_or_else(|| format!("{} is live already", it.id))?;
    let act = Act::Revert { id: on.id.clone(), reason: String::new() };
    Ok(Ask::new(format!("deliver {} live", it.id), act).says(format!("override {} ends", on.id)).reason(true))
}
