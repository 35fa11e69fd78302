//! A chat log said again: everyone who speaks in it is a client, all are members of one group.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use domain::GROUP_MEMBERS_MAX;
use protocol::frames::Kind;
use tokio::time::Instant;

use super::{
    Fleet, Outcome, SwarmError,
    book::Book,
    crowd::{Crowd, Part, with_progress},
    irc::{Act, Log, Step},
};

/// How fast a log is said again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as the clients take it. Each speaker's lines keep their order of sending; lines of different speakers
    /// overtake each other.
    Max,
    /// So many times as fast as people typed it.
    Times(f64),
}

/// What to replay and how.
#[derive(Debug, Clone)]
pub struct ReplayConfig {
    /// The log.
    pub log: Log,
    /// How fast.
    pub speed: Speed,
    /// Seed of all chances.
    pub seed: u64,
    /// Keep only the lines of those who speak first, so many.
    pub speakers_max: Option<usize>,
    /// Connections opened a second at the start.
    pub connects_per_s: u32,
    /// How long to wait at the end while nothing moves.
    pub patience: Duration,
}

impl ReplayConfig {
    /// The log at full speed.
    pub fn new(log: Log) -> Self {
        let patience = Duration::from_secs(60);
        Self { log, speed: Speed::Max, seed: 0, speakers_max: None, connects_per_s: 500, patience }
    }
}

/// Replays a log. Joins and quits connect and disconnect; who speaks is connected first. In the end all are connected,
/// and it waits until everyone saw everything.
pub async fn replay(fleet: Fleet, config: ReplayConfig) -> Result<Outcome, SwarmError> {
    let speakers = speakers(&config)?;
    if matches!(config.speed, Speed::Times(times) if !(times.is_finite() && times > 0.0)) {
        return Err(SwarmError::Invalid { field: "speed", why: "must be above 0" });
    }
    let indices: HashMap<&str, usize> = speakers.iter().enumerate().map(|(index, user)| (*user, index)).collect();
    let steps: Vec<(&Step, usize)> =
        config.log.steps.iter().filter_map(|step| Some((step, *indices.get(step.user.as_str())?))).collect();
    let lines = steps.iter().filter(|(step, _)| matches!(step.act, Act::Say(_))).count();

    let members = speakers.iter().map(ToString::to_string).collect();
    let group: Arc<str> = fleet.conversations.create(Kind::Group, members).await?.into();
    let book = Book::new();
    // No client ever has more to say than the whole log: a speaker that is offline holds up nobody else.
    let mut crowd = Crowd::new(fleet.clone(), book.clone(), "replay", config.seed, lines);
    let work = async {
        let began = crowd.start(parts(&speakers, &steps, &group), config.connects_per_s).await;
        if let Err(error) = began {
            crowd.close().await;
            return Err(error);
        }
        let said = say(&crowd, &steps, &group, config.speed);
        fleet.cancel.run_until_cancelled(said).await;
        crowd.settle(config.patience).await;
        Ok(crowd.finish().await)
    };
    with_progress(&fleet, &book, speakers.len(), Some(lines as u64), work).await
}

fn speakers(config: &ReplayConfig) -> Result<Vec<&str>, SwarmError> {
    let mut speakers = config.log.speakers();
    speakers.truncate(config.speakers_max.unwrap_or(usize::MAX));
    match speakers.len() {
        few @ 0..2 => Err(SwarmError::TooFew(few)),
        many if many > GROUP_MEMBERS_MAX => Err(SwarmError::TooManySpeakers(many)),
        _ => Ok(speakers),
    }
}

/// Who joins in the log is not there before.
fn parts(speakers: &[&str], steps: &[(&Step, usize)], group: &Arc<str>) -> Vec<Part> {
    let mut seen = HashSet::new();
    let firsts = steps.iter().filter(|(_, index)| seen.insert(*index));
    let late: HashSet<_> = firsts.filter(|(step, _)| step.act == Act::Join).map(|(_, index)| *index).collect();
    let part = |(index, user): (usize, &&str)| Part {
        user: (*user).to_owned(),
        conversations: vec![group.clone()],
        connect: !late.contains(&index),
    };
    speakers.iter().enumerate().map(part).collect()
}

async fn say(crowd: &Crowd, steps: &[(&Step, usize)], group: &str, speed: Speed) {
    let began = Instant::now();
    for (step, index) in steps {
        if let Speed::Times(times) = speed {
            tokio::time::sleep_until(began + Duration::from_secs_f64(step.at_ms as f64 / 1_000.0 / times)).await;
        }
        let handle = &crowd.members[*index].handle;
        // A client that has stopped cannot be told anything; its sends stay unanswered and the outcome says so.
        let _ = match &step.act {
            Act::Join => handle.connect().await,
            Act::Quit => handle.disconnect().await,
            Act::Say(text) => {
                let connected = handle.connect().await;
                crowd.send(*index, group, text).await;
                connected
            }
        };
    }
}
