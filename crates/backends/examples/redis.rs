//! Measures heartbeats into a Redis beside `redis-benchmark`: `CHATFLEET_REDIS_SERVER=... cargo run --release -p
//! chatfleet-backends --features redis --example redis`. Starts a server of its own; `redis-benchmark` is found beside
//! it. Prints what both reach with the same pipelining, what a session weighs, and what the client's CPU does.

#![allow(clippy::unwrap_used)] // A measurement that fails may as well panic.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use chatfleet_backends::{
    Clock,
    port::{Presence, Registry, Session},
    redis::{RedisOptions, RedisPresence, RedisRegistry},
};
use domain::NodeId;
use futures_util::future::join_all;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep};

/// As a gateway refreshes them.
const BATCH: usize = 1_000;
const GATEWAYS: usize = 4;
const SESSIONS: usize = 48_000;
const ROUNDS: usize = 5;
/// What one gateway forwards at most.
const RATE: usize = 100_000;
/// As the adapters send them.
const PIPELINE: usize = 512;

struct Server {
    child: Child,
    url: String,
    port: u16,
    program: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(libraries) = std::env::var_os("CHATFLEET_REDIS_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

async fn server() -> Server {
    let program = PathBuf::from(std::env::var_os("CHATFLEET_REDIS_SERVER").unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut start = command(&program);
    start.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let child = start.stdout(Stdio::null()).spawn().unwrap();
    let server = Server { child, url: format!("redis://127.0.0.1:{port}"), port, program };
    while ask(&server, "PING", "").await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    server
}

async fn ask(server: &Server, name: &str, arg: &str) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(&*server.url)?.get_multiplexed_async_connection().await?;
    let mut command = redis::cmd(name);
    if !arg.is_empty() {
        command.arg(arg);
    }
    command.query_async(&mut connection).await
}

async fn used(server: &Server) -> i64 {
    let info = ask(server, "INFO", "memory").await.unwrap();
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}

/// CPU time of a process so far, s.
fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let times = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// What `redis-benchmark` reaches, a second.
fn benchmark(server: &Server, what: &[&str]) -> f64 {
    let mut bench = command(&server.program.with_file_name("redis-benchmark"));
    let (clients, pipeline) = (GATEWAYS.to_string(), PIPELINE.to_string());
    let (port, keys, n) = (server.port.to_string(), SESSIONS.to_string(), (SESSIONS * ROUNDS).to_string());
    bench.args(["-p", &port, "-c", &clients, "-P", &pipeline, "-n", &n, "-r", &keys, "--csv"]).args(what);
    let out = String::from_utf8(bench.output().unwrap().stdout).unwrap();
    // The line below the heading: name, rate, latencies.
    out.lines().last().unwrap().split("\",\"").nth(1).unwrap().parse().unwrap()
}

/// Refreshes all sessions again and again, each gateway its own; heartbeats a second.
async fn measure<F: Future<Output = ()> + Send + 'static>(
    sessions: &[Arc<Vec<Session>>],
    refresh: impl Fn(usize, Arc<Vec<Session>>, usize) -> F,
) -> f64 {
    let began = Instant::now();
    let gateways = sessions.iter().enumerate().map(|(n, mine)| {
        let calls: Vec<F> = (0..ROUNDS)
            .flat_map(|_| (0..mine.len()).step_by(BATCH))
            .map(|first| refresh(n, mine.clone(), first))
            .collect();
        tokio::spawn(async move {
            for call in calls {
                call.await;
            }
        })
    });
    for done in join_all(gateways.collect::<Vec<_>>()).await {
        done.unwrap();
    }
    (SESSIONS * ROUNDS) as f64 / began.elapsed().as_secs_f64()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = server().await;
    let options = RedisOptions::new(&server.url, "fleet");
    // One connection each, as each gateway has.
    let registries: Vec<Arc<RedisRegistry>> =
        (0..GATEWAYS).map(|_| Arc::new(RedisRegistry::new(&options).unwrap())).collect();
    let presences: Vec<Arc<RedisPresence>> =
        (0..GATEWAYS).map(|_| Arc::new(RedisPresence::new(&options, Clock::System).unwrap())).collect();
    let node = |n: usize| -> NodeId { format!("gateway-{n}").parse().unwrap() };

    let before = used(&server).await;
    let now_ms = Clock::System.now_ms();
    let mut sessions = Vec::new();
    for (n, registry) in registries.iter().enumerate() {
        let numbers: Vec<usize> = (0..SESSIONS / GATEWAYS).map(|at| n * SESSIONS / GATEWAYS + at).collect();
        let mut mine = Vec::new();
        for some in numbers.chunks(BATCH) {
            let gateway = node(n);
            let registering = some.iter().map(async |number| {
                let (user, device) = (format!("user-{number:08}").parse().unwrap(), "phone-1".parse().unwrap());
                let registered = registry.register(&user, &device, &gateway, now_ms, now_ms).await.unwrap();
                Session { user, device, session_version: registered.session_version }
            });
            mine.extend(join_all(registering).await);
        }
        sessions.push(Arc::new(mine));
    }
    let registered = used(&server).await;
    for (presence, mine) in presences.iter().zip(&sessions) {
        for some in mine.chunks(BATCH) {
            presence.refresh(some).await.unwrap();
        }
    }
    let entered = used(&server).await;
    let each = |from: i64, to: i64| (to - from) / SESSIONS as i64;
    println!("a session: registry {} B, presence {} B", each(before, registered), each(registered, entered));

    let registry = |n: usize, mine: Arc<Vec<Session>>, first: usize| {
        let (registry, node) = (registries[n].clone(), node(n));
        async move {
            let some = &mine[first..mine.len().min(first + BATCH)];
            let versions = registry.refresh(&node, now_ms, some).await.unwrap();
            assert!(versions.iter().all(Option::is_some));
        }
    };
    let presence = |n: usize, mine: Arc<Vec<Session>>, first: usize| {
        let presence = presences[n].clone();
        async move { presence.refresh(&mine[first..mine.len().min(first + BATCH)]).await.unwrap() }
    };
    let both = |n: usize, mine: Arc<Vec<Session>>, first: usize| {
        let (registry, presence) = (registry(n, mine.clone(), first), presence(n, mine, first));
        async move {
            tokio::join!(registry, presence);
        }
    };
    println!("{GATEWAYS} connections, pipelines of {PIPELINE}, {SESSIONS} sessions; commands/s, best of 3 in turns");
    let mut best = [0f64; 4];
    for _ in 0..3 {
        let setex =
            benchmark(&server, &["SETEX", "fleet:x:{user-__rand_int__}:phone", "90", "1764030000000 gateway-1"]);
        let rates = [
            setex,
            measure(&sessions, registry).await,
            2.0 * measure(&sessions, presence).await,
            3.0 * measure(&sessions, both).await,
        ];
        for (best, rate) in best.iter_mut().zip(rates) {
            *best = best.max(rate);
        }
    }
    let [setex, ..] = best;
    println!("redis-benchmark SETEX                          {setex:>9.0}");
    let rows = ["registry refresh, 1 command", "presence refresh, 2 commands", "heartbeat of both, 3 commands"];
    for ((what, rate), commands) in rows.into_iter().zip(&best[1..]).zip([1.0, 2.0, 3.0]) {
        println!("{what:<46} {rate:>9.0}  {:.2} of it; {:>7.0} refreshes/s", rate / setex, rate / commands);
    }

    // At the rate of one gateway.
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let pid = server.child.id().to_string();
    let (began, client, served) = (Instant::now(), cpu("self"), cpu(&pid));
    let mut refreshed = 0;
    while began.elapsed() < Duration::from_secs(5) {
        ticks.tick().await;
        for _ in 0..RATE / 20 / BATCH {
            let n = refreshed / BATCH % GATEWAYS;
            let mine = sessions[n].clone();
            let first = refreshed / BATCH / GATEWAYS * BATCH % mine.len();
            refreshed += mine.len().min(first + BATCH) - first;
            both(n, mine, first).await;
        }
    }
    let took_s = began.elapsed().as_secs_f64();
    println!(
        "at {:.0} heartbeats/s: client {:.0}% of a core, server {:.0}%",
        refreshed as f64 / took_s,
        (cpu("self") - client) / took_s * 100.0,
        (cpu(&pid) - served) / took_s * 100.0
    );
}
