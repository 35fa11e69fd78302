//! The fleet and its clients before anything happens: for the seeds, and for tests that tell one story.

use std::sync::Arc;

use backends::port::{Conversation, Directory as _};
use client::{
    Client, ClientConfig, ClientHandle,
    checker::{ClientId, Fact},
};
use domain::{ConversationId, UserId};
use protocol::frames::Kind;
use tokio::{
    runtime::Runtime,
    time::{Duration, Instant, sleep, timeout},
};

use super::{
    judge,
    outages::REGISTRY,
    registry::ForgetsAfter,
    script::{Plan, behind},
    weather::Weather,
    wire::SimConnect,
    witness::{Eyes, Witness},
    world::{JWT_SECRET, World},
};

/// Between two looks at what a story waits for.
const LOOK: Duration = Duration::from_millis(10);
/// Longer than anything that a story waits for without saying how long it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of the script.
pub(super) struct Player {
    pub(super) name: String,
    pub(super) handle: ClientHandle,
    pub(super) client: ClientId,
    pub(super) conversations: Vec<String>,
}

/// A running fleet and its clients.
pub struct Stage {
    pub(super) world: World,
    pub(super) witness: Witness,
    pub(super) players: Vec<Arc<Player>>,
    pub(super) conversations: Vec<Conversation>,
}

/// A runtime in paused time whose chance is that of the seed.
pub(super) fn runtime(seed: u64) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    // Set in .cargo/config.toml. Without it runs are as good a test, but do not replay.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_be_bytes()));
    #[allow(clippy::expect_used)] // A single-threaded runtime without IO needs nothing that could be missing.
    builder.build().expect("a runtime")
}

/// Tells one story in good weather.
///
/// # Panics
/// When the runtime cannot be built, or the story says so.
pub fn on_stage(plan: &Plan, story: impl AsyncFnOnce(&mut Stage)) {
    runtime(plan.seed).block_on(async {
        let mut stage = Stage::set(plan).await;
        stage.until("everybody is connected", |stage| stage.world.connections() == plan.clients).await;
        // And every worker has looked for gateways since.
        sleep(Duration::from_secs(2)).await;
        story(&mut stage).await;
        stage.world.stop();
    });
}

impl Stage {
    pub(super) async fn set(plan: &Plan) -> Self {
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
        let players = (0..plan.clients).map(|n| Arc::new(player(plan, n, &world, &witness, &conversations))).collect();
        Self { world, witness, players, conversations }
    }

    /// # Panics
    /// When it does not come about.
    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                sleep(LOOK).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("not within {PATIENCE:?}: {what}");
        }
    }

    /// The node cannot reach the registry for so long.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn cut_off(&self, node: &str, lasts: Duration) {
        let Some(weather) = self.world.weather(node) else { panic!("{node} does not run") };
        weather.cut_off(REGISTRY, Instant::now() + lasts);
    }

    /// The registry forgets everything.
    pub fn flush(&self) {
        self.world.registry.flush();
    }

    /// The registry forgets everything, and once more when a gateway has entered its sessions again and has no lease yet.
    pub fn flush_twice(&self) {
        self.world.registry.flush_again(ForgetsAfter::Sessions);
    }

    /// A client says something in a group of all, and the log takes it.
    ///
    /// # Panics
    /// When it does not.
    pub async fn say(&self) {
        let player = &self.players[0];
        let (key, conversation) = (player.handle.new_key(), &player.conversations[0]);
        self.witness.sent(player.client, conversation, key, "hello");
        let _ = player.handle.send_with_key(key, conversation, "hello".to_owned()).await;
        self.until("a message is accepted", |stage| stage.witness.unanswered() == 0).await;
    }

    /// How long it takes until everybody has seen everything, by themselves.
    ///
    /// # Panics
    /// When it never comes about.
    pub async fn all_have_seen(&self) -> Duration {
        let since = Instant::now();
        let seen = |stage: &Self| behind(&judge::heads(&stage.world), &stage.witness, &stage.players).is_empty();
        self.until("everybody has seen everything", seen).await;
        since.elapsed()
    }

    /// How often clients connected.
    pub fn connects(&self) -> usize {
        self.witness.connects()
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
