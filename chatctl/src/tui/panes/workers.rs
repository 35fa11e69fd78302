//! Workers: which partitions each puts in order and stores, how far behind it is, by which desired state it runs. Enter
//! leads to the queues of its partitions.

use protocol::admin::{Lag, Node, NodeRole};

use super::{
    Cell, Column, Fact, Pane, Row,
    gateways::{or_none, status_tone, trouble_tone},
    node::{self, find},
    to_yaml,
};
use crate::{
    commands::node::fans_out,
    output::{Tone, counted, format_span},
    tui::{event::Need, state::Store},
};

pub(super) struct Workers;

/// Older than this, what waits is worth a look.
const LAG_BUSY_MS: u64 = 1_000;
/// Older than this, it is late.
const LAG_BAD_MS: u64 = 5_000;

/// From so many group messages on a queue is worth a look.
const QUEUE_BUSY: u64 = 1_000;
/// From so many on one that grows is an incident: failure mode 6.
const QUEUE_BAD: u64 = 10_000;

const COLUMNS: &[Column] = &[
    Column::text("Name", 12).grow(1),
    Column::text("Role", 10).grow(1),
    Column::text("Status", 6),
    Column::number("Fan-out", 8),
    Column::number("Behind", 9),
    Column::number("oldEst", 7),
    Column::text("troUble", 13).grow(3),
    Column::number("seQuences", 9).from(120),
    Column::number("sTores", 6).from(120),
    Column::number("loWered", 7).from(120),
    Column::number("Heard", 8).from(120),
    Column::number("Desired", 8).from(140),
    Column::number("acKed", 8).from(140),
    Column::number("Incarnation", 13).from(180),
    Column::text("Zone", 10).from(160),
    Column::text("softwAre", 22).from(200),
];

/// The partitions that a worker stores.
fn stored<'a>(store: &'a Store, worker: &str) -> impl Iterator<Item = &'a Lag> {
    store.lag.value.iter().flatten().filter(move |lag| lag.node == worker)
}

impl Pane for Workers {
    fn name(&self) -> &'static str {
        "workers"
    }

    fn short(&self) -> &'static str {
        "nodes"
    }

    fn about(&self) -> &'static str {
        "workers put messages in order, fan them out to groups and store them; behind is what is not at quorum yet"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Nodes, Need::Lag]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let workers = store.nodes.value.iter().flatten().filter(|it| it.role == NodeRole::Worker);
        workers.map(|it| row(store, it)).collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let Some(it) = find(store, key) else { return Vec::new() };
        let behind = match it.lag_records {
            0 => "nothing".to_owned(),
            records => format!("{}, the oldest for {}", counted(records, "records"), format_span(it.lag_ms)),
        };
        let mut facts = vec![
            Fact::new("worker", &it.id),
            Fact::new("roles", or_none(&it.roles.join(", "))),
            Fact::new("status", it.status.as_str()).tone(status_tone(it.status)),
            Fact::new("trouble", or_none(&it.trouble)).tone(trouble_tone(&it.trouble)),
            Fact::new("sequences", partitions(it.partitions as usize)),
            Fact::new("stores", partitions(stored(store, key).count())),
            Fact::new("behind", behind).tone(lag_tone(it.lag_ms)),
        ];
        if fans_out(it) {
            let waiting = format!("{} wait to be fanned out", counted(it.fanout_queue, "group messages"));
            facts.push(Fact::new("fan-out", waiting).tone(queue_tone(it.fanout_queue)));
        }
        let at_one = at_one(store, key);
        if at_one > 0 {
            facts.push(Fact::new("at ONE", format!("rows of {}", partitions(at_one))).tone(Tone::Busy));
        }
        facts.push(Fact::new("zone", or_none(&it.zone)));
        facts.extend(node::facts(it));
        facts
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        to_yaml(find(store, key))
    }

    fn leads_to(&self, key: &str) -> Option<(&'static str, String)> {
        // Whole: persister-1 is not persister-10.
        Some(("queues", format!("={key}")))
    }

    fn enters(&self) -> (&'static str, &'static str) {
        ("queues", "what waits in each partition that it stores")
    }

    fn empty(&self) -> &'static str {
        "no worker has reported to this control plane"
    }
}

fn row(store: &Store, it: &Node) -> Row {
    let acked = match () {
        () if it.nack.is_some() => Tone::Bad,
        () if it.acked_version < it.desired_version => Tone::Busy,
        () => Tone::Plain,
    };
    let oldest = if it.lag_records > 0 { format_span(it.lag_ms) } else { String::new() };
    let at_one = at_one(store, &it.id) as u64;
    let queue = match fans_out(it) {
        true => Cell::number(it.fanout_queue).tone(queue_tone(it.fanout_queue)),
        false => Cell::sorted("", 0),
    };
    Row::new(
        &it.id,
        vec![
            Cell::text(&it.id),
            Cell::text(role(&it.roles)),
            Cell::text(it.status.as_str()).tone(status_tone(it.status)),
            queue,
            Cell::number(it.lag_records),
            Cell::sorted(oldest, it.lag_ms).tone(lag_tone(it.lag_ms)),
            Cell::text(&it.trouble).tone(trouble_tone(&it.trouble)),
            Cell::number(u64::from(it.partitions)),
            Cell::number(stored(store, &it.id).count() as u64),
            Cell::number(at_one).tone(if at_one > 0 { Tone::Busy } else { Tone::Plain }),
            Cell::sorted(format_span(it.heard_ms_ago), it.heard_ms_ago),
            Cell::number(it.desired_version),
            Cell::number(it.acked_version).tone(acked),
            // A time of many digits, and no amount.
            Cell::sorted(it.incarnation.to_string(), it.incarnation),
            Cell::text(&it.zone),
            Cell::text(&it.software),
        ],
    )
}

/// What it does, in a word where one says it: both lanes of a role are that role.
fn role(roles: &[String]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for role in roles {
        let both = role.strip_suffix("-direct").or_else(|| role.strip_suffix("-group"));
        let has_both = |stem: &str| ["direct", "group"].iter().all(|lane| roles.contains(&format!("{stem}-{lane}")));
        let word = both.filter(|stem| has_both(stem)).unwrap_or(role);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words == ["sequencer", "fanout", "persister"] { "all".to_owned() } else { words.join(",") }
}

/// Partitions whose rows above the commit pointer are on one replica.
fn at_one(store: &Store, worker: &str) -> usize {
    stored(store, worker).filter(|lag| lag.window.is_some()).count()
}

fn partitions(count: usize) -> String {
    counted(count as u64, "partitions")
}

fn queue_tone(messages: u64) -> Tone {
    match messages {
        0..QUEUE_BUSY => Tone::Plain,
        QUEUE_BUSY..QUEUE_BAD => Tone::Busy,
        _ => Tone::Bad,
    }
}

fn lag_tone(ms: u64) -> Tone {
    match ms {
        0..LAG_BUSY_MS => Tone::Plain,
        LAG_BUSY_MS..LAG_BAD_MS => Tone::Busy,
        _ => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::role;

    #[test]
    fn roles_are_said_in_as_few_words_as_they_can() {
        let said = |roles: &str| role(&roles.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(said("sequencer-direct sequencer-group fanout persister-direct persister-group"), "all");
        assert_eq!(said("persister-direct persister-group"), "persister");
        assert_eq!(said("sequencer-group fanout"), "sequencer-group,fanout");
        assert_eq!(said("fanout"), "fanout");
        assert_eq!(said(""), "");
    }
}
