//! A crowd that comes, goes and comes again. Each client resumes one group.

use std::time::Duration;

use chatfleet_fleet::LocalFleet;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Failure,
    child::{Clients, told},
    post,
    raw::Raw,
    source, token,
};

/// Members of each group.
const GROUP: usize = 500;
/// Messages in each group, to be caught up with.
const MESSAGES: u64 = 5;

fn group(n: usize) -> String {
    format!("crowd-{}", n / GROUP)
}

fn user(n: usize) -> String {
    format!("crowd-user-{n}")
}

/// Makes the groups of a crowd and says something in each.
pub(crate) async fn prepare(fleet: &LocalFleet, clients: usize) -> Result<(), Failure> {
    for first in (0..clients).step_by(GROUP) {
        let members: Vec<String> = (first..clients.min(first + GROUP).max(first + 2)).map(user).collect();
        let body = json!({"kind": "group", "members": members, "id": group(first)});
        post(fleet, "/v1/conversations", &body).await?;
        for n in 0..MESSAGES {
            let body: Value = json!({
                "idempotency_key": format!("00000000-0000-4000-8000-{:012x}", first as u64 * 100 + n),
                "sender": members[0],
                "body": "what was said while nobody was there",
            });
            post(fleet, &format!("/v1/conversations/{}/messages", group(first)), &body).await?;
        }
    }
    Ok(())
}

/// Starts the clients' process.
pub(crate) fn start(fleet: &LocalFleet, clients: usize) -> Result<Clients, Failure> {
    let arguments =
        ["clients", &fleet.gateways[0].address.to_string(), &fleet.secrets.jwt_secret, &clients.to_string()];
    Clients::start(&arguments.map(str::to_owned))
}

/// The clients' process: `connect` and `drop`, until the end of the input.
pub(crate) async fn clients(arguments: &[String]) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let [to, secret, clients] = arguments else { return Err("clients: address, secret, number".into()) };
    let (to, clients): (std::net::SocketAddr, usize) = (to.parse()?, clients.parse()?);
    // Signing is the back end's work: done beforehand.
    let tokens: Vec<String> = (0..clients).map(|n| token(secret, &user(n), "user")).collect::<Result<_, _>>()?;
    let mut connected = Vec::new();
    while let Some(line) = told().await? {
        match line.as_str() {
            "connect" => {
                let began = Instant::now();
                let mut tasks = JoinSet::new();
                for (n, token) in tokens.iter().cloned().enumerate() {
                    tasks.spawn(async move {
                        let resume = format!(r#"{{"{}":0}}"#, group(n));
                        let mut retries = 0_u32;
                        loop {
                            match Raw::connect(to, source(n), &token, &resume).await {
                                Ok(raw) => return (raw, retries, began.elapsed()),
                                Err(_) => retries += 1,
                            }
                            sleep(Duration::from_millis(100)).await;
                        }
                    });
                }
                let (mut times, mut retries) = (Vec::with_capacity(clients), 0);
                while let Some(done) = tasks.join_next().await {
                    let (raw, retried, took) = done?;
                    retries += retried;
                    times.push(took);
                    connected.push(raw);
                }
                times.sort_unstable();
                let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64();
                println!("{:.3} {:.3} {:.3} {retries}", at(0.5), at(0.99), at(1.0));
            }
            "drop" => {
                connected.clear();
                println!("dropped");
            }
            other => return Err(format!("what is {other:?}?").into()),
        }
    }
    Ok(())
}

/// One coming of the whole crowd.
pub(crate) struct Came {
    pub(crate) p50_s: f64,
    pub(crate) p99_s: f64,
    pub(crate) all_s: f64,
    pub(crate) retries: u64,
}

/// Has the crowd connect and waits until everybody is in.
pub(crate) async fn connect(clients: &mut Clients) -> Result<Came, Failure> {
    let answer = clients.ask("connect").await?;
    let figures: Vec<f64> = answer.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [p50_s, p99_s, all_s, retries] = figures[..] else { return Err(answer.into()) };
    Ok(Came { p50_s, p99_s, all_s, retries: retries as u64 })
}

/// Has the crowd leave and waits until the gateway counts nobody: both at once would need twice the open files.
pub(crate) async fn leave(fleet: &LocalFleet, clients: &mut Clients) -> Result<(), Failure> {
    clients.ask("drop").await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while fleet.gateways[0].gateway().connections() > 0 {
        if Instant::now() > deadline {
            return Err("the gateway still counts connections after 60 s".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
