//! One seed: clients talk while everything goes wrong by a seeded plan; then the weather clears, and within a bounded
//! time everybody must have seen everything.

use std::{collections::BTreeMap, fmt, sync::Arc};

use backends::port::Conversation;
use client::checker::{Fact, Verdict};
use domain::Planted;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};
use uuid::Uuid;

use super::{
    faults::Faults,
    judge,
    stage::{Player, Stage, runtime},
    witness::Witness,
    world::World,
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
    runtime(plan.seed).block_on(play(plan))
}

async fn play(plan: &Plan) -> Outcome {
    let began = Instant::now();
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let Stage { mut world, witness, players, conversations } = Stage::set(plan).await;
    let mut talk = JoinSet::new();
    for player in &players {
        talk.spawn(script(player.clone(), witness.clone(), SmallRng::seed_from_u64(rng.random()), plan.sends));
    }
    let mut faults = Faults::new(plan.seed, rng, players.clone());
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
        let behind = behind(&heads, witness, players);
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

/// What somebody has not seen.
pub(super) fn behind(heads: &BTreeMap<String, u64>, witness: &Witness, players: &[Arc<Player>]) -> Vec<String> {
    let all = players.iter().flat_map(|player| player.conversations.iter().map(move |id| (player, id)));
    all.filter_map(|(player, id)| {
        let head = heads.get(id).copied().unwrap_or(0);
        let seen = witness.with(|checker| {
            let no = checker.names().conversation(id);
            checker.seen(player.client, no)
        });
        (seen < head).then(|| format!("{} saw {id} up to {seen} of {head}", player.name))
    })
    .collect()
}
