//! Made-up load: so many clients in pairs and groups, so many messages a second, so many lost connections a minute.

use std::{sync::Arc, time::Duration};

use domain::{GROUP_MEMBERS_MAX, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::frames::Kind;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::time::Instant;

use super::{
    Fleet, Outcome, SwarmError,
    book::Book,
    crowd::{Crowd, Part, with_progress},
};

/// Conversations created at a time.
const CREATES_MAX: usize = 16;
/// Sends without an answer that a client may have before the load waits for it.
const PENDING_MAX: usize = 1_024;

/// How much load, and of which kind.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Begins the users' names. New for each run: a run expects its conversations to be new.
    pub name: String,
    /// How many clients.
    pub clients: usize,
    /// Messages a second, over all clients.
    pub rate_per_s: f64,
    /// How long.
    pub duration: Duration,
    /// Share of messages that are direct, from 0 to 1; the rest goes to groups.
    pub direct_share: f64,
    /// Members of a group.
    pub group_size: usize,
    /// Connections lost a minute, over all clients.
    pub churn_per_min: f64,
    /// Connections opened a second at the start.
    pub connects_per_s: u32,
    /// Length of a message.
    pub body_bytes: usize,
    /// Seed of all chances.
    pub seed: u64,
    /// How long to wait at the end while nothing moves.
    pub patience: Duration,
}

impl RunConfig {
    /// A modest load for half a minute.
    pub fn new(name: impl Into<String>, clients: usize) -> Self {
        Self {
            name: name.into(),
            clients,
            rate_per_s: 100.0,
            duration: Duration::from_secs(30),
            direct_share: 0.5,
            group_size: 20,
            churn_per_min: 0.0,
            connects_per_s: 500,
            body_bytes: 64,
            seed: 0,
            patience: Duration::from_secs(60),
        }
    }

    fn check(&self) -> Result<(), SwarmError> {
        let invalid = |field, why| Err(SwarmError::Invalid { field, why });
        if self.clients < 2 {
            return Err(SwarmError::TooFew(self.clients));
        }
        if !(2..=GROUP_MEMBERS_MAX).contains(&self.group_size) {
            return invalid("group size", "must be from 2 to 500: larger groups are channels");
        }
        if !(self.rate_per_s.is_finite() && self.rate_per_s > 0.0) {
            return invalid("rate", "must be above 0");
        }
        if !(0.0..=1.0).contains(&self.direct_share) {
            return invalid("direct share", "must be from 0 to 1");
        }
        if !(self.churn_per_min.is_finite() && self.churn_per_min >= 0.0) {
            return invalid("churn", "must be 0 or more");
        }
        if !(1..=domain::MAX_BODY_BYTES).contains(&self.body_bytes) {
            return invalid("body size", "must be from 1 to 16384 bytes");
        }
        if UserId::parse(&self.user(self.clients)).is_err() {
            return invalid("name", "must have at most 56 characters of [A-Za-z0-9_.-]");
        }
        Ok(())
    }

    fn user(&self, index: usize) -> String {
        format!("{}-{index:05}", self.name)
    }
}

/// A client's places.
#[derive(Clone, Default)]
struct Places {
    direct: Option<Arc<str>>,
    group: Option<Arc<str>>,
}

/// Runs a load. Each client is in one pair and in one group, as far as that comes out even.
pub async fn run(fleet: Fleet, config: RunConfig) -> Result<Outcome, SwarmError> {
    config.check()?;
    let book = Book::new();
    let work = async {
        let created = fleet.cancel.run_until_cancelled(create(&fleet, &config)).await;
        let places = created.ok_or(SwarmError::Cancelled)??;
        let mut crowd = Crowd::new(fleet.clone(), book.clone(), "swarm", config.seed, PENDING_MAX);
        let parts = places.iter().enumerate().map(|(index, places)| Part {
            user: config.user(index),
            conversations: [&places.direct, &places.group].into_iter().flatten().cloned().collect(),
            connect: true,
        });
        if let Err(error) = crowd.start(parts.collect(), config.connects_per_s).await {
            crowd.close().await;
            return Err(error);
        }
        fleet.cancel.run_until_cancelled(load(&crowd, &places, &config)).await;
        crowd.settle(config.patience).await;
        Ok(crowd.finish().await)
    };
    with_progress(&fleet, &book, config.clients, None, work).await
}

/// Creates the pairs and the groups.
async fn create(fleet: &Fleet, config: &RunConfig) -> Result<Vec<Places>, SwarmError> {
    let users: Vec<_> = (0..config.clients).map(|index| config.user(index)).collect();
    let mut places = vec![Places::default(); config.clients];
    let kinds =
        [(Kind::Direct, 2, config.direct_share > 0.0), (Kind::Group, config.group_size, config.direct_share < 1.0)];
    for (kind, size, _) in kinds.into_iter().filter(|(_, _, used)| *used) {
        let sets = users.chunks(size).filter(|members| members.len() >= 2);
        let requests: Vec<_> = sets.map(|members| fleet.conversations.create(kind, members.to_vec())).collect();
        let ids: Vec<String> = stream::iter(requests).buffered(CREATES_MAX).try_collect().await?;
        for (members, id) in places.chunks_mut(size).zip(ids) {
            let id: Arc<str> = id.into();
            for place in members {
                match kind {
                    Kind::Direct => place.direct = Some(id.clone()),
                    Kind::Group | Kind::Channel => place.group = Some(id.clone()),
                }
            }
        }
    }
    Ok(places)
}

/// Sends and loses connections, each at its own pace; what is late is made up for.
async fn load(crowd: &Crowd, places: &[Places], config: &RunConfig) {
    let mut rng = SmallRng::seed_from_u64(config.seed);
    let began = Instant::now();
    let end = began + config.duration;
    let send_gap = Duration::from_secs_f64(1.0 / config.rate_per_s);
    let churn_gap = (config.churn_per_min > 0.0).then(|| Duration::from_secs_f64(60.0 / config.churn_per_min));
    let mut next_send = began;
    let mut next_churn = churn_gap.map(|gap| began + gap);
    let mut sent = 0_u64;
    loop {
        let churns = next_churn.is_some_and(|at| at < next_send);
        let next = next_churn.filter(|_| churns).unwrap_or(next_send);
        if next >= end {
            return;
        }
        tokio::time::sleep_until(next).await;
        let index = rng.random_range(0..places.len());
        if churns {
            next_churn = next_churn.zip(churn_gap).map(|(at, gap)| at + gap);
            let _ = crowd.members[index].handle.drop_connection().await;
            continue;
        }
        next_send += send_gap;
        let (first, second) = match rng.random_bool(config.direct_share) {
            true => (&places[index].direct, &places[index].group),
            false => (&places[index].group, &places[index].direct),
        };
        if let Some(place) = first.as_ref().or(second.as_ref()) {
            sent += 1;
            crowd.send(index, place, &body(sent, config.body_bytes)).await;
        }
    }
}

/// A text of so many bytes that is different each time.
fn body(number: u64, bytes: usize) -> String {
    let mut body = format!("{number} ");
    while body.len() < bytes {
        body.push_str("lorem ipsum dolor sit amet ");
    }
    body.truncate(bytes);
    body
}
