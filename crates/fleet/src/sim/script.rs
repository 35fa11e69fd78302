//! One seed: clients talk while everything goes wrong by a seeded plan; then the weather clears, and within a bounded
//! time everybody must have seen everything.

use std::{collections::BTreeMap, fmt, sync::Arc};

use backends::port::{Conversation, Directory as _};
use client::{
    Client, ClientConfig, ClientHandle,
    checker::{ClientId, Fact, Verdict},
};
use domain::{ConversationId, Planted, UserId};
use protocol::frames::Kind;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};
use uuid::Uuid;

use super::{
    faults::Faults,
    judge,
    weather::Weather,
    wire::SimConnect,
    witness::{Eyes, Witness},
    world::{JWT_SECRET, World},
};

/// After the weather cleared, everybody must have seen everything by then: the longest client backoff (31 s), the
/// registry's TTL and a takeover fit.
const SETTLE_DEADLINE: Duration = Duration::from_secs(240);
/// Between two looks at whether everybody has.
const LOOK: Duration = Duration::from_millis(500);

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// How many clients.
    pub clients: usize,
    /// What each of them sends.
    pub sends: usize,
    /// A known bug, to show that the seeds find it.
    pub planted: Planted,
}

impl Plan {
    /// 20 clients, 20 messages each.
    pub fn new(seed: u64) -> Self {
        Self { seed, clients: 20, sends: 20, planted: Planted::default() }
    }
}

/// What became of a seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// The checker's word.
    pub verdict: Verdict,
    /// What the log, the store or the settling say beyond it.
    pub problems: Vec<String>,
    /// What went wrong, when: `1234 ms: crash gw-1`.
    pub faults: Vec<String>,
    /// A hash over all that clients did and saw, with its times: two runs of one seed have the same.
    pub trace: u64,
    /// How long it took in simulated time.
    pub simulated_ms: u64,
}

impl Outcome {
    /// Nothing is violated.
    pub fn holds(&self) -> bool {
        self.verdict.holds() && self.problems.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, if self.holds() { "holds" } else { "FAILS" })?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))?;
        self.problems.iter().take(20).try_for_each(|problem| writeln!(f, "  problem: {problem}"))?;
        self.verdict.violations.iter().take(20).try_for_each(|violation| writeln!(f, "  violation: {violation}"))?;
        let v = &self.verdict;
        let (sent, accepted, delivered) = (v.sent, v.accepted, v.delivered);
        write!(f, "  sent {sent}, accepted {accepted}, delivered {delivered}, {} ms simulated", self.simulated_ms)
    }
}

/// Runs a seed.
///
/// # Panics
/// When the runtime cannot be built.
pub fn run(plan: &Plan) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    // Set in .cargo/config.toml. Without it runs are as good a test, but do not replay.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&plan.seed.to_be_bytes()));
    let runtime = builder.build();
    #[allow(clippy::expect_used)] // A single-threaded runtime without IO needs nothing that could be missing.
    runtime.expect("a runtime").block_on(play(plan))
}

/// A client of the script.
pub(super) struct Player {
    pub(super) name: String,
    pub(super) handle: ClientHandle,
    pub(super) client: ClientId,
    pub(super) conversations: Vec<String>,
}

async fn play(plan: &Plan) -> Outcome {
    let began = Instant::now();
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let mut world = World::new(plan.seed, plan.planted);
    let witness = Witness::new(world.clock);
    world.start_control().await;
    for name in ["worker-1", "worker-2"] {
        world.start_worker(name);
    }
    for name in ["gw-1", "gw-2"] {
        world.start_gateway(name);
    }
    let conversations = conversations(plan.clients);
    for conversation in &conversations {
        // In memory: it always answers.
        let _ = world.directory.create(conversation).await;
    }
    let players: Vec<Arc<Player>> =
        (0..plan.clients).map(|n| Arc::new(player(plan, n, &world, &witness, &conversations))).collect();

    let mut talk = JoinSet::new();
    for player in &players {
        talk.spawn(script(player.clone(), witness.clone(), SmallRng::seed_from_u64(rng.random()), plan.sends));
    }
    let mut faults = Faults::new(rng, players.clone());
    while !talk.is_empty() {
        tokio::select! {
            biased;
            _ = talk.join_next() => {}
            () = faults.next(&mut world) => {}
        }
    }
    faults.heal(&mut world).await;
    for player in &players {
        // A player that stopped for good shows as fatal.
        let _ = player.handle.connect().await;
    }
    let mut problems = settle(&world, &witness, &players, &conversations).await;
    for player in &players {
        witness.fact(Fact::Final { client: player.client });
    }
    problems.extend(witness.fatal());
    problems.extend(judge::judge(&world, &witness));
    world.stop();
    Outcome {
        seed: plan.seed,
        verdict: witness.with(|checker| checker.verdict()),
        problems,
        faults: faults.said,
        trace: witness.trace(),
        simulated_ms: began.elapsed().as_millis() as u64,
    }
}

fn user(n: usize) -> String {
    format!("u{n}")
}

