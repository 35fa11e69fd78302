//! Where a user is (failure mode 5): what the registry names, and what gateways have.

use protocol::admin::UserSession;

use super::{Cell, Column, Danger, Fact, Pane, Row, to_yaml};
use crate::{
    output::{Tone, format_span},
    tui::{
        event::{Act, Need},
        state::{Ask, Lookup, Store},
    },
};

pub(super) struct Sessions;

const COLUMNS: &[Column] = &[
    Column::text("Device", 14).grow(2),
    Column::text("gaTeway", 10).grow(1),
    Column::number("Version", 14),
    Column::text("Registered", 10),
    Column::text("cOnnected", 9),
    Column::number("Heard", 8),
    Column::text("User", 16).grow(1).from(100),
];

fn key_of(it: &UserSession) -> String {
    format!("{} {} {}", it.device, it.gateway, it.session_version)
}

fn find<'a>(store: &'a Store, key: &str) -> Option<&'a UserSession> {
    store.sessions.value.as_ref()?.iter().find(|it| key_of(it) == key)
}

impl Pane for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn short(&self) -> &'static str {
        "sess"
    }

    fn about(&self) -> &'static str {
        "`:sessions USER` shows where a user is; a device that is connected twice is a split brain"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Sessions]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        store.sessions.value.iter().flatten().map(row).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let mut facts = vec![
            Fact::new("user", &it.user),
            Fact::new("device", &it.device),
            Fact::new("gateway", &it.gateway),
            Fact::new("version", it.session_version.to_string()),
        ];
        facts.push(match (it.registered, it.connected) {
            (true, true) => Fact::new("stands", "registered and connected: it is served").tone(Tone::Good),
            (true, false) => Fact::new("stands", "registered, and the gateway has no socket: it runs out by itself"),
            (false, true) => {
                let what = "connected and not registered: superseded, or the registry forgot it";
                Fact::new("stands", what).tone(Tone::Bad)
            }
            (false, false) => Fact::new("stands", "neither registered nor connected"),
        });
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn looks_up(&self) -> Option<Lookup> {
        Some(Lookup::User)
    }

    fn dangers(&self) -> &'static [Danger] {
        &[Danger { letter: 'k', ctrl: true, word: "kick", ask: kick }]
    }

    fn empty(&self) -> &'static str {
        "nobody: type :sessions USER; a user who is not connected has no session"
    }
}

fn row(it: &UserSession) -> Row {
    let yes = |is: bool, no: Tone| match is {
        true => Cell::text("yes").tone(Tone::Good),
        false => Cell::text("no").tone(no),
    };
    Row::new(
        key_of(it),
        vec![
            Cell::text(&it.device),
            Cell::text(&it.gateway),
            Cell::sorted(it.session_version.to_string(), it.session_version),
            yes(it.registered, if it.connected { Tone::Bad } else { Tone::Dim }),
            yes(it.connected, Tone::Dim),
            it.heard_ms_ago.map_or_else(|| Cell::text(""), |ms| Cell::sorted(format_span(ms), ms)),
            Cell::text(&it.user),
        ],
    )
}

fn kick(store: &Store, key: &str) -> Result<Ask, String> {
    let it = find(store, key).ok_or("the session is gone")?;
    let (user, device, gateway) = (it.user.clone(), it.device.clone(), it.gateway.clone());
    let title = format!("close {user} on {device} at {gateway}");
    let act = Act::Kick { user: user.clone(), device, gateway, reason: String::new() };
    Ok(Ask::new(title, act)
        .says("the client comes back by itself, resumes, and misses nothing")
        .typed(&user)
        .reason(true))
}