/// One group of all, one of half, one of five, and pairs of neighbours.
fn conversations(clients: usize) -> Vec<Conversation> {
    let make = |id: String, kind, members: Vec<usize>| {
        let mut members: Vec<UserId> = members.into_iter().filter_map(|n| UserId::parse(&user(n)).ok()).collect();
        members.sort();
        ConversationId::parse(&id).ok().map(|id| Conversation { id, kind, members })
    };
    let groups = [clients, clients / 2, 5.min(clients)].into_iter();
    let groups = groups.map(|size| make(format!("group-of-{size}"), Kind::Group, (0..size).collect()));
    let pairs = (0..clients - 1).step_by(2).map(|n| make(format!("pair-{n}"), Kind::Direct, vec![n, n + 1]));
    groups.chain(pairs).flatten().collect()
}

fn player(plan: &Plan, n: usize, world: &World, witness: &Witness, conversations: &[Conversation]) -> Player {
    let name = user(n);
    let eyes: Arc<Eyes> = witness.client(&name);
    let client = eyes.client;
    let mine: Vec<String> = conversations
        .iter()
        .filter(|conversation| conversation.members.iter().any(|member| member.as_str() == name))
        .map(|conversation| conversation.id.to_string())
        .collect();
    for id in &mine {
        let conversation = witness.with(|checker| checker.names().conversation(id));
        witness.fact(Fact::Member { client, conversation, from: 1 });
    }
    let seed = plan.seed.wrapping_mul(31).wrapping_add(n as u64);
    world.net.up(&name, &Weather::new(seed), None);
    let mut config = ClientConfig::new(name.clone(), "sim", Arc::new(token));
    config.seed = seed;
    config.resume = mine.iter().map(|id| (id.clone(), 0)).collect();
    config.discover = false;
    let connect = SimConnect { net: world.net.clone(), name: name.clone() };
    let handle = Client::observed(config, Arc::new(connect), eyes);
    Player { name, handle, client, conversations: mine }
}

fn token(user: &str) -> String {
    let claims = serde_json::json!({"sub": user, "exp": 4_000_000_000_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(JWT_SECRET);
    // HS256 with a secret at hand cannot fail.
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap_or_default()
}

/// What one client does: sends, retries of its own, conflicts, comings and goings.
async fn script(player: Arc<Player>, witness: Witness, mut rng: SmallRng, sends: usize) {
    let mut last: Option<(String, Uuid, String)> = None;
    for n in 0..sends {
        sleep(Duration::from_millis(rng.random_range(50..2_500))).await;
        match rng.random_range(0..100) {
            0..4 => drop(player.handle.drop_connection().await),
            4..6 => {
                let _ = player.handle.disconnect().await;
                sleep(Duration::from_millis(rng.random_range(500..5_000))).await;
                let _ = player.handle.connect().await;
            }
            // The same key again, with the same body or another one.
            6..12 => {
                if let Some((conversation, key, body)) = &last
                    && !witness.is_open(player.client, *key)
                {
                    let other = format!("{body} (changed)");
                    let body = if rng.random() { body } else { &other };
                    witness.sent(player.client, conversation, *key, body);
                    let _ = player.handle.send_with_key(*key, conversation, body.clone()).await;
                }
            }
            _ => {}
        }
        let conversation = player.conversations[rng.random_range(0..player.conversations.len())].clone();
        let (key, body) = (player.handle.new_key(), format!("{} says {n}", player.name));
        witness.sent(player.client, &conversation, key, &body);
        let _ = player.handle.send_with_key(key, &conversation, body.clone()).await;
        last = Some((conversation, key, body));
    }
}

/// Waits until every send is answered, everything is stored and everybody saw everything. No client asks: a live
/// message that passes a connected client by is a fault of the fleet.
async fn settle(world: &World, witness: &Witness, players: &[Arc<Player>], all: &[Conversation]) -> Vec<String> {
    let deadline = Instant::now() + SETTLE_DEADLINE;
    loop {
        let heads: BTreeMap<String, u64> = judge::heads(world);
        let stored = world.messages.all().len() as u64;
        let expected: u64 = heads.values().sum();
        let behind: Vec<String> = players
            .iter()
            .flat_map(|player| player.conversations.iter().map(move |id| (player, id)))
            .filter_map(|(player, id)| {
                let head = heads.get(id).copied().unwrap_or(0);
                let seen = witness.with(|checker| {
                    let no = checker.names().conversation(id);
                    checker.seen(player.client, no)
                });
                (seen < head).then(|| format!("{} saw {id} up to {seen} of {head}", player.name))
            })
            .collect();
        if behind.is_empty() && witness.unanswered() == 0 && stored >= expected {
            return Vec::new();
        }
        if Instant::now() >= deadline {
            let mut problems = behind;
            problems.push(format!("not settled: {} sends unanswered", witness.unanswered()));
            problems.push(format!("{stored} rows stored of {expected}, {} conversations", all.len()));
            return problems;
        }
        sleep(LOOK).await;
    }
}
